import {
  type Consumer,
  createGovernor,
  type Governor,
  ManualClock,
  type ReclaimEvent,
  type Reclaimer,
  type ReclaimRequest,
  type Reservation,
  reclaimEvents,
} from 'plimsoll';
import { afterEach, describe, expect, it } from 'vitest';
import { reclaimerContract } from '../contract/reclaimer.ts';

/** A cache in one line: gives back in one piece as much as it is asked for. */
class Honest implements Reclaimer {
  readonly requests: ReclaimRequest[] = [];
  held: Reservation | undefined;

  reclaimableBytes(): number {
    return this.held?.bytes ?? 0;
  }

  reclaimNow(request: ReclaimRequest): number {
    this.requests.push(request);
    const bytes = Math.min(request.targetBytes, this.held!.bytes);
    this.held!.shrink(bytes);
    return bytes;
  }
}

let clock = new ManualClock();
const open: Disposable[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one[Symbol.dispose]();
});

function governorOf(limitBytes: number): Governor {
  clock = new ManualClock();
  const governor = createGovernor({ limitBytes, runtimeBytes: 0, clock, meters: [], mode: 'on', root: '/nowhere' });
  open.push(governor);
  return governor;
}

function holder(
  governor: Governor,
  name: string,
  bytes: number,
  reclaimer: Reclaimer,
  extra: object = {},
): { consumer: Consumer; held: Reservation } {
  const consumer = governor.consumer({
    name,
    kind: 'external',
    maxBytes: Number.POSITIVE_INFINITY,
    reclaimer,
    ...extra,
  });
  return { consumer, held: consumer.reserve(bytes) };
}

function honest(governor: Governor, name: string, bytes: number, extra: object = {}): Honest {
  const reclaimer = new Honest();
  reclaimer.held = holder(governor, name, bytes, reclaimer, extra).held;
  return reclaimer;
}

const plain = (governor: Governor, name = 'needy') =>
  governor.consumer({ name, kind: 'heap', maxBytes: Number.POSITIVE_INFINITY });

const row = (governor: Governor, name: string) =>
  governor.snapshot().consumers.find((consumer) => consumer.name === name)!;

describe('giving back at once', () => {
  reclaimerContract({
    name: 'an honest holder',
    fill: (governor, bytes) => ({ consumerName: 'cache', reclaimer: honest(governor, 'cache', bytes) }),
  });

  it('asks the least important first, then the one that can give most, and only for what is missing', () => {
    const governor = governorOf(100);
    const precious = honest(governor, 'precious', 30, { importance: 5 });
    const small = honest(governor, 'small', 20);
    const large = honest(governor, 'large', 40);
    const needy = plain(governor);
    needy.reserve(40);
    expect(large.requests).toEqual([{ targetBytes: 30, level: 'optimal', strategy: 'basic' }]);
    expect([small.requests.length, precious.requests.length]).toEqual([0, 0]);
    needy.reserve(35);
    expect([large.held!.bytes, small.held!.bytes, precious.held!.bytes]).toEqual([0, 0, 25]);
    expect(precious.requests[0]!.targetBytes).toBe(5);
    expect(governor.heldBytes).toBe(100);
  });

  it('does not ask the one that wants more, nor anybody while there is room, nor those who cannot help with its bound', () => {
    const governor = governorOf(100);
    const own = honest(governor, 'own', 60);
    const outside = honest(governor, 'outside', 20);
    expect(own.held!.tryGrow(20)).toBe(true);
    expect(own.requests.length + outside.requests.length).toBe(0);
    const team = governor.consumer({ name: 'team', kind: 'heap', maxBytes: 10 });
    const capped = governor.consumer({ name: 'capped', kind: 'heap', maxBytes: 10, parent: team });
    expect(capped.tryReserve(11)).toBeUndefined();
    expect(own.requests.length + outside.requests.length).toBe(0);
    // Not even all of it would be enough: nobody loses anything for nothing.
    expect(own.held!.tryGrow(21)).toBe(false);
    expect(own.requests.length + outside.requests.length).toBe(0);
    expect(own.held!.tryGrow(20)).toBe(true);
    expect([own.requests.length, outside.requests.length]).toEqual([0, 1]);
  });

  it('asks a brother when the bound of their parent is in the way', () => {
    const governor = governorOf(1_000);
    const team = governor.consumer({ name: 'team', kind: 'heap', maxBytes: 100 });
    const brother = honest(governor, 'brother', 80, { parent: team });
    const stranger = honest(governor, 'stranger', 500);
    governor.consumer({ name: 'sister', kind: 'heap', maxBytes: 100, parent: team }).reserve(50);
    expect([brother.held!.bytes, stranger.held!.bytes]).toEqual([50, 500]);
  });

  it('refuses the consumer that is being asked, and gives others what room there is, without a second round', () => {
    const governor = governorOf(100);
    const other = plain(governor, 'other');
    const third = honest(governor, 'third', 10, { importance: 9 });
    const seen: unknown[] = [];
    const reclaimer: Reclaimer = {
      reclaimableBytes: () => held.bytes,
      reclaimNow() {
        seen.push(consumer.tryReserve(1), child.tryReserve(1));
        expect(() => consumer.reserve(1)).toThrow(
          'greedy asked for 1B and holds 80B: greedy is being asked to give back',
        );
        held.shrink(60);
        seen.push(other.tryReserve(5)?.bytes, other.tryReserve(70));
        return 60;
      },
    };
    const { consumer, held } = holder(governor, 'greedy', 80, reclaimer);
    const child = governor.consumer({ name: 'child', kind: 'heap', maxBytes: 10, parent: consumer });
    expect(plain(governor).tryReserve(40)?.bytes).toBe(40);
    expect(seen).toEqual([undefined, undefined, 5, undefined]);
    expect(third.requests.length).toBe(0);
    expect(consumer.tryReserve(1)?.bytes).toBe(1);
  });
});

