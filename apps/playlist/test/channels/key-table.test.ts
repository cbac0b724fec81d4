import fc from 'fast-check';
import { createGovernor } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { Digest } from '../../src/channels/digest.ts';
import { KeyTable } from '../../src/channels/key-table.ts';

function consumerOf(limitBytes = 256 * 2 ** 20) {
  const governor = createGovernor({ limitBytes, runtimeBytes: 0 });
  return governor.consumer({ name: 'keys', kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
}

const digestOf = (text: string) => {
  const bytes = Buffer.from(text);
  return new Digest().of(bytes, 0, bytes.length);
};

describe('key table', () => {
  it('behaves like a Map of the texts', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string({ maxLength: 3 }), fc.nat({ max: 2 ** 31 })), { maxLength: 400 }),
        (pairs) => {
          using table = new KeyTable(consumerOf(), { withValues: true });
          const model = new Map<string, number>();
          for (const [text, value] of pairs) {
            const digest = digestOf(text);
            expect(table.add(digest)).toBe(!model.has(text));
            expect(table.get(digest)).toBe(model.get(text) ?? 0);
            expect(table.set(digest, value)).toBe(true);
            model.set(text, value);
          }
          expect(table.size).toBe(model.size);
          for (const [text, value] of model) expect(table.get(digestOf(text))).toBe(value);
          expect(table.get(digestOf('not there at all'))).toBe(-1);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('takes at most 17 bytes an entry, 23 with values, and reserves them', () => {
    for (const [withValues, most] of [
      [false, 17.5],
      [true, 23.5],
    ] as const) {
      const consumer = consumerOf();
      using table = new KeyTable(consumer, { withValues });
      for (let i = 0; i < 300_000; i++) table.add(digestOf(`channel ${i}`));
      expect(table.byteLength / 300_000).toBeLessThan(most);
      expect(consumer.heldBytes).toBe(table.byteLength);
    }
  });

  it('is refused by the budget before it allocates, and keeps what it had', () => {
    const consumer = consumerOf(200_000);
    using table = new KeyTable(consumer, { withValues: false });
    let added = 0;
    expect(() => {
      for (; added < 1_000_000; added++) table.add(digestOf(`channel ${added}`));
    }).toThrow(expect.objectContaining({ code: 'PLIMSOLL_BUDGET_EXCEEDED' }));
    expect(added).toBeGreaterThan(5_000);
    for (let i = 0; i < added; i++) expect(table.has(digestOf(`channel ${i}`))).toBe(true);
  });
});

describe('digest', () => {
  it('tells where one part ends and the next begins', () => {
    const bytes = Buffer.from('abcabc');
    const one = new Digest().of(bytes, 0, 2, 2, 3);
    const two = new Digest().of(bytes, 0, 1, 1, 3);
    expect([one.a, one.b, one.c]).not.toEqual([two.a, two.b, two.c]);
  });

  it('differs for every bit and every length of small inputs', () => {
    const seen = new Set<string>();
    let count = 0;
    for (let length = 0; length <= 9; length++) {
      const zero = Buffer.alloc(length);
      for (let bit = -1; bit < length * 8; bit++) {
        const bytes = Buffer.from(zero);
        if (bit >= 0) bytes[bit >> 3]! ^= 1 << (bit & 7);
        const digest = new Digest().of(bytes, 0, length);
        seen.add(`${digest.a}-${digest.b}-${digest.c}`);
        count++;
      }
    }
    expect(seen.size).toBe(count);
  });

  it('spreads evenly in each of its words', () => {
    for (const word of ['a', 'b', 'c'] as const) {
      const buckets = new Uint32Array(256);
      for (let i = 0; i < 64_000; i++) {
        const at = digestOf(`http://example.test/live/${i}.ts`)[word] & 255;
        buckets[at] = buckets[at]! + 1;
      }
      expect(Math.max(...buckets)).toBeLessThan(340);
      expect(Math.min(...buckets)).toBeGreaterThan(170);
    }
  });
});
