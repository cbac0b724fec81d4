import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ManualClock } from '../../src/clock.ts';
import { createGovernor, type Snapshot } from '../../src/governor/index.ts';
import { Alerts } from '../../src/observe/alerts.ts';
import type { CollectionWatch } from '../../src/observe/collections.ts';
import { Monitor } from '../../src/observe/monitor.ts';
import { type Observation, pointOf } from '../../src/observe/observation.ts';
import { ObservationFeed } from '../../src/observe/observation-feed.ts';

const MiB = 2 ** 20;

function fakeCollections(): () => CollectionWatch {
  return () => ({ take: () => ({ count: 2, pauseMs: 3, longestMs: 2, freedBytes: 5 }), [Symbol.dispose]: () => {} });
}

function make(more: Partial<ConstructorParameters<typeof ObservationFeed>[0]> = {}) {
  const clock = new ManualClock(1_000);
  const governor = createGovernor({ limitBytes: 64 * MiB, runtimeBytes: 0, clock, meters: [] });
  const feed = new ObservationFeed({ source: governor, maxPoints: 3, collections: fakeCollections(), clock, ...more });
  return { clock, governor, feed };
}

it('looks at its interval, tells who listens until they have enough, and keeps the last points', () => {
  const { clock, governor, feed } = make({ everyMs: 100 });
  const seen: number[] = [];
  const ended = feed.subscribe(({ number }) => seen.push(number));
  feed.subscribe(() => clock.advance(1)); // a listener that takes its time
  clock.advance(100);
  clock.advance(100);
  ended[Symbol.dispose]();
  for (let n = 0; n < 7; n++) clock.advance(100);
  expect(seen).toEqual([1, 2]);
  expect(feed.points().map(({ number }) => number)).toEqual([7, 8, 9]);
  expect(feed.points(8).map(({ number, at }) => [number, at])).toEqual([[9, 1_900]]);
  expect(feed.last).toMatchObject({ version: 1, number: 9, at: 1_900, pid: process.pid, collections: { count: 2 } });
  expect(JSON.parse(JSON.stringify(feed.last))).toEqual(feed.last);
  feed[Symbol.dispose]();
  feed[Symbol.dispose]();
  clock.advance(1_000);
  expect(feed.stats).toEqual({ looks: 9, spentMs: 9, subscribers: 0, faults: 0 });
  expect(() => feed.look()).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DISPOSED' }));
  governor[Symbol.dispose]();
});

it('loses nothing of a look that fails for its alerts', async () => {
  await using monitor = new Monitor({ channels: false, clock: new ManualClock() });
  let isBroken = true;
  const alerts = {
    rows: () => {
      if (isBroken) throw new Error('alerts');
      return [];
    },
  } as unknown as Alerts;
  const { governor, feed } = make({ everyMs: 0, monitor, alerts });
  monitor.record({ kind: 'stage', source: 's', durationMs: 1 });
  expect(() => feed.look()).toThrow('alerts');
  isBroken = false;
  expect(feed.look()).toMatchObject({ number: 1, events: [{ source: 's' }] });
  feed[Symbol.dispose]();
  governor[Symbol.dispose]();
});

it('has each event in one look, and says how many it left out', async () => {
  await using monitor = new Monitor({ channels: false, clock: new ManualClock() });
  monitor.record({ kind: 'stage', source: 'before', durationMs: 1 });
  const { governor, feed } = make({ everyMs: 0, monitor });
  using alerts = new Alerts({ clock: new ManualClock() });
  const other = new ObservationFeed({ source: governor, maxPoints: 1, everyMs: 0, alerts });
  for (let n = 0; n < 3; n++) monitor.record({ kind: 'stage', source: `s${n}`, durationMs: n });
  expect(feed.look().events.map(({ source }) => source)).toEqual(['s0', 's1', 's2']);
  expect(feed.look()).toMatchObject({ events: [], droppedEvents: 0, alerts: [] });
  for (let n = 0; n < 250; n++) monitor.record({ kind: 'stage', source: `t${n}`, durationMs: n });
  const { events, droppedEvents } = feed.look();
  expect([events.length, events[0]?.source, events.at(-1)?.source, droppedEvents]).toEqual([200, 't50', 't249', 50]);
  expect(other.look().alerts.length).toBe(alerts.rows().length);
  feed[Symbol.dispose]();
  other[Symbol.dispose]();
  governor[Symbol.dispose]();
});

