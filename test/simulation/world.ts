import { isDeepStrictEqual } from 'node:util';
import {
  createGovernor,
  type Governor,
  type GovernorMode,
  type GovernorOptions,
  MEMORY_KINDS,
  type PressureLevel,
  RECLAIM_STRATEGIES,
  type Reservation,
} from 'plimsoll';
import { Actor, type Holding } from './actor.ts';
import { ENDED, REFUSED } from './documented-ends.ts';
import { levelAfter } from './level-after.ts';
import { Machine } from './machine.ts';
import { Random } from './random.ts';
import type { SimulatedScope } from './simulated-scope.ts';
import { reclaimerOf, TEMPERS, type Temper } from './tempers.ts';
import { settle, VirtualClock } from './virtual-clock.ts';
import { WaitingRoom } from './waiting-room.ts';

const MOST_ACTORS = 14;
const DEEPEST = 3;

/** What an invariant that does not hold is reported as. */
export interface Violation {
  readonly invariant: string;
  readonly detail: string;
}

/** One simulated process: machine, governor, actors; and the second set of books in which everything is noted that ought to be. */
export class World {
  readonly random: Random;
  readonly clock = new VirtualClock();
  readonly machine: Machine;
  readonly governor: Governor;
  readonly mode: GovernorMode;
  readonly maxBypass: number;
  readonly maxWaiters: number;
  readonly reclaimDeadlineMs: number;
  readonly actors: Actor[] = [];
  readonly room: WaitingRoom;
  readonly log: string[] = [];
  readonly counts: Record<string, number> = {};
  verbose = false;
  violation: Violation | undefined;
  ended = false;
  /** Nobody begins anything any more. */
  calm = false;
  /** Trains that were asked for and are under way. */
  trains = 0;
  /** When the level was last `emergency`, as far as is known. */
  emergencyAt = Number.NEGATIVE_INFINITY;
  /** The scope in which things happen at this moment. */
  scope: SimulatedScope | undefined;
  limitBytes: number;
  /** Does something at random; set by who knows all actions. */
  meddle: () => void = () => {};
  readonly #hanging: (() => void)[] = [];
  #allowedBytes: number;
  #names = 0;
  #depth = 0;
  #asking = 0;
  #waitedFor: AbortSignal | undefined;
  #waitedSince = 0;

