/** Random interleavings of everything that a registry can be asked for, with disposers that do all that disposers do; after each step the whole is looked at. */
import fc from 'fast-check';
import { createGovernor, ManualClock } from 'plimsoll';
import { type ResourceHandle, type ResourceHold, ResourceRegistry } from 'plimsoll/lifetime';
import { describe, expect, it } from 'vitest';
import { catchReclaimers } from '../adopt/catch-reclaimers.ts';
import { byHand, settle } from './settle.ts';

const MANNERS = [
  'ends',
  'resolves',
  'rejects',
  'throws',
  'throws once',
  'hangs',
  'ends late',
  'releases',
  'registers',
  'drains',
] as const;
type Manner = (typeof MANNERS)[number];
const MOMENT_LATER = new Set<Manner>(['resolves', 'ends late']);
const PRIORITIES = ['low', 'normal', 'high', 'critical'] as const;
const MAX_COUNT = 6;
const MAX_BYTES = 100;
const TIMEOUT_MS = 50;

interface Thing {
  readonly name: string;
  readonly bytes: number;
  readonly manner: Manner;
  handle: ResourceHandle<Thing> | undefined;
  holds: ResourceHold[];
  calls: number;
  /** Attempts that ended well, and whether one is at work. */
  good: number;
  atWork: number;
  taken: boolean;
  /** It was released, or cleaned up by force: holding it does not help. */
  mayGo: boolean;
  reported: string | undefined;
}

type Step = readonly [string, number, number, number];

class Play {
  readonly clock = new ManualClock();
  readonly things: Thing[] = [];
  readonly late: { resolve(): void; thing: Thing }[] = [];
  readonly drains: Promise<{ count: number }>[] = [];
  readonly registry: ResourceRegistry;
  readonly governor = createGovernor({ limitBytes: 1e6, runtimeBytes: 0, meters: [], mode: 'on', clock: this.clock });
  readonly reclaimer;

  constructor() {
    const { governor, reclaimers } = catchReclaimers(this.governor);
    this.registry = new ResourceRegistry({
      name: 'things',
      maxCount: MAX_COUNT,
      maxBytes: MAX_BYTES,
      governor,
      clock: this.clock,
      concurrency: 2,
      timeoutMs: TIMEOUT_MS,
      maxAttempts: 2,
      backOffMs: 10,
      idleMs: 200,
      sweepEveryMs: 40,
      agingMs: 20,
      maxFailures: 3,
      onCleanupFailed: ({ resource, outcome }) => {
        const thing = this.things.find(({ name }) => name === resource)!;
        expect(thing.reported, `${resource} is reported once`).toBeUndefined();
        thing.reported = outcome;
      },
    });
    this.reclaimer = reclaimers.get('things')!;
  }

  register(manner: Manner, bytes: number, priority: number): void {
    const thing: Thing = {
      name: `${this.things.length}`,
      bytes,
      manner,
      handle: undefined,
      holds: [],
      calls: 0,
      good: 0,
      atWork: 0,
      taken: false,
      mayGo: false,
      reported: undefined,
    };
    const options = { name: thing.name, bytes, value: thing, sync: manner === 'ends' || manner === 'throws' };
    this.things.push(thing);
    const dispose = (value: Thing) => this.#dispose(value);
    thing.handle = this.registry.tryRegister({ ...options, priority: PRIORITIES[priority]!, dispose });
    if (thing.handle === undefined) this.things.splice(this.things.indexOf(thing), 1, { ...thing, taken: true });
  }