const bad: Record<string, (held: () => Reservation) => Reclaimer> = {
  'throws when asked how much': () => ({
    reclaimableBytes() {
      throw new Error('no idea');
    },
    reclaimNow: () => 0,
  }),
  'throws nothing at all': () => ({
    reclaimableBytes: () => 50,
    reclaimNow() {
      throw undefined;
    },
  }),
  'throws when asked to give': () => ({
    reclaimableBytes: () => 50,
    reclaimNow() {
      throw new Error('not today');
    },
  }),
  'says it has NaN': () => ({ reclaimableBytes: () => Number.NaN, reclaimNow: () => 0 }),
  'says it has a word': () => ({ reclaimableBytes: () => 'much' as never, reclaimNow: () => 0 }),
  'gives back a promise': () => ({ reclaimableBytes: () => 50, reclaimNow: () => Promise.resolve(9) as never }),
  'gives back less than nothing': () => ({ reclaimableBytes: () => 50, reclaimNow: () => -5 }),
};

describe('a reclaimer that', () => {
  it.each(Object.keys(bad))('%s is contained, counted and left alone for a while; others are asked', (temper) => {
    const governor = governorOf(100);
    let held: Reservation | undefined;
    const { consumer, held: reservation } = holder(
      governor,
      'bad',
      50,
      bad[temper]!(() => held!),
    );
    held = reservation;
    const good = honest(governor, 'good', 50, { importance: 1 });
    expect(plain(governor).reserve(30).bytes).toBe(30);
    expect(good.held!.bytes).toBe(20);
    expect(row(governor, 'bad').reclaim!.faults).toBeGreaterThan(0);
    expect(governor.snapshot().faults.some((fault) => fault.part === 'reclaimer of bad')).toBe(true);
    expect(consumer.heldBytes).toBe(50);
    // It is free again: what went wrong left no mark on its own reservations.
    expect(consumer.tryReserve(10)?.bytes).toBe(10);
  });

  it('lies is found out by the ledger, and its back-off doubles and ends', () => {
    const governor = governorOf(100);
    let calls = 0;
    holder(governor, 'liar', 100, {
      reclaimableBytes: () => 100,
      reclaimNow(request) {
        calls++;
        return request.targetBytes;
      },
    });
    const needy = plain(governor);
    const callsAfter = (ms: number) => {
      clock.advance(ms);
      expect(needy.tryReserve(10)).toBeUndefined();
      return calls;
    };
    expect(callsAfter(0)).toBe(1);
    expect(callsAfter(9)).toBe(1);
    expect(callsAfter(1)).toBe(2);
    expect(callsAfter(19)).toBe(2);
    expect(callsAfter(1)).toBe(3);
    for (let i = 0; i < 20; i++) callsAfter(60_000);
    expect(callsAfter(4_999)).toBe(23);
    expect(callsAfter(1)).toBe(24);
    expect(row(governor, 'liar').reclaim).toMatchObject({ calls: 24, claimedBytes: 240, releasedBytes: 0, faults: 0 });
  });

  it('boasts is believed up to what it holds, so that others do not give in vain', () => {
    const governor = governorOf(100);
    const boast = { reclaimableBytes: () => 1e9, reclaimNow: () => 0 };
    const braggart = holder(governor, 'braggart', 10, boast);
    const good = honest(governor, 'good', 50, { importance: -1 });
    expect(row(governor, 'braggart').reclaimableBytes).toBe(10);
    plain(governor, 'filler').reserve(40);
    expect(plain(governor).tryReserve(61)).toBeUndefined();
    expect([good.requests.length, braggart.held.bytes]).toEqual([0, 10]);
  });

  it('takes too long is counted, and nobody is asked after it in that reservation', () => {
    const governor = governorOf(100);
    const slow = new Honest();
    const { held } = holder(governor, 'slow', 50, {
      reclaimableBytes: () => slow.reclaimableBytes(),
      reclaimNow(request) {
        clock.advance(6);
        return slow.reclaimNow({ ...request, targetBytes: 1 });
      },
    });
    slow.held = held;
    const next = honest(governor, 'next', 40, { importance: 1 });
    const needy = plain(governor);
    expect(needy.tryReserve(30)).toBeUndefined();
    expect(next.requests.length).toBe(0);
    expect(row(governor, 'slow').reclaim).toMatchObject({ calls: 1, overruns: 1, releasedBytes: 1 });
  });

  it('disposes its consumer, or the one that asked, in the middle of it harms nobody', () => {
    const governor = governorOf(100);
    const needy = plain(governor);
    const { consumer } = holder(governor, 'suicidal', 50, {
      reclaimableBytes: () => 50,
      reclaimNow() {
        consumer[Symbol.dispose]();
        return 50;
      },
    });
    plain(governor, 'filler').reserve(50);
    expect(needy.tryReserve(40)?.bytes).toBe(40);
    const murderous: Reclaimer = {
      reclaimableBytes: () => 10,
      reclaimNow() {
        needy[Symbol.dispose]();
        return 40;
      },
    };
    holder(governor, 'murderous', 10, murderous);
    expect(needy.tryReserve(10)).toBeUndefined();
    expect(governor.heldBytes).toBe(60);
  });

  it('is asked tells who listens: claimed, released, how long, and what went wrong', () => {
    const governor = governorOf(100);
    const events: ReclaimEvent[] = [];
    using _ = reclaimEvents.subscribe((event) => events.push(event));
    honest(governor, 'good', 40);
    holder(
      governor,
      'bad',
      60,
      bad['throws when asked to give']!(() => undefined as never),
    );
    plain(governor).reserve(10);
    expect(events).toEqual([
      {
        consumer: 'bad',
        targetBytes: 10,
        claimedBytes: 0,
        releasedBytes: 0,
        elapsedMs: 0,
        how: 'now',
        fault: 'not today',
      },
      { consumer: 'good', targetBytes: 10, claimedBytes: 10, releasedBytes: 10, elapsedMs: 0, how: 'now' },
    ]);
  });
});

