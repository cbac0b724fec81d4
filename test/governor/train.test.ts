import { describe, expect, it } from 'vitest';
import { type TrainEvent, trainEvents } from '../../src/events.ts';
import type { TrainCall } from '../../src/governor/train-run.ts';
import { setUpTrain } from './fake-memory.ts';
import { MIB } from './fake-meter.ts';

const call = (targetBytes: number, extra: Partial<TrainCall> = {}): TrainCall => ({
  why: 'pressure',
  targetBytes,
  level: 'critical',
  strategy: 'aggressive',
  ...extra,
});

/** Part by part: what was done, or why not. */
const told = (report: { parts: readonly { part: string; skipped?: string }[] }) =>
  report.parts.map(({ part, skipped }) => (skipped === undefined ? part : `not ${part}: ${skipped}`));

describe('a train', () => {
  it('asks, collects and trims, in that order, and says what was claimed, released and seen of each', async () => {
    const { train, holder, journal, clock } = setUpTrain();
    holder('cache', 100 * MIB);
    const report = await train.run(call(10 * MIB));
    expect(report).toMatchObject({
      number: 1,
      takenAt: clock.wall(),
      why: 'pressure',
      decidingMeter: 'rss',
      targetBytes: 10 * MIB,
      claimedBytes: 100 * MIB,
      releasedBytes: 100 * MIB,
      seenBytes: 100 * MIB,
      elapsedMs: 15,
      observed: false,
    });
    expect(report.parts).toEqual([
      {
        part: 'reclaim-now',
        consumer: 'cache',
        claimedBytes: 100 * MIB,
        releasedBytes: 100 * MIB,
        seenBytes: 0,
        elapsedMs: 0,
      },
      {
        part: 'minor-collection',
        claimedBytes: 0,
        releasedBytes: 0,
        seenBytes: 0,
        elapsedMs: 0,
        skipped: 'the full collection does it',
      },
      { part: 'full-collection', claimedBytes: 0, releasedBytes: 0, seenBytes: 0, elapsedMs: 10 },
      { part: 'trim', claimedBytes: 0, releasedBytes: 0, seenBytes: 100 * MIB, elapsedMs: 5 },
    ]);
    expect(journal.reports()).toEqual([report]);
  });

  it('stops asking as soon as the target is seen', async () => {
    const { train, holder, memory } = setUpTrain();
    const first = holder('first', 100 * MIB);
    const second = holder('second', 50 * MIB);
    // Memory that the meter sees at once.
    first.reclaimNow = (request) => {
      const bytes = first.release(request.targetBytes);
      memory.garbageBytes -= bytes;
      return bytes;
    };
    const report = await train.run(call(30 * MIB, { strategy: 'basic' }));
    expect([report.seenBytes, first.heldBytes, second.requests.length]).toEqual([30 * MIB, 70 * MIB, 0]);
    expect(told(report)).toEqual([
      'reclaim-now',
      'not reclaim: the target has been reached',
      'not minor-collection: the target has been reached',
      'not full-collection: the target has been reached',
      'not trim: the target has been reached',
    ]);
  });

  it('stops asking also when the meter sees more than was released', async () => {
    const { train, holder, memory } = setUpTrain();
    const [first, second] = [holder('first', 10 * MIB), holder('second', 5 * MIB)];
    first.reclaimNow = (request) => {
      memory.baseBytes -= 40 * MIB;
      return first.release(request.targetBytes);
    };
    const report = await train.run(call(30 * MIB, { strategy: 'basic' }));
    expect([report.seenBytes, first.heldBytes, second.requests.length]).toEqual([40 * MIB, 0, 0]);
  });

  it('bears a pause at emergency that it would not bear otherwise', async () => {
    for (const [level, collections] of [
      ['critical', []],
      ['emergency', ['full']],
    ] as const) {
      const { train, memory, clock } = setUpTrain({ heapBytes: 1_000 * MIB });
      expect(told(await train.run(call(MIB, { level }))).some((one) => one.includes('expected to pause'))).toBe(
        level === 'critical',
      );
      expect([memory.collections, clock.now() > 0]).toEqual([collections, true]);
    }
  });

  it('bears one at critical as well where by the books a collection brings what is missing', async () => {
    for (const [garbageMib, collections] of [
      [1, []],
      [80, ['full']],
    ] as const) {
      const garbageBytes = () => garbageMib * MIB;
      const { train, memory } = setUpTrain({ heapBytes: 500 * MIB, garbageBytes });
      memory.garbageBytes = garbageMib * MIB;
      await train.run(call(50 * MIB, { level: 'critical' }));
      expect(memory.collections).toEqual(collections);
    }
  });

  it('asks nobody again for what was released and could not be collected, for ten seconds', async () => {
    let garbage = 0;
    const { train, memory, holder, clock } = setUpTrain({
      heapBytes: 5_000 * MIB,
      trim: false,
      garbageBytes: () => garbage,
    });
    const one = holder('cache', 600 * MIB);
    await train.run(call(30 * MIB, { level: 'critical', strategy: 'smart' }));
    const released = 600 * MIB - one.heldBytes;
    expect([released >= 30 * MIB, memory.collections]).toEqual([true, []]);
    garbage = released;
    clock.advance(1_000);
    await train.run(call(30 * MIB, { level: 'critical', strategy: 'smart' }));
    expect(600 * MIB - one.heldBytes).toBe(released);
    clock.advance(10_000);
    await train.run(call(30 * MIB, { level: 'critical', strategy: 'smart' }));
    expect(600 * MIB - one.heldBytes).toBeGreaterThan(released);
  });

  it('lets the service have its turn between two parts', async () => {
    const { train, holder, memory } = setUpTrain();
    holder('cache', MIB);
    let turns = 0;
    const turn = () => void (turns++ < 100 && setImmediate(turn));
    turn();
    const seen: number[] = [];
    const { collect, trim } = memory;
    Object.assign(memory, {
      collect: (type: 'full') => {
        seen.push(turns);
        collect.call(memory, type);
      },
      trim: () => {
        seen.push(turns);
        return trim.call(memory);
      },
    });
    await train.run(call(MIB));
    expect(seen.length).toBe(2);
    expect(seen[1]! - seen[0]!).toBeGreaterThan(0);
  });

  it('waits for those who can only give back so, for what is missing', async () => {
    const { train, holder } = setUpTrain();
    const quick = holder('quick', 10 * MIB);
    const spilling = holder('spilling', 100 * MIB);
    const asked: number[] = [];
    Object.assign(spilling, {
      reclaimNow: undefined,
      async reclaim({ targetBytes }: { targetBytes: number }, { scratch }: { scratch: Uint8Array }) {
        expect(scratch.length).toBe(65_536);
        await Promise.resolve();
        asked.push(targetBytes);
        return spilling.release(targetBytes);
      },
    });
    const report = await train.run(call(30 * MIB, { strategy: 'basic' }));
    expect([quick.heldBytes, asked]).toEqual([0, [20 * MIB]]);
    expect(report.parts.slice(0, 2)).toMatchObject([
      { part: 'reclaim-now', consumer: 'quick', releasedBytes: 10 * MIB },
      { part: 'reclaim', consumer: 'spilling', releasedBytes: 20 * MIB },
    ]);
  });

  it.each([
    ['ledger', [], 0],
    ['heap', ['full'], 0],
    ['external', ['full'], 0],
    ['rss', ['full'], 1],
    ['cgroup', ['full'], 1],
  ] as const)('where %s decides, does only what that meter sees', async (meter, collections, trims) => {
    const { train, holder, memory } = setUpTrain({ meter });
    holder('cache', 100 * MIB);
    const report = await train.run(call(10 * MIB));
    expect([memory.collections, memory.trims]).toEqual([collections, trims]);
    expect(report).toMatchObject({ decidingMeter: meter, seenBytes: 100 * MIB });
  });

  it('for a branch looks at that branch of the ledger alone', async () => {
    const { train, open, holder, memory } = setUpTrain();
    const team = open(0, { name: 'team' });
    const member = holder('member', 40 * MIB);
    Object.assign(member.account, { parent: team });
    team.total = 40 * MIB;
    const stranger = holder('stranger', 100 * MIB);
    const report = await train.run(call(10 * MIB, { branch: team, strategy: 'basic', why: 'admission' }));
    expect(report).toMatchObject({ decidingMeter: 'ledger', seenBytes: 10 * MIB, releasedBytes: 10 * MIB });
    expect([stranger.requests.length, memory.collections.length]).toEqual([0, 0]);
  });

  it('for who waits for room looks at the ledger, whatever else decides; a meter that is named goes before both', async () => {
    const { train, holder } = setUpTrain();
    holder('cache', 100 * MIB);
    expect((await train.run(call(MIB, { why: 'admission', strategy: 'basic' }))).decidingMeter).toBe('ledger');
    expect((await train.run(call(MIB, { why: 'admission', meter: 'heap' }))).decidingMeter).toBe('heap');
  });

  it('does not ask the requester, nor who is in the middle of a change', async () => {
    const { train, holder } = setUpTrain({ meter: 'ledger' });
    const [needy, busy, free] = [holder('needy', 10 * MIB), holder('busy', 10 * MIB), holder('free', 10 * MIB)];
    busy.account.sections++;
    await train.run(call(30 * MIB, { requester: needy.account }));
    expect([needy.heldBytes, busy.heldBytes, free.heldBytes]).toEqual([10 * MIB, 10 * MIB, 0]);
  });

  it('runs one at a time: a second call gets the report of the first; a third, later, runs', async () => {
    const { train, holder, journal } = setUpTrain();
    holder('cache', 100 * MIB);
    const first = train.run(call(10 * MIB));
    const second = train.run(call(99 * MIB));
    expect(train.running).toBe(true);
    expect(await second).toBe(await first);
    expect([train.running, journal.count]).toEqual([false, 1]);
    await train.run(call(1));
    expect(journal.count).toBe(2);
  });

  it('is told to who listens', async () => {
    const events: TrainEvent[] = [];
    using _ = trainEvents.subscribe((event) => events.push(event));
    const { train, holder } = setUpTrain();
    holder('cache', MIB);
    await train.run(call(MIB));
    expect(events).toMatchObject([{ number: 1, why: 'pressure', decidingMeter: 'rss', seenBytes: MIB }]);
    expect(events[0]!.parts.length).toBeGreaterThan(0);
  });

  it('stands in the journal with the 63 before it', () => {
    const { train, holder, journal } = setUpTrain({ meter: 'ledger' });
    holder('cache', 100 * MIB);
    for (let i = 0; i < 100; i++) train.runNow(call(MIB, { strategy: 'basic' }));
    expect(journal.reports().map(({ number }) => number)).toEqual(Array.from({ length: 64 }, (_, i) => i + 37));
    expect(journal).toMatchObject({ count: 100, length: 64, releasedBytes: 100 * MIB, seenBytes: 100 * MIB });
    expect(journal.at(63)!.number).toBe(100);
  });

  it('names what it passed over only in the detailed journal, and at most 64 parts', async () => {
    const { train, holder } = setUpTrain({ detailed: false, trim: false });
    for (let i = 0; i < 100; i++) holder(`holder ${i}`, MIB);
    const report = await train.run(call(100 * MIB));
    expect(report.parts.length).toBe(64);
    expect(report.parts.some(({ skipped }) => skipped !== undefined)).toBe(false);
    expect(report.releasedBytes).toBe(100 * MIB);
  });
});