  #dispose(thing: Thing): unknown {
    expect(thing.taken, `${thing.name} was taken`).toBe(false);
    expect(thing.good, `${thing.name} was disposed of already`).toBe(0);
    expect(thing.atWork, `${thing.name} is being disposed of already`).toBe(0);
    const mayGo = thing.mayGo || thing.holds.length === 0 || this.registry.draining;
    expect(mayGo, `${thing.name} is held`).toBe(true);
    thing.calls++;
    thing.atWork++;
    const ended = (good: boolean) => {
      thing.atWork--;
      if (good) thing.good++;
    };
    switch (thing.manner) {
      case 'throws':
        ended(false);
        throw new Error('throws');
      case 'throws once':
        ended(thing.calls > 1);
        if (thing.calls === 1) throw new Error('throws once');
        return undefined;
      case 'resolves':
        return settle(3).then(() => ended(true));
      case 'rejects':
        return settle(3).then(() => {
          ended(false);
          throw new Error('rejects');
        });
      case 'hangs':
        return new Promise(() => {});
      case 'ends late': {
        const end = byHand();
        this.late.push({ resolve: () => end.resolve(), thing });
        return end.promise.then(() => ended(true));
      }
      case 'releases':
        for (const other of this.things.slice(-3)) this.release(other);
        break;
      case 'registers':
        if (this.things.length < 200) this.register('ends', thing.bytes, 1);
        break;
      case 'drains':
        this.drain(30);
        break;
      default:
    }
    ended(true);
    return undefined;
  }

  release(thing: Thing): void {
    thing.mayGo = true;
    void thing.handle?.release();
  }

  drain(deadlineMs: number): void {
    this.drains.push(this.registry.drain({ deadlineMs, graceMs: deadlineMs % 20 }));
  }

  async step([what, a, b, c]: Step): Promise<void> {
    const thing = this.things.length === 0 ? undefined : this.things[a % this.things.length]!;
    switch (what) {
      case 'register':
        return this.register(MANNERS[a % MANNERS.length]!, b % 40, c % 4);
      case 'touch':
        return void thing?.handle?.touch();
      case 'hold': {
        const hold = thing?.handle?.tryHold();
        return void (hold !== undefined && thing!.holds.push(hold));
      }
      case 'let go':
        return void thing?.holds.pop()?.[Symbol.dispose]();
      case 'release':
        return thing === undefined ? undefined : this.release(thing);
      case 'take':
        return void (thing?.handle?.take() !== undefined && (thing.taken = true));
      case 'cleanup':
        if (b % 3 === 0) for (const each of this.things) each.mayGo = true;
        return void this.registry.cleanup({ force: b % 3 === 0, idleMs: c });
      case 'reclaim now':
        return void this.reclaimer.reclaimNow!({ targetBytes: 1 + b, level: 'high', strategy: 'basic' });
      case 'reclaim': {
        const signal = c % 2 === 0 ? AbortSignal.abort() : new AbortController().signal;
        const request = { targetBytes: 1 + b, level: 'high', strategy: 'basic' } as const;
        return void this.reclaimer.reclaim!(request, { signal, scratch: new Uint8Array(1) });
      }
      case 'time':
        return this.clock.advance(b);
      case 'end late':
        return this.late.splice(a % Math.max(1, this.late.length), 1)[0]?.resolve();
      case 'settle':
        return settle();
      case 'drain':
        return a % 8 === 0 ? this.drain(b) : undefined;
      default:
        throw new Error(what);
    }
  }

  /** Each is in one state, and all that is said of them adds up. */
  validate(): void {
    const { registry } = this;
    const stats = registry.stats;
    const there = this.things.filter(({ handle }) => handle?.registered === true);
    expect(there.length).toBe(stats.count + stats.leavingCount);
    expect(there.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(stats.bytes + stats.leavingBytes);
    expect(stats.registered).toBe(there.length + stats.cleaned + stats.failed + stats.hung + stats.taken);
    expect(stats.count).toBeLessThanOrEqual(MAX_COUNT);
    expect(stats.bytes).toBeLessThanOrEqual(MAX_BYTES);
    expect(stats.count + stats.leavingCount).toBeLessThanOrEqual(2 * MAX_COUNT);
    expect(stats.bytes + stats.leavingBytes).toBeLessThanOrEqual(2 * MAX_BYTES);
    const { waiting, running, retrying, failureRate } = registry.health;
    expect(waiting + running + retrying).toBe(stats.leavingCount);
    expect(failureRate).toBeGreaterThanOrEqual(0);
    expect(failureRate).toBeLessThanOrEqual(1);
    expect(registry.failures.latest.length + registry.failures.leftOut).toBe(stats.failed + stats.hung);
    expect(this.things.filter(({ reported }) => reported === 'failed').length).toBe(stats.failed);
    expect(this.things.filter(({ reported }) => reported === 'hung').length).toBe(stats.hung);
    for (const { handle, good, taken, reported, calls, manner } of this.things) {
      if (handle === undefined || taken) continue;
      // A promise that has just been fulfilled is heard of a moment later.
      if (handle.registered) expect(good === 0 || MOMENT_LATER.has(manner), `${manner} is still there`).toBe(true);
      else expect(good === 1 || reported !== undefined, `${manner} left, and nobody knows how`).toBe(true);
      expect(calls).toBeLessThanOrEqual(2);
    }
    const books = this.governor.snapshot().consumers.find(({ name }) => name === 'things');
    if (books !== undefined) expect(books.heldBytes).toBeGreaterThanOrEqual(stats.bytes + stats.leavingBytes);
  }

  async end(): Promise<void> {
    for (const { holds } of this.things) for (const hold of holds) hold[Symbol.dispose]();
    this.drain(10_000);
    for (let i = 0; i < 200 && (this.registry.stats.count > 0 || this.registry.stats.leavingCount > 0); i++) {
      await settle(12);
      this.clock.advance(TIMEOUT_MS);
      if (i % 20 === 19) this.drain(10_000);
    }
    for (const report of await Promise.all(this.drains)) {
      const { count, cleaned, failed, hung, taken, running, waiting, held } = report as never as Record<string, number>;
      expect(cleaned! + failed! + hung! + taken! + running! + waiting! + held!).toBe(count);
    }
    this.validate();
    expect(this.registry.stats).toMatchObject({ count: 0, leavingCount: 0, bytes: 0, leavingBytes: 0 });
    expect(this.clock.pending).toBeLessThanOrEqual(1);
  }
}

const VERBS = ['touch', 'hold', 'let go', 'release', 'take', 'cleanup', 'reclaim now', 'reclaim', 'end late', 'drain'];
const aStep = fc.tuple(
  fc.oneof(
    { weight: 5, arbitrary: fc.constant('register') },
    { weight: 3, arbitrary: fc.constantFrom('time', 'settle') },
    { weight: 6, arbitrary: fc.constantFrom(...VERBS) },
  ),
  fc.nat(63),
  fc.nat(120),
  fc.nat(255),
);

describe('a registry under any interleaving', () => {
  it('has each resource in one state, disposes of it at most once, loses none, and its sums are right', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(aStep, { minLength: 5, maxLength: 80 }), async (steps) => {
        const play = new Play();
        for (const step of steps) {
          await play.step(step);
          play.validate();
        }
        await play.end();
      }),
      { numRuns: 400 },
    );
  }, 60_000);
});
