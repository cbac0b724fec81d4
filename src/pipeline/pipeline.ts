import { type Clock, systemClock } from '../clock.ts';
import { FailOpen } from '../fail-open.ts';
import type { Consumer } from '../governor/index.ts';
import { checkName, checkOneOf, checkSignal, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { isSpillForced, type SpillFolder } from '../spill/index.ts';
import type { Batch } from './batch.ts';
import type { BetweenStages } from './between-stages.ts';
import { CleanupCalls } from './cleanup-calls.ts';
import { Flow } from './flow.ts';
import { type RunHelp, StageSeat } from './flow-run.ts';
import type { ConsumerSource, MemoryProbe } from './pipeline-memory.ts';
import { PIPELINE_MODES, type PipelineMode } from './pipeline-mode.ts';
import type { PipelineProgress, PipelineReport } from './pipeline-report.ts';
import type { Phase, Source, StageMemory } from './stage.ts';
import { StageError } from './stage-error.ts';
import { StageModes } from './stage-modes.ts';
import { StageObserver } from './stage-observer.ts';

export interface PipelineOptions {
  /** As its events have it, 1 to 120 characters. Default `pipeline`. */
  readonly name?: string;
  /** Makes the consumer of each stage. */
  readonly governor: ConsumerSource;
  readonly probe: MemoryProbe;
  /** Under which consumer those of the stages stand. */
  readonly parent?: Consumer;
  readonly signal?: AbortSignal;
  /** Default `systemClock`. */
  readonly clock?: Pick<Clock, 'now'>;
  /** The least time between two samples, whole ms from 1 up. Default 10. */
  readonly sampleEveryMs?: number;
  /** The least time between two progress events, whole ms from 0 up. Default 100. */
  readonly progressEveryMs?: number;
  /** Called while a stage waits for it: be brief. One that throws, or whose promise rejects, is not called again. */
  readonly onProgress?: (progress: PipelineProgress) => void;
  /** What a batch should take when there is no pressure, bytes, 1 up. Stages read their share in `context.batchBytes`. Default 262,144. */
  readonly batchBytes?: number;
  /** In which mode stages work: by pressure, or always in this one as far as they can. Default `auto`; `spill` with a folder under `PLIMSOLL_FORCE_SPILL=1`. */
  readonly mode?: 'auto' | PipelineMode;
  /** Under `auto` the freest mode in which a stage that can do it works: for a job of which it is known that it will come to that. Default `plain`. */
  readonly leastMode?: PipelineMode;
  /** Where stages spill that have no folder of their own. Who made it disposes it, after the pipeline. Default: nowhere. */
  readonly spill?: SpillFolder;
  /** Told when stages end, and while they run. Default: nobody. */
  readonly cleanup?: BetweenStages;
}

const DEFAULTS = {
  name: 'pipeline',
  sampleEveryMs: 10,
  progressEveryMs: 100,
  batchBytes: 262_144,
  mode: 'auto',
  leastMode: 'plain',
} as const;
const MODES = ['auto', ...PIPELINE_MODES] as const;
const OPTIONS = [
  'name',
  'governor',
  'probe',
  'parent',
  'signal',
  'clock',
  'sampleEveryMs',
  'progressEveryMs',
  'onProgress',
  'batchBytes',
  'mode',
  'leastMode',
  'spill',
  'cleanup',
] as const;
const HOLDS_NOTHING: StageMemory = { kind: 'external', maxBytes: 0 };

/**
 * One job, made of flows and phases, and its report. Made when the job begins: its time counts from there. Flows and phases of a
 * pipeline run one after another as a rule; where they overlap, times still add up, and go to the one that began last.
 *
 * ```ts
 * import { formatReport, Pipeline } from 'plimsoll/pipeline';
 * const pipeline = new Pipeline({ governor, probe, signal });
 * const written = await pipeline.from(load).through(filter).into(write);
 * await pipeline.measure({ name: 'Publish', run: () => publish(written) });
 * console.log(formatReport(pipeline.report(), { title: 'Generation', count: written, noun: 'channels', unit: 'ch' }));
 * ```
 */
export class Pipeline {
  readonly #help: RunHelp;

  /** Throws `RangeError` for unsound options. */
  constructor(given: PipelineOptions) {
    const options = copyOptions('Pipeline', given, OPTIONS);
    const { governor, probe, parent, spill } = options;
    // Not by their verbs: a governor that cannot be looked at is broken, not wrong.
    if (!isObject(governor)) throw invalidOption('governor', 'a governor', governor);
    if (!isObject(probe)) throw invalidOption('probe', 'what samples the meters, such as the governor', probe);
    if (spill !== undefined && typeof spill?.openRun !== 'function')
      throw invalidOption('spill', 'a SpillFolder', spill);
    const name = checkName(options.name ?? DEFAULTS.name);
    const failOpen = new FailOpen(`pipeline ${name}`);
    const clock = options.clock ?? systemClock;
    const signal = checkSignal(options.signal) ?? new AbortController().signal;
    let cleanup: CleanupCalls | undefined;
    const modes = new StageModes({
      pipeline: name,
      mode: checkOneOf('mode', options.mode ?? (spill && isSpillForced() ? 'spill' : DEFAULTS.mode), MODES),
      leastMode: checkOneOf('leastMode', options.leastMode ?? DEFAULTS.leastMode, PIPELINE_MODES),
      batchBytes: checkWhole('batchBytes', options.batchBytes ?? DEFAULTS.batchBytes, 1),
      availableBytes: () => failOpen.run(() => governor.availableBytes, undefined),
      elapsedMs: () => observer.elapsedMs,
    });
    const observer = new StageObserver({
      probe,
      now: () => clock.now(),
      sampleEveryMs: checkWhole('sampleEveryMs', options.sampleEveryMs ?? DEFAULTS.sampleEveryMs, 1),
      progressEveryMs: checkWhole('progressEveryMs', options.progressEveryMs ?? DEFAULTS.progressEveryMs, 0),
      onProgress: options.onProgress,
      onSample({ level }, stage) {
        modes.note(level);
        if (stage !== undefined) cleanup?.whileRunning(stage);
      },
    });
    if (options.cleanup) cleanup = new CleanupCalls(options.cleanup, { failOpen, signal, observer });
    this.#help = {
      observer,
      signal,
      modes,
      spill,
      cleanup: () => cleanup,
      openConsumer: (options) => governor.consumer(options),
      openMemory(name, memory = HOLDS_NOTHING) {
        const { kind, maxBytes } = memory;
        return governor.consumer({ name, kind, maxBytes, ...(parent && { parent }) });
      },
    };
  }

  /** Begins a flow; nothing runs before `into`. */
  from<O extends Batch>(source: Source<O>): Flow<O> {
    return new Flow<O>(this.#help, source, []);
  }

  /** Runs a phase as a stage of the same table. It counts for itself, with `context.advance`. Rejects as `Flow.into` does. */
  async measure<R>(phase: Phase<R>): Promise<R> {
    const { observer, signal, modes } = this.#help;
    const { name } = phase;
    signal.throwIfAborted();
    observer.look();
    let seat: StageSeat | undefined;
    const run = modes.open([phase], () => seat?.memory.heldBytes ?? 0);
    let result: R;
    try {
      seat = new StageSeat(this.#help, run, phase);
      observer.enter(seat.record);
      try {
        result = await phase.run(seat);
      } catch (error) {
        throw StageError.from(error, name, signal);
      } finally {
        observer.leave(seat.record, true);
        seat.end();
      }
    } finally {
      run.close();
    }
    await this.#help.cleanup()?.stageEnded(name);
    return result;
  }

  /** What has been done up to now; at the end of the job, the whole. */
  report(): PipelineReport {
    const { observer, modes } = this.#help;
    const { modeSwitches, workerSwitches } = modes;
    return {
      ...observer.report(),
      modeSwitches: modeSwitches.list(),
      modeSwitchCount: modeSwitches.count,
      workerSwitches: workerSwitches.list(),
      workerSwitchCount: workerSwitches.count,
    };
  }
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;
