import type { Reservation } from 'plimsoll';
import { pluginStage, type Stage } from 'plimsoll/pipeline';
import { enlargeBatch } from '../channels/enlarge-batch.ts';
import type { EntryBatch } from '../channels/entry-batch.ts';
import type { PluginWorkers } from '../plugin-job.ts';
import { applyChannels } from '../plugins/apply-channels.ts';
import { ChannelEncoder } from '../plugins/channel-records.ts';
import { TIDIED_FIELDS, tidyChannels } from '../plugins/tidy-channels.ts';
import { NameTidier } from '../plugins/tidy-name.ts';

const NAME = 'Tidying';
const MEMORY = { kind: 'external', maxBytes: Number.POSITIVE_INFINITY } as const;

export interface TidyCounts {
  /** Channels of which a name or a group was put in order. */
  tidied: number;
}

/** Puts names and groups in order before the rules see them: by a plugin, where there is one, to the byte as it is done here. */
export function tidyNames(counts: TidyCounts, workers?: PluginWorkers): Stage<EntryBatch, EntryBatch> {
  return {
    name: NAME,
    memory: MEMORY,
    async *run(input, context) {
      using room = context.memory.reserve(0);
      using encoder = new ChannelEncoder(context.memory, TIDIED_FIELDS);
      const makeRoom = roomIn(room);
      const tidier = new NameTidier();
      const native = (batch: EntryBatch): void => {
        counts.tidied += tidyChannels(batch, tidier, makeRoom);
      };
      if (workers === undefined) {
        for await (const batch of input) {
          native(batch);
          yield batch;
        }
        return;
      }
      const stage = pluginStage<EntryBatch>({
        ...workers,
        name: NAME,
        encode: (batch) => encoder.encode(batch),
        apply(batch, output) {
          counts.tidied += applyChannels(batch, output, { mayChange: true, fields: encoder.fields, makeRoom });
        },
        native,
      });
      yield* stage.run(input, context);
    },
  };
}

const roomIn =
  (room: Reservation) =>
  (batch: EntryBatch, bytes: number): void =>
    enlargeBatch(batch, bytes, room);
