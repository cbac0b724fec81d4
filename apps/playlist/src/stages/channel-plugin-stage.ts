import { pluginStage, type Stage } from 'plimsoll/pipeline';
import type { EntryBatch } from '../channels/entry-batch.ts';
import type { PluginWorkers } from '../plugin-job.ts';
import { ChannelEncoder } from '../plugins/channel-records.ts';

export interface ChannelPluginOptions {
  readonly name: string;
  readonly workers: PluginWorkers;
  /** What the plugin is told at its start. */
  readonly config?: Uint8Array;
  /** Which fields it is shown: bit n is field n. */
  readonly fields: number;
  /** Puts an answer into the batch; throws, with the batch as it was, when it cannot be used. */
  apply(batch: EntryBatch, output: Uint8Array): void;
  native(batch: EntryBatch): void;
}

const NOTHING = new Uint8Array(0);

/** A stage over channels that plugins do batch by batch. A batch for whose sending there is no memory is done here instead. */
export function channelPluginStage(options: ChannelPluginOptions): Stage<EntryBatch, EntryBatch> {
  const { name, workers, config, fields } = options;
  return {
    name,
    memory: { kind: 'external', maxBytes: Number.POSITIVE_INFINITY },
    async *run(input, context) {
      using encoder = new ChannelEncoder(context.memory, fields);
      let spared = false;
      const stage = pluginStage<EntryBatch>({
        ...workers,
        name,
        ...(config && { config }),
        encode(batch) {
          spared = false;
          try {
            return encoder.encode(batch);
          } catch (cause) {
            if ((cause as { code?: unknown }).code !== 'PLIMSOLL_BUDGET_EXCEEDED') throw cause;
            spared = true;
            return NOTHING;
          }
        },
        apply: (batch, output) => (spared ? options.native(batch) : options.apply(batch, output)),
        native: (batch) => options.native(batch),
      });
      yield* stage.run(input, context);
    },
  };
}
