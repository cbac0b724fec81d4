import { Buffer } from 'node:buffer';
import { createGovernor, ManualClock, type Reclaimer } from 'plimsoll';
import { type InternedString, StringInterner, type StringInternerOptions } from 'plimsoll/intern';
import { describe, expect, it } from 'vitest';
import { MOST_EQUAL, MOST_PROBES } from '../../src/intern/intern-table.ts';
import { SlotGenerations } from '../../src/intern/slot-generations.ts';
import { breakable } from '../contract/broken-governor.ts';
import { reclaimerContract } from '../contract/reclaimer.ts';
import { checkInterner } from './check-table.ts';

const MIB = 2 ** 20;
const utf8 = (text: string): Buffer => Buffer.from(text, 'utf8');
const settings = { clock: new ManualClock(), meters: [], mode: 'on', runtimeBytes: 0 } as const;

function govern(limitBytes = 64 * MIB) {
  return createGovernor({ ...settings, limitBytes });
}

/** Bytes that differ by `i` in a text of `length`. */
const numbered = (i: number, length = 20): string => `${i}`.padStart(length, 'x');

describe('an interner', () => {
  it('returns one string for equal texts, however they came', () => {
    using interner = new StringInterner();
    for (const text of [
      '',
      'a',
      'News',
      'a\0b',
      '\0',
      'naïve',
      'Первый',
      '新闻',
      '😀 live',
      'x'.repeat(4_096),
      '\ufeffmark',
    ]) {
      expect(interner.intern(text)).toBe(text);
      expect(interner.internBytes(utf8(text))).toBe(text);
      const wrapped = utf8(`<${text}>`);
      expect(interner.internBytes(wrapped, 1, wrapped.length - 1)).toBe(text);
      expect(interner.internBytes(new Uint8Array(utf8(text)))).toBe(text);
    }
    expect(interner.stats).toMatchObject({ misses: 11, hits: 33, entryCount: 11, refused: 0, tooLong: 0 });
    checkInterner(interner);
  });

  it('keeps a surrogate without its half apart from the character that stands for it', () => {
    using interner = new StringInterner();
    for (const text of ['\ud800', '\udc00', '\ufffd', 'a\ud800b', 'a\ufffdb']) expect(interner.intern(text)).toBe(text);
    expect(interner.size).toBe(5);
    expect(interner.internBytes(utf8('\ud800'))).toBe('\ufffd');
    expect(interner.size).toBe(5);
    checkInterner(interner);
  });

  it('gives equal text for different bytes that are decoded to the same', () => {
    using interner = new StringInterner();
    const [one, two] = [Uint8Array.of(0x61, 0xff), Uint8Array.of(0x61, 0xfe)];
    expect(interner.internBytes(one)).toBe('a\ufffd');
    expect(interner.internBytes(two)).toBe('a\ufffd');
    expect(interner.internBytes(utf8('a\ufffd'))).toBe('a\ufffd');
    expect(interner.symbolOfBytes(one)).toBe(interner.symbolOfBytes(two));
    expect(interner.size).toBe(1);
  });

  it('passes through what is too long, and counts it', () => {
    using interner = new StringInterner({ maxStringBytes: 10 });
    expect(interner.intern('x'.repeat(11))).toBe('x'.repeat(11));
    expect(interner.internBytes(utf8('x'.repeat(11)))).toBe('x'.repeat(11));
    // Six letters, twelve bytes.
    expect(interner.intern('Первый')).toBe('Первый');
    expect(interner.internBytes(utf8('Первый'))).toBe('Первый');
    expect(interner.symbolOf('x'.repeat(11))).toBeUndefined();
    expect(interner.stats).toMatchObject({ tooLong: 5, entryCount: 0, misses: 0 });
    expect(interner.intern('x'.repeat(10))).toBe('x'.repeat(10));
    expect(interner.size).toBe(1);
    const long = 'é'.repeat(3_000);
    using wide = new StringInterner({ maxStringBytes: 10_000 });
    expect(wide.intern(long)).toBe(long);
    expect(wide.intern(`${long}ж`)).toBe(`${long}ж`);
    expect(wide.internBytes(utf8(long))).toBe(long);
    expect(wide.stats).toMatchObject({ hits: 1, entryCount: 2 });
    checkInterner(wide);
  });

  it('hole: hash collision overwrote the older string', () => {
    using interner = new StringInterner({ hashMask: 0 });
    const texts = Array.from({ length: MOST_EQUAL }, (_, i) => numbered(i, 1 + (i % 7)));
    const unique = [...new Set(texts)];
    for (let turn = 0; turn < 3; turn++) {
      for (const text of texts) expect(interner.intern(text)).toBe(text);
      for (const text of texts) expect(interner.internBytes(utf8(text))).toBe(text);
    }
    expect(interner.size).toBe(unique.length);
    expect(interner.stats.collisions).toBeGreaterThan(unique.length);
    checkInterner(interner);
  });

  it('takes no longer when somebody makes all texts collide: there is a bound on those that stand in one place', () => {
    using interner = new StringInterner({ hashMask: 0 });
    for (let i = 0; i < 2_000; i++) expect(interner.internBytes(utf8(numbered(i)))).toBe(numbered(i));
    expect(interner.size).toBe(MOST_EQUAL);
    expect(interner.stats.evicted).toBeGreaterThan(1_500);
    const before = interner.stats.collisions;
    interner.intern('another');
    expect(interner.stats.collisions - before).toBe(MOST_EQUAL);
    checkInterner(interner);
  });

  it('takes no longer when somebody makes many stand in one place, and keeps more than one place has', () => {
    using interner = new StringInterner({ hashMask: 1_023 });
    for (let i = 0; i < 20_000; i++) interner.intern(numbered(i));
    expect(interner.size).toBeGreaterThan(MOST_PROBES);
    const before = interner.stats.collisions;
    for (let i = 0; i < 1_000; i++) interner.intern(numbered(i, 30));
    expect(interner.stats.collisions - before).toBeLessThanOrEqual(1_000 * MOST_EQUAL);
    checkInterner(interner);
  });

  it('hole: grew for ever', () => {
    using interner = new StringInterner({ maxBytes: 100_000 });
    for (let i = 0; i < 20_000; i++) interner.intern(numbered(i));
    const { bytes, evicted, entryCount } = interner.stats;
    expect(bytes).toBeLessThanOrEqual(100_000);
    expect(bytes).toBeGreaterThan(60_000);
    expect(evicted).toBe(20_000 - entryCount);
    checkInterner(interner);
  });

  it('hole: stale bytes reused: a text does not change when the buffer that it was read from does', () => {
    using interner = new StringInterner();
    const buffer = utf8('Sports and News');
    const text = interner.internBytes(buffer);
    buffer.fill(0x20);
    expect(text).toBe('Sports and News');
    expect(interner.internBytes(buffer)).toBe(' '.repeat(15));
    expect(interner.internBytes(utf8('Sports and News'))).toBe('Sports and News');
    expect(interner.stats.hits).toBe(1);
  });

  it('hole: hit and miss not told apart', () => {
    using interner = new StringInterner();
    for (const text of ['a', 'b', 'a', 'a']) interner.intern(text);
    expect(interner.stats).toMatchObject({ hits: 2, misses: 2 });
  });

  it('drops what was not used lately and keeps what is used again and again', () => {
    using interner = new StringInterner({ maxBytes: 50_000 });
    for (let i = 0; i < 10_000; i++) {
      interner.intern(numbered(i));
      interner.intern('in use');
    }
    expect(interner.stats).toMatchObject({ hits: 9_999 });
    expect(interner.stats.evicted).toBeGreaterThan(9_000);
  });

  it('drops nobody for a text that would have no room alone either (1 byte over evicted 80%)', () => {
    using interner = new StringInterner({ maxBytes: 20_000, maxStringBytes: 100_000 });
    for (let i = 0; i < 50; i++) interner.intern(numbered(i));
    interner.intern('x'.repeat(20_000));
    expect(interner.stats).toMatchObject({ entryCount: 50, evicted: 0, refused: 1 });
  });

  it('reads bytes that are shared, or may be resized, and nothing of what was sent elsewhere', () => {
    using interner = new StringInterner();
    const shared = new Uint8Array(new SharedArrayBuffer(4));
    const resizable = new ArrayBuffer(4, { maxByteLength: 8 });
    for (const bytes of [shared, new Uint8Array(resizable)]) {
      bytes.set(utf8('News'));
      expect(interner.internBytes(bytes)).toBe('News');
    }
    const view = new Uint8Array(resizable);
    resizable.resize(2);
    expect(() => interner.internBytes(view, 0, 4)).toThrow('within the 2 bytes');
    structuredClone(resizable, { transfer: [resizable] });
    expect(interner.internBytes(view)).toBe('');
    expect(() => interner.internBytes(view, 0, 1)).toThrow('within the 0 bytes');
  });

  it('refuses nothing silently: unsound options and arguments are errors', () => {
    const code = { code: 'PLIMSOLL_INVALID_OPTION' };
    const unsound: StringInternerOptions[] = [{ maxBytes: 16_383 }, { maxStringBytes: 0 }, { name: '' }, { seed: -1 }];
    unsound.push({ importance: 0.5 }, { hashMask: 2 ** 32 }, { name: 'x'.repeat(111) }, { max: 1 } as never);
    unsound.push({ governor: {} as never });
    for (const options of unsound) expect(() => new StringInterner(options)).toThrow(expect.objectContaining(code));
    using interner = new StringInterner();
    const bytes = utf8('abc');
    for (const [start, end] of [
      [-1, 2],
      [2, 1],
      [0, 4],
      [Number.NaN, 2],
      [0.5, 1.5],
      [0, 2.5],
    ] as const) {
      expect(() => interner.internBytes(bytes, start, end)).toThrow(expect.objectContaining(code));
    }
    expect(() => interner.intern(5 as never)).toThrow(expect.objectContaining(code));
    interner.intern('ab');
    for (const other of [new Uint16Array([97, 98]), [97, 98]]) {
      expect(() => interner.internBytes(other as never)).toThrow(expect.objectContaining(code));
    }
    expect(() => interner.releaseBefore(Number.NaN)).toThrow(expect.objectContaining(code));
  });

  it('holds nothing that stands in no books once it has been disposed, whatever was handed out', () => {
    const interner = new StringInterner();
    const symbol = interner.symbolOf('News')!;
    for (let i = 0; i < 10_000; i++) interner.intern(numbered(i));
    interner[Symbol.dispose]();
    expect(interner.bytes).toBeLessThan(8_192);
    expect(interner.tryAsString(symbol)).toBeUndefined();
  });

  it('passes everything through once it has been disposed, twice is safe', () => {
    const governor = govern();
    const interner = new StringInterner({ governor });
    const symbol = interner.symbolOf('a')!;
    interner[Symbol.dispose]();
    interner[Symbol.dispose]();
    expect(interner.intern('a')).toBe('a');
    expect(interner.internBytes(utf8('b'))).toBe('b');
    expect(interner.symbolOf('a')).toBeUndefined();
    expect(interner.tryAsString(symbol)).toBeUndefined();
    expect(interner.size).toBe(0);
    expect(governor.snapshot().consumers.filter(({ name }) => name.startsWith('strings'))).toEqual([]);
  });
});