  constructor(seed: number) {
    const random = (this.random = new Random(seed));
    this.limitBytes = this.#allowedBytes = random.pick([10_000, 100_000, 1_000_000]);
    this.machine = new Machine(this.limitBytes, () => this.governor?.heldBytes ?? 0);
    this.room = new WaitingRoom(this);
    this.mode = random.chance(0.85) ? 'on' : random.pick(['observe', 'off']);
    this.maxBypass = random.pick([0, 1, 4, 16]);
    this.maxWaiters = random.pick([2, 8, 64]);
    this.reclaimDeadlineMs = random.pick([10, 500, 2_000]);
    this.governor = createGovernor(this.#options());
    this.governor.onLevel((to, from) => this.#hearLevel(to, from));
  }

  /** All that is open. */
  get open(): Actor[] {
    return this.actors.filter((actor) => actor.open);
  }

  say(line: string): void {
    if (!this.verbose) return;
    const inside = this.scope === undefined ? '' : `[${this.scope.name}] `;
    this.log.push(`${' '.repeat(this.#depth * 2)}${this.clock.now()}ms ${inside}${line}`);
  }

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  /** Notes the first thing that does not hold. */
  demand(holds: boolean, invariant: string, detail: () => string): void {
    if (holds || this.violation !== undefined) return;
    this.violation = { invariant, detail: detail() };
    this.say(`VIOLATED ${invariant}: ${this.violation.detail}`);
  }

  /** Runs something that may end with one of these codes and in no other way. */
  attempt<T>(what: string, codes: readonly string[], action: () => T): T | undefined {
    try {
      return action();
    } catch (error) {
      this.judge(what, codes, error);
      return undefined;
    }
  }

  /** Code of ours that the governor calls: it may do things that lead to the next call, up to a depth. */
  callback<T>(what: string, action: () => T): T | undefined {
    this.checkLine(what);
    if (this.#depth >= DEEPEST) return undefined;
    this.#depth++;
    try {
      return this.#outside(action);
    } finally {
      this.#depth--;
      this.checkLine(`${what}, at its end`);
    }
  }

  /** The ledger never goes above the line, or, after the line was lowered, never up. */
  checkLine(when: string): void {
    if (this.mode !== 'on') return;
    const { heldBytes } = this.governor;
    this.demand(heldBytes <= this.#allowedBytes, 'never over the limit', () => {
      return `${heldBytes} bytes are held of ${this.#allowedBytes} (${when})`;
    });
    this.#allowedBytes = Math.max(this.limitBytes, Math.min(this.#allowedBytes, heldBytes));
  }

  tune(limitBytes: number): void {
    this.say(`tune limit to ${limitBytes}`);
    this.limitBytes = this.machine.limitBytes = limitBytes;
    this.#allowedBytes = Math.max(limitBytes, this.governor.heldBytes);
    const strategy = this.random.pick(RECLAIM_STRATEGIES);
    this.attempt('tune', [], () => this.governor.tune({ limitBytes, strategy }));
    // Whoever heard of the level may have tuned it once more.
    this.demand(this.governor.limitBytes === this.limitBytes, 'the limit is what it was tuned to', () => {
      return `${this.governor.limitBytes} and not ${this.limitBytes}`;
    });
  }

  enter(): Actor | undefined {
    if (this.open.length >= MOST_ACTORS) return undefined;
    const { random } = this;
    const temper: Temper = random.pick(TEMPERS);
    const parent = random.chance(0.25) && this.open.length > 0 ? random.pick(this.open) : undefined;
    const name = `${temper}-${++this.#names}`;
    const bounded = random.chance(0.5);
    const maxBytes = bounded ? random.whole(0, this.limitBytes) : Number.POSITIVE_INFINITY;
    const fairShare = random.chance(0.15);
    const kind = random.pick(MEMORY_KINDS);
    const factor = random.pick([1, 1, 1, 1.5, 0.5]);
    const actor = new Actor(this.machine, { name, kind, maxBytes, temper, fairShare, parent, factor });
    const reclaimer = reclaimerOf(this, actor);
    const consumer = this.attempt('consumer', ['PLIMSOLL_DISPOSED'], () =>
      this.governor.consumer({
        name,
        kind,
        maxBytes,
        importance: random.whole(-1, 2),
        fairShare,
        ...(parent === undefined ? {} : { parent: parent.consumer }),
        ...(reclaimer === undefined ? {} : { reclaimer }),
      }),
    );
    if (consumer === undefined) return undefined;
    actor.consumer = consumer;
    this.actors.push(actor);
    this.say(
      `${name} enters, a ${kind} consumer of at most ${maxBytes}${parent === undefined ? '' : ` in ${parent.name}`}`,
    );
    return actor;
  }

  leave(actor: Actor): void {
    this.say(`${actor.name} leaves`);
    for (const other of this.actors) if (other.open && other.isWithin(actor)) other.close();
    this.attempt('dispose of a consumer', [], () => actor.consumer[Symbol.dispose]());
    this.checkLine('a consumer was disposed');
  }

  reserve(actor: Actor, bytes: number, verb: 'reserve' | 'tryReserve'): Holding | undefined {
    this.say(`${actor.name} ${verb} ${bytes}`);
    const wasOpen = actor.open && !this.ended;
    const codes = verb === 'reserve' ? REFUSED : ENDED;
    const { scope } = this;
    const reservation = this.attempt<Reservation | undefined>(verb, codes, () => actor.consumer[verb](bytes));
    this.say(`  ${reservation === undefined ? 'refused' : 'granted'}`);
    if (reservation === undefined) return undefined;
    this.count('granted');
    this.demand(wasOpen && actor.open && !this.ended, 'nothing is granted after the end', () => actor.name);
    this.demand(reservation.bytes === bytes, 'what is granted is what was asked for', () => {
      return `${reservation.bytes} instead of ${bytes}`;
    });
    this.demand(
      this.mode !== 'on' || bytes === 0 || scope?.failed !== true,
      'nothing is granted in a scope that was aborted',
      () => `${scope?.name}`,
    );
    const holding = actor.take(reservation, bytes, scope);
    scope?.live?.draw(bytes);
    this.checkLine(verb);
    return holding;
  }

  grow(holding: Holding, bytes: number, verb: 'grow' | 'tryGrow' | 'resize'): void {
    const { owner, scope } = holding;
    this.say(`${owner.name} ${verb} a reservation of ${holding.bytes} by ${bytes}`);
    const codes = verb === 'tryGrow' ? ENDED : REFUSED;
    const before = holding.bytes;
    const done = this.attempt(verb, codes, () => {
      if (verb === 'tryGrow') return holding.reservation.tryGrow(bytes);
      holding.reservation[verb](verb === 'resize' ? before + bytes : bytes);
      return true;
    });
    this.say(`  ${done ? 'granted' : 'refused'}`);
    this.demand(!done || holding.owner === owner, 'what has been moved does not grow', () => owner.name);
    if (!holding.owner.open) return;
    // Others may have changed this very one meanwhile: what was added comes on top of what it is now, and what is refused changes nothing.
    const held = holding.bytes;
    if (done) holding.owner.resize(holding, verb === 'resize' ? before + bytes : held + bytes);
    const { reservation } = holding;
    this.demand(reservation.bytes === holding.bytes, 'it grows by what was asked for, or by nothing', () => {
      return `${owner.name}: ${reservation.bytes} and not ${holding.bytes}`;
    });
    // Added in several parts, which pots may have paid.
    if (verb === 'resize' && held !== before) scope?.live?.blur();
    else if (holding.bytes > held) holding.scope?.live?.draw(holding.bytes - held);
    this.checkLine(verb);
  }

  shrink(holding: Holding, bytes: number): void {
    this.say(`${holding.owner.name} shrinks a reservation of ${holding.bytes} by ${bytes}`);
    holding.owner.resize(holding, holding.bytes - bytes);
    this.attempt('shrink', [], () => holding.reservation.shrink(bytes));
  }

  dispose(holding: Holding): void {
    this.say(`${holding.owner.name} disposes a reservation of ${holding.bytes}`);
    holding.owner.end(holding);
    this.attempt('dispose', [], () => holding.reservation[Symbol.dispose]());
    this.demand(
      holding.reservation.bytes === 0,
      'what is disposed holds nothing',
      () => `${holding.reservation.bytes}`,
    );
  }

  transfer(holding: Holding, to: Actor): void {
    this.say(`${holding.owner.name} transfers ${holding.bytes} to ${to.name}`);
    const done = this.attempt('transfer', REFUSED, () => {
      holding.reservation.transfer(to.consumer);
      return true;
    });
    if (!done) return;
    const { bytes } = holding;
    holding.owner.end(holding);
    holding.owner = to;
    holding.scope = undefined;
    to.holdings.add(holding);
    to.resize(holding, bytes);
  }

  /** Does something inside a scope. */
  within(scope: SimulatedScope, act: () => void): void {
    this.scope = scope;
    try {
      act();
    } finally {
      this.scope = undefined;
    }
  }

  /** One after the other is asked, nobody twice at once, nobody in the middle of a change. */
  asked(actor: Actor, how: 'now' | 'waiting', giveBack: () => number): number {
    this.count(`asked ${how}`);
    this.say(`${actor.name} is asked to give back (${how})`);
    this.demand(this.mode === 'on', 'nobody is asked unless the mode is `on`', () => actor.name);
    this.demand(actor.open, 'who has left is not asked', () => actor.name);
    this.demand(actor.sections.length === 0, 'nobody is asked in a non-reclaimable section', () => actor.name);
    if (how === 'waiting') return this.callback('reclaim', giveBack) ?? 0;
    this.demand(this.#asking === 0, 'no reclaim runs inside another', () => actor.name);
    this.demand(!actor.reclaiming, 'nobody is asked twice at once', () => actor.name);
    this.#asking++;
    try {
      return this.callback('reclaimNow', giveBack) ?? 0;
    } finally {
      this.#asking--;
    }
  }

  async askedToWait(actor: Actor, signal: AbortSignal, giveBack: () => Promise<number>): Promise<number> {
    const before = this.#waitedFor;
    this.demand(before === undefined || before.aborted, 'one train at a time', () => actor.name);
    this.#waitedFor = signal;
    this.#waitedSince = this.clock.now();
    actor.reclaiming = true;
    // By the deadline the governor takes it for over.
    const over = () => {
      actor.reclaiming = false;
      if (this.#waitedFor === signal) this.#waitedFor = undefined;
    };
    signal.addEventListener('abort', over, { once: true });
    try {
      this.asked(actor, 'waiting', () => 0);
      return await this.#outside(giveBack);
    } finally {
      over();
      signal.removeEventListener('abort', over);
    }
  }

  /** How long somebody has been waited for that is asked to give back, and whose time has not been declared over, ms. */
  get waitedForMs(): number {
    const { firedUntil } = this.clock;
    return this.#waitedFor === undefined || this.#waitedFor.aborted ? 0 : firedUntil - this.#waitedSince;
  }

  /** What the greedy do in the middle of giving back: their own reservations are refused then, those of others are not. */
  reserveInside(actor: Actor): void {
    if (this.calm) return;
    const bytes = this.random.whole(1, this.limitBytes);
    if (this.random.chance(0.5)) {
      // After the deadline of an asynchronous reclaim it is over for the governor.
      const over = this.#asking === 0 && !actor.reclaiming;
      const holding = this.reserve(actor, bytes, 'tryReserve');
      this.demand(over || holding === undefined, 'who is being reclaimed is refused', () => actor.name);
    } else if (this.open.length > 0) {
      const other = this.random.pick(this.open);
      if (this.random.chance(0.7)) this.reserve(other, bytes, 'tryReserve');
      else this.room.admit(other, bytes, 1_000);
    }
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.later(ms, resolve));
  }

  /** Until some time after the deadline. */
  untilLate(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => this.clock.later(this.random.whole(0, 100), resolve), { once: true });
    });
  }

