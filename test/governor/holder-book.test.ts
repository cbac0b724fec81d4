import fc from 'fast-check';
import {
  createGovernor,
  type Governor,
  type GovernorOptions,
  ManualClock,
  type Reclaimer,
  type ReclaimRequest,
  refusedEvents,
} from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { FailOpen } from '../../src/fail-open.ts';
import { HolderBook, type HolderBookOptions } from '../../src/governor/holder-book.ts';
import { breakable } from '../contract/broken-governor.ts';

const KIB = 1_024;
const LIMIT = 1_000 * KIB;

function govern(options: GovernorOptions = {}): Governor {
  return createGovernor({
    limitBytes: LIMIT,
    runtimeBytes: 0,
    clock: new ManualClock(),
    meters: [],
    mode: 'on',
    ...options,
  });
}

function open(governor: Governor | undefined, options: Partial<HolderBookOptions> = {}) {
  const failOpen = new FailOpen('test');
  const base = { name: 'holder', kind: 'heap', maxBytes: 800 * KIB, stepBytes: 10 * KIB } as const;
  return { failOpen, book: new HolderBook(governor, { ...base, ...options, failOpen }) };
}

const held = (governor: Governor, name = 'holder') =>
  governor.snapshot().consumers.find((row) => row.name === name)?.heldBytes;

const request = (targetBytes: number): ReclaimRequest => ({ targetBytes, level: 'high', strategy: 'smart' });

/** The reclaimer as the governor was given it. */
function spied(governor: Governor): { reclaimer(): Reclaimer } {
  let found: Reclaimer | undefined;
  const consumer = governor.consumer.bind(governor);
  governor.consumer = (options) => {
    found ??= options.reclaimer;
    return consumer(options);
  };
  return { reclaimer: () => found! };
}

describe('a book', () => {
  it('books ahead in steps, and gives back when two of them are not used', () => {
    const governor = govern();
    const { book } = open(governor);
    expect(book.tryTake(100)).toBe(true);
    expect([book.usedBytes, book.bookedBytes, held(governor)]).toEqual([100, 100 + 10 * KIB, 100 + 10 * KIB]);
    // In the step: nothing is booked.
    expect(book.tryTake(10 * KIB)).toBe(true);
    expect(held(governor)).toBe(100 + 10 * KIB);
    expect(book.tryTake(1)).toBe(true);
    expect(held(governor)).toBe(101 + 20 * KIB);
    book.give(10 * KIB);
    expect(held(governor)).toBe(101 + 20 * KIB);
    book.give(101);
    expect([book.usedBytes, held(governor)]).toEqual([0, 10 * KIB]);
    book.settle();
    expect([book.bookedBytes, held(governor)]).toEqual([0, 0]);
  });

  it('books no more ahead than a sixteenth of what it may hold, and nothing where that is asked for', () => {
    const governor = govern();
    const { book } = open(governor, { maxBytes: 32 * KIB, stepBytes: 65_536 });
    book.tryTake(1);
    expect(held(governor)).toBe(1 + 2 * KIB);
    const { book: exact } = open(governor, { name: 'exact', stepBytes: 0 });
    exact.tryTake(5_000);
    exact.give(1);
    expect(held(governor, 'exact')).toBe(4_999);
  });

  it('never books more than its maximum, and uses all of it', () => {
    const governor = govern();
    const { book } = open(governor, { maxBytes: 100 * KIB });
    let taken = 0;
    while (book.tryTake(999)) taken += 999;
    expect(held(governor)).toBeLessThanOrEqual(100 * KIB);
    expect(book.tryTake(100 * KIB - taken)).toBe(true);
    expect([book.usedBytes, held(governor)]).toEqual([100 * KIB, 100 * KIB]);
    expect(book.tryTake(1)).toBe(false);
    expect(book.usedBytes).toBe(100 * KIB);
  });

  it('says no when there is no room, books nothing ahead where it is tight, and yes when there is room again', () => {
    const governor = govern();
    const { book, failOpen } = open(governor);
    const other = governor.consumer({ name: 'other', kind: 'heap', maxBytes: LIMIT });
    const rest = other.reserve(governor.availableBytes - 2_000);
    expect(book.tryTake(1_500)).toBe(true);
    expect(held(governor)).toBe(1_500);
    expect(book.tryTake(501)).toBe(false);
    expect([book.usedBytes, held(governor), failOpen.count]).toEqual([1_500, 1_500, 0]);
    rest[Symbol.dispose]();
    expect(book.tryTake(501)).toBe(true);
  });

  it('only counts where there is no governor', () => {
    const { book } = open(undefined, { maxBytes: 10 });
    expect(book.tryTake(1_000_000)).toBe(true);
    book.give(400_000);
    book.settle();
    expect([book.usedBytes, book.bookedBytes, book.consumer]).toEqual([600_000, 0, undefined]);
    book[Symbol.dispose]();
  });

  it('made in the middle of a request is not that request’s', async () => {
    const governor = govern();
    let made: HolderBook | undefined;
    await governor.scope({ name: 'request', maxBytes: 100 }, async (scope) => {
      made = open(governor).book;
      expect(made.tryTake(50_000)).toBe(true);
      expect(scope.heldBytes).toBe(0);
    });
    expect(made!.tryTake(50_000)).toBe(true);
    expect(held(governor)).toBe(100_000 + 10 * KIB);
  });

  it('throws for unsound options, also without a governor', () => {
    expect(() => open(undefined, { stepBytes: -1 })).toThrow(
      expect.objectContaining({ code: 'PLIMSOLL_INVALID_OPTION' }),
    );
  });

  it('closes its consumer when it is disposed, twice is safe, and grants everything afterwards', () => {
    const governor = govern();
    const { book, failOpen } = open(governor);
    book.tryTake(500);
    book[Symbol.dispose]();
    book[Symbol.dispose]();
    expect(held(governor)).toBeUndefined();
    expect(book.tryTake(2 * LIMIT)).toBe(true);
    book.give(2 * LIMIT);
    expect([book.usedBytes, failOpen.count]).toEqual([500, 0]);
  });
});