describe('a train at once', () => {
  it('does not wait, and may run while another waits', async () => {
    const { train, holder, memory, journal } = setUpTrain();
    const spilling = holder('spilling', 10 * MIB);
    let finish = (_: number) => {};
    Object.assign(spilling, {
      reclaimNow: undefined,
      reclaim: () => new Promise<number>((resolve) => (finish = resolve)),
    });
    const waiting = train.run(call(50 * MIB, { strategy: 'basic' }));
    while (spilling.account.reclaiming === 0) await new Promise((resolve) => setImmediate(resolve));
    const cache = holder('cache', 100 * MIB);
    const report = train.runNow(call(50 * MIB, { why: 'reservation', level: 'emergency' }));
    expect(report).toMatchObject({ number: 1, seenBytes: 100 * MIB, releasedBytes: 100 * MIB });
    expect(told(report)).toContain('not reclaim: it would have to be waited for');
    expect([cache.heldBytes, memory.trims]).toEqual([0, 1]);
    finish(0);
    expect((await waiting).number).toBe(2);
    expect(journal.count).toBe(2);
  });

  it('inside a part of another does nothing', () => {
    const { train, holder, journal } = setUpTrain();
    const cache = holder('cache', 100 * MIB);
    const inner: unknown[] = [];
    cache.reclaimNow = () => {
      inner.push(train.runNow(call(1)).number);
      return 0;
    };
    train.runNow(call(MIB));
    expect([inner, journal.count]).toEqual([[0], 1]);
  });

  it('has one that is asked for inside it run after it', async () => {
    const { train, holder, memory } = setUpTrain();
    const cache = holder('cache', 100 * MIB);
    const later: Promise<unknown>[] = [];
    cache.reclaimNow = (request) => {
      if (later.length === 0) later.push(train.run(call(1)));
      return cache.release(request.targetBytes / 2);
    };
    const first = train.runNow(call(MIB, { strategy: 'basic' }));
    expect([first.number, first.parts[0]!.part, memory.collections]).toEqual([1, 'reclaim-now', ['minor']]);
    const second = (await later[0]) as typeof first;
    expect(second.number).toBe(2);
    expect(second.parts[0]).toMatchObject({ part: 'reclaim-now', consumer: 'cache' });
  });
});

