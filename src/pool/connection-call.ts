import type { Clock } from '../clock.ts';
import type { CreateCall, ManagerCall } from './connection-manager.ts';

/** One call of a manager. The signal is made when it is asked for, so that a call that nobody can abort costs two fields. */
export class BoundedCall implements ManagerCall {
  #controller: AbortController | undefined;
  #reason: unknown;
  #over = false;

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#over) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    this.#over = true;
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}

export class BoundedCreate extends BoundedCall implements CreateCall {
  readonly lost: (cause?: unknown) => void;
  lostBecause: unknown;

  constructor(lost: (cause?: unknown) => void) {
    super();
    this.lost = lost;
  }
}

/** How a call that did not answer at once ends: by one of `value` and `failed`; `late` is what came after the time was over. */
export interface CallEnd<T> {
  value(result: T): void;
  failed(cause: unknown): void;
  late?(result: T): void;
}

/** Waits for what a manager promised, `timeoutMs` at most: then the call is aborted with `timeoutError()` and has failed. Never throws. */
export function settleCall<T>(
  clock: Clock,
  timeoutMs: number,
  call: BoundedCall,
  promised: PromiseLike<T>,
  timeoutError: () => Error,
  end: CallEnd<T>,
): void {
  let isOver = false;
  const timer = clock.after(timeoutMs, () => {
    isOver = true;
    const error = timeoutError();
    call.abort(error);
    end.failed(error);
  });
  // Resolving, unlike calling `then`, turns whatever goes wrong in a foreign promise into a rejection.
  new Promise<T>((resolve) => resolve(promised)).then(
    (result) => {
      if (isOver) return end.late?.(result);
      timer[Symbol.dispose]();
      return end.value(result);
    },
    (cause) => {
      if (isOver) return;
      timer[Symbol.dispose]();
      end.failed(cause);
    },
  );
}
