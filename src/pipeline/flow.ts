import type { Batch } from './batch.ts';
import { FlowRun, type RunHelp } from './flow-run.ts';
import type { Sink, Source, Stage } from './stage.ts';

/** Stages put in a row, not yet running. Immutable: each `through` gives a new one. */
export class Flow<O extends Batch> {
  readonly #help: RunHelp;
  readonly #source: Source<Batch>;
  readonly #stages: readonly Stage<Batch, Batch>[];

  /** Not for use from outside: `Pipeline.from` begins a flow. */
  constructor(help: RunHelp, source: Source<Batch>, stages: readonly Stage<Batch, Batch>[]) {
    this.#help = help;
    this.#source = source;
    this.#stages = stages;
  }

  through<N extends Batch>(stage: Stage<O, N>): Flow<N> {
    // The one place where the chain forgets its types: `through` and `into` have checked that neighbours fit.
    return new Flow<N>(this.#help, this.#source, [...this.#stages, stage as unknown as Stage<Batch, Batch>]);
  }

  /**
   * Runs it: the sink pulls. Resolves to the sink's result after every stage has released what it held. Rejects with a `StageError`
   * (`PLIMSOLL_STAGE_FAILED`) naming the stage, or with the signal's reason, likewise after every stage was closed.
   */
  into<R>(sink: Sink<O, R>): Promise<R> {
    return new FlowRun(this.#help).run(this.#source, this.#stages, sink as unknown as Sink<Batch, R>);
  }
}
