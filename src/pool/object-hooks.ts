import { catchRejection, isThenable } from '../catch-rejection.ts';
import { describeCause } from '../describe-cause.ts';
import type { HolderHealth } from '../governor/index.ts';
import { CreateFailedError } from './pool-errors.ts';

/** What an `ObjectPool` is told about its objects. All of it is synchronous: what returns a promise has failed. */
export interface ObjectLifecycle<T extends object> {
  /** Makes one; a new one at each call. */
  readonly create: () => T;
  /** Called when one comes back: takes out whatever the borrower left in it. When it throws, the object is not used again. Default: nothing is done. */
  readonly reset?: (value: T) => void;
  /** Called before one is lent again: false, or what it throws, and the object is not used again. Default: all are good. */
  readonly validate?: (value: T) => boolean;
  /** Called when the pool lets one go; what it throws is counted. Default: nothing is done. */
  readonly destroy?: (value: T) => void;
}

/** Calls that failed, by name. */
export interface HookFailures {
  readonly create: number;
  readonly reset: number;
  readonly validate: number;
  readonly destroy: number;
}

type Hook = keyof HookFailures;

const BIT: Readonly<Record<Hook, number>> = { create: 1, reset: 2, validate: 4, destroy: 8 };
const ASYNC = 'it returned a promise';

/** The user's functions, held in: none of what they throw gets out, but for what `create` does, as `PLIMSOLL_CREATE_FAILED`. */
export class ObjectHooks<T extends object> {
  readonly #pool: string;
  readonly #create: () => T;
  readonly #reset: ((value: T) => void) | undefined;
  readonly #validate: ((value: T) => boolean) | undefined;
  readonly #destroy: ((value: T) => void) | undefined;
  readonly #failures = { create: 0, reset: 0, validate: 0, destroy: 0 };
  /** Bits of those whose last call failed. */
  #failing = 0;
  #why = '';

  constructor(pool: string, { create, reset, validate, destroy }: ObjectLifecycle<T>) {
    this.#pool = pool;
    this.#create = create;
    this.#reset = reset;
    this.#validate = validate;
    this.#destroy = destroy;
  }

  get failures(): HookFailures {
    return { ...this.#failures };
  }

  /** `failing` when the last `create` failed, `degraded` when the last call of another did. */
  get health(): { readonly health: HolderHealth; readonly why?: string } {
    if (this.#failing === 0) return { health: 'ok' };
    return { health: (this.#failing & BIT.create) === 0 ? 'degraded' : 'failing', why: this.#why };
  }

  /** Throws `CreateFailedError`. */
  create(): T {
    let value: T;
    try {
      const create = this.#create;
      value = create();
    } catch (cause) {
      throw this.createFailed(describeCause(cause), cause);
    }
    if (typeof value !== 'object' && typeof value !== 'function') throw this.createFailed('`create` gave no object');
    if (value === null) throw this.createFailed('`create` gave null');
    if (isPromise(value)) {
      catchRejection(value, () => {});
      throw this.createFailed(`\`create\`: ${ASYNC}`);
    }
    if (this.#failing !== 0) this.#well('create');
    return value;
  }

  createFailed(why: string, cause?: unknown): CreateFailedError {
    this.#note('create', why);
    return new CreateFailedError(this.#pool, why, cause);
  }

  /** Whether it is as new. */
  reset(value: T): boolean {
    const reset = this.#reset;
    return reset === undefined || this.#run('reset', reset, value) !== FAILED;
  }

  /** Whether it may be lent. */
  isValid(value: T): boolean {
    const validate = this.#validate;
    return validate === undefined || this.#run('validate', validate, value) === true;
  }

  destroy(value: T): void {
    const destroy = this.#destroy;
    if (destroy !== undefined) this.#run('destroy', destroy, value);
  }

  #run(hook: Hook, act: (value: T) => unknown, value: T): unknown {
    let result: unknown;
    try {
      result = act(value);
    } catch (cause) {
      this.#note(hook, describeCause(cause));
      return FAILED;
    }
    if (typeof result === 'object' && result !== null && isPromise(result)) {
      catchRejection(result, () => {});
      this.#note(hook, ASYNC);
      return FAILED;
    }
    if (this.#failing !== 0) this.#well(hook);
    return result;
  }

  #note(hook: Hook, why: string): void {
    this.#failures[hook]++;
    this.#failing |= BIT[hook];
    this.#why = `${hook}: ${why}`;
  }

  #well(hook: Hook): void {
    this.#failing &= ~BIT[hook];
  }
}

const FAILED = Symbol('failed');

/** Anything with a `then`; looking at it may throw. */
function isPromise(result: object): boolean {
  try {
    return isThenable(result);
  } catch {
    return true;
  }
}
