import { checkName, checkNumber, checkOneOf, checkWhole, copyOptions } from '../invalid-option.ts';
import type { PipelineMode } from '../pipeline/index.ts';
import { KNOWN_MODES } from './known-modes.ts';

/** What a run of a job took. Plain data. */
export interface RunRecord {
  /** 1 to 120 characters. Runs of a job are compared with each other alone. */
  readonly job: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** How much there was to do, in whatever the job counts, and the bytes of it where that is known. */
  readonly items: number;
  readonly bytes?: number;
  /** The most memory it took, always by the same meter, such as `peakRssBytes` of its report, and the limit it ran under. */
  readonly peakBytes: number;
  readonly limitBytes: number;
  /** Of a batch, as the pipeline was told. */
  readonly batchBytes: number;
  /** The mode it was begun in, and the strictest that it came to. */
  readonly startMode: PipelineMode;
  readonly mode: PipelineMode;
  /** How often it changed. */
  readonly modeSwitches: number;
  readonly durationMs: number;
}

/** As `RunHistory.record` takes it. `startMode` is `plain`, and `modeSwitches` 0, unless told. */
export type NewRun = Omit<RunRecord, 'at' | 'startMode' | 'modeSwitches'> &
  Partial<Pick<RunRecord, 'at' | 'startMode' | 'modeSwitches'>>;

const KNOWN = [
  ...['job', 'at', 'items', 'bytes', 'peakBytes', 'limitBytes', 'batchBytes', 'startMode', 'mode', 'modeSwitches'],
  'durationMs',
];

/** A copy of a run that is sound; a `RangeError` for another. */
export function checkRun(given: NewRun & { readonly at: number }): RunRecord {
  const run = copyOptions('a run', given, KNOWN);
  const { job, at, items, bytes, peakBytes, limitBytes, batchBytes, mode, durationMs } = run;
  const startMode = checkOneOf('startMode', run.startMode ?? 'plain', KNOWN_MODES);
  checkName(job, 'job');
  // Nobody comes to a freer mode than the one begun in.
  checkOneOf('mode', mode, KNOWN_MODES.slice(KNOWN_MODES.indexOf(startMode)));
  if (bytes !== undefined) checkWhole('bytes', bytes, 0);
  return {
    job,
    at: checkWhole('at', Math.round(at), 0),
    items: checkWhole('items', items, 0),
    ...(bytes === undefined ? {} : { bytes }),
    peakBytes: checkWhole('peakBytes', peakBytes, 1),
    limitBytes: checkWhole('limitBytes', limitBytes, 1),
    batchBytes: checkWhole('batchBytes', batchBytes, 1),
    startMode,
    mode,
    modeSwitches: checkWhole('modeSwitches', run.modeSwitches ?? 0, 0),
    durationMs: checkNumber('durationMs', durationMs, -1, Number.MAX_SAFE_INTEGER),
  };
}