describe('symbols', () => {
  it('are equal exactly when their texts are, and lead back', () => {
    using interner = new StringInterner();
    const a = interner.symbolOf('News')!;
    expect(interner.symbolOfBytes(utf8('News'))).toBe(a);
    expect(interner.symbolOfBytes(utf8('Sport'))).not.toBe(a);
    expect(interner.asString(a)).toBe('News');
    expect(a).toBeGreaterThan(0);
    expect(a).toBeLessThan(100);
  });

  it('never name another text after theirs was dropped', () => {
    using interner = new StringInterner({ maxBytes: 50_000 });
    const symbols = new Map<InternedString, string>();
    for (let i = 0; i < 5_000; i++) {
      const symbol = interner.symbolOf(numbered(i))!;
      expect(symbols.has(symbol)).toBe(false);
      symbols.set(symbol, numbered(i));
    }
    let stale = 0;
    for (const [symbol, text] of symbols) {
      const found = interner.tryAsString(symbol);
      if (found === undefined) stale++;
      else expect(found).toBe(text);
    }
    expect(stale).toBe(interner.stats.evicted);
    expect(stale).toBeGreaterThan(4_000);
    checkInterner(interner);
  });

  it('are errors when stale or made up, with a code', () => {
    using interner = new StringInterner();
    const symbol = interner.symbolOf('News')!;
    interner.clear();
    interner.intern('Sport');
    for (const bad of [symbol, 0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 77] as InternedString[]) {
      expect(() => interner.asString(bad)).toThrow(
        expect.objectContaining({ code: 'PLIMSOLL_STALE_SYMBOL', recovery: 'fallback' }),
      );
    }
    expect(interner.asString(interner.symbolOf('News')!)).toBe('News');
  });

  it('end with the last generation of a slot: it is not used again', () => {
    const generations = new SlotGenerations(4, 2);
    const seen = new Set<number>();
    for (let turn = 0; turn < 3; turn++) {
      const symbol = generations.handOut(1);
      expect(generations.slotOf(symbol)).toBe(1);
      seen.add(symbol);
      expect(generations.end(1)).toBe(turn < 2);
      expect(generations.slotOf(symbol)).toBe(-1);
    }
    expect(seen.size).toBe(3);
    // Nobody asked for one: no generation is used up.
    for (let turn = 0; turn < 10; turn++) expect(generations.end(2)).toBe(true);
  });
});

