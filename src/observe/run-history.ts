import { readFileSync, statSync } from 'node:fs';
import { type Clock, systemClock } from '../clock.ts';
import { describeCause } from '../describe-cause.ts';
import { PlimsollError } from '../errors.ts';
import { DEFAULT_THRESHOLDS, type PressureThresholds } from '../governor/index.ts';
import { checkName, checkNumber, checkOneOf, checkWhole, copyOptions, withoutUndefined } from '../invalid-option.ts';
import type { PipelineMode, PipelineReport } from '../pipeline/index.ts';
import { KNOWN_MODES } from './known-modes.ts';
import { predictRun, type RunPrediction } from './predict-run.ts';
import { checkRun, type NewRun, type RunRecord } from './run-record.ts';
import { writeWhole } from './write-whole.ts';

export interface RunHistoryOptions {
  /** Jobs that are remembered, 1 to 1,000: the one that ran longest ago goes first. Required. */
  readonly maxJobs: number;
  /** Runs of each, 1 to 1,000, and 50,000 of all jobs together: the oldest goes first. Required. Some twenty serve. */
  readonly maxRunsPerJob: number;
  /** A file that cannot be read as a history is thrown about, or a new one is begun in its place at the next `record`. Default `throw`. */
  readonly onUnreadable?: 'throw' | 'renew';
  readonly clock?: Clock;
}

export interface PredictOptions {
  /** How much there is to do, as the runs counted it, 0 up. Required. */
  readonly items: number;
  /** Under which the next run will work, bytes, 1 up. Required. */
  readonly limitBytes: number;
  /** Where the levels begin, as parts of the limit, if the governor was told. Default its own. */
  readonly thresholds?: PressureThresholds;
}

export const RUN_HISTORY_DEFAULTS = { onUnreadable: 'throw' } as const;

const KNOWN = ['maxJobs', 'maxRunsPerJob', 'onUnreadable', 'clock'];
const FORMAT = 'plimsoll-runs';
const VERSION = 1;
const MOST = 1_000;
const LONGEST_PATH = 4_096;
/** Of all jobs together. A run is some 260 bytes of JSON, 1,200 with the worst of names: the file stays below what is read. */
const MOST_RUNS = 50_000;
const MOST_FILE_BYTES = 64 * 1_048_576;

/**
 * What runs of jobs took, in a small file, about 260 bytes a run, so that the next run can be begun as it will have to work anyway. The file is replaced as a whole or stays as
 * it was; each `record` reads it anew first, so that of two processes the later adds to what the earlier wrote (within the same instant one of the two is lost). A
 * file that is not there is an empty history.
 *
 * Errors: `PLIMSOLL_RUN_HISTORY` for a file that cannot be read, is something else, or cannot be written; a `RangeError` for options and runs.
 * @example
 * import { RunHistory, strictestMode } from 'plimsoll/observe';
 * const history = RunHistory.open('import.runs.json', { maxJobs: 10, maxRunsPerJob: 20 });
 * const ahead = history.predict('import', { items: 250_000, limitBytes: 256 * 2 ** 20 });
 */
export class RunHistory {
  readonly #path: string;
  readonly #options;
  #runs: RunRecord[] = [];
  #renewed: string | undefined;

  private constructor(path: string, options: ReturnType<typeof resolve>) {
    this.#path = path;
    this.#options = options;
    this.#read();
  }

  static open(path: string, options: RunHistoryOptions): RunHistory {
    return new RunHistory(checkName(path, 'path', LONGEST_PATH), resolve(options));
  }

  /** Why the file could not be read, where a new one takes its place. */
  get renewed(): string | undefined {
    return this.#renewed;
  }

  /** Of a job, oldest first. */
  runs(job: string): readonly RunRecord[] {
    return this.#runs.filter((run) => run.job === job);
  }

