import type { Reservation } from 'plimsoll';
import { Actor } from './actor.ts';
import { NOT_ADMITTED, SCOPE_ENDS } from './documented-ends.ts';
import { type RunInScope, SimulatedScope } from './simulated-scope.ts';
import type { World } from './world.ts';

/** Somebody in the queue. */
export interface Waiting {
  readonly actor: Actor;
  readonly bytes: number;
  /** Numbers of the beginning and of the end of the call, and the time then: what others do inside the call may come before it or after. */
  readonly began: number;
  readonly beganAt: number;
  called: number;
  since: number;
  readonly timeoutMs: number;
  readonly abort: AbortController;
  readonly scope: SimulatedScope | undefined;
  /** Grants to others that came later, in its first second. */
  passed: number;
  outcome: string | undefined;
  /** Since when there has been room for it, standing first, as far as checks saw. */
  fitsSince: number;
}

const POTS = {
  name: 'scopes',
  kind: 'heap',
  maxBytes: Number.POSITIVE_INFINITY,
  temper: 'none',
  fairShare: false,
  factor: 1,
} as const;
const MOST_SCOPES = 6;
/** One that the books would let in and the machine would not keeps others back for so long at a time; when that is, is not seen from here. */
const FENCE_MS = 1_000;
const NOBODY = { called: 0, since: 0, passed: 0, outcome: undefined, fitsSince: Number.POSITIVE_INFINITY };

/** Those that wait for room, and the scopes, which wait for what they declare. */
export class WaitingRoom {
  readonly waiting = new Set<Waiting>();
  readonly scopes = new Set<SimulatedScope>();
  /** Stands for the governor's own consumer of what scopes declare up front. */
  readonly pots: Actor;
  readonly #world: World;
  #orders = 0;
  #names = 0;

  constructor(world: World) {
    this.#world = world;
    this.pots = new Actor(world.machine, { ...POTS, parent: undefined });
  }

  admit(actor: Actor, bytes: number, timeoutMs: number): Waiting {
    this.#world.say(`${actor.name} admit ${bytes} within ${timeoutMs}ms`);
    const abort = new AbortController();
    const began = this.#orders++;
    const { scope } = this.#world;
    const beganAt = this.#world.clock.now();
    const one: Waiting = { ...NOBODY, actor, bytes, began, beganAt, timeoutMs, abort, scope };
    const admitted = this.#world.attempt('admit', [], () =>
      actor.consumer.admit(bytes, { timeoutMs, signal: abort.signal }),
    );
    this.#called(one);
    admitted?.then(
      (reservation) => this.#admitted(one, reservation),
      (error) => {
        this.waiting.delete(one);
        one.outcome = this.#world.judge('admit', NOT_ADMITTED, error);
        if (!actor.open) scope?.live?.blur();
        this.#world.say(`${actor.name} is not admitted: ${one.outcome}`);
      },
    );
    return one;
  }

  /** Opens a scope, in the current one if there is one; what it declares is waited for. */
  openScope(upFrontBytes: number, maxBytes: number, timeoutMs: number): void {
    const { governor } = this.#world;
    const run = (governor as unknown as { readonly scope?: RunInScope }).scope?.bind(governor);
    if (run === undefined || this.scopes.size >= MOST_SCOPES) return;
    const scope = new SimulatedScope(`scope-${++this.#names}`, maxBytes, this.#world.scope);
    this.#world.say(
      `${scope.name} begins${scope.outer === undefined ? '' : ` in ${scope.outer.name}`}, with ${upFrontBytes} of ${maxBytes}`,
    );
    const { abort, name } = scope;
    const [began, actor] = [this.#orders++, this.pots];
    const beganAt = this.#world.clock.now();
    const one: Waiting = { ...NOBODY, actor, bytes: upFrontBytes, began, beganAt, timeoutMs, abort, scope };
    this.scopes.add(scope);
    const running = this.#world.attempt('scope', [], () =>
      run({ name, maxBytes, upFrontBytes, timeoutMs, signal: abort.signal }, async (given) => {
        this.waiting.delete(one);
        one.outcome = 'granted';
        if (scope.outer === undefined) this.#notePassed(one);
        this.#world.count('scopes');
        await scope.work(this.#world, given, upFrontBytes);
      }),
    );
    if (upFrontBytes > 0) this.#called(one);
    const end = (how: string) => {
      this.waiting.delete(one);
      // It may have been granted what it declares, which the pots around it paid, and aborted before its work began.
      if (scope.scope === undefined) scope.outer?.live?.blur();
      one.outcome ??= how;
      scope.ended = true;
      this.scopes.delete(scope);
      this.#world.say(`${name} has ended: ${how}`);
    };
    running?.then(
      () => end('done'),
      (error) => end(this.#world.judge('scope', SCOPE_ENDS, error)),
    );
  }

  #admitted(one: Waiting, reservation: Reservation): void {
    const { actor, bytes } = one;
    this.#world.count('admitted');
    this.waiting.delete(one);
    one.outcome = 'granted';
    this.#world.say(`${actor.name} is admitted with ${bytes}`);
    const expected = actor.open ? bytes : 0;
    this.#world.demand(reservation.bytes === expected, 'what is granted is what was asked for', () => {
      return `${reservation.bytes} instead of ${expected}`;
    });
    actor.take(reservation, bytes, one.scope?.live);
    // Aborted since it was granted: whose pot has paid is not known.
    if (one.scope?.failed) one.scope.live?.blur();
    else one.scope?.live?.draw(bytes);
    this.#notePassed(one);
    this.#world.checkLine('admit');
  }

  /** A call that may wait has come back: now it has its place. */
  #called(one: Waiting): void {
    one.called = this.#orders++;
    one.since = this.#world.clock.now();
    this.waiting.add(one);
  }

  /** Nothing passes nobody, and what was declared in a scope is not taken from those who wait. */
  #notePassed(one: Waiting): void {
    if (one.bytes === 0 || (one.scope !== undefined && one.actor !== this.pots)) return;
    const now = this.#world.clock.now();
    for (const other of this.waiting) {
      if (other.called < one.began && other.actor.open && now - other.beganAt < FENCE_MS) other.passed++;
    }
  }
}
