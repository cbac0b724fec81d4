import { type Clock, systemClock } from '../clock.ts';
import { FailOpen } from '../fail-open.ts';
import { checkGovernor, type Governor, type ShedRule } from '../governor/index.ts';
import { checkName, copyOptions, withoutUndefined } from '../invalid-option.ts';
import { type Call, type CallMatch, matchCalls } from './call-match.ts';
import { REFUSAL_DEFAULTS, type Refusal, type RefusalOptions, Refusals } from './refusals.ts';
import { RequestScopes, type ScopeForRequest, type ScopeLife } from './request-scopes.ts';

/** How calls are turned away, and what each that is let in may hold. */
export interface ShedPolicyOptions extends RefusalOptions {
  /** The load-shed point that is asked for each call. Default `http.accept`; without a rule of its own it turns away from `critical` on. */
  readonly point?: string;
  /** Never turned away. Default `/health`, `/healthz`, `/livez` and `/readyz`: a replica that does not answer there is taken for dead and started anew. */
  readonly exempt?: CallMatch;
  /** Turned away before all others, at the point `firstPoint`. Default none. */
  readonly firstToGo?: CallMatch;
  /** Default `http.first`. */
  readonly firstPoint?: string;
  /** The rule of `firstPoint`, set where the governor has none for it. Default `{ level: 'high' }`. */
  readonly firstRule?: ShedRule;
  /** What the reservations of one request may hold, from its handler to the end of its response. Default: requests have no scopes. */
  readonly scope?: ScopeForRequest;
  readonly clock?: Clock;
}

export const SHED_POLICY_DEFAULTS = {
  ...REFUSAL_DEFAULTS,
  point: 'http.accept',
  exempt: ['/health', '/healthz', '/livez', '/readyz'] as readonly string[],
  firstToGo: [] as readonly string[],
  firstPoint: 'http.first',
  firstRule: { level: 'high' } as ShedRule,
} as const;

/** The names of the options, for adapters that take some of their own. */
export const SHED_POLICY_OPTIONS: readonly string[] = [
  ...Object.keys(SHED_POLICY_DEFAULTS),
  'scope',
  'random',
  'clock',
];

/**
 * Says for each call whether it is turned away, by the governor's load-shed points, and keeps the scopes of those that are let in: what `withLine`,
 * `lineServer`, `expressLine`, `fastifyLine` and `honoLine` have in common, and what an adapter for another framework is made of. Holds nothing for a call
 * that it turns away. Nothing throws after the constructor: with a governor that is broken all are let in.
 * @example
 * import { ShedPolicy } from 'plimsoll/http';
 * const policy = new ShedPolicy(governor, { firstToGo: ['/report/*'] });
 * const refusal = policy.decide({ method: 'GET', path: '/report/7' });
 * if (refusal !== undefined) return new Response(refusal.body, refusal);
 */
export class ShedPolicy {
  readonly clock: Clock;
  /** What went wrong in the governor, or in a function that was given as an option, and was passed over. */
  readonly faults = new FailOpen('http');
  readonly #governor: Governor;
  readonly #point: string;
  readonly #firstPoint: string;
  readonly #isExempt: (call: Call) => boolean;
  readonly #isFirst: (call: Call) => boolean;
  readonly #refusals: Refusals;
  readonly #scopes: RequestScopes | undefined;

  /** Throws `RangeError` for unsound options. */
  constructor(governor: Governor, options: ShedPolicyOptions = {}) {
    checkGovernor(governor);
    const { point, firstPoint, firstRule, exempt, firstToGo, scope, clock, ...answer } = resolve(options);
    this.#governor = governor;
    this.clock = clock ?? systemClock;
    this.#point = checkName(point);
    this.#firstPoint = checkName(firstPoint);
    this.#isExempt = matchCalls('exempt', exempt);
    this.#isFirst = matchCalls('firstToGo', firstToGo);
    this.#refusals = new Refusals(answer, this.faults);
    if (scope !== undefined)
      this.#scopes = new RequestScopes({ governor, scope, faults: this.faults, refusals: this.#refusals });
    this.#setFirstRule(firstRule);
  }

  /** Whether requests have scopes. */
  get hasScopes(): boolean {
    return this.#scopes !== undefined;
  }

  /**
   * The answer for a call that is turned away, undefined for one that is let in. To be asked once for each. `path` may have its query. `mark` is what is known
   * of the call already: it goes before the lists. 20 to 50 ns for one that is let in, with next to no garbage.
   */
  decide(call: Call, mark?: 'exempt' | 'first'): Refusal | undefined {
    // No `run` with a function, which would have to be made for each call.
    try {
      if (mark === 'exempt') return undefined;
      let point = this.#point;
      if (mark === 'first') point = this.#firstPoint;
      else {
        const bare = withoutQuery(call);
        if (this.#isExempt(bare)) return undefined;
        if (this.#isFirst(bare)) point = this.#firstPoint;
      }
      return this.#governor.shouldShed(point) ? this.#refusals.next() : undefined;
    } catch (cause) {
      this.faults.note(cause);
      return undefined;
    }
  }

  /**
   * Runs the handler of a call that was let in: where requests have scopes in one that lasts until its response has ended, otherwise just so. What
   * `life.work` throws is thrown as it would be without.
   */
  span(call: Call, life: ScopeLife): void {
    if (this.#scopes === undefined) life.work(undefined);
    else this.#scopes.run(call, life);
  }

  /** Where the point has a rule of its own it stays. */
  #setFirstRule(rule: ShedRule): void {
    const name = this.#firstPoint;
    if (this.faults.run(() => this.#governor.snapshot().shed.some(({ point }) => point === name), false)) return;
    try {
      this.#governor.tune({ shed: { [name]: rule } });
    } catch (cause) {
      if (cause instanceof RangeError) throw cause;
      this.faults.note(cause);
    }
  }
}

function resolve(options: ShedPolicyOptions) {
  const given = copyOptions('ShedPolicy', options, SHED_POLICY_OPTIONS);
  return { ...SHED_POLICY_DEFAULTS, ...withoutUndefined(given) };
}

function withoutQuery(call: Call): Call {
  const { path } = call;
  const end = path.indexOf('?');
  return end < 0 ? call : { ...call, path: path.slice(0, end) };
}