  /** Adds a run, and writes the file: some milliseconds, for it is flushed to the disk. */
  record(run: NewRun): RunRecord {
    const { clock, maxJobs, maxRunsPerJob } = this.#options;
    const added = checkRun({ at: clock.wall(), ...withoutUndefined(run) });
    this.#read();
    const runs = keepLatest([...this.#runs, added], maxJobs, maxRunsPerJob);
    try {
      writeWhole(this.#path, `${JSON.stringify({ format: FORMAT, version: VERSION, runs })}\n`);
    } catch (cause) {
      throw unusable(this.#path, `cannot be written: ${describeCause(cause)}`, cause);
    }
    this.#runs = runs;
    return added;
  }

  /**
   * How the next run of a job should be begun: in the freest mode in which its peak stays, with 95% confidence, below the level that calls for a stricter one. Undefined for fewer than three runs.
   *
   * Peaks are laid on a line over items by least squares, mode by mode, and the interval is that of one more run (NIST/SEMATECH e-Handbook of Statistical Methods, 4.5.1.2): wide for few runs,
   * and wider the further the items are from those seen. A run that had to leave a mode counts for it with what it took. A mode that fewer than three runs tell of is tried before a stricter one. The
   * batch size is the one that did most items in its time, of those with which a run in that mode found room.
   */
  predict(job: string, given: PredictOptions): RunPrediction | undefined {
    checkName(job, 'job');
    const known = copyOptions('predict', given, ['items', 'limitBytes', 'thresholds']);
    const { items, limitBytes, thresholds } = { thresholds: DEFAULT_THRESHOLDS, ...withoutUndefined(known) };
    checkWhole('items', items, 0);
    checkWhole('limitBytes', limitBytes, 1);
    for (const level of ['high', 'critical', 'emergency'] as const) {
      checkNumber(`thresholds.${level}`, thresholds?.[level], 0, 1);
    }
    return predictRun(this.runs(job), { items, limitBytes, thresholds });
  }

  #read(): void {
    try {
      this.#runs = keepLatest(readRuns(this.#path), this.#options.maxJobs, this.#options.maxRunsPerJob);
    } catch (cause) {
      if (this.#options.onUnreadable === 'throw') throw cause;
      this.#renewed = describeCause(cause);
      this.#runs = [];
    }
  }
}

/** The strictest mode that a pipeline came to, by its report, where it was begun in `startMode`. */
export function strictestMode({ modeSwitches }: PipelineReport, startMode: PipelineMode = 'plain'): PipelineMode {
  const ranks = modeSwitches.map(({ to }) => KNOWN_MODES.indexOf(to));
  return KNOWN_MODES[Math.max(KNOWN_MODES.indexOf(startMode), ...ranks)]!;
}

function readRuns(path: string): RunRecord[] {
  let found: { format?: unknown; version?: unknown; runs?: unknown } | null;
  try {
    const file = statSync(path, { throwIfNoEntry: false });
    if (file === undefined) return [];
    const { size } = file;
    // A pipe would be waited for.
    if (!file.isFile()) throw unusable(path, 'is no file');
    if (size > MOST_FILE_BYTES) throw unusable(path, `is too large, ${size} bytes`);
    found = JSON.parse(readFileSync(path, 'utf8')) as typeof found;
  } catch (cause) {
    throw cause instanceof PlimsollError ? cause : unusable(path, `cannot be read: ${describeCause(cause)}`, cause);
  }
  if (found?.format !== FORMAT) throw unusable(path, 'is no history of runs');
  if (found.version !== VERSION) throw unusable(path, `is of version ${String(found.version)}, not ${VERSION}`);
  if (!Array.isArray(found.runs)) throw unusable(path, 'has no runs');
  return found.runs.map((run: RunRecord, index) => {
    try {
      return checkRun(run);
    } catch (cause) {
      throw unusable(path, `has a run (${index + 1}) that is none: ${describeCause(cause)}`, cause);
    }
  });
}

/** In the order in which they were recorded. */
function keepLatest(runs: readonly RunRecord[], maxJobs: number, maxRunsPerJob: number): RunRecord[] {
  const kept: RunRecord[] = [];
  const counts = new Map<string, number>();
  for (const run of runs.toReversed()) {
    const count = counts.get(run.job) ?? 0;
    if (count >= maxRunsPerJob || (count === 0 && counts.size >= maxJobs)) continue;
    counts.set(run.job, count + 1);
    kept.push(run);
  }
  return kept.reverse();
}

function resolve(given: RunHistoryOptions) {
  const known = copyOptions('a RunHistory', given, KNOWN);
  const options = { onUnreadable: RUN_HISTORY_DEFAULTS.onUnreadable, clock: systemClock, ...withoutUndefined(known) };
  checkWhole('maxJobs', options.maxJobs, 1, MOST);
  checkWhole('maxRunsPerJob', options.maxRunsPerJob, 1, MOST);
  const most = Math.floor(MOST_RUNS / options.maxJobs);
  checkWhole('maxRunsPerJob', options.maxRunsPerJob, 1, most);
  checkOneOf('onUnreadable', options.onUnreadable, ['throw', 'renew']);
  return options;
}

function unusable(path: string, why: string, cause?: unknown): PlimsollError {
  const message = `the history of runs ${path} ${why}`;
  return new PlimsollError(message, { code: 'PLIMSOLL_RUN_HISTORY', recovery: 'fallback', cause });
}
