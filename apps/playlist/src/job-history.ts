/** What earlier runs of a configuration took, so that the next one begins as it will have to work anyway. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { DEFAULT_THRESHOLDS, type Governor } from 'plimsoll';
import { RunHistory, strictestMode } from 'plimsoll/observe';
import type { PipelineReport } from 'plimsoll/pipeline';
import { batchBytesOf } from './channel-job.ts';
import type { PlaylistConfig } from './config/config.ts';
import { ensureFolder } from './output/ensure-folder.ts';
import type { RunAhead } from './report/run-report.ts';

const FILE = 'runs.json';
/** Configurations that share a cache, or one that was changed so often. */
const MOST_JOBS = 10;
const MOST_RUNS = 20;
const SHOWN_NAME = 80;

export class JobHistory {
  /** Undefined while fewer than three runs are known. */
  readonly ahead: RunAhead | undefined;
  /** Why what was there is not used. */
  readonly trouble: string | undefined;
  readonly #history: RunHistory;
  readonly #job: string;
  readonly #dir: string;
  readonly #limitBytes: number;
  /** Of the next run: as configured, or less. How long an entry may be goes by the configuration alone. */
  readonly batchBytes: number;

  /** A file that is no history is passed over, and replaced at the end of the run. */
  constructor(config: PlaylistConfig, governor: Governor) {
    this.#dir = config.cache.dir;
    this.#job = jobOf(config);
    this.#limitBytes = governor.limitBytes;
    const path = join(this.#dir, FILE);
    this.#history = RunHistory.open(path, { maxJobs: MOST_JOBS, maxRunsPerJob: MOST_RUNS, onUnreadable: 'renew' });
    const { renewed } = this.#history;
    this.trouble = renewed === undefined ? undefined : `[memory] remember_runs: begun anew: ${renewed}`;
    this.ahead = this.#predict(config);
    this.batchBytes = Math.min(batchBytesOf(config, governor), this.ahead?.batchBytes ?? Number.POSITIVE_INFINITY);
  }

  /** Of a run that came to its end with so many entries read. Resolves to what hindered it: a run that cannot be noted is none that failed. */
  async record(pipeline: PipelineReport, items: number): Promise<string | undefined> {
    const startMode = this.ahead?.mode ?? 'plain';
    try {
      await ensureFolder(this.#dir);
      this.#history.record({
        job: this.#job,
        items,
        peakBytes: pipeline.peakRssBytes,
        limitBytes: this.#limitBytes,
        batchBytes: this.batchBytes,
        startMode,
        mode: strictestMode(pipeline, startMode),
        modeSwitches: pipeline.modeSwitchCount,
        durationMs: pipeline.elapsedMs,
      });
      return undefined;
    } catch (cause) {
      return `[memory] remember_runs: this run is not noted: ${cause instanceof Error ? cause.message : String(cause)}`;
    }
  }

  /** Lists seldom change much: before they are read, they count as large as the last time. */
  #predict({ memory }: PlaylistConfig): RunAhead | undefined {
    const last = this.#history.runs(this.#job).at(-1);
    if (last === undefined) return undefined;
    const given = {
      items: last.items,
      limitBytes: this.#limitBytes,
      thresholds: { ...DEFAULT_THRESHOLDS, ...memory.levels },
    };
    const found = this.#history.predict(this.#job, given);
    if (found === undefined) return undefined;
    return { mode: found.mode, batchBytes: found.batchBytes, runs: found.basedOn.runs };
  }
}

/** Whatever says how much memory a run takes is a part of the name: with other rules, plugins or levels it is another job. Secrets are not. */
function jobOf({ output, memory, plugins, mapping, rules, filters, sources, guides }: PlaylistConfig): string {
  const parts = [output.dir, output.sort, memory, plugins, mapping, rules, filters, sources.length, guides.length];
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
  return `${output.name.slice(0, SHOWN_NAME)} ${digest}`;
}
