import type { Stage } from 'plimsoll/pipeline';
import { Column, type EntryBatch, Flag, ROW } from '../channels/entry-batch.ts';
import { EntryView } from '../channels/entry-view.ts';
import type { PluginWorkers } from '../plugin-job.ts';
import { applyChannels } from '../plugins/apply-channels.ts';
import type { FilterProgram } from '../plugins/filter-program.ts';
import type { FilterTally } from '../rules/rule-set.ts';
import { channelPluginStage } from './channel-plugin-stage.ts';

/** What plugins need for it. */
export interface FilterWorkers {
  readonly workers: PluginWorkers;
  readonly program: FilterProgram;
}

const NAME = 'Filtering';

/**
 * Takes out the channels that a filter does not keep. The filters run in order, each on what the one before left, so a channel is counted
 * by the first filter that removed it, and a filter that matches nothing leaves nothing. Plugins, where there are some, choose the same.
 */
export function filterChannels(
  tallies: readonly FilterTally[],
  plugins?: FilterWorkers,
): Stage<EntryBatch, EntryBatch> {
  return plugins === undefined ? natively(tallies) : byPlugins(tallies, plugins);
}

function natively(tallies: readonly FilterTally[]): Stage<EntryBatch, EntryBatch> {
  return {
    name: NAME,
    async *run(input) {
      const filter = new ChannelFilter(tallies);
      for await (const batch of input) {
        filter.run(batch);
        yield batch;
      }
    },
  };
}

function byPlugins(
  tallies: readonly FilterTally[],
  { workers, program }: FilterWorkers,
): Stage<EntryBatch, EntryBatch> {
  const { bytes, filterCount, fields } = program;
  const filter = new ChannelFilter(tallies);
  const onLeftOut = (_row: number, by: number): void => {
    const tally = tallies[by];
    if (tally !== undefined) tally.removed++;
  };
  return channelPluginStage({
    name: NAME,
    workers,
    config: bytes,
    fields,
    apply: (batch, output) => void applyChannels(batch, output, { filterCount, fields, onLeftOut }),
    native: (batch) => filter.run(batch),
  });
}

class ChannelFilter {
  readonly #tallies: readonly FilterTally[];
  readonly #view = new EntryView(() => {
    throw new Error('a filter does not edit');
  });

  constructor(tallies: readonly FilterTally[]) {
    this.#tallies = tallies;
  }

  run(batch: EntryBatch): void {
    if (this.#tallies.length === 0) return;
    for (let row = 0; row < batch.count; row++) {
      const flags = row * ROW + Column.flags;
      if ((batch.table[flags]! & Flag.dropped) !== 0) continue;
      this.#view.moveTo(batch, row);
      for (const tally of this.#tallies) {
        if (tally.filter.keeps(this.#view)) continue;
        tally.removed++;
        batch.table[flags] = batch.table[flags]! | Flag.dropped;
        batch.live--;
        break;
      }
    }
  }
}