describe('a book whose governor fails', () => {
  it('grants and counts while it is broken, and books all of it once it answers again', () => {
    const owned = govern();
    let broken = false;
    const { governor, book, failOpen } = whileBroken(owned, () => broken);
    book.tryTake(1_000);
    broken = true;
    expect(book.tryTake(500 * KIB)).toBe(true);
    expect(failOpen.count).toBeGreaterThan(0);
    expect(book.bookedBytes).toBeLessThan(book.usedBytes);
    book.give(100);
    book.settle();
    broken = false;
    expect(book.tryTake(1)).toBe(true);
    expect(book.bookedBytes).toBeGreaterThanOrEqual(book.usedBytes);
    expect(held(governor)).toBe(book.bookedBytes);
    expect(book.usedBytes).toBe(1_000 + 500 * KIB - 100 + 1);
  });

  it('says no to more where the healed governor has no room for what it took meanwhile, until enough was given', () => {
    let broken = true;
    const { book } = whileBroken(govern(), () => broken);
    expect(book.tryTake(900 * KIB)).toBe(true);
    broken = false;
    expect(book.tryTake(1)).toBe(false);
    book.give(200 * KIB);
    expect(book.tryTake(1)).toBe(true);
    expect(book.bookedBytes).toBeGreaterThanOrEqual(book.usedBytes);
  });

  it('stands when it was broken from the start', () => {
    const { governor, breakIt } = breakable(govern());
    breakIt();
    const { book, failOpen } = open(governor);
    expect([book.tryTake(LIMIT * 2), book.usedBytes, book.consumer]).toEqual([true, LIMIT * 2, undefined]);
    book.give(LIMIT);
    book[Symbol.dispose]();
    expect(failOpen.count).toBeGreaterThan(0);
  });

  it('grants when the governor has been disposed', () => {
    const governor = govern();
    const { book } = open(governor);
    book.tryTake(100);
    governor[Symbol.dispose]();
    expect(book.tryTake(LIMIT * 2)).toBe(true);
    book.give(LIMIT);
    book.settle();
    book[Symbol.dispose]();
    expect(book.usedBytes).toBe(LIMIT + 100);
  });

  it('grants when somebody has closed its consumer, and asks no more', () => {
    const { book, failOpen } = open(govern());
    book.tryTake(100);
    book.consumer![Symbol.dispose]();
    expect(book.tryTake(LIMIT)).toBe(true);
    expect(book.tryTake(LIMIT)).toBe(true);
    expect([book.usedBytes, book.bookedBytes, book.consumer, failOpen.count]).toEqual([
      2 * LIMIT + 100,
      0,
      undefined,
      1,
    ]);
  });
});

