import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { StringInterner } from 'plimsoll/intern';
import { expect, it } from 'vitest';
import { matchesBytes } from '../../src/intern/matches-bytes.ts';
import { hashAscii, hashBytes } from '../../src/intern/string-hash.ts';

const RUNS = 20_000;
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

/** Bytes at the edges of what is valid, the more likely to be cut off or to follow each other wrongly. */
const piece = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 4 }).map((text) => [...Buffer.from(text, 'utf8')]),
  fc.string({ unit: 'binary', maxLength: 3 }).map((text) => [...Buffer.from(text, 'utf8')]),
  fc.constantFrom([0xc0, 0x80], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xef, 0xbb, 0xbf]),
  fc.constantFrom(
    [0xef, 0xbf, 0xbd],
    [0xed, 0x9f, 0xbf],
    [0xf0, 0x90, 0x80, 0x80],
    [0xf4, 0x8f, 0xbf, 0xbf],
    [0xf0, 0x8f, 0x80, 0x80],
  ),
  fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 6 }),
  fc.array(fc.constantFrom(0x80, 0xbf, 0xc2, 0xdf, 0xe1, 0xed, 0xf0, 0xf4, 0xf5, 0x7f, 0x00), { maxLength: 6 }),
);
const bytesOf = fc.array(piece, { maxLength: 6 }).map((pieces) => Uint8Array.from(pieces.flat()));

function decodeStrictly(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

it(`decodes ${RUNS} random byte strings as TextDecoder does, at first and when they are known, whatever collides`, () => {
  using plain = new StringInterner();
  using colliding = new StringInterner({ hashMask: 63, maxBytes: 40_000 });
  fc.assert(
    fc.property(bytesOf, fc.nat({ max: 3 }), (bytes, before) => {
      const text = decoder.decode(bytes);
      const padded = new Uint8Array(bytes.length + before + 2).fill(0xc3);
      padded.set(bytes, before);
      for (const interner of [plain, colliding]) {
        for (let turn = 0; turn < 2; turn++) {
          if (interner.internBytes(padded, before, before + bytes.length) !== text) return false;
          if (interner.intern(text) !== text) return false;
        }
      }
      return true;
    }),
    { numRuns: RUNS },
  );
  expect(plain.stats.evicted + plain.stats.refused).toBe(0);
  expect(colliding.stats.collisions).toBeGreaterThan(RUNS);
});

it('finds a text by its bytes exactly when strict decoding gives that text', () => {
  fc.assert(
    fc.property(bytesOf, bytesOf, (bytes, others) => {
      const text = decodeStrictly(bytes);
      const other = decoder.decode(others);
      const loose = decoder.decode(bytes);
      expect(matchesBytes(loose, bytes, 0, bytes.length)).toBe(text !== undefined);
      expect(matchesBytes(other, bytes, 0, bytes.length)).toBe(text === other);
      for (let cut = 0; cut < bytes.length; cut++) {
        expect(matchesBytes(loose, bytes, 0, cut)).toBe(decodeStrictly(bytes.subarray(0, cut)) === loose);
      }
    }),
    { numRuns: 3_000 },
  );
});

it('hashes a text of ASCII as its bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii', maxLength: 30 }), fc.nat(), (text, seed) => {
      const bytes = Buffer.from(text, 'latin1');
      expect(hashAscii(text, seed)).toBe(hashBytes(bytes, 0, bytes.length, seed));
      expect(hashAscii(`${text}é`, seed)).toBeUndefined();
      expect(hashAscii(`é${text}`, seed)).toBeUndefined();
    }),
  );
});

it('spreads texts like those that there are over all bits', () => {
  const shapes = [
    (i: number) => `${i}`,
    (i: number) => `https://i.imgur.com/${i.toString(36)}.png`,
    (i: number) => `channel ${i} HD`,
  ];
  for (const shape of shapes) {
    const seen = new Set<number>();
    const low = new Uint32Array(1_024);
    for (let i = 0; i < 50_000; i++) {
      const bytes = Buffer.from(shape(i), 'latin1');
      const hash = hashBytes(bytes, 0, bytes.length, 12_345);
      seen.add(hash);
      low[hash & 1_023]!++;
    }
    // By chance 0.3 of 50,000 are the same; 49 stand in each of 1,024 places.
    expect(seen.size).toBeGreaterThan(49_980);
    expect(Math.max(...low)).toBeLessThan(100);
  }
});