describe('epochs', () => {
  it('drop what was not used since, and nothing else', () => {
    using interner = new StringInterner();
    for (let i = 0; i < 1_000; i++) interner.intern(numbered(i));
    const epoch = interner.beginEpoch();
    for (let i = 0; i < 10; i++) interner.internBytes(utf8(numbered(i)));
    interner.intern('new');
    const symbol = interner.symbolOf(numbered(500))!;
    expect(interner.releaseBefore(epoch)).toBe(989);
    expect(checkInterner(interner).toSorted()).toEqual(
      ['new', numbered(500), ...Array.from({ length: 10 }, (_, i) => numbered(i))].toSorted(),
    );
    expect(interner.releaseBefore(epoch)).toBe(0);
    const next = interner.beginEpoch();
    expect(next).toBe(epoch + 1);
    expect(interner.asString(symbol)).toBe(numbered(500));
    expect(interner.releaseBefore(next)).toBe(11);
    expect(interner.stats).toMatchObject({ released: 1_000, evicted: 0, entryCount: 1 });
  });

  it('give the index back too', () => {
    using interner = new StringInterner();
    const empty = interner.bytes;
    for (let i = 0; i < 10_000; i++) interner.intern(numbered(i));
    interner.clear();
    expect(interner.bytes).toBe(empty);
    for (let i = 0; i < 100; i++) interner.intern(numbered(i));
    checkInterner(interner);
  });
});

