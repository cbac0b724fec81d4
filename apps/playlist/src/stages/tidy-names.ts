import type { Stage } from 'plimsoll/pipeline';
import { enlargeBatch } from '../channels/enlarge-batch.ts';
import type { EntryBatch } from '../channels/entry-batch.ts';
import type { PluginWorkers } from '../plugin-job.ts';
import { applyChannels } from '../plugins/apply-channels.ts';
import { TIDIED_FIELDS, tidyChannels } from '../plugins/tidy-channels.ts';
import { NameTidier } from '../plugins/tidy-name.ts';
import { channelPluginStage } from './channel-plugin-stage.ts';

const NAME = 'Tidying';

export interface TidyCounts {
  /** Channels of which a name or a group was put in order. */
  tidied: number;
}

/** Puts names and groups in order before the rules see them: by a plugin, where there is one, to the byte as it is done here. */
export function tidyNames(counts: TidyCounts, workers?: PluginWorkers): Stage<EntryBatch, EntryBatch> {
  return {
    name: NAME,
    memory: { kind: 'external', maxBytes: Number.POSITIVE_INFINITY },
    async *run(input, context) {
      using room = context.memory.reserve(0);
      const makeRoom = (batch: EntryBatch, bytes: number): void => enlargeBatch(batch, bytes, room);
      const tidier = new NameTidier();
      const native = (batch: EntryBatch): void => {
        counts.tidied += tidyChannels(batch, tidier, makeRoom);
      };
      if (workers !== undefined) {
        const apply = (batch: EntryBatch, output: Uint8Array): void => {
          counts.tidied += applyChannels(batch, output, { mayChange: true, fields: TIDIED_FIELDS, makeRoom });
        };
        yield* channelPluginStage({ name: NAME, workers, fields: TIDIED_FIELDS, apply, native }).run(input, context);
        return;
      }
      for await (const batch of input) {
        native(batch);
        yield batch;
      }
    },
  };
}
