import { catchRejection } from './catch-rejection.ts';
import { describeCause } from './describe-cause.ts';
import { faultEvents } from './events.ts';

/**
 * Stands between a service and what is asked of the governor on its behalf: a fault in there is counted and published (`plimsoll:fault`), and the service
 * goes on as if it had not been asked. About 2 ns a call that succeeds.
 */
export class FailOpen {
  readonly part: string;
  #count = 0;

  /** `part`: as the events name it, such as `adopt images`. */
  constructor(part: string) {
    this.part = part;
  }

  /** Faults so far. */
  get count(): number {
    return this.#count;
  }

  /** What `act` returns, or `otherwise` when it throws. Never throws. */
  run<T>(act: () => T, otherwise: T): T {
    try {
      return act();
    } catch (cause) {
      this.note(cause);
      return otherwise;
    }
  }

  note(cause: unknown): void {
    this.#count++;
    if (faultEvents.heard) faultEvents.publish({ part: this.part, message: describeCause(cause), off: false });
  }

  /** Looks after what a callback of somebody else returned: a promise that rejects is a fault. */
  watch(result: unknown): void {
    catchRejection(result, (cause) => this.note(cause));
  }
}
