import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { EntryBatch } from '../../src/channels/entry-batch.ts';
import { applyChannels } from '../../src/plugins/apply-channels.ts';
import { ALL_CHANNEL_FIELDS, channelRecordsBytes, encodeChannels } from '../../src/plugins/channel-records.ts';
import { TIDIED_FIELDS, tidyChannels } from '../../src/plugins/tidy-channels.ts';
import { NameTidier } from '../../src/plugins/tidy-name.ts';
import { DirectGuest } from './direct-guest.ts';
import { batchOf, copyOf, makeRoom, oddChannels, REAL_LISTS, realBatches, stateOf } from './entry-batches.ts';

if (!REAL_LISTS) console.warn('skipped: real playlists, because ../shared/data is absent');

function tidied(text: string, how: 'name' | 'group' = 'name'): string {
  const tidier = new NameTidier();
  const bytes = Buffer.from(text);
  const changed = how === 'name' ? tidier.tidyName(bytes, 0, bytes.length) : tidier.tidyGroup(bytes, 0, bytes.length);
  return changed ? tidier.bytes.toString('utf8', tidier.start, tidier.end) : text;
}

const plugin = new DirectGuest('tidy-names');

/** Both ways; returns how many changed. */
function expectSame(batch: EntryBatch, fields = ALL_CHANNEL_FIELDS): number {
  const native = copyOf(batch);
  const changed = tidyChannels(native, new NameTidier(), makeRoom);
  const output = plugin.process(encodeChannels(batch, Buffer.alloc(channelRecordsBytes(batch, fields)), fields));
  expect(applyChannels(batch, output, { mayChange: true, fields, makeRoom })).toBe(changed);
  expect(stateOf(batch)).toEqual(stateOf(native));
  return changed;
}

describe('tidy names', () => {
  test.each([
    ['BBC One HD', 'BBC One'],
    ['|UK|  BBC\u00a0One ᶠᴴᴰ [1080p]', 'BBC One'],
    ['UK: BBC One', 'BBC One'],
    ['UK | BBC One FHD HEVC', 'BBC One'],
    ['US - CNN', 'CNN'],
    ['[FR] TF1 (HD 50fps)', 'TF1'],
    ['Das Erste [Geo-blocked]', 'Das Erste'],
    ['Rai 1 (720p) [Not 24/7]', 'Rai 1'],
    ['A [offline] B', 'A B'],
    ['CNN: Live', 'CNN: Live'],
    ['US-Amerika', 'US-Amerika'],
    ['TV: Eins', 'TV: Eins'],
    ['HD', 'HD'],
    [' HD  4K ', 'HD'],
    ['[HD]', '[HD]'],
    ['UK:', 'UK'],
    ['UK: ', 'UK'],
    ['DE: HD', 'HD'],
    ['***  News  ***', 'News'],
    ['ΣΑΣ ˢᴰ', 'ΣΑΣ'],
    ['Eins | HD', 'Eins'],
    ['4K', '4K'],
    ['Sky H.265', 'Sky'],
    ['(Beta) [x] HD', '(Beta) [x]'],
    ['a\u200d b', 'a\u200d b'],
    ['', ''],
    ['   ', '   '],
    ['- | -', '- | -'],
  ])('%j is %j', (text, expected) => {
    expect(tidied(text)).toBe(expected);
  });

  test.each([
    [' News ; Sport ;;', 'News;Sport'],
    ['News', 'News'],
    [';;', ';;'],
    ['; ;', '; ;'],
    ['UK: News HD', 'UK: News HD'],
    ['a ;b', 'a;b'],
  ])('the group %j is %j', (text, expected) => {
    expect(tidied(text, 'group')).toBe(expected);
  });

  test('a name is never made longer or blank, and what is tidy stays', () => {
    fc.assert(
      fc.property(oddChannels, (channels) => {
        for (const name of channels.flat().filter((text) => text !== undefined)) {
          for (const how of ['name', 'group'] as const) {
            const once = tidied(name, how);
            expect(Buffer.byteLength(once)).toBeLessThanOrEqual(Buffer.byteLength(name));
            expect(once.trim() === '').toBe(name.trim() === '');
            expect(Buffer.from(once).toString()).toBe(once);
          }
        }
      }),
    );
  });

  test('the plugin does what the native stage does, to the byte', () => {
    let changed = 0;
    fc.assert(
      fc.property(oddChannels, fc.boolean(), (channels, all) => {
        changed += expectSame(batchOf(channels), all ? ALL_CHANNEL_FIELDS : TIDIED_FIELDS);
      }),
      { numRuns: 700 },
    );
    expect(changed).toBeGreaterThan(500);
  });

  test('names of any length up to the bound, and beyond it none', () => {
    for (const length of [4090, 4095, 4096, 4097, 5000, 70_000]) {
      const name = `UK: ${'x'.repeat(length - 7)} HD`;
      expect(expectSame(batchOf([[name]]))).toBe(length <= 4096 ? 1 : 0);
    }
  });

  test('hole: a plugin is trusted with lengths', () => {
    const batch = batchOf([['BBC', 'News', 'x']]);
    const wire = encodeChannels(batch, Buffer.alloc(channelRecordsBytes(batch)));
    fc.assert(
      fc.property(fc.nat(wire.length / 4 - 1), fc.oneof(fc.nat(200), fc.nat(0xffff_fffd)), (at, forged) => {
        const damaged = Buffer.from(wire);
        damaged.writeUInt32LE(forged, 4 * at);
        try {
          plugin.process(damaged);
        } catch (error) {
          expect((error as Error).message).toMatch(/^a (record|batch)/);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test.skipIf(!REAL_LISTS)('real lists are tidied the same', () => {
    let count = 0;
    let changed = 0;
    for (const batch of realBatches()) {
      count += batch.count;
      changed += expectSame(batch);
    }
    expect(count).toBeGreaterThan(15_000);
    expect(changed).toBeGreaterThan(3_000);
  });

  test('its memory is as large as its largest batch needs, however many there are', () => {
    const guest = new DirectGuest('tidy-names');
    const channels = Array.from({ length: 500 }, (_, i) => [`UK: Channel ${i} HD`, 'News', `id${i}`]);
    const batch = batchOf(channels);
    const wire = encodeChannels(batch, Buffer.alloc(channelRecordsBytes(batch)));
    guest.process(wire);
    const size = guest.memory.buffer.byteLength;
    for (let i = 0; i < 200; i++) guest.process(wire);
    expect(guest.memory.buffer.byteLength).toBe(size);
    expect(size).toBeLessThanOrEqual(2 ** 18);
  });
});
