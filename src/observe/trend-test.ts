/** Two steps can go up and down. */
const LEAST_LATE = 3;

/**
 * Whether a row of figures goes up, and by how much each time, without a word about how the noise is distributed.
 *
 * Mann (1945) and Kendall (1975): S counts the pairs of figures in which the later is larger, minus those in which it is smaller. Its distribution without a trend is exact here, by the
 * number of orders of n things with so many pairs turned around (the recursion of Kendall's tables), and not the normal one, which is poor for few figures. Equal figures count for
 * neither side; against the distribution without ties that is on the safe side. The slope is that of Theil (1950) and Sen (1968): the median of the slopes of all pairs.
 */
export interface Trend {
  /** Of seeing a rise as clear as this, or clearer, where there is none. */
  readonly probability: number;
  /** A step from one figure to the next. */
  readonly slope: number;
  /** Of the last third of the figures alone, three at least, and of those before with the first of these; and by how much more of the late pairs rise than fall, -1 to 1. */
  readonly earlySlope: number;
  readonly lateSlope: number;
  readonly lateRise: number;
}

/** At least two figures, at equal distances. n² / 2 slopes are held and sorted. `chances` are `turnedChances` of so many, for who asks more than once. */
export function trendOf(figures: readonly number[], chances = turnedChances(figures.length)): Trend {
  const start = Math.max(0, figures.length - Math.max(LEAST_LATE, Math.ceil(figures.length / 3)));
  const late = figures.slice(start);
  return {
    probability: riseProbability(figures, chances),
    slope: theilSen(figures),
    earlySlope: theilSen(figures.slice(0, start + 1)),
    lateSlope: theilSen(late),
    lateRise: risesOf(late) / pairsOf(late.length),
  };
}

/** The median of the slopes of all pairs; 0 for fewer than two figures. */
export function theilSen(figures: readonly number[]): number {
  const slopes: number[] = [];
  for (let j = 1; j < figures.length; j++) {
    for (let i = 0; i < j; i++) slopes.push((figures[j]! - figures[i]!) / (j - i));
  }
  slopes.sort((a, b) => a - b);
  const middle = slopes.length >> 1;
  if (slopes.length === 0) return 0;
  return slopes.length % 2 === 1 ? slopes[middle]! : (slopes[middle - 1]! + slopes[middle]!) / 2;
}

const pairsOf = (n: number): number => (n * (n - 1)) / 2;

/** S: pairs that rise minus pairs that fall. */
function risesOf(figures: readonly number[]): number {
  let rises = 0;
  for (let j = 1; j < figures.length; j++) for (let i = 0; i < j; i++) rises += Math.sign(figures[j]! - figures[i]!);
  return rises;
}

function riseProbability(figures: readonly number[], chances: Float64Array): number {
  // S is all pairs minus twice those turned around: at least S is at most so many.
  const turned = Math.floor((pairsOf(figures.length) - risesOf(figures)) / 2);
  let sum = 0;
  for (let count = 0; count <= turned && count < chances.length; count++) sum += chances[count]!;
  return Math.min(1, sum);
}

/** By number of pairs turned around, how probable that is among all orders of n things. n³ / 2 steps. */
export function turnedChances(n: number): Float64Array {
  const pairs = pairsOf(n);
  let chances = new Float64Array(pairs + 1);
  chances[0] = 1;
  for (let things = 2; things <= n; things++) {
    const next = new Float64Array(pairs + 1);
    let window = 0;
    for (let count = 0; count <= pairs; count++) {
      window += chances[count]!;
      if (count >= things) window -= chances[count - things]!;
      next[count] = Math.max(0, window) / things;
    }
    chances = next;
  }
  return chances;
}
