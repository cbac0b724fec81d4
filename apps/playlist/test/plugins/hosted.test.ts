/** The samples as they are run: by the host, in workers, within what their manifests declare. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGovernor } from 'plimsoll';
import { SpillFolder } from 'plimsoll/spill';
import { loadPlugins, type Plugin, PluginHost } from 'plimsoll/wasm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ChannelNumbers } from '../../src/channels/channel-numbers.ts';
import type { FilterConfig } from '../../src/config/config.ts';
import { applyChannels } from '../../src/plugins/apply-channels.ts';
import { channelRecordsBytes, encodeChannels } from '../../src/plugins/channel-records.ts';
import { compileFilterProgram } from '../../src/plugins/filter-program.ts';
import {
  applyNumbers,
  encodeNumbers,
  NumberAssigner,
  NumberBatch,
  numberingConfig,
} from '../../src/plugins/number-batch.ts';
import { tidyChannels } from '../../src/plugins/tidy-channels.ts';
import { NameTidier } from '../../src/plugins/tidy-name.ts';
import { DirectGuest, isBuilt, SAMPLES_DIR } from './direct-guest.ts';
import { batchOf, copyOf, makeRoom, stateOf } from './entry-batches.ts';
import { batchesOf, manyPairs } from './keyed-batches.ts';

const MIB = 2 ** 20;
const dir = mkdtempSync(join(tmpdir(), 'plimsoll-hosted-'));
const governor = createGovernor({ limitBytes: 2 ** 32 });
let spill: SpillFolder;
let host: PluginHost;
let plugins: readonly Plugin[];
let problems: readonly string[];

beforeAll(async () => {
  spill = await SpillFolder.open(dir, { maxBytes: 256 * MIB, allowMemoryBacked: true });
  host = new PluginHost({
    governor,
    maxPluginBytes: 64 * MIB,
    maxTotalBytes: 128 * MIB,
    maxOutputBytes: 4 * MIB,
    spill,
    maxSpillBytes: 128 * MIB,
  });
  ({ plugins, problems } = await loadPlugins(SAMPLES_DIR));
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
  await spill[Symbol.asyncDispose]();
  governor[Symbol.dispose]();
  rmSync(dir, { recursive: true, force: true });
});

const named = (name: string): Plugin => {
  const plugin = plugins.find(({ manifest }) => manifest.name === name);
  if (plugin === undefined) throw new Error(`${name} is not built`);
  return plugin;
};

const CHANNELS = Array.from({ length: 3_000 }, (_, i) => [
  `${i % 3 === 0 ? 'UK: ' : ''}Channel  ${i}${i % 2 === 0 ? ' HD' : ''}`,
  i % 5 === 0 ? undefined : ` Group ${i % 40} ; News`,
  `id${i}`,
  undefined,
  'http://logo.example/x.png',
  String(i),
  undefined,
  `http://host.example/${i}`,
]);
const FILTERS: FilterConfig[] = [
  { label: 'filter 1', mode: 'exclude', expression: 'channel_name contains "hd" AND tvg_chno > 100' },
];

test('all samples are taken, and begin with no more memory than they say', () => {
  expect(problems).toEqual([]);
  const expected = ['filter-stream', 'group-compress', 'group-spill', 'number-channels', 'tidy-names'];
  if (isBuilt('filter-stream-c')) expected.push('filter-stream-c');
  expect(plugins.map(({ manifest }) => manifest.name).sort()).toEqual(expected.sort());
  for (const { manifest } of plugins) {
    const guest = new DirectGuest(manifest.name, { config: numberingConfig(1) });
    expect(guest.memory.buffer.byteLength, manifest.name).toBeLessThanOrEqual(manifest.minHeapBytes);
    expect(guest.memory.buffer.byteLength, manifest.name).toBeLessThanOrEqual(manifest.maxHeapBytes);
  }
});

describe('in the host', () => {
  test('tidy-names gives what the native stage gives, before and after its memory was made anew', async () => {
    await using instance = await host.open(named('tidy-names'), { stage: 'data_mapping' });
    for (const round of [1, 2, 3]) {
      const batch = batchOf(CHANNELS);
      const native = copyOf(batch);
      const changed = tidyChannels(native, new NameTidier(), makeRoom);
      const output = await instance.process(encodeChannels(batch, Buffer.alloc(channelRecordsBytes(batch))));
      expect(applyChannels(batch, output, { mayChange: true, makeRoom })).toBe(changed);
      expect(stateOf(batch)).toEqual(stateOf(native));
      if (round < 3) expect(await instance.reclaim()).toBeGreaterThan(0);
    }
    expect((await instance.finalize()).length).toBe(0);
  });

  test.each(['filter-stream', 'filter-stream-c'])('%s takes out the same channels', async (name) => {
    if (!isBuilt(name)) return void console.warn('skipped: the filter in C, because there is no clang for wasm32');
    const { bytes, fields, filterCount } = compileFilterProgram(FILTERS)!;
    await using instance = await host.open(named(name), { stage: 'filtering', config: bytes });
    for (const round of [1, 2, 3]) {
      const batch = batchOf(CHANNELS);
      const output = await instance.process(
        encodeChannels(batch, Buffer.alloc(channelRecordsBytes(batch, fields)), fields),
      );
      applyChannels(batch, output, { fields, filterCount });
      expect(batch.live).toBe(CHANNELS.length - CHANNELS.filter((_, i) => i % 2 === 0 && i > 100).length);
      if (round < 3) await instance.reclaim();
    }
  });

  test('a filter refuses what is no program', async () => {
    const open = host.open(named('filter-stream'), { stage: 'filtering', config: Buffer.from('no program') });
    await expect(open).rejects.toMatchObject({ code: 'PLIMSOLL_PLUGIN_REFUSED' });
  });

  test('number-channels gives the native numbers, and keeps its map when its memory is made anew', async () => {
    using numbers = new ChannelNumbers(governor.consumer({ name: 'numbers', kind: 'external', maxBytes: MIB }));
    const assigner = new NumberAssigner(numbers, 100);
    const config = numberingConfig(100);
    await using instance = await host.open(named('number-channels'), { stage: 'numbering', config });
    const batch = new NumberBatch(1_000);
    for (const wish of [1, 100, 20_000, 0, 0]) {
      batch.clear();
      while (!batch.isFull) batch.push(wish);
      applyNumbers(batch, await instance.process(encodeNumbers(batch)), assigner);
      await instance.reclaim();
    }
  });

  test.each(['group-compress', 'group-spill'])(
    '%s groups, and keeps what it holds when its memory is made anew',
    async (name) => {
      const batches = batchesOf(manyPairs(30_000, 'x'.repeat(100)), 256 * 1024);
      const direct = new DirectGuest(name);
      for (const batch of batches) direct.process(batch);
      await using instance = await host.open(named(name), { stage: 'grouping' });
      for (const [i, batch] of batches.entries()) {
        expect((await instance.process(batch)).length).toBe(0);
        if (i % 8 === 3) await instance.reclaim();
      }
      const pieces: Buffer[] = [];
      for (;;) {
        const piece = Buffer.from(await instance.process(Buffer.alloc(0)));
        if (piece.length === 0) break;
        pieces.push(piece);
        if (pieces.length === 2) await instance.reclaim();
      }
      expect((await instance.finalize()).length).toBe(0);
      expect(Buffer.concat(pieces).equals(direct.finalize())).toBe(true);
      expect(spill.stats.diskBytes).toBe(0);
    },
  );

  test('hole: a compressing plugin takes all the memory there is', async () => {
    const tight = new PluginHost({ maxPluginBytes: 4 * MIB, maxTotalBytes: 4 * MIB, maxOutputBytes: MIB });
    await using _ = tight;
    const instance = await tight.open(named('group-compress'), { stage: 'grouping' });
    const noise = manyPairs(3_000).map(
      ([key], i) =>
        [
          key,
          Buffer.from(Array.from({ length: 2_000 }, (_, at) => (i * 7919 + at * at * 31 + ((at * i) % 251)) & 255)),
        ] as const,
    );
    const run = async (): Promise<void> => {
      for (const batch of batchesOf(noise)) await instance.process(batch);
    };
    await expect(run()).rejects.toMatchObject({
      code: 'PLIMSOLL_PLUGIN_TRAP',
      message: expect.stringMatching(/: no more memory$/),
    });
  });
});
