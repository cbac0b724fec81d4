/**
 * Code of others runs in the middle of a reservation: reclaimers, listeners, whoever hears of events. Whatever it does to the consumer
 * and the reservation at hand, the books stay those of the reservations that are open.
 */
import fc from 'fast-check';
import {
  BudgetExceededError,
  type Consumer,
  createGovernor,
  type Governor,
  ManualClock,
  type Reservation,
  refusedEvents,
} from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { FakeMeter, MIB } from './fake-meter.ts';

const LIMIT = 1_000;

type Act = 'dispose' | 'transfer' | 'close' | 'end' | 'shrink' | 'nothing';
const ACTS: readonly Act[] = ['dispose', 'transfer', 'close', 'end', 'shrink', 'nothing'];

/** A governor with a consumer at work, its reservation, another consumer, and a cache that does `act` to them when it is asked. */
class Meddled {
  readonly governor: Governor;
  readonly rss = new FakeMeter('rss');
  readonly consumer: Consumer;
  readonly other: Consumer;
  readonly held: Reservation;
  readonly cached: Reservation;
  act: Act = 'nothing';

  constructor(mode: 'on' | 'observe' = 'on') {
    const clock = new ManualClock();
    const base = { limitBytes: LIMIT, runtimeBytes: 0, clock, meters: [this.rss], root: '/nowhere' } as const;
    this.governor = createGovernor({ ...base, mode, sampleEveryBytes: 1 });
    this.consumer = this.governor.consumer({ name: 'worker', kind: 'heap', maxBytes: LIMIT });
    this.other = this.governor.consumer({ name: 'other', kind: 'wasm', maxBytes: LIMIT });
    const reclaimer = {
      reclaimableBytes: () => this.cached.bytes,
      reclaimNow: ({ targetBytes }: { targetBytes: number }) => {
        this.meddle();
        this.cached.shrink(Math.min(targetBytes, this.cached.bytes));
        return targetBytes;
      },
    };
    const cache = this.governor.consumer({ name: 'cache', kind: 'external', maxBytes: LIMIT, reclaimer });
    this.held = this.consumer.reserve(100);
    this.cached = cache.reserve(800);
  }

  meddle(): void {
    const { act } = this;
    this.act = 'nothing';
    if (act === 'dispose') this.held[Symbol.dispose]();
    else if (act === 'transfer' && this.held.bytes > 0) this.held.transfer(this.other);
    else if (act === 'close') this.consumer[Symbol.dispose]();
    else if (act === 'end') this.governor[Symbol.dispose]();
    else if (act === 'shrink') this.held.shrink(Math.min(60, this.held.bytes));
  }

  /** Has the level change, and `act` done, within the next reservation. */
  meddleOnLevel(): void {
    this.governor.onLevel(() => this.meddle());
    this.rss.bytes = 60 * MIB;
  }

  check(...open: (Reservation | undefined)[]): void {
    const all = [this.held, this.cached, ...open];
    const sum = (of: (one: Reservation | undefined) => boolean) =>
      all.filter(of).reduce((bytes, one) => bytes + (one?.bytes ?? 0), 0);
    expect(this.governor.heldBytes).toBe(sum(() => true));
    for (const consumer of [this.consumer, this.other]) {
      expect(consumer.heldBytes).toBe(sum((one) => one?.consumer === consumer));
    }
    for (const bytes of Object.values(this.governor.snapshot().byKind)) expect(bytes).toBeGreaterThanOrEqual(0);
  }

  release(...open: (Reservation | undefined)[]): void {
    for (const one of [this.held, this.cached, ...open]) one?.[Symbol.dispose]();
    expect([this.consumer.heldBytes, this.other.heldBytes, this.governor.heldBytes]).toEqual([0, 0, 0]);
  }
}

describe('in the middle of growing', () => {
  it.each(['dispose', 'transfer'] as const)('a reclaimer may %s the reservation: it does not grow', (act) => {
    const one = new Meddled();
    one.act = act;
    expect(one.held.tryGrow(200)).toBe(false);
    expect(one.held.bytes).toBe(act === 'dispose' ? 0 : 100);
    one.check();
    one.release();
  });

  it('that it was disposed is said', () => {
    const one = new Meddled();
    one.act = 'dispose';
    expect(() => one.held.grow(200)).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DISPOSED' }));
    const moved = new Meddled();
    moved.act = 'transfer';
    expect(() => moved.held.grow(200)).toThrow(BudgetExceededError);
  });
});

