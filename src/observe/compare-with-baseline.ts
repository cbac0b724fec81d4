import { formatBytes } from '../bytes.ts';
import { checkNumber, checkWhole, copyOptions, withoutUndefined } from '../invalid-option.ts';
import { differenceOf, type Interval } from './confidence.ts';
import type { MemoryMeasurement } from './measure-memory.ts';

export interface CompareOptions {
  /** By how much of the baseline bytes and time may grow: above 0, up to 100; 0.1 is a tenth. Required. */
  readonly tolerance: number;
  /** The same for time alone, which is noisier. Default `tolerance`. */
  readonly timeTolerance?: number;
  /** Growth of fewer bytes than these is none, 0 up. Default 64. */
  readonly leastBytes?: number;
}

export const COMPARE_DEFAULTS = { leastBytes: 64 } as const;

/**
 * - `regressed`: all of the interval of the change lies past the tolerance.
 * - `unclear`: some of it does. The noise is too large to say; more iterations make it smaller.
 * - `improved`: all of it lies below 0. `within`: neither.
 * - `missing`: the baseline has this figure and the measurement has not.
 */
export type ComparisonVerdict = 'regressed' | 'unclear' | 'within' | 'improved' | 'missing';

export interface ComparisonRow {
  readonly of: 'timeMs' | 'allocatedBytes' | 'retainedBytes';
  readonly verdict: ComparisonVerdict;
  readonly baseline: number;
  /** What came out now, how much more that is, and where the change lies with 95% confidence. Absent when it is missing. */
  readonly mean?: number;
  readonly change?: { readonly mean: number; readonly low: number; readonly high: number };
  /** The most that the change may be. */
  readonly allowed: number;
}

export interface Comparison {
  /** False when something regressed or is missing. What is unclear does not fail. */
  readonly ok: boolean;
  readonly rows: readonly ComparisonRow[];
}

const KNOWN = ['tolerance', 'timeTolerance', 'leastBytes'] as const;
const FIGURES = ['timeMs', 'allocatedBytes', 'retainedBytes'] as const;
const MOST_TOLERANCE = 100;

/**
 * Whether `result` is worse than `baseline` by more than is tolerated. Noise fails nothing: the interval of the difference (Welch) must lie past the tolerance, all of it. Of many
 * figures compared often, one in forty regresses by chance where the truth stands just at the tolerance; well inside it next to none does.
 */
export function compareWithBaseline(
  result: MemoryMeasurement,
  baseline: MemoryMeasurement,
  given: CompareOptions,
): Comparison {
  const options = { ...COMPARE_DEFAULTS, ...withoutUndefined(copyOptions('compareWithBaseline', given, KNOWN)) };
  const { tolerance, timeTolerance = tolerance, leastBytes } = options;
  checkNumber('tolerance', tolerance, 0, MOST_TOLERANCE);
  checkNumber('timeTolerance', timeTolerance, 0, MOST_TOLERANCE);
  checkWhole('leastBytes', leastBytes, 0);
  const rows: ComparisonRow[] = [];
  for (const of of FIGURES) {
    const before = baseline[of];
    if (before === undefined) continue;
    const base = Math.abs(before.mean);
    const allowed = of === 'timeMs' ? timeTolerance * base : Math.max(tolerance * base, leastBytes);
    rows.push(rowOf(of, before, result[of], allowed));
  }
  return { ok: rows.every(({ verdict }) => verdict !== 'regressed' && verdict !== 'missing'), rows };
}

function rowOf(of: ComparisonRow['of'], before: Interval, after: Interval | undefined, allowed: number): ComparisonRow {
  if (after === undefined) return { of, verdict: 'missing', baseline: before.mean, allowed };
  const change = differenceOf(before, after);
  return { of, verdict: verdictOf(change, allowed), baseline: before.mean, mean: after.mean, change, allowed };
}

function verdictOf({ low, high }: { low: number; high: number }, allowed: number): ComparisonVerdict {
  if (low > allowed) return 'regressed';
  if (high > allowed) return 'unclear';
  return high < 0 ? 'improved' : 'within';
}

/** One line a figure. Pure. */
export function formatComparison({ ok, rows }: Comparison): string {
  const lines = rows.map(({ of, verdict, baseline, mean, change, allowed }) => {
    const show = of === 'timeMs' ? (ms: number) => `${ms.toPrecision(4)}ms` : formatBytes;
    if (mean === undefined || change === undefined) return `${of}: ${verdict}, ${show(baseline)} before`;
    const interval = `${show(change.low)} to ${show(change.high)}`;
    return `${of}: ${verdict}, ${show(baseline)} before, ${show(mean)} now; change ${interval}, allowed ${show(allowed)}`;
  });
  return `${[...lines, ok ? 'ok' : 'failed'].join('\n')}\n`;
}