describe('an interner under a governor', () => {
  const held = (governor: ReturnType<typeof govern>, name: string) =>
    governor.snapshot().consumers.find((row) => row.name === name)?.heldBytes ?? 0;

  it('stands in the snapshot with what it counts, and in the ledger with what it holds', () => {
    const governor = govern();
    using interner = new StringInterner({ governor, name: 'groups', maxBytes: MIB });
    for (let i = 0; i < 5_000; i++) interner.intern(numbered(i));
    interner.intern(numbered(0));
    const row = governor.snapshot().consumers.find(({ name }) => name === 'groups')!;
    expect(row.holder).toMatchObject({ type: 'string interner', health: 'ok' });
    expect(row.holder!.counts).toMatchObject({ hits: 1, misses: 5_000, entryCount: 5_000 });
    const { heapBytes, externalBytes } = interner.stats;
    expect(row.heldBytes - heapBytes).toBeLessThanOrEqual(2 * 65_536);
    expect(row.heldBytes).toBeGreaterThanOrEqual(heapBytes);
    expect(held(governor, 'groups (index)')).toBeGreaterThanOrEqual(externalBytes);
  });

  it('passes through what there is no room for, and drops its own first', () => {
    const governor = govern(MIB);
    using interner = new StringInterner({ governor });
    const other = governor.consumer({ name: 'other', kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
    using _rest = other.reserve(governor.availableBytes - 20_000);
    for (let i = 0; i < 3_000; i++) expect(interner.intern(numbered(i))).toBe(numbered(i));
    expect(interner.size).toBeGreaterThan(10);
    expect(interner.stats.evicted).toBeGreaterThan(1_000);
    checkInterner(interner);
  });

  it('goes on by its own bound when the governor is broken, and says so', () => {
    const { governor, breakIt } = breakable(govern());
    using interner = new StringInterner({ governor, maxBytes: 200_000 });
    interner.intern('before');
    breakIt();
    for (let i = 0; i < 5_000; i++) expect(interner.internBytes(utf8(numbered(i)))).toBe(numbered(i));
    expect(interner.stats.faults).toBeGreaterThan(0);
    expect(interner.bytes).toBeLessThanOrEqual(200_000);
    interner.clear();
    checkInterner(interner);
  });

  it('is bounded in time when asked for everything', () => {
    let now = 0;
    const clock = new ManualClock();
    clock.now = () => (now += 5);
    let reclaimer: Reclaimer | undefined;
    const governor = catching((given) => (reclaimer ??= given));
    using interner = new StringInterner({ governor, clock });
    for (let i = 0; i < 1_000; i++) interner.intern(numbered(i));
    reclaimer!.reclaimNow!({ targetBytes: MIB, level: 'high', strategy: 'basic' });
    expect(interner.size).toBe(1_000 - 64);
    expect(interner.stats.reclaimed).toBe(64);
    checkInterner(interner);
  });

  reclaimerContract({
    name: 'interner',
    fill(governor, bytes) {
      let reclaimer: Reclaimer | undefined;
      const interner = new StringInterner({
        governor: spied(governor, (given) => (reclaimer ??= given)),
        clock: new ManualClock(),
      });
      const pinnedBytes = interner.stats.heapBytes;
      for (let i = 0; interner.stats.heapBytes < bytes * 2; i++) interner.intern(numbered(i));
      return { consumerName: interner.name, reclaimer: reclaimer!, pinnedBytes };
    },
  });
});

function catching(onReclaimer: (reclaimer: Reclaimer) => void) {
  return spied(govern(), onReclaimer);
}

/** The same governor; `onReclaimer` hears of the reclaimers that are registered. */
function spied(governor: ReturnType<typeof govern>, onReclaimer: (reclaimer: Reclaimer) => void) {
  const open = governor.consumer.bind(governor);
  governor.consumer = (options) => {
    if (options.reclaimer !== undefined) onReclaimer(options.reclaimer);
    return open(options);
  };
  return governor;
}
