import type { FailOpen } from '../fail-open.ts';
import type { ReclaimStrategy } from '../governor/index.ts';
import type { BetweenStages } from './between-stages.ts';
import type { StageObserver } from './stage-observer.ts';

export interface CleanupCallsOptions {
  readonly failOpen: FailOpen;
  readonly signal: AbortSignal;
  readonly observer: StageObserver;
}

/** The line of the report that has the time in which everybody waited for cleanup. */
const LINE = 'Cleanup';

/** Between a pipeline and the one who cleans up for it: what that throws or rejects with is a fault that is counted, and the pipeline goes on. */
export class CleanupCalls {
  readonly #cleanup: BetweenStages;
  readonly #options: CleanupCallsOptions;
  #underWay: Promise<void> | undefined;

  constructor(cleanup: BetweenStages, options: CleanupCallsOptions) {
    this.#cleanup = cleanup;
    this.#options = options;
  }

  /** After each sample that is charged to a stage; what it begins is waited for by who can. Never throws. */
  whileRunning(stage: string): void {
    const { failOpen, signal } = this.#options;
    const begun = failOpen.run(() => this.#cleanup.whileRunning(stage, signal), undefined);
    if (begun === undefined) return;
    if (this.#underWay !== undefined) {
      failOpen.watch(begun);
      return;
    }
    this.#underWay = this.#contain(() => begun).finally(() => {
      this.#underWay = undefined;
    });
  }

  /** For who stands between two batches: undefined when there is nothing to wait for. Never rejects. */
  underWay(): Promise<void> | undefined {
    const underWay = this.#underWay;
    return underWay && this.#onItsLine(() => underWay);
  }

  /** Waited for before anything else begins. Undefined when there is nothing to do. Never rejects. */
  stageEnded(stage: string): Promise<void> | undefined {
    const { failOpen, signal } = this.#options;
    const begun = failOpen.run(() => this.#cleanup.stageEnded(stage, signal), undefined);
    return begun && this.#onItsLine(() => this.#contain(() => begun));
  }

  /** Never rejects. */
  cleanUp(stage: string, strategy: ReclaimStrategy): Promise<void> {
    const begin = () => this.#cleanup.cleanupWanted(stage, strategy, this.#options.signal);
    return this.#onItsLine(() => this.#contain(begin));
  }

  async #onItsLine(wait: () => Promise<void>): Promise<void> {
    const { observer } = this.#options;
    const record = observer.record(LINE);
    observer.enter(record);
    try {
      await wait();
    } finally {
      observer.leave(record, true);
    }
  }

  /** Until it is over or the pipeline is aborted. Never rejects. */
  async #contain(begin: () => Promise<void>): Promise<void> {
    const { failOpen, signal } = this.#options;
    let stop = () => {};
    try {
      const aborted = new Promise<void>((resolve) => {
        stop = () => resolve();
        signal.addEventListener('abort', stop, { once: true });
        if (signal.aborted) resolve();
      });
      await Promise.race([begin(), aborted]);
    } catch (cause) {
      failOpen.note(cause);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }
}
