/**
 * One governor's scope for each request. A scope lasts as long as the function that it runs, and a request ends long after its handler has returned: so
 * what is run here begins the handler, and then waits for the end of the response.
 *
 * The handler is called once, whatever becomes of the scope: only a governor that says no (it is full, the wait was too long) keeps it from being called.
 */
import { LONGEST_MS } from '../clock.ts';
import type { FailOpen } from '../fail-open.ts';
import { type Governor, isGovernorRefusal, type Scope } from '../governor/index.ts';
import { checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import type { Call } from './call-match.ts';
import type { Refusal, Refusals } from './refusals.ts';

/** What the reservations of one request may hold together. */
export interface RequestScopeOptions {
  /** As snapshots and errors name it, at most 120 characters. Default the method and the first part of the path, in Fastify the route. */
  readonly name?: string;
  /** Bytes, 0 up; `Infinity` means "up to the line". */
  readonly maxBytes: number;
  /** Waited for before the handler is called, bytes. Default 0. */
  readonly upFrontBytes?: number;
  /** The most to wait for them, ms. Default 5,000: who waits longer has mostly gone. */
  readonly timeoutMs?: number;
}

/** The same for all, or by the call; undefined for a call that has none. */
export type ScopeForRequest = RequestScopeOptions | ((call: Call) => RequestScopeOptions | undefined);

/** One request as its scope sees it. */
export interface ScopeLife {
  /** Calls the handler. Called once, unless `refuse` is. */
  readonly work: (scope: Scope | undefined) => void;
  /** Registers what is to be called at the end of the response, however it ends. */
  readonly until: (end: () => void) => void;
  /** Answers a request that is not let in after all. */
  readonly refuse: (refusal: Refusal) => void;
  /** The scope was aborted for want of memory while the handler was at work. */
  readonly abort: (refusal: Refusal) => void;
}

const DEFAULT_TIMEOUT_MS = 5_000;
const LONGEST_NAME = 120;
const LONGEST_PART = 60;

export interface RequestScopesOptions {
  readonly governor: Governor;
  readonly scope: ScopeForRequest;
  readonly refusals: Refusals;
  readonly faults: FailOpen;
}

export class RequestScopes {
  readonly #options: RequestScopesOptions;

  /** Throws `RangeError` for an unsound scope; one that a function returns is a fault. */
  constructor(options: RequestScopesOptions) {
    const { scope } = options;
    this.#options = { ...options, scope: typeof scope === 'function' ? scope : checkScope(scope) };
  }

  /** Calls the handler in a scope of its own. Throws what it throws. */
  run(call: Call, life: ScopeLife): void {
    const scope = this.#scopeFor(call);
    if (scope === undefined) life.work(undefined);
    else new RequestRun(this.#options, life).begin(scope);
  }

  #scopeFor(call: Call): NamedScope | undefined {
    const { scope, faults } = this.#options;
    try {
      const options = typeof scope === 'function' ? scope(call) : scope;
      if (options === undefined) return undefined;
      return { timeoutMs: DEFAULT_TIMEOUT_MS, ...options, name: options.name ?? nameOf(call) };
    } catch (cause) {
      faults.note(cause);
      return undefined;
    }
  }
}

type NamedScope = RequestScopeOptions & { readonly name: string };

/** One request. */
class RequestRun {
  readonly #options: RequestScopesOptions;
  readonly #life: ScopeLife;
  /** The handler has been called, or the request refused. */
  #begun = false;
  /** The response has ended. */
  #ended = false;
  #end: (() => void) | undefined;
  #thrown: { readonly cause: unknown } | undefined;
  /** `begin` has returned. */
  #isLate = false;
  #gone: AbortController | undefined;

  constructor(options: RequestScopesOptions, life: ScopeLife) {
    this.#options = options;
    this.#life = life;
  }

  begin(options: NamedScope): void {
    this.#life.until(() => this.#finish());
    if (this.#ended) {
      this.#life.work(undefined);
      return;
    }
    // Only one that waits can lose its client before it begins.
    if ((options.upFrontBytes ?? 0) > 0) this.#gone = new AbortController();
    const signal = this.#gone?.signal;
    let outcome: Promise<void> | undefined;
    try {
      const scoped = signal === undefined ? options : { ...options, signal };
      outcome = this.#options.governor.scope(scoped, (scope) => this.#work(scope));
    } catch (cause) {
      this.#fail(cause);
    }
    outcome?.then(undefined, (cause) => this.#fail(cause));
    this.#isLate = true;
    const thrown = this.#thrown;
    this.#thrown = undefined;
    if (thrown !== undefined) throw thrown.cause;
  }

  #work(scope: Scope | undefined): Promise<void> | undefined {
    if (this.#begun || this.#ended) return undefined;
    this.#begun = true;
    if (scope !== undefined) {
      this.#options.faults.run(
        () => scope.signal.addEventListener('abort', () => this.#abort(), { once: true }),
        undefined,
      );
    }
    try {
      this.#life.work(scope);
    } catch (cause) {
      this.#throw(cause);
    }
    if (this.#ended) return undefined;
    return new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** What the handler throws goes where it would have gone: to whoever called, or, when that has returned, to the process. */
  #throw(cause: unknown): void {
    if (!this.#isLate) {
      this.#thrown = { cause };
      return;
    }
    process.nextTick(() => {
      throw cause;
    });
  }

  #abort(): void {
    if (!this.#ended) this.#options.faults.run(() => this.#life.abort(this.#options.refusals.next()), undefined);
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#end?.();
    if (!this.#begun) this.#gone?.abort();
  }

  #fail(cause: unknown): void {
    // A client that has gone is owed nothing.
    if (this.#ended && !this.#begun) return;
    if (!this.#begun && isGovernorRefusal(cause)) this.#refuse();
    else {
      this.#options.faults.note(cause);
      this.#work(undefined);
    }
  }

  #refuse(): void {
    this.#begun = true;
    this.#options.faults.run(() => this.#life.refuse(this.#options.refusals.next()), undefined);
  }
}

function checkScope(given: RequestScopeOptions): RequestScopeOptions {
  const options = copyOptions('scope', given, ['name', 'maxBytes', 'upFrontBytes', 'timeoutMs']);
  const { name, maxBytes, upFrontBytes, timeoutMs } = options;
  if (name !== undefined && (typeof name !== 'string' || name === '' || name.length > LONGEST_NAME)) {
    throw invalidOption('scope.name', `a name of at most ${LONGEST_NAME} characters`, name);
  }
  if (maxBytes !== Number.POSITIVE_INFINITY) checkWhole('scope.maxBytes', maxBytes, 0);
  const most = Math.min(maxBytes, Number.MAX_SAFE_INTEGER);
  if (upFrontBytes !== undefined) checkWhole('scope.upFrontBytes', upFrontBytes, 0, most);
  if (timeoutMs !== undefined) checkWhole('scope.timeoutMs', timeoutMs, 0, LONGEST_MS);
  return options;
}

/** `GET /report/*` for `/report/7?a=b`: what follows the first part of a path is often a key, and there are many. */
function nameOf({ method, path, route }: Call): string {
  if (route !== undefined && route !== '') return `${method} ${route}`.slice(0, LONGEST_NAME);
  const query = path.indexOf('?');
  const slash = path.indexOf('/', 1);
  const isLonger = slash > 0 && (query < 0 || slash < query);
  const first = isLonger ? path.slice(0, slash) : query < 0 ? path : path.slice(0, query);
  return `${method.slice(0, 20)} ${first.slice(0, LONGEST_PART)}${isLonger ? '/*' : ''}`;
}
