import fc from 'fast-check';
import {
  type AdmitOptions,
  type Consumer,
  createGovernor,
  type Governor,
  ManualClock,
  type Reclaimer,
  type Reservation,
} from 'plimsoll';
import { describe, expect, it } from 'vitest';

interface Waiting {
  readonly promise: Promise<Reservation>;
  /** What became of it so far. */
  state: 'waiting' | 'granted' | string;
  reservation?: Reservation;
}

const LIMIT = 100;

function setUp(extra: object = {}): { clock: ManualClock; governor: Governor; job: Consumer } {
  const clock = new ManualClock();
  const options = {
    limitBytes: LIMIT,
    runtimeBytes: 0,
    clock,
    meters: [],
    mode: 'on',
    root: '/nowhere',
    ...extra,
  } as const;
  const governor = createGovernor(options);
  return { clock, governor, job: governor.consumer({ name: 'job', kind: 'heap', maxBytes: Number.POSITIVE_INFINITY }) };
}

function admit(consumer: Consumer, bytes: number, options?: AdmitOptions): Waiting {
  const promise = consumer.admit(bytes, options);
  const waiting: Waiting = { promise, state: 'waiting' };
  promise.then(
    (reservation) => {
      waiting.state = 'granted';
      waiting.reservation = reservation;
    },
    (error) => {
      waiting.state = error.code ?? error.name ?? String(error);
    },
  );
  return waiting;
}