describe('a train is bounded in time', () => {
  it('by the deadline of each that is waited for, and by its own', async () => {
    const { train, holder, clock } = setUpTrain({ maxMs: 5_000 });
    for (let i = 0; i < 10; i++) {
      Object.assign(holder(`hanging ${i}`, MIB), { reclaimNow: undefined, reclaim: () => new Promise(() => {}) });
    }
    const startedAt = clock.now();
    let report: Awaited<ReturnType<typeof train.run>> | undefined;
    void train.run(call(5 * MIB)).then((one) => (report = one));
    for (let i = 0; i < 1_000 && report === undefined; i++) {
      clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(report!.elapsedMs).toBeLessThanOrEqual(5_200);
    expect(clock.now() - startedAt).toBeLessThanOrEqual(5_300);
    expect(told(report!)).toContain('not full-collection: the time for a train is over');
    expect(report!.parts.filter(({ part }) => part === 'reclaim').length).toBe(3);
  });

  it('asks nobody any more when the holders before took too long', async () => {
    const { train, holder, clock } = setUpTrain();
    const slow = [1, 2, 3, 4].map((i) => holder(`slow ${i}`, MIB));
    for (const one of slow) {
      one.reclaimNow = (request) => {
        clock.advance(30);
        return one.release(request.targetBytes);
      };
    }
    await train.run(call(4 * MIB, { strategy: 'basic' }));
    expect(slow.map((one) => one.heldBytes)).toEqual([0, 0, MIB, MIB]);
  });
});

describe('what goes wrong in a train', () => {
  const failing = () => {
    throw new Error('not today');
  };

  it.each(['measure', 'decidingMeter', 'trend', 'slackBytes', 'usedBytes', 'afterCollection'] as const)(
    'in `%s` is a fault, and a report all the same',
    async (name) => {
      const { train, holder, faults, journal } = setUpTrain({ [name]: failing });
      holder('cache', MIB);
      expect((await train.run(call(MIB))).number).toBe(1);
      expect(train.runNow(call(MIB)).number).toBe(2);
      expect(faults.rows()[0]).toMatchObject({ message: 'not today' });
      expect([journal.count, train.running]).toEqual([2, false]);
    },
  );

  it('in a holder stands with its part, and the others are asked', async () => {
    const { train, holder } = setUpTrain({ meter: 'ledger' });
    Object.assign(holder('bad', 10 * MIB), { reclaimNow: failing });
    const good = holder('good', 5 * MIB);
    const report = await train.run(call(10 * MIB));
    expect(report.parts[0]).toMatchObject({ consumer: 'bad', releasedBytes: 0, fault: 'not today' });
    expect(good.heldBytes).toBe(0);
  });

  it('in the meter in the middle of it is no success', async () => {
    const { train, holder, memory } = setUpTrain();
    holder('cache', MIB);
    memory.rss = () => (memory.collections.length > 0 ? 0 : 100 * MIB);
    expect((await train.run(call(50 * MIB))).seenBytes).toBe(0);
  });

  it('in the trim switches it off, and the next train does without', async () => {
    const { train, holder, memory, faults } = setUpTrain();
    holder('cache', MIB);
    memory.trim = failing;
    await train.run(call(MIB));
    expect(faults.rows()).toEqual([{ part: 'trim', message: 'not today', count: 1, off: true }]);
    expect(told(await train.run(call(MIB)))).toContain('not trim: the trim is switched off: it failed');
  });
});

describe('observed', () => {
  it('a train does nothing, and says what would be asked of whom, in order', async () => {
    const { train, holder, memory, journal } = setUpTrain();
    const precious = holder('precious', 100 * MIB, { importance: 5 });
    const cheap = holder('cheap', 20 * MIB);
    const report = await train.run(call(30 * MIB, { observe: true, strategy: 'basic' }));
    expect(report).toMatchObject({ observed: true, releasedBytes: 0, seenBytes: 0, claimedBytes: 120 * MIB });
    expect(report.parts).toMatchObject([
      { part: 'reclaim-now', consumer: 'cheap', claimedBytes: 20 * MIB, skipped: 'only observed' },
      { part: 'reclaim-now', consumer: 'precious', claimedBytes: 100 * MIB, skipped: 'only observed' },
      { part: 'minor-collection', skipped: 'only observed' },
    ]);
    expect(told(train.runNow(call(1, { observe: true })))).toContain('not trim: only observed');
    expect([cheap.heldBytes, precious.heldBytes]).toEqual([20 * MIB, 100 * MIB]);
    expect([memory.collections.length, memory.trims, journal.releasedBytes]).toEqual([0, 0, 0]);
  });
});
