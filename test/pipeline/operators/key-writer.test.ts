import fc from 'fast-check';
import { KeyWriter } from 'plimsoll/pipeline';
import { describe, expect, it } from 'vitest';

function keyOf(write: (into: KeyWriter) => void): Buffer {
  const into = new KeyWriter(1_000_000);
  write(into);
  return Buffer.from(into.buffer.subarray(0, into.length));
}

const sign = (value: number): number => Math.sign(value);
const byteOrder = (a: Buffer, b: Buffer): number => sign(Buffer.compare(a, b));

describe('the order of keys is the order of values:', () => {
  const text = fc.string({ unit: 'binary', maxLength: 12 });
  const bytes = fc.uint8Array({ maxLength: 12, max: 3 }).map((array) => Buffer.from(array));

  it('texts by code points, zeros in them included, both ways', () => {
    fc.assert(
      fc.property(fc.tuple(text, text), ([a, b]) => {
        const expected = byteOrder(Buffer.from(a), Buffer.from(b));
        expect(
          byteOrder(
            keyOf((into) => into.text(a)),
            keyOf((into) => into.text(b)),
          ),
        ).toBe(expected);
        const down = (value: string) => keyOf((into) => into.text(value, 'descending'));
        expect(byteOrder(down(a), down(b))).toBe(0 - expected);
      }),
    );
  });

  it('bytes, both ways', () => {
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        const up = (value: Buffer) => keyOf((into) => into.bytes(value));
        const down = (value: Buffer) => keyOf((into) => into.bytes(value, 0, value.length, 'descending'));
        expect(byteOrder(up(a), up(b))).toBe(byteOrder(a, b));
        expect(byteOrder(down(a), down(b))).toBe(0 - byteOrder(a, b));
      }),
    );
  });

  it('numbers, negative ones, zeros and infinities included, both ways', () => {
    const number = fc.oneof(
      fc.double({ noNaN: true }),
      fc.constantFrom(0, -0, 1, -1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.MIN_VALUE),
    );
    fc.assert(
      fc.property(number, number, (a, b) => {
        const expected = a < b ? -1 : a > b ? 1 : 0;
        const up = (value: number) => keyOf((into) => into.float64(value));
        const down = (value: number) => keyOf((into) => into.float64(value, 'descending'));
        expect(byteOrder(up(a), up(b))).toBe(expected);
        expect(byteOrder(down(a), down(b))).toBe(0 - expected);
      }),
    );
    const nan = keyOf((into) => into.float64(Number.NaN));
    expect(
      byteOrder(
        nan,
        keyOf((into) => into.float64(Number.POSITIVE_INFINITY)),
      ),
    ).toBe(1);
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), fc.nat(2 ** 32 - 1), (a, b) => {
        const up = (value: number) => keyOf((into) => into.uint32(value));
        expect(byteOrder(up(a), up(b))).toBe(sign(a - b));
      }),
    );
  });

  it('parts one after the other, so that no part runs into the next', () => {
    const row = fc.tuple(text, bytes, fc.double({ noNaN: true }));
    type Row = readonly [string, Buffer, number];
    const key = ([a, b, c]: Row) =>
      keyOf((into) => {
        into.text(a);
        into.bytes(b, 0, b.length, 'descending');
        into.float64(c);
      });
    const expected = (one: Row, other: Row): number =>
      byteOrder(Buffer.from(one[0]), Buffer.from(other[0])) ||
      0 - byteOrder(one[1], other[1]) ||
      sign((one[2] === 0 ? 0 : one[2]) < other[2] ? -1 : one[2] > other[2] ? 1 : 0);
    fc.assert(
      fc.property(row, row, (a, b) => {
        expect(byteOrder(key(a), key(b))).toBe(expected(a, b));
      }),
    );
    expect(
      keyOf((into) => {
        into.text('a');
        into.text('bc');
      }),
    ).not.toEqual(
      keyOf((into) => {
        into.text('ab');
        into.text('c');
      }),
    );
  });
});

it('fixed bytes stand in the key as they are', () => {
  expect(keyOf((into) => into.fixed(Buffer.from([1, 0, 2, 9]), 0, 3))).toEqual(Buffer.from([1, 0, 2]));
});

it('a long key is asked room for, and one beyond the bound has a code', () => {
  const asked: number[] = [];
  const into = new KeyWriter(5_000, (bytes) => asked.push(bytes));
  into.text('x'.repeat(900));
  into.text('ü'.repeat(900));
  expect(into.length).toBe(902 + 1_802);
  expect(asked.reduce((sum, bytes) => sum + bytes, 1_024)).toBe(into.buffer.length);
  expect(() => into.text('y'.repeat(2_500))).toThrow(
    expect.objectContaining({ code: 'PLIMSOLL_RECORD_TOO_LARGE', maxBytes: 5_000 }),
  );
});
