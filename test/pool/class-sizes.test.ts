import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClassSizes } from '../../src/pool/class-sizes.ts';

describe('sizes of classes', () => {
  it('are powers of two, with a step between unless told, up to the largest', () => {
    expect(new ClassSizes(1_024, 8_192, true).sizes).toEqual([1_024, 1_536, 2_048, 3_072, 4_096, 6_144, 8_192]);
    expect(new ClassSizes(1_024, 8_192, false).sizes).toEqual([1_024, 2_048, 4_096, 8_192]);
    expect(new ClassSizes(1_024, 5_000, true).sizes).toEqual([1_024, 1_536, 2_048, 3_072, 4_096, 5_000]);
    expect(new ClassSizes(1_024, 1_024, true).sizes).toEqual([1_024]);
    expect(new ClassSizes(2, 8, true).sizes).toEqual([2, 3, 4, 6, 8]);
  });

  it('give each length the smallest that fits', () => {
    const power = fc.integer({ min: 1, max: 16 });
    fc.assert(
      fc.property(
        power,
        fc.integer({ min: 1, max: 2 ** 30 }),
        fc.boolean(),
        fc.double({ min: 0, max: 1.1, noNaN: true }),
        (min, max, half, part) => {
          fc.pre(2 ** min <= max);
          const sizes = new ClassSizes(2 ** min, max, half);
          const edges = sizes.sizes.flatMap((size) => [size - 1, size, size + 1]).filter((size) => size >= 1);
          for (const bytes of [...edges, Math.max(1, Math.floor(max * part))]) {
            expect(sizes.indexFor(bytes)).toBe(sizes.sizes.findIndex((size) => size >= bytes));
          }
        },
      ),
    );
  });
});
