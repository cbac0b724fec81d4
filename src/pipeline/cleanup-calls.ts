import type { FailOpen } from '../fail-open.ts';
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

  constructor(cleanup: BetweenStages, options: CleanupCallsOptions) {
    this.#cleanup = cleanup;
    this.#options = options;
  }

  /** After each sample that is charged to a stage. */
  whileRunning(stage: string): void {
    this.#options.failOpen.run(() => this.#cleanup.whileRunning(stage), undefined);
  }

  /** Waited for before the next batch is asked for, until the pipeline is aborted. Never rejects. */
  async stageEnded(stage: string): Promise<void> {
    const { failOpen, signal, observer } = this.#options;
    const record = observer.record(LINE);
    observer.enter(record);
    let stop = () => {};
    try {
      const aborted = new Promise<void>((resolve) => {
        stop = () => resolve();
        signal.addEventListener('abort', stop, { once: true });
        if (signal.aborted) resolve();
      });
      await Promise.race([this.#cleanup.stageEnded(stage), aborted]);
    } catch (cause) {
      failOpen.note(cause);
    } finally {
      signal.removeEventListener('abort', stop);
      observer.leave(record, true);
    }
  }
}