describe('one whose waiting never ends', () => {
  it('is still asked for what it can give back at once, and not to wait again', async () => {
    const governor = governorOf(100);
    let waits = 0;
    class Stuck extends Honest {
      armed = false;

      reclaim(): Promise<number> {
        waits++;
        this.armed = true;
        return new Promise(() => {});
      }

      override reclaimNow(request: ReclaimRequest): number {
        return this.armed ? super.reclaimNow(request) : 0;
      }
    }
    const stuck = new Stuck();
    stuck.held = holder(governor, 'stuck', 90, stuck).held;
    const needy = plain(governor);
    const first = needy.admit(50, { timeoutMs: 20_000 });
    for (let i = 0; i < 300; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(50);
    }
    expect((await first).bytes).toBe(50);
    expect([waits, stuck.requests.length]).toEqual([1, 1]);
  });

  it('who has nothing at once is waited for all the same, however often it had nothing', async () => {
    const governor = governorOf(100);
    let waits = 0;
    class Patient extends Honest {
      override reclaimNow(): number {
        return 0;
      }

      async reclaim(request: ReclaimRequest): Promise<number> {
        waits++;
        return super.reclaimNow(request);
      }
    }
    const patient = new Patient();
    patient.held = holder(governor, 'patient', 90, patient).held;
    const needy = plain(governor);
    for (let i = 0; i < 100; i++) {
      clock.advance(1);
      needy.tryReserve(50);
    }
    const room = needy.admit(50, { timeoutMs: 100 });
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
    expect([(await room).bytes, waits]).toEqual([50, 1]);
  });

  it('a pause before anybody was asked is not their time: one is always asked', () => {
    const governor = governorOf(100);
    const cache = honest(governor, 'cache', 90);
    const { reclaimableBytes } = cache;
    cache.reclaimableBytes = () => {
      clock.advance(1_000);
      return reclaimableBytes.call(cache);
    };
    expect(plain(governor).tryReserve(50)?.bytes).toBe(50);
  });
});