/** Lets all that is due in promises happen; a train lets the program have its turn between two parts. */
async function settle(): Promise<void> {
  for (let i = 0; i < 6; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Timers that are set, the one of the sampler left out. */
const timersOf = (clock: ManualClock) => clock.pending - 1;

const states = (waiting: readonly Waiting[]) => waiting.map((one) => one.state);

describe('admission', () => {
  it('grants at once while there is room, and books the bytes', async () => {
    const { job, governor } = setUp();
    using room = await job.admit(100);
    expect([room.bytes, room.consumer, governor.heldBytes]).toEqual([100, job, 100]);
  });

  it('wakes who waits when bytes come back, in order, and the bytes are taken in the same moment', async () => {
    const { job, governor, clock } = setUp();
    const held = job.reserve(100);
    const waiting = [admit(job, 60), admit(job, 60), admit(job, 40)];
    await settle();
    expect([states(waiting), governor.snapshot().waiting]).toEqual([['waiting', 'waiting', 'waiting'], 3]);
    held.shrink(60);
    expect(job.tryReserve(1)).toBeUndefined();
    await settle();
    expect(states(waiting)).toEqual(['granted', 'waiting', 'waiting']);
    held[Symbol.dispose]();
    await settle();
    expect(states(waiting)).toEqual(['granted', 'waiting', 'granted']);
    waiting[0]!.reservation![Symbol.dispose]();
    await settle();
    expect(states(waiting)).toEqual(['granted', 'granted', 'granted']);
    expect([governor.snapshot().waiting, governor.heldBytes, timersOf(clock)]).toEqual([0, 100, 0]);
  });

  it('turns away after the timeout, with a code and how long it was', async () => {
    const { job, clock, governor } = setUp();
    job.reserve(100);
    const waiting = [admit(job, 10, { timeoutMs: 500 }), admit(job, 10)];
    await settle();
    clock.advance(499);
    await settle();
    expect(states(waiting)).toEqual(['waiting', 'waiting']);
    clock.advance(1);
    await settle();
    expect(states(waiting)).toEqual(['PLIMSOLL_ADMISSION_TIMEOUT', 'waiting']);
    await expect(waiting[0]!.promise).rejects.toThrow('job waited 500ms for 10B and there was no room');
    clock.advance(29_500);
    await settle();
    expect(states(waiting)).toEqual(['PLIMSOLL_ADMISSION_TIMEOUT', 'PLIMSOLL_ADMISSION_TIMEOUT']);
    expect([governor.snapshot().waiting, timersOf(clock)]).toEqual([0, 0]);
  });

  it('ends with the signal, before and while it waits', async () => {
    const { job, clock, governor } = setUp();
    const held = job.reserve(100);
    const abort = new AbortController();
    const waiting = admit(job, 10, { signal: abort.signal });
    await settle();
    abort.abort(new Error('the client is gone'));
    await expect(waiting.promise).rejects.toThrow('the client is gone');
    await expect(job.admit(10, { signal: abort.signal })).rejects.toThrow('the client is gone');
    held[Symbol.dispose]();
    await expect(job.admit(10, { signal: abort.signal })).rejects.toThrow('the client is gone');
    expect([governor.heldBytes, governor.snapshot().waiting, timersOf(clock)]).toEqual([0, 0, 0]);
  });

  it('one that is turned away frees those who stood behind it', async () => {
    const { job, clock } = setUp({ maxBypass: 0 });
    job.reserve(50);
    const waiting = [admit(job, 80, { timeoutMs: 10 }), admit(job, 50)];
    await settle();
    expect(states(waiting)).toEqual(['waiting', 'waiting']);
    clock.advance(10);
    await settle();
    expect(states(waiting)).toEqual(['PLIMSOLL_ADMISSION_TIMEOUT', 'granted']);
  });

  it('what never fits is refused at once', async () => {
    const { governor, job } = setUp({ runtimeBytes: 30 });
    const capped = governor.consumer({ name: 'capped', kind: 'heap', maxBytes: 10 });
    await expect(capped.admit(11)).rejects.toThrow(
      'capped asked for 11B and holds 0B: capped has 10B left of its own bound',
    );
    await expect(job.admit(71)).rejects.toMatchObject({ code: 'PLIMSOLL_BUDGET_EXCEEDED' });
    await expect(job.admit(70)).resolves.toMatchObject({ bytes: 70 });
  });

  it('the queue has a bound', async () => {
    const { job } = setUp({ maxWaiters: 2 });
    job.reserve(100);
    const waiting = [admit(job, 1), admit(job, 1), admit(job, 1)];
    await settle();
    expect(states(waiting)).toEqual(['waiting', 'waiting', 'PLIMSOLL_ADMISSION_QUEUE_FULL']);
  });

  it.each([{ timeoutMs: -1 }, { timeoutMs: 2 ** 31 }, { timeoutMs: Number.NaN }, { signal: {} as AbortSignal }])(
    'refuses %j',
    async (options) => {
      const { job } = setUp();
      await expect(job.admit(1, options)).rejects.toThrow(RangeError);
      await expect(job.admit(-1)).rejects.toThrow(RangeError);
    },
  );

  it('small ones pass a big one a bounded number of times', async () => {
    const { job } = setUp({ maxBypass: 3 });
    const held = job.reserve(50);
    const big = admit(job, 80);
    await settle();
    const passing: Waiting[] = [];
    for (let i = 0; i < 5; i++) {
      passing.push(admit(job, 10));
      await settle();
    }
    expect(states([big, ...passing])).toEqual(['waiting', 'granted', 'granted', 'granted', 'waiting', 'waiting']);
    held[Symbol.dispose]();
    for (const one of passing) one.reservation?.[Symbol.dispose]();
    await settle();
    expect(states([big, ...passing.slice(3)])).toEqual(['granted', 'granted', 'granted']);
  });

  it('bytes that move away make room under the bound they leave', async () => {
    const { governor, job } = setUp();
    const capped = governor.consumer({ name: 'capped', kind: 'heap', maxBytes: 10 });
    const held = capped.reserve(10);
    const waiting = admit(capped, 5);
    await settle();
    held.transfer(job);
    await settle();
    expect(waiting.state).toBe('granted');
  });

  it('one that waits for its own bound does not hold up others', async () => {
    const { governor, job } = setUp({ maxBypass: 1 });
    const capped = governor.consumer({ name: 'capped', kind: 'heap', maxBytes: 10 });
    capped.reserve(10);
    const stuck = admit(capped, 5);
    await settle();
    const others = Array.from({ length: 10 }, () => admit(job, 5));
    await settle();
    expect(new Set(states(others))).toEqual(new Set(['granted']));
    expect(stuck.state).toBe('waiting');
  });

  it('nobody is left waiting when consumer or governor are disposed', async () => {
    const { governor, job, clock } = setUp();
    const child = governor.consumer({ name: 'child', kind: 'heap', maxBytes: 100, parent: job });
    const other = governor.consumer({ name: 'other', kind: 'heap', maxBytes: 100 });
    const held = other.reserve(100);
    const waiting = [admit(job, 1), admit(child, 1), admit(other, 1)];
    await settle();
    job[Symbol.dispose]();
    await settle();
    expect(states(waiting)).toEqual(['PLIMSOLL_DISPOSED', 'PLIMSOLL_DISPOSED', 'waiting']);
    governor[Symbol.dispose]();
    governor[Symbol.dispose]();
    await settle();
    expect(waiting[2]!.state).toBe('PLIMSOLL_DISPOSED');
    await expect(other.admit(1)).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
    expect(() => other.tryReserve(1)).toThrow('the governor has been disposed');
    held[Symbol.dispose]();
    expect([governor.heldBytes, clock.pending]).toEqual([0, 0]);
  });
});

/** Gives back only with waiting, in the way `how` says. */
function spiller(governor: Governor, bytes: number, how: (held: Reservation, signal: AbortSignal) => Promise<number>) {
  const seen: { scratchBytes: number; aborted: boolean }[] = [];
  const reclaimer: Reclaimer = {
    reclaimableBytes: () => held.bytes,
    async reclaim(_, { signal, scratch }) {
      const one = { scratchBytes: scratch.byteLength, aborted: false };
      seen.push(one);
      signal.addEventListener('abort', () => {
        one.aborted = true;
      });
      return how(held, signal);
    },
  };
  const consumer = governor.consumer({ name: 'spill', kind: 'external', maxBytes: LIMIT, reclaimer });
  const held = consumer.reserve(bytes);
  return { consumer, held, seen };
}

describe('admission and those who give back with waiting', () => {
  it('asks them, with a scratch buffer at hand, and grants what they give', async () => {
    const { governor, job } = setUp();
    const { seen, consumer } = spiller(governor, 90, async (held) => {
      expect(consumer.tryReserve(1)).toBeUndefined();
      await Promise.resolve();
      held.shrink(40);
      return 40;
    });
    const room = await job.admit(45);
    expect([room.bytes, governor.heldBytes, seen]).toEqual([45, 95, [{ scratchBytes: 65_536, aborted: false }]]);
    await settle();
    expect(consumer.tryReserve(1)?.bytes).toBe(1);
  });

  it('does not wait for one that hangs, frees its consumer, and leaves it alone until it has ended', async () => {
    const { governor, job, clock } = setUp({ reclaimDeadlineMs: 50 });
    let end = (_: number) => {};
    const { seen, consumer, held } = spiller(governor, 90, () => new Promise((resolve) => (end = resolve)));
    const waiting = admit(job, 45, { timeoutMs: 60_000 });
    await settle();
    expect(consumer.tryReserve(1)).toBeUndefined();
    clock.advance(50);
    await settle();
    expect(seen).toEqual([{ scratchBytes: 65_536, aborted: true }]);
    expect(consumer.tryReserve(1)?.bytes).toBe(1);
    for (let i = 0; i < 100; i++) {
      clock.advance(100);
      await settle();
    }
    expect(seen.length).toBe(1);
    expect(governor.snapshot().faults).toMatchObject([
      { part: 'reclaimer of spill', message: 'it did not end within 50ms' },
    ]);
    held.shrink(80);
    end(80);
    await settle();
    expect(waiting.state).toBe('granted');
  });

  it('one run at a time, each with a scratch of its own even while another hangs', async () => {
    const { governor, job, clock } = setUp({ reclaimDeadlineMs: 150 });
    const scratches = new Set<Uint8Array>();
    let running = 0;
    const never: Reclaimer = {
      reclaimableBytes: () => 30,
      reclaim(_, { scratch }) {
        scratches.add(scratch);
        running++;
        return new Promise(() => {});
      },
    };
    for (const name of ['one', 'two']) {
      governor.consumer({ name, kind: 'heap', maxBytes: 30, reclaimer: never }).reserve(30);
    }
    const waiting = [admit(job, 50), admit(job, 60)];
    await settle();
    expect(running).toBe(1);
    clock.advance(100);
    await settle();
    expect(running).toBe(1);
    clock.advance(50);
    await settle();
    expect([running, scratches.size, states(waiting)]).toEqual([2, 2, ['waiting', 'waiting']]);
  });

  it('who waits for the consumer that is being asked goes on as soon as that is over', async () => {
    const { governor, job } = setUp();
    let end = (_: number) => {};
    const { consumer, held } = spiller(governor, 60, () => new Promise((resolve) => (end = resolve)));
    const first = admit(job, 50);
    await settle();
    const second = admit(consumer, 5);
    await settle();
    expect(states([first, second])).toEqual(['waiting', 'waiting']);
    held.shrink(30);
    await settle();
    expect(states([first, second])).toEqual(['granted', 'waiting']);
    end(30);
    await settle();
    expect(second.state).toBe('granted');
  });

  it.each([
    ['rejects', () => Promise.reject(new Error('disk full'))],
    [
      'throws at once',
      () => {
        throw new Error('disk full');
      },
    ],
    ['is asked in vain', async () => 0],
  ])('one that %s is asked again while somebody waits, less and less often', async (_, how) => {
    const { governor, job, clock } = setUp();
    const { seen } = spiller(governor, 90, how as () => Promise<number>);
    const waiting = admit(job, 45, { timeoutMs: 30_000 });
    for (let i = 0; i < 299; i++) {
      await settle();
      clock.advance(100);
    }
    await settle();
    expect(waiting.state).toBe('waiting');
    expect(seen.length).toBeGreaterThan(4);
    expect(seen.length).toBeLessThan(20);
    clock.advance(100);
    await settle();
    expect([waiting.state, timersOf(clock)]).toEqual(['PLIMSOLL_ADMISSION_TIMEOUT', 0]);
  });

  it('asks again when somebody has something to give later', async () => {
    const { governor, job, clock } = setUp();
    const pinned = job.reserve(100);
    const waiting = admit(job, 30);
    await settle();
    pinned.transfer(
      spiller(governor, 0, async (held) => {
        const bytes = held.bytes;
        held.shrink(bytes);
        return bytes;
      }).consumer,
    );
    const cache = governor.snapshot().consumers.find((row) => row.name === 'spill')!;
    expect(cache.heldBytes).toBe(100);
    pinned.shrink(20);
    await settle();
    expect(waiting.state).toBe('waiting');
    clock.advance(100);
    pinned.shrink(10);
    await settle();
    expect(waiting.state).toBe('granted');
  });
});

describe('whatever happens', () => {
  const action = fc.record({
    verb: fc.constantFrom('admit', 'admit', 'release', 'abort', 'time', 'reserve', 'tune'),
    n: fc.nat(1_000),
    bytes: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: LIMIT })),
  });

  it('nobody is stranded, nobody is passed more often than allowed, and the line holds', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { maxLength: 60 }),
        fc.integer({ min: 0, max: 4 }),
        async (actions, maxBypass) => {
          const { governor, job, clock } = setUp({ maxBypass });
          const capped = governor.consumer({ name: 'capped', kind: 'heap', maxBytes: 30 });
          const waiting: (Waiting & { abort: AbortController; bytes: number; passed: number; of: Consumer })[] = [];
          const held: Reservation[] = [];
          for (const { verb, n, bytes } of actions) {
            const before = waiting.filter((one) => one.state === 'waiting');
            if (verb === 'admit') {
              const abort = new AbortController();
              const of = n % 3 === 0 ? capped : job;
              const size = of === capped ? Math.min(bytes, 30) : bytes;
              const one = admit(of, size, { signal: abort.signal, timeoutMs: 1_000 + n });
              waiting.push(Object.assign(one, { abort, bytes: size, passed: 0, of }));
            } else if (verb === 'release') {
              const all = [...held, ...waiting.flatMap((one) => one.reservation ?? [])].filter((one) => one.bytes > 0);
              all[n % Math.max(1, all.length)]?.[Symbol.dispose]();
            } else if (verb === 'abort') waiting[n % Math.max(1, waiting.length)]?.abort.abort();
            else if (verb === 'time') clock.advance(n);
            else if (verb === 'reserve') held.push(...[job.tryReserve(bytes)].flatMap((one) => one ?? []));
            else governor.tune({ limitBytes: LIMIT - (n % 2) * 10 });
            await settle();
            expect(job.heldBytes + capped.heldBytes).toBe(governor.heldBytes);
            expect(governor.heldBytes).toBeLessThanOrEqual(LIMIT);
            // Whoever was granted while an older one waited for the same room has passed it.
            for (const older of before.filter((one) => one.state === 'waiting' && one.of === job)) {
              const younger = waiting.slice(waiting.indexOf(older) + 1);
              const granted = younger.filter((one) => one.state === 'granted' && !('seen' in one));
              older.passed += granted.length;
              expect(older.passed).toBeLessThanOrEqual(maxBypass);
            }
            for (const one of waiting) if (one.state === 'granted') Object.assign(one, { seen: true });
            // Nobody waits although it would fit and nobody is before it.
            const first = waiting.find((one) => one.state === 'waiting');
            if (first !== undefined && verb !== 'time') {
              const room = governor.availableBytes;
              const own = first.of === capped ? 30 - capped.heldBytes : room;
              expect(first.bytes).toBeGreaterThan(Math.min(room, own));
            }
          }
          clock.advance(60_000);
          await settle();
          expect(waiting.filter((one) => one.state === 'waiting')).toEqual([]);
          expect([governor.snapshot().waiting, timersOf(clock)]).toEqual([0, 0]);
          for (const one of [...held, ...waiting.flatMap((w) => w.reservation ?? [])]) one[Symbol.dispose]();
          expect(governor.heldBytes).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });
});
