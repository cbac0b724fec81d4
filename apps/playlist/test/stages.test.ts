import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Batch, Sink, Source, Stage } from 'plimsoll/pipeline';
import { afterAll } from 'vitest';
import { describeStages } from '../../../test/contract/stage.ts';
import { Column, type EntryBatch, FIELD_COUNT, Flag, ROW } from '../src/channels/entry-batch.ts';
import { ProblemLog } from '../src/report/problem-log.ts';
import { compileRuleSet } from '../src/rules/rule-set.ts';
import { openFile } from '../src/sources/file-source.ts';
import { filterChannels } from '../src/stages/filter-channels.ts';
import { loadSources, type PlaylistInput } from '../src/stages/load-sources.ts';
import { mapData } from '../src/stages/map-data.ts';

const dir = mkdtempSync(join(tmpdir(), 'plimsoll-stages-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const path = join(dir, 'list.m3u');
const entry = (i: number) =>
  `#EXTINF:-1 tvg-id="id${i}" group-title="Group ${i % 7}",Channel ${i}\nhttp://host.example/live/${i}.ts\n`;
writeFileSync(path, Array.from({ length: 4000 }, (_, i) => entry(i)).join(''));

async function* inputs(): AsyncGenerator<PlaylistInput> {
  const origin = { name: 'list', type: 'm3u', url: path } as const;
  yield { origin, sourceIndex: 0, open: () => openFile(path, { maxBytes: 2 ** 30, label: path }) };
}

const RULES = compileRuleSet(
  [
    {
      label: 'rule 1',
      when: 'channel_name matches "([0-9]+)"',
      set: 'group_title = "A much longer name for the group of $1, so that the batch has to grow"',
    },
  ],
  [{ label: 'filter 1', mode: 'exclude', expression: 'channel_name ends_with "7"' }],
);

const count: Sink<EntryBatch, number> = {
  name: 'Counting',
  async drain(input) {
    let items = 0;
    for await (const batch of input) items += batch.itemCount;
    return items;
  },
};

/** The fields of the channels that are left. */
function contentOf(batch: Batch): Uint8Array {
  const { bytes, table, count: rows } = batch as unknown as EntryBatch;
  const parts: Buffer[] = [];
  for (let at = 0; at < rows * ROW; at += ROW) {
    if ((table[at + Column.flags]! & Flag.dropped) !== 0) continue;
    for (let field = 0; field < FIELD_COUNT; field++) {
      const [start, end] = [table[at + 2 * field]!, table[at + 2 * field + 1]!];
      parts.push(start < 0 ? Buffer.from('-') : bytes.subarray(start, end), Buffer.from([0]));
    }
  }
  return Buffer.concat(parts);
}

describeStages('loading, mapping and filtering', {
  make: () => ({
    source: loadSources({
      inputs: inputs(),
      problems: new ProblemLog(),
      batchBytes: 64 * 1024,
    }) as Source<Batch>,
    stages: [mapData(RULES.rules), filterChannels(RULES.filters)] as unknown as Stage<Batch, Batch>[],
    sink: count as unknown as Sink<Batch, number>,
  }),
  contentOf,
});
