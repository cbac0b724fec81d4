import { describe, expect, it } from 'vitest';
import { FRAME_HEADER_BYTES, recordFault, recordHeader, writeFrameHeader } from '../../src/spill/frame-format.ts';

/** Xorshift (Marsaglia 2003): the same corruptions each time. */
function random(seed: number): (below: number) => number {
  let x = seed;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

function record(id: number, ...pieces: Uint8Array[]): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  const bytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
  writeFrameHeader(header, recordHeader(id, bytes), pieces);
  return Buffer.concat([header, ...pieces]);
}

describe('a record', () => {
  it('is sound as it was written, whatever it was put together from, and whatever stands behind it', () => {
    const whole = record(7, Buffer.from('hello '), Buffer.alloc(0), Buffer.from('world'));
    expect(recordFault(whole, 7, 11)).toBeUndefined();
    expect(recordFault(Buffer.concat([whole, Buffer.from('more')]), 7, 11)).toBeUndefined();
    expect(whole.equals(record(7, Buffer.from('hello world')))).toBe(true);
    expect(recordFault(record(0), 0, 0)).toBeUndefined();
    expect(recordFault(record(2 ** 52 + 1, Buffer.from('x')), 2 ** 52 + 1, 1)).toBeUndefined();
  });

  it('stands where it is said to: the format does not change by accident', () => {
    expect(record(0x0102030405, Buffer.from('abc')).toString('hex')).toBe(
      `50534631${'01000000'}${'03000000'}${'03000000'}${'0504030201000000'}${'a486fe34'}616263`,
    );
  });

  it('that is sound and another one is found out', () => {
    const whole = record(7, Buffer.from('hello'));
    expect(recordFault(whole, 8, 5)).toBe('id');
    expect(recordFault(whole, 7, 4)).toBe('length');
    expect(recordFault(whole.subarray(0, 24), 7, 5)).toBe('short');
    expect(recordFault(Buffer.alloc(0), 7, 5)).toBe('short');
    expect(recordFault(Buffer.alloc(100), 7, 5)).toBe('magic');
  });

  it('with any of 20,000 random corruptions is found and named, and never taken for sound', () => {
    const next = random(20_261_129);
    const counts: Record<string, number> = {};
    for (let run = 0; run < 20_000; run++) {
      const length = next(4) === 0 ? next(4_000) : next(40);
      const payload = Buffer.from(Array.from({ length }, () => next(256)));
      const id = next(2 ** 31);
      const whole = record(id, payload);
      const bad = corrupt(whole, next);
      if (bad.subarray(0, whole.length).equals(whole)) continue;
      const fault = recordFault(bad, id, length);
      expect(fault, `run ${run}`).toBeDefined();
      counts[fault!] = (counts[fault!] ?? 0) + 1;
    }
    expect(Object.keys(counts).sort()).toEqual(['checksum', 'codec', 'id', 'kind', 'length', 'magic', 'short']);
    expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(15_000);
  });
});

function corrupt(whole: Buffer, next: (below: number) => number): Buffer {
  const bad = Buffer.from(whole);
  const at = next(bad.length);
  switch (next(7)) {
    case 0:
      bad[at]! ^= 1 << next(8);
      return bad;
    case 1:
      bad[at] = next(256);
      return bad;
    case 2:
      return bad.subarray(0, at);
    case 3:
      return bad.fill(0, at);
    case 4:
      // A block of something else, as a lost write leaves behind.
      for (let i = at; i < Math.min(bad.length, at + 512); i++) bad[i] = next(256);
      return bad;
    case 5:
      // Bytes lost in the middle: the rest moves up.
      return Buffer.concat([bad.subarray(0, at), bad.subarray(at + 1 + next(8)), Buffer.alloc(16)]);
    default: {
      const other = next(bad.length);
      [bad[at], bad[other]] = [bad[other]!, bad[at]!];
      return bad;
    }
  }
}