  /** Settles when all is over, or not at all. */
  never<T>(): Promise<T> {
    return new Promise((resolve) => this.#hanging.push(() => resolve(0 as T)));
  }

  /** Those that hang settle after all. */
  letGo(): void {
    for (const resolve of this.#hanging.splice(0)) resolve();
  }

  end(): void {
    this.say('the governor is disposed');
    this.ended = true;
    this.attempt('dispose of the governor', [], () => this.governor[Symbol.dispose]());
  }

  settle(): Promise<void> {
    return settle();
  }

  /** What code of others does in the middle of a request is none of the scope that asked. */
  #outside<T>(action: () => T): T {
    const { scope } = this;
    this.scope = undefined;
    try {
      return action();
    } finally {
      this.scope = scope;
    }
  }

  /** The meter that decided says so. */
  #hearLevel(to: PressureLevel, from: PressureLevel): void {
    const { meters, decidingMeter } = this.governor.snapshot();
    const row = meters.find(({ name }) => name === decidingMeter);
    const ratio = row === undefined ? 0 : (row.bytes - row.reusableBytes) / row.limitBytes;
    this.demand(row === undefined || row.ratio < 0.95 || row.reusableBytes === 0, 'at the line all counts', String);
    const expected = levelAfter(from, ratio);
    this.demand(
      to === expected,
      'the level follows the thresholds',
      () => `${to}, not ${expected}, at ${ratio} after ${from}`,
    );
    if (to === 'emergency' || from === 'emergency') this.emergencyAt = this.clock.now();
    this.callback('level listener', () => this.random.chance(0.3) && this.meddle());
  }