describe('in the middle of resizing', () => {
  /** A reservation of 100 whose reclaimer of another takes `takes` off it each time it is asked. */
  function resized(takes: readonly number[]) {
    const governor = createGovernor({
      limitBytes: LIMIT,
      runtimeBytes: 0,
      clock: new ManualClock(),
      meters: [],
      mode: 'on',
      root: '/nowhere',
    });
    const held = governor.consumer({ name: 'worker', kind: 'heap', maxBytes: LIMIT }).reserve(100);
    const left = [...takes];
    const reclaimer = {
      reclaimableBytes: () => cached.bytes,
      reclaimNow: ({ targetBytes }: { targetBytes: number }) => {
        if (one.onAsked !== undefined) {
          one.onAsked(targetBytes);
          return 0;
        }
        const bytes = left.shift() ?? 0;
        if (bytes > 0) held.shrink(Math.min(bytes, held.bytes));
        else held.grow(-bytes);
        cached.shrink(Math.min(targetBytes, cached.bytes));
        return targetBytes;
      },
    };
    const cached: Reservation = governor
      .consumer({ name: 'cache', kind: 'heap', maxBytes: LIMIT, reclaimer })
      .reserve(900);
    const one = { governor, held, cached, onAsked: undefined as ((targetBytes: number) => void) | undefined };
    return one;
  }

  it('what others take off meanwhile is added again: it has the size asked for', () => {
    const { governor, held, cached } = resized([60, 30, 10]);
    held.resize(400);
    expect([held.bytes, cached.bytes + held.bytes <= LIMIT]).toEqual([400, true]);
    expect(governor.heldBytes).toBe(held.bytes + cached.bytes);
  });

  it('what others add meanwhile is given back', () => {
    const { held } = resized([0]);
    held.resize(200);
    expect(held.bytes).toBe(200);
  });

  /** Asked first, the cache takes 60 off and gives the rest of what is missing; asked for those as well, it gives nothing and does `act`. */
  function refused(act: (held: Reservation, other: Consumer, cached: Reservation) => unknown) {
    const one = resized([]);
    const { governor, held, cached } = one;
    const other = governor.consumer({ name: 'other', kind: 'heap', maxBytes: LIMIT });
    const seen: number[] = [];
    one.onAsked = (targetBytes) => {
      seen.push(held.bytes);
      if (seen.length > 1) return void act(held, other, cached);
      held.shrink(60);
      cached.shrink(targetBytes - 60);
    };
    return { governor, held, cached, other, seen };
  }

  it.each([
    ['nothing', () => {}, [40, 0], 'PLIMSOLL_BUDGET_EXCEEDED'],
    ['shrinks it', (held) => held.shrink(5), [35, 0], 'PLIMSOLL_BUDGET_EXCEEDED'],
    ['sets its size', (held) => held.resize(20), [20, 0], 'PLIMSOLL_BUDGET_EXCEEDED'],
    ['grows it', (held, _, cached) => [cached.shrink(7), held.grow(7)], [47, 0], 'PLIMSOLL_BUDGET_EXCEEDED'],
    ['moves it', (held, other) => held.transfer(other), [40, 40], 'PLIMSOLL_BUDGET_EXCEEDED'],
    ['disposes it', (held) => held[Symbol.dispose](), [0, 0], 'PLIMSOLL_DISPOSED'],
    ['disposes its consumer', (held) => held.consumer[Symbol.dispose](), [0, 0], 'PLIMSOLL_DISPOSED'],
  ] satisfies [string, Parameters<typeof refused>[0], [number, number], string][])(
    'when the rest cannot be had, nothing that was added is kept or moved, and what others did stays: %s',
    (_, act, expected, code) => {
      const { governor, held, cached, other, seen } = refused(act);
      expect(() => held.resize(500)).toThrow(expect.objectContaining({ code }));
      expect([seen, held.bytes, other.heldBytes]).toEqual([[100, 40], ...expected]);
      expect([held.consumer.heldBytes, governor.heldBytes]).toEqual([held.bytes, held.bytes + cached.bytes]);
    },
  );
});

