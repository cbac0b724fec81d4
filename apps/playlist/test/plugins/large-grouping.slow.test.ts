/** More output than one call of a plugin may give: by the host, in workers, with the samples as they are built. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGovernor } from 'plimsoll';
import { Pipeline, pluginRecordStage, RecordBatch, type Source, sameRecords, sortRecords } from 'plimsoll/pipeline';
import { SpillFolder } from 'plimsoll/spill';
import { loadPlugins, PluginHost } from 'plimsoll/wasm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { groupingKey } from '../../src/plugins/keyed-record.ts';
import { SAMPLES_DIR } from './direct-guest.ts';
import { batchesOf, manyPairs, recordBatch, wireSink } from './keyed-batches.ts';

const MIB = 2 ** 20;
const MAX_OUTPUT_BYTES = 16 * MIB;
const WIRES = batchesOf(manyPairs(24_000, 'tags and texts '.repeat(48)), 256 * 1024);
const dir = mkdtempSync(join(process.env.PLIMSOLL_TEST_DISK ?? tmpdir(), 'plimsoll-large-grouping-'));
const governor = createGovernor({ limitBytes: 2 ** 32 });
let spill: SpillFolder;
beforeAll(async () => {
  spill = await SpillFolder.open(dir, { maxBytes: 256 * MIB, allowMemoryBacked: true });
});
afterAll(async () => {
  await spill[Symbol.asyncDispose]();
  governor[Symbol.dispose]();
  rmSync(dir, { recursive: true, force: true });
});

const source: Source<RecordBatch> = {
  name: 'Source',
  memory: { kind: 'external', maxBytes: 64 * MIB },
  async *open(context) {
    for (const wire of WIRES) {
      using _ = context.memory.reserve(RecordBatch.bytesFor(wire.length, wire.length >> 2));
      yield recordBatch(wire);
    }
  },
};

const native = () => sortRecords({ name: 'Grouping', key: groupingKey, memory: { maxBytes: 64 * MIB } });
const pipeline = () => new Pipeline({ governor, probe: { sample: () => governor.sample() }, spill });

test.each(['group-compress', 'group-spill'])(
  'hole: %s, which gives more than a call may in all, ends at that limit and the native stage does it all',
  async (name) => {
    await using host = new PluginHost({
      governor,
      maxPluginBytes: 64 * MIB,
      maxTotalBytes: 64 * MIB,
      maxOutputBytes: MAX_OUTPUT_BYTES,
      spill,
      maxSpillBytes: 128 * MIB,
    });
    const plugins = (await loadPlugins(SAMPLES_DIR)).plugins.filter(({ manifest }) => manifest.name === name);
    const memory = { maxBytes: 64 * MIB };
    const run = pipeline();
    const output = await run
      .from(source)
      .through(
        pluginRecordStage({
          name: 'Grouping',
          stage: 'grouping',
          host,
          plugins,
          native: native(),
          memory,
          check: sameRecords,
        }),
      )
      .into(wireSink);
    expect(run.report().workerSwitches.map(({ from, to, why }) => [from, to, why])).toEqual([
      ['nobody', name, 'chosen'],
    ]);
    expect(host.stats.failures).toBe(0);
    expect(output.length).toBeGreaterThan(MAX_OUTPUT_BYTES + MIB);
    expect(output.equals(await pipeline().from(source).through(native()).into(wireSink))).toBe(true);
  },
);
