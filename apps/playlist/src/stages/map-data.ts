import type { Stage } from 'plimsoll/pipeline';
import { enlargeBatch } from '../channels/enlarge-batch.ts';
import { Column, type EntryBatch, Flag, ROW } from '../channels/entry-batch.ts';
import { EntryView } from '../channels/entry-view.ts';
import type { RuleTally } from '../rules/rule-set.ts';

/** Runs the rules on every channel, in order; each sees what the ones before made of it. */
export function mapData(tallies: readonly RuleTally[]): Stage<EntryBatch, EntryBatch> {
  return {
    name: 'Data Mapping',
    memory: { kind: 'external', maxBytes: Number.POSITIVE_INFINITY },
    async *run(input, context) {
      using room = context.memory.reserve(0);
      const view = new EntryView((batch, bytes) => enlargeBatch(batch, bytes, room));
      for await (const batch of input) {
        if (tallies.length > 0) applyRules(batch, view, tallies);
        yield batch;
      }
    },
  };
}

function applyRules(batch: EntryBatch, view: EntryView, tallies: readonly RuleTally[]): void {
  for (let row = 0; row < batch.count; row++) {
    if ((batch.table[row * ROW + Column.flags]! & Flag.dropped) !== 0) continue;
    view.moveTo(batch, row);
    for (const tally of tallies) {
      if (tally.rule.apply(view)) tally.changed++;
    }
  }
}
