/** The two-sided 95% points of Student's t for 1 to 30 degrees of freedom, as every table has them. */
const T_95 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];
/** The same of the normal distribution. */
const Z_95 = 1.959964;

/** A mean and where it lies with 95% confidence. */
export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  /** Standard deviation of one reading, and how many there were. */
  readonly deviation: number;
  readonly count: number;
}

/**
 * The mean of at least two readings and its 95% interval: the mean, give or take t times s / √n (NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.2). It holds for means
 * of readings that do not hang together, whatever their distribution, once there are some thirty.
 */
export function intervalOf(readings: ArrayLike<number>): Interval {
  const count = readings.length;
  let mean = 0;
  let squares = 0;
  // Welford's running update: no difference of two large sums.
  for (let i = 0; i < count; i++) {
    const off = readings[i]! - mean;
    mean += off / (i + 1);
    squares += off * (readings[i]! - mean);
  }
  const deviation = Math.sqrt(squares / (count - 1));
  const half = studentT95(count - 1) * (deviation / Math.sqrt(count));
  return { mean, low: mean - half, high: mean + half, deviation, count };
}

/**
 * `after` minus `before`, and its 95% interval by Welch's method, for two samples of unequal spread (e-Handbook, 1.3.5.3; degrees of freedom by Welch and
 * Satterthwaite, rounded down).
 */
export function differenceOf(before: Interval, after: Interval): { mean: number; low: number; high: number } {
  const mean = after.mean - before.mean;
  const [a, b] = [before.deviation ** 2 / before.count, after.deviation ** 2 / after.count];
  if (a + b === 0) return { mean, low: mean, high: mean };
  const freedom = (a + b) ** 2 / (a ** 2 / (before.count - 1) + b ** 2 / (after.count - 1));
  const half = studentT95(freedom) * Math.sqrt(a + b);
  return { mean, low: mean - half, high: mean + half };
}

/** Above 30 degrees by the expansion about the normal point (Abramowitz and Stegun, 26.7.5), true to four places there. */
export function studentT95(freedom: number): number {
  const whole = Math.max(1, Math.floor(freedom));
  const listed = T_95[whole - 1];
  if (listed !== undefined) return listed;
  const z = Z_95;
  return z + (z ** 3 + z) / (4 * whole) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * whole ** 2);
}