describe('in the middle of reserving', () => {
  it.each(['close', 'end'] as const)('a listener may %s what it reserves from: nothing is booked', (act) => {
    const one = new Meddled();
    one.meddleOnLevel();
    one.act = act;
    expect(one.consumer.tryReserve(10)).toBeUndefined();
    one.check();
    const again = new Meddled();
    again.meddleOnLevel();
    again.act = act;
    expect(() => again.consumer.reserve(10)).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DISPOSED' }));
    again.check();
    again.release();
  });

  it('so may whoever hears of a refusal that is only observed', () => {
    const one = new Meddled('observe');
    using _ = refusedEvents.subscribe(() => one.consumer[Symbol.dispose]());
    expect(one.consumer.tryReserve(5_000)).toBeUndefined();
    one.check();
    one.release();
  });
});

describe('who waits', () => {
  const settle = async (waiting: Promise<unknown>[]) =>
    (await Promise.allSettled(waiting)).map((one) => (one.status === 'fulfilled' ? 'granted' : one.reason.code));

  it('on a consumer that is disposed is granted nothing of what it leaves behind', async () => {
    const { governor, other, cached } = new Meddled();
    using leaving = governor.consumer({ name: 'leaving', kind: 'heap', maxBytes: LIMIT });
    cached[Symbol.dispose]();
    leaving.reserve(900);
    const waiting = [leaving.admit(10), leaving.admit(20), other.admit(30)];
    leaving[Symbol.dispose]();
    expect(await settle(waiting)).toEqual(['PLIMSOLL_DISPOSED', 'PLIMSOLL_DISPOSED', 'granted']);
    expect([leaving.heldBytes, governor.heldBytes]).toEqual([0, 130]);
  });

  it('and was granted, is turned away when its consumer is disposed before it hears of it', async () => {
    const { governor } = new Meddled();
    using leaving = governor.consumer({ name: 'leaving', kind: 'heap', maxBytes: LIMIT });
    const waiting = [leaving.admit(10), leaving.admit(20)];
    expect(governor.heldBytes).toBe(930);
    leaving[Symbol.dispose]();
    expect(await settle(waiting)).toEqual(['PLIMSOLL_DISPOSED', 'PLIMSOLL_DISPOSED']);
    expect(governor.heldBytes).toBe(900);
  });

  it('is turned away at once when a reclaimer disposes its consumer before it waits', async () => {
    const one = new Meddled();
    one.act = 'close';
    expect(await settle([one.consumer.admit(200)])).toEqual(['PLIMSOLL_DISPOSED']);
    one.check();
    one.release();
  });
});

describe('a section that is not to be reclaimed', () => {
  it('keeps its consumer from being asked, nests, and ends once', () => {
    const { governor, other, cached } = new Meddled();
    const cache = cached.consumer;
    const sections = [cache.nonReclaimable(), cache.nonReclaimable()];
    const asks = () => {
      using room = other.tryReserve(200);
      return room !== undefined;
    };
    expect(asks()).toBe(false);
    sections[0]![Symbol.dispose]();
    sections[0]![Symbol.dispose]();
    expect([asks(), cached.bytes]).toEqual([false, 800]);
    sections[1]![Symbol.dispose]();
    expect([asks(), cached.bytes]).toEqual([true, 700]);
    // In its own section it reserves as ever.
    using _ = cache.nonReclaimable();
    expect(cache.tryReserve(10)?.bytes).toBe(10);
    expect(governor.heldBytes).toBe(cached.bytes + 110);
  });

  it('outlives its consumer without harm', () => {
    const { cached } = new Meddled();
    const section = cached.consumer.nonReclaimable();
    cached.consumer[Symbol.dispose]();
    section[Symbol.dispose]();
    expect(cached.bytes).toBe(0);
  });
});

describe('the books', () => {
  it('hold what open reservations hold, whoever meddles when', () => {
    const verb = fc.constantFrom('reserve', 'tryReserve', 'grow', 'tryGrow', 'resize');
    const step = fc.record({ verb, act: fc.constantFrom(...ACTS), bytes: fc.nat(900) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 6 }), fc.boolean(), fc.boolean(), (steps, level, observe) => {
        const one = new Meddled(observe ? 'observe' : 'on');
        const open: (Reservation | undefined)[] = [];
        if (level) one.meddleOnLevel();
        for (const { verb, act, bytes } of steps) {
          one.act = act;
          try {
            if (verb === 'reserve' || verb === 'tryReserve') open.push(one.consumer[verb](bytes));
            else one.held[verb](bytes);
          } catch (error) {
            expect(error).toMatchObject({ code: expect.stringMatching(/^PLIMSOLL_(DISPOSED|BUDGET_EXCEEDED)$/) });
          }
          one.check(...open);
        }
        one.release(...open);
      }),
      { numRuns: 500 },
    );
  });
});
