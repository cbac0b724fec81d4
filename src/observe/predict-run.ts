import type { PressureThresholds } from '../governor/index.ts';
import type { PipelineMode } from '../pipeline/index.ts';
import { studentT95 } from './confidence.ts';
import { KNOWN_MODES } from './known-modes.ts';
import type { RunRecord } from './run-record.ts';

/** A figure, and where that of a single run lies with 95% confidence. */
export interface PredictedBytes {
  readonly expected: number;
  readonly low: number;
  readonly high: number;
}

/** How the next run should be begun. Plain data. */
export interface RunPrediction {
  /** For `PipelineOptions.leastMode`, and for its `batchBytes`. */
  readonly mode: PipelineMode;
  readonly batchBytes: number;
  /** What it will take in that mode. Absent where too few runs have been in it. */
  readonly peakBytes?: PredictedBytes;
  /** What a run in `plain` mode would take; absent as above. */
  readonly plainPeakBytes?: PredictedBytes;
  readonly basedOn: {
    readonly runs: number;
    readonly runsInMode: number;
    readonly fewestItems: number;
    readonly mostItems: number;
    /** More items than any run had: the line is drawn on beyond what was seen. */
    readonly isBeyond: boolean;
  };
}

/** Two points make a line, the third says how far off it is. */
const LEAST_RUNS = 3;
/** Batches are not halved below that: it would cost much and save nothing. */
const LEAST_HALF_BYTES = 16_384;

interface Point {
  readonly items: number;
  readonly bytes: number;
}

interface RunQuestion {
  readonly items: number;
  readonly limitBytes: number;
  readonly thresholds: PressureThresholds;
}

/** Pure. Undefined for fewer than three runs. See `RunHistory.predict`. */
export function predictRun(runs: readonly RunRecord[], question: RunQuestion): RunPrediction | undefined {
  if (runs.length < LEAST_RUNS) return undefined;
  const { items } = question;
  const byMode = KNOWN_MODES.map((mode) => ({ mode, peak: peakAt(pointsOf(runs, mode), items) }));
  // The strictest is taken where nothing else fits, and a mode that nobody knows is worth a try before a stricter one.
  const chosen =
    byMode.find(({ mode, peak }) => peak === undefined || peak.high <= roomOf(mode, question)) ?? byMode.at(-1)!;
  const plain = byMode[0]!.peak;
  const { mode, peak } = chosen;
  const seen = runs.map((run) => run.items);
  const mostItems = Math.max(...seen);
  return {
    mode,
    batchBytes: batchOf(runs, mode, roomOf(mode, question)),
    ...(peak === undefined ? {} : { peakBytes: peak }),
    ...(plain === undefined ? {} : { plainPeakBytes: plain }),
    basedOn: {
      runs: runs.length,
      runsInMode: runs.filter((run) => run.mode === mode).length,
      fewestItems: Math.min(...seen),
      mostItems,
      isBeyond: items > mostItems,
    },
  };
}

/** What may be taken before the level calls for a stricter mode. */
function roomOf(mode: PipelineMode, { limitBytes, thresholds }: RunQuestion): number {
  const { high, critical, emergency } = thresholds;
  return limitBytes * { plain: high, streaming: critical, compressed: emergency, spill: emergency }[mode];
}

/** What runs in a mode took; also those that began in it, or in a freer one, and had to leave it for a stricter: they would have taken that and more. */
function pointsOf(runs: readonly RunRecord[], mode: PipelineMode): Point[] {
  const rank = KNOWN_MODES.indexOf(mode);
  return runs
    .filter((run) => {
      const [from, to] = [KNOWN_MODES.indexOf(run.startMode), KNOWN_MODES.indexOf(run.mode)];
      return to === rank || (from <= rank && rank < to);
    })
    .map(({ items, peakBytes }) => ({ items, bytes: peakBytes }));
}

/** The line of least squares through peaks by items, and the interval of one more run. */
function peakAt(points: readonly Point[], items: number): PredictedBytes | undefined {
  const n = points.length;
  if (n < LEAST_RUNS) return undefined;
  const mean = (pick: (point: Point) => number) => points.reduce((sum, point) => sum + pick(point), 0) / n;
  const [x, y] = [mean((point) => point.items), mean(({ bytes }) => bytes)];
  const spread = points.reduce((sum, point) => sum + (point.items - x) ** 2, 0);
  const together = points.reduce((sum, point) => sum + (point.items - x) * (point.bytes - y), 0);
  // More items never take less: what slopes down is noise.
  const slope = spread > 0 ? Math.max(0, together / spread) : 0;
  const squares = points.reduce((sum, point) => sum + (point.bytes - y - slope * (point.items - x)) ** 2, 0);
  const freedom = n - (slope > 0 ? 2 : 1);
  const deviation = Math.sqrt(squares / freedom);
  // Where all runs had as many items nobody knows the slope: more items are taken to need more by the same part.
  const ratio = spread === 0 && x > 0 ? Math.max(1, items / x) : 1;
  const expected = Math.max(0, (y + slope * (items - x)) * ratio);
  const off = spread > 0 ? (items - x) ** 2 / spread : 0;
  const half = studentT95(freedom) * deviation * ratio * Math.sqrt(1 + 1 / n + off);
  return { expected, low: Math.max(0, expected - half), high: expected + half };
}

/** The size that did most items in its time, of those with which a run in this mode found room; half of the smallest where none did, within bounds. */
function batchOf(runs: readonly RunRecord[], mode: PipelineMode, roomBytes: number): number {
  const speeds = new Map<number, number[]>();
  for (const run of runs) {
    if (run.mode !== mode || run.peakBytes > roomBytes) continue;
    const speed = run.items / Math.max(1, run.durationMs);
    speeds.set(run.batchBytes, [...(speeds.get(run.batchBytes) ?? []), speed]);
  }
  let best: { readonly batchBytes: number; readonly speed: number } | undefined;
  for (const [batchBytes, all] of speeds) {
    const speed = all.toSorted((a, b) => a - b)[all.length >> 1]!;
    if (best === undefined || speed > best.speed) best = { batchBytes, speed };
  }
  if (best !== undefined) return best.batchBytes;
  const smallest = Math.min(...runs.map((run) => run.batchBytes));
  const wasTried = runs.some((run) => run.mode === mode);
  return wasTried ? Math.min(smallest, Math.max(LEAST_HALF_BYTES, Math.floor(smallest / 2))) : smallest;
}
