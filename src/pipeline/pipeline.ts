import { type Clock, systemClock } from '../clock.ts';
import type { Consumer } from '../governor/index.ts';
import { checkWhole } from '../invalid-option.ts';
import type { Batch } from './batch.ts';
import { Flow } from './flow.ts';
import { type RunHelp, StageSeat } from './flow-run.ts';
import type { ConsumerSource, MemoryProbe } from './pipeline-memory.ts';
import type { PipelineProgress, PipelineReport } from './pipeline-report.ts';
import type { Phase, Source, StageMemory } from './stage.ts';
import { StageError } from './stage-error.ts';
import { StageObserver } from './stage-observer.ts';

export interface PipelineOptions {
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
}

const DEFAULTS = { sampleEveryMs: 10, progressEveryMs: 100 };
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

  constructor(options: PipelineOptions) {
    const { governor, parent } = options;
    const clock = options.clock ?? systemClock;
    const observer = new StageObserver({
      probe: options.probe,
      now: () => clock.now(),
      sampleEveryMs: checkWhole('sampleEveryMs', options.sampleEveryMs ?? DEFAULTS.sampleEveryMs, 1),
      progressEveryMs: checkWhole('progressEveryMs', options.progressEveryMs ?? DEFAULTS.progressEveryMs, 0),
      onProgress: options.onProgress,
    });
    this.#help = {
      observer,
      signal: options.signal ?? new AbortController().signal,
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
    const { observer, signal } = this.#help;
    const { name } = phase;
    signal.throwIfAborted();
    const seat = new StageSeat(this.#help, name, phase.memory);
    observer.enter(seat.record);
    try {
      return await phase.run(seat);
    } catch (error) {
      throw StageError.from(error, name, signal);
    } finally {
      observer.leave(seat.record, true);
      seat.end();
    }
  }

  /** What has been done up to now; at the end of the job, the whole. */
  report(): PipelineReport {
    return this.#help.observer.report();
  }
}
