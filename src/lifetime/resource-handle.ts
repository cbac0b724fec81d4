import type { LeakTrace } from '../leak-tracker.ts';
import type { CleanupOutcome } from './cleanup-queue.ts';
import type { ResourceId } from './resource-slots.ts';

/** What a handle asks of its registry. */
export interface HandleKeeper {
  touch(id: ResourceId): boolean;
  hold(id: ResourceId): ResourceHold;
  tryHold(id: ResourceId): ResourceHold | undefined;
  release(id: ResourceId): Promise<CleanupOutcome>;
  take(id: ResourceId): { readonly value: unknown } | undefined;
  has(id: ResourceId): boolean;
}

/** While it is there, nothing but force and shutdown cleans the resource up. Disposing it twice is safe. */
export class ResourceHold implements Disposable {
  #letGo: ((id: ResourceId) => void) | undefined;
  readonly #id: ResourceId;
  readonly #trace: LeakTrace | undefined;

  constructor(
    id: ResourceId,
    letGo: (id: ResourceId) => void,
    track: ((hold: ResourceHold, id: ResourceId) => LeakTrace | undefined) | undefined,
  ) {
    this.#id = id;
    this.#letGo = letGo;
    this.#trace = track?.(this, id);
  }

  [Symbol.dispose](): void {
    const letGo = this.#letGo;
    if (letGo === undefined) return;
    this.#letGo = undefined;
    this.#trace?.close();
    letGo(this.#id);
  }
}

/**
 * One registered resource, seen from outside. A view: letting it go changes nothing, the registry owns the resource. 48 bytes while it is kept; `id` alone does as well.
 */
export class ResourceHandle<T = unknown> implements AsyncDisposable {
  readonly id: ResourceId;
  readonly #keeper: HandleKeeper;
  /** From the leak tracker, when it looks at this one. */
  readonly #trace: LeakTrace | undefined;

  constructor(
    keeper: HandleKeeper,
    id: ResourceId,
    track: ((handle: ResourceHandle) => LeakTrace | undefined) | undefined,
  ) {
    this.#keeper = keeper;
    this.id = id;
    this.#trace = track?.(this);
  }

  /** Whether it is still registered, or on its way out. */
  get registered(): boolean {
    return this.#keeper.has(this.id);
  }

  /** It was used; false when it has left, or is on its way out: do not use it then. */
  touch(): boolean {
    this.#trace?.touch();
    return this.#keeper.touch(this.id);
  }

  /** `using held = handle.hold()`. `PLIMSOLL_DISPOSED` when it has left, or is on its way out. */
  hold(): ResourceHold {
    this.#trace?.touch();
    return this.#keeper.hold(this.id);
  }

  /** The same, or undefined. */
  tryHold(): ResourceHold | undefined {
    this.#trace?.touch();
    return this.#keeper.tryHold(this.id);
  }

  /** Has it cleaned up now, in its turn; held or not. Resolves to how that ended; never rejects. */
  release(): Promise<CleanupOutcome> {
    this.#trace?.close();
    return this.#keeper.release(this.id);
  }

  /** Takes it out, undisposed: it is the caller's. Undefined when it has left, or its disposer has been called already. */
  take(): { readonly value: T } | undefined {
    this.#trace?.close();
    return this.#keeper.take(this.id) as { readonly value: T } | undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}
