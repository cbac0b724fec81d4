/**
 * Parts a whole number among weights (0 up) so that the whole parts add up to it exactly: largest remainder (Hamilton's method), the
 * earlier one first among equals. Without any weight the parts are equal but for the remainder. No weights, no parts.
 */
export function apportion(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((left, weight) => left + weight, 0);
  const exact = weights.map((weight) => (sum > 0 ? (weight / sum) * total : total / weights.length));
  const parts = exact.map(Math.floor);
  const missing = total - parts.reduce((left, part) => left + part, 0);
  const byRemainder = exact.map((value, index) => ({ index, remainder: value - parts[index]! }));
  byRemainder.sort((a, b) => b.remainder - a.remainder || a.index - b.index);
  for (const { index } of byRemainder.slice(0, missing)) parts[index]!++;
  return parts;
}