describe('the reclaimer that it wraps', () => {
  it('offers what is booked ahead too, gives that first, and claims what the books went down by', () => {
    const governor = govern();
    const spy = spied(governor);
    const asked: number[] = [];
    const { book } = open(governor, {
      reclaimer: {
        reclaimableBytes: () => 5_000,
        reclaimNow: ({ targetBytes }) => {
          asked.push(targetBytes);
          book.give(3_000);
          return 99_999_999;
        },
      },
    });
    book.tryTake(20_000);
    expect(spy.reclaimer().reclaimableBytes()).toBe(5_000 + 10 * KIB);
    expect(spy.reclaimer().reclaimNow!(request(10 * KIB))).toBe(10 * KIB);
    expect(asked).toEqual([]);
    expect(spy.reclaimer().reclaimNow!(request(4_000))).toBe(3_000);
    expect(asked).toEqual([4_000]);
    expect(held(governor)).toBe(17_000);
  });

  it('claims the truth where it waits, too', async () => {
    const governor = govern();
    const spy = spied(governor);
    const { book } = open(governor, {
      stepBytes: 0,
      reclaimer: {
        reclaimableBytes: () => 5_000,
        reclaim: async () => {
          await Promise.resolve();
          book.give(2_000);
          return -1;
        },
      },
    });
    book.tryTake(6_000);
    expect(spy.reclaimer().reclaimNow).toBeUndefined();
    const help = { signal: new AbortController().signal, scratch: new Uint8Array(0) };
    expect(await spy.reclaimer().reclaim!(request(5_000), help)).toBe(2_000);
    expect(held(governor)).toBe(4_000);
  });

  it('passes on what the holder throws, with the books as they were', () => {
    const governor = govern();
    const fail = () => {
      throw new Error('of the holder');
    };
    const { book } = open(governor, { reclaimer: { reclaimableBytes: () => 5_000, reclaimNow: fail } });
    book.tryTake(20_000);
    const other = governor.consumer({ name: 'other', kind: 'heap', maxBytes: LIMIT });
    expect(other.tryReserve(governor.availableBytes + 4_000 + 10 * KIB)).toBeUndefined();
    expect([book.usedBytes, book.bookedBytes, held(governor)]).toEqual([20_000, 20_000, 20_000]);
  });

  it('may run in the middle of its own tryTake: the books are read anew', () => {
    const governor = govern();
    const { book } = open(governor, { stepBytes: 0 });
    let mine: Disposable | undefined;
    const sly = governor.consumer({
      name: 'sly',
      kind: 'heap',
      maxBytes: LIMIT,
      importance: -1,
      reclaimer: {
        reclaimableBytes: () => (mine === undefined ? 0 : 300 * KIB),
        reclaimNow: () => {
          mine?.[Symbol.dispose]();
          mine = undefined;
          // As when what goes there takes something of the book with it.
          book.give(Math.min(50 * KIB, book.usedBytes));
          return 0;
        },
      },
    });
    expect(book.tryTake(400 * KIB)).toBe(true);
    mine = sly.reserve(governor.availableBytes);
    expect(book.tryTake(100 * KIB)).toBe(true);
    expect(book.usedBytes).toBe(450 * KIB);
    expect(held(governor)).toBe(450 * KIB);
  });

  it('says yes when it was refused, and has given back enough in the middle', () => {
    const governor = govern();
    const { book } = open(governor, { maxBytes: 400 * KIB, stepBytes: 25 * KIB });
    book.tryTake(390 * KIB);
    // Who hears of the refusal lets go of something of the book.
    using _ = refusedEvents.subscribe(() => book.give(30 * KIB));
    expect(book.tryTake(20 * KIB)).toBe(true);
    expect([book.usedBytes, held(governor)]).toEqual([380 * KIB, 400 * KIB]);
  });
});

