/**
 * Numbers of either sign in whole `unit`s that add up to their sum, rounded: each down, and those with the largest remainders up again (Hamilton's method), the earlier one first among
 * equals. None is off by a unit or more. 0 is never -0.
 */
export function roundTogether(values: readonly number[], unit = 1): number[] {
  const exact = values.map((value) => value / unit);
  const parts = exact.map(Math.floor);
  const total = roundTo(
    values.reduce((sum, value) => sum + value, 0),
    unit,
  );
  const missing = total - parts.reduce((sum, part) => sum + part, 0);
  const byRemainder = exact.map((value, index) => ({ index, remainder: value - parts[index]! }));
  byRemainder.sort((a, b) => b.remainder - a.remainder || a.index - b.index);
  for (const { index } of byRemainder.slice(0, missing)) parts[index]! += 1;
  return parts.map((part) => part + 0);
}

/** One number in whole units. 0 is never -0. */
export function roundTo(value: number, unit: number): number {
  return Math.round(value / unit) + 0;
}
