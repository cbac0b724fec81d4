import type { Consumer, ConsumerOptions, PressureLevel, ReclaimStrategy } from '../governor/index.ts';
import type { SpillFolder } from '../spill/index.ts';
import { MODE_RANKS, modeAtRank, type PipelineMode, type StageCapabilities } from './pipeline-mode.ts';
import type { StageContext, StageCounts, WorkerSwitch } from './stage.ts';

/** The context of a stage that runs inside another: the same, but that its mode is one of its own. */
export class NativeContext implements StageContext {
  readonly #context: StageContext;
  readonly #can: StageCapabilities;

  constructor(context: StageContext, can: StageCapabilities = {}) {
    this.#context = context;
    this.#can = can;
  }

  get name(): string {
    return this.#context.name;
  }

  get mode(): PipelineMode {
    return modeAtRank(MODE_RANKS[this.#context.mode], this.#can);
  }

  get batchBytes(): number {
    return this.#context.batchBytes;
  }

  get level(): PressureLevel {
    return this.#context.level;
  }

  get spill(): SpillFolder | undefined {
    return this.#context.spill;
  }

  get signal(): AbortSignal {
    return this.#context.signal;
  }

  get memory(): Consumer {
    return this.#context.memory;
  }

  consumer(options: ConsumerOptions): Consumer {
    return this.#context.consumer(options);
  }

  advance(counts: StageCounts): void {
    this.#context.advance(counts);
  }

  cleanUp(strategy: ReclaimStrategy): Promise<void> {
    return this.#context.cleanUp(strategy);
  }

  switched(change: WorkerSwitch): void {
    this.#context.switched(change);
  }
}