/** A book whose reservation throws while `broken` says so. */
function whileBroken(governor: Governor, broken: () => boolean) {
  const consumer = governor.consumer.bind(governor);
  const watch = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(_, name) {
        const member = Reflect.get(target, name, target) as unknown;
        if (typeof member !== 'function') return member;
        return (...args: unknown[]) => {
          if (broken()) throw new Error('broken for a while');
          return member.apply(target, args) as unknown;
        };
      },
    });
  governor.consumer = (options) => opened(consumer(options), watch);
  return { governor, ...open(governor) };
}

/** It opens; what breaks comes later. */
function opened<T extends object>(consumer: T, watch: <U extends object>(target: U) => U): T {
  return new Proxy(consumer, {
    get(_, name) {
      const member = Reflect.get(consumer, name, consumer) as unknown;
      if (typeof member !== 'function') return member;
      if (name !== 'reserve') return member.bind(consumer);
      return (...args: unknown[]) => {
        const reservation = member.apply(consumer, args) as { transfer(to: unknown): void };
        const watched = watch(reservation);
        return new Proxy(watched, {
          get(__, verb) {
            if (verb === 'transfer') return () => reservation.transfer(consumer);
            return Reflect.get(watched, verb, watched) as unknown;
          },
        });
      };
    },
  });
}

describe('whatever is taken and given', () => {
  const action = fc.oneof(
    fc.record({ what: fc.constant('take' as const), bytes: fc.integer({ min: 0, max: 120 * KIB }) }),
    fc.record({ what: fc.constant('give' as const), bytes: fc.integer({ min: 0, max: 120 * KIB }) }),
    fc.record({ what: fc.constantFrom('settle' as const, 'free' as const), bytes: fc.constant(0) }),
    fc.record({
      what: fc.constantFrom('other' as const, 'reclaim' as const),
      bytes: fc.integer({ min: 1, max: 600 * KIB }),
    }),
  );
  const setting = fc.record({
    stepBytes: fc.constantFrom(0, 1, 10 * KIB, 1_000 * KIB),
    maxBytes: fc.constantFrom(1, 300 * KIB, 800 * KIB, Number.POSITIVE_INFINITY),
    stubborn: fc.boolean(),
  });

  it('the ledger has what is used and at most two steps more, and no taking is refused for which there is room', () => {
    fc.assert(
      fc.property(setting, fc.array(action, { maxLength: 60 }), ({ stepBytes, maxBytes, stubborn }, actions) => {
        const governor = govern();
        const spy = spied(governor);
        const reclaimer: Reclaimer = {
          reclaimableBytes: () => (stubborn ? 0 : book.usedBytes),
          reclaimNow: ({ targetBytes }) => {
            if (!stubborn) book.give(Math.min(targetBytes, book.usedBytes));
            return 0;
          },
        };
        const { book, failOpen } = open(governor, { stepBytes, maxBytes, reclaimer });
        const step = Math.min(stepBytes, Math.floor(maxBytes / 16));
        const other = governor.consumer({ name: 'other', kind: 'heap', maxBytes: LIMIT });
        const taken: Disposable[] = [];
        for (const { what, bytes } of actions) {
          const used = book.usedBytes;
          const room = governor.availableBytes + book.bookedBytes - used;
          if (what === 'take') {
            const granted = book.tryTake(bytes);
            expect(granted).toBe(bytes <= room && used + bytes <= maxBytes);
            expect(book.usedBytes).toBe(granted ? used + bytes : used);
          } else if (what === 'give') book.give(Math.min(bytes, used));
          else if (what === 'settle') {
            book.settle();
            expect(book.bookedBytes).toBe(book.usedBytes);
          } else if (what === 'other') {
            const got = other.tryReserve(bytes);
            if (got !== undefined) taken.push(got);
          } else if (what === 'free') taken.pop()?.[Symbol.dispose]();
          else {
            const before = held(governor)!;
            expect(spy.reclaimer().reclaimNow!(request(bytes))).toBe(before - held(governor)!);
          }
          expect(held(governor)).toBe(book.bookedBytes);
          expect(book.bookedBytes).toBeGreaterThanOrEqual(book.usedBytes);
          expect(book.bookedBytes - book.usedBytes).toBeLessThanOrEqual(2 * step);
          expect(book.bookedBytes).toBeLessThanOrEqual(maxBytes);
        }
        expect(failOpen.count).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});