  /** The code with which something ended; any other end is a violation. */
  judge(what: string, codes: readonly string[], error: unknown): string {
    const code = error === ABORTED ? 'ABORTED' : String((error as { code?: unknown } | undefined)?.code);
    this.demand(codes.includes(code), 'nothing is thrown but documented codes', () => {
      return `${what}: ${error instanceof Error ? error.stack : String(error)}`;
    });
    this.count(code);
    return code;
  }

  #options(): GovernorOptions {
    const { random } = this;
    return {
      limitBytes: this.limitBytes,
      runtimeBytes: this.machine.baselineBytes,
      clock: this.clock,
      meters: this.machine.meters,
      mode: this.mode,
      root: '/nowhere',
      sampleEveryBytes: random.pick([1, 1_000, 100_000]),
      reclaimNowBudgetMs: random.pick([1, 5, 50]),
      reclaimDeadlineMs: this.reclaimDeadlineMs,
      maxWaiters: this.maxWaiters,
      maxBypass: this.maxBypass,
      maxConsumers: 32,
      collect: (type) => {
        this.clock.pass(this.random.whole(0, 30));
        this.machine.collect(type);
      },
      trim: false,
      terminationLog: false,
      strategy: random.pick(RECLAIM_STRATEGIES),
      journal: random.pick(['brief', 'detailed']),
      coolDownMs: random.pick([10, 1_000]),
      headroomShare: random.pick([0, 0.1, 0.5]),
      shed: { 'point-0': { level: 'high' }, 'point-1': { from: 0.5, to: 0.9 } },
      breaker: { afterMs: random.pick([100, 5_000]), openMs: 500 },
    };
  }
}

/** What the simulation aborts with. */
export const ABORTED = new Error('aborted by the simulation');

/** JSON and back gives the same. */
export function survivesJson(value: unknown): boolean {
  return isDeepStrictEqual(JSON.parse(JSON.stringify(value)), value);
}