it('goes on when the source, a listener, or the watch of collections breaks', () => {
  const clock = new ManualClock();
  let broken = true;
  const governor = createGovernor({ limitBytes: 64 * MiB, runtimeBytes: 0, clock, meters: [] });
  const snapshot = (): Snapshot => {
    if (broken) throw new Error('no figures');
    return governor.snapshot();
  };
  const collections = (): CollectionWatch => {
    throw new Error('no collections');
  };
  const feed = new ObservationFeed({ source: { snapshot }, maxPoints: 9, everyMs: 10, collections, clock });
  const seen: Observation[] = [];
  feed.subscribe(() => {
    throw new Error('a bad listener');
  });
  feed.subscribe((observation) => void seen.push(observation));
  clock.advance(10);
  expect(feed.stats).toMatchObject({ looks: 0, faults: 2, lastFault: 'no figures' });
  broken = false;
  clock.advance(10);
  expect(seen.map(({ number, collections }) => [number, collections.count])).toEqual([[1, 0]]);
  expect(feed.stats).toMatchObject({ looks: 1, faults: 3, lastFault: 'a bad listener' });
  feed[Symbol.dispose]();
  governor[Symbol.dispose]();
});

it('says of each look what trains gave back since the one before, of another governor from its start', () => {
  const { governor, feed } = make({ everyMs: 0 });
  const look = feed.look();
  const after = (count: number, releasedBytes: number, seenBytes: number): Observation => {
    const { snapshot } = look;
    return { ...look, snapshot: { ...snapshot, trains: { ...snapshot.trains, count, releasedBytes, seenBytes } } };
  };
  const gain = (now: Observation, before?: Observation) => {
    const { releasedBytes, seenBytes } = pointOf(now, before);
    return [releasedBytes, seenBytes];
  };
  expect(gain(after(2, 50, 40))).toEqual([50, 40]);
  expect(gain(after(3, 80, 30), after(2, 50, 40))).toEqual([30, -10]);
  expect(gain(after(1, 20, 10), after(2, 50, 40))).toEqual([20, 10]);
  feed[Symbol.dispose]();
  governor[Symbol.dispose]();
});

it('has a bound for who listens, and says what is wrong with an option', () => {
  const { governor, feed } = make({ everyMs: 0 });
  for (let n = 0; n < 1_000; n++) feed.subscribe(() => {});
  expect(() => feed.subscribe(() => {})).toThrow('at most 1000');
  expect(() => new ObservationFeed({ source: governor } as never)).toThrow('maxPoints');
  expect(() => new ObservationFeed({ maxPoints: 1 } as never)).toThrow('source');
  expect(() => new ObservationFeed({ source: governor, maxPoints: 1, monitor: {} as never })).toThrow('monitor');
  feed[Symbol.dispose]();
  governor[Symbol.dispose]();
});

it('makes points whose consumers add up to what is reserved, whatever they are called and hold', () => {
  const names = fc.uniqueArray(fc.oneof(fc.string({ minLength: 1, maxLength: 8 }), fc.constant('__proto__')), {
    minLength: 1,
    maxLength: 30,
  });
  fc.assert(
    fc.property(names, fc.array(fc.nat(1_000), { minLength: 30, maxLength: 30 }), (given, bytes) => {
      const clock = new ManualClock();
      using governor = createGovernor({ limitBytes: 64 * MiB, runtimeBytes: 100, clock, meters: [] });
      for (const [index, name] of given.entries()) {
        const consumer = governor.consumer({ name, kind: 'heap', maxBytes: MiB });
        if (bytes[index]! > 0) consumer.reserve(bytes[index]!);
      }
      using feed = new ObservationFeed({ source: governor, maxPoints: 1, everyMs: 0, clock });
      const point = pointOf(feed.look());
      const held = Object.values(point.consumers).reduce((sum, each) => sum + each, 0);
      expect(held + point.otherBytes).toBe(point.reservedBytes);
      expect(Object.keys(point.consumers).length).toBeLessThanOrEqual(12);
    }),
    { numRuns: 50 },
  );
});
