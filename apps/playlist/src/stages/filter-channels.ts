import type { Stage } from 'plimsoll/pipeline';
import { Column, type EntryBatch, Flag, ROW } from '../channels/entry-batch.ts';
import { EntryView } from '../channels/entry-view.ts';
import type { FilterTally } from '../rules/rule-set.ts';

/**
 * Takes out the channels that a filter does not keep. The filters run in order, each on what the one before left, so a channel is counted
 * by the first filter that removed it, and a filter that matches nothing leaves nothing.
 */
export function filterChannels(tallies: readonly FilterTally[]): Stage<EntryBatch, EntryBatch> {
  return {
    name: 'Filtering',
    async *run(input) {
      const view = new EntryView(() => {
        throw new Error('a filter does not edit');
      });
      for await (const batch of input) {
        if (tallies.length > 0) dropUnwanted(batch, view, tallies);
        yield batch;
      }
    },
  };
}

function dropUnwanted(batch: EntryBatch, view: EntryView, tallies: readonly FilterTally[]): void {
  for (let row = 0; row < batch.count; row++) {
    const flags = row * ROW + Column.flags;
    if ((batch.table[flags]! & Flag.dropped) !== 0) continue;
    view.moveTo(batch, row);
    for (const tally of tallies) {
      if (tally.filter.keeps(view)) continue;
      tally.removed++;
      batch.table[flags] = batch.table[flags]! | Flag.dropped;
      batch.live--;
      break;
    }
  }
}
