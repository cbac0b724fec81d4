import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isoSeconds } from '../../src/cli/iso-seconds.ts';

it('a time is shown as JavaScript shows it, without the fraction', () => {
  const span = { min: Date.UTC(1, 0, 1), max: Date.UTC(9_999, 11, 31) };
  const leaps = [Date.UTC(2000, 1, 29), Date.UTC(1900, 1, 28, 23, 59, 59), Date.UTC(2024, 11, 31, 23, 59, 59), 0, -1];
  for (const ms of leaps) expect(isoSeconds(ms)).toBe(new Date(ms).toISOString().replace(/\.\d+/, ''));
  fc.assert(
    fc.property(fc.integer(span), (ms) => {
      expect(isoSeconds(ms)).toBe(new Date(ms).toISOString().replace(/\.\d+/, ''));
    }),
  );
  expect([Number.NaN, Number.POSITIVE_INFINITY, 1e17].map(isoSeconds)).toEqual(['-', '-', '-']);
});
