import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock.ts';
import { EventRing } from '../../src/observe/event-ring.ts';
import { Monitor } from '../../src/observe/monitor.ts';
import type { MonitorEvent, NewMonitorEvent } from '../../src/observe/monitor-events.ts';
import { CHANNELS, PUBLISHED } from './published.ts';

const stage = (source = 'parse', durationMs = 1): NewMonitorEvent<'stage'> => ({ kind: 'stage', source, durationMs });
const quiet = { channels: false } as const;
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('a monitor', () => {
  it('keeps rows of its own, numbered, with the time, without what the kind does not carry', () => {
    const clock = new ManualClock(1_000);
    const monitor = new Monitor({ ...quiet, clock });
    const given = { ...stage(), items: 3, secret: 'x', bytes: Number.NaN };
    expect(monitor.record(given)).toBe(true);
    given.items = 9;
    clock.advance(5);
    monitor.record({ kind: 'error', source: 'a', message: 'x'.repeat(999), recoverable: false });
    const rows = monitor.query();
    expect(rows[0]).toEqual({ number: 1, at: 1_000, kind: 'stage', source: 'parse', durationMs: 1, items: 3 });
    expect(rows[1]).toMatchObject({ number: 2, at: 1_005, recoverable: false, message: 'x'.repeat(200) });
    expect(JSON.parse(JSON.stringify(rows))).toEqual(rows);
  });

  it('keeps nothing of the long texts that its own were cut out of', () => {
    const collect = (globalThis as unknown as { gc: () => void }).gc;
    const monitor = new Monitor(quiet);
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let n = 0; n < 60; n++) {
      const body = Buffer.alloc(512 * 1024, `${n} is what the other side said; `).toString('latin1');
      const message = n % 2 ? body : body.slice(0, 100);
      monitor.record({ kind: 'error', source: body.slice(0, 30), message, recoverable: true });
    }
    collect();
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(5 * 1_048_576);
    expect(monitor.query()[7]).toMatchObject({ source: '7 is what the other side said;' });
  });

  it('answers queries by kind, source, time and limit, the latest first to stay', () => {
    const clock = new ManualClock();
    const monitor = new Monitor({ ...quiet, clock });
    for (let n = 0; n < 6; n++) {
      monitor.record(n % 2 ? stage(`s${n}`) : { kind: 'cache', source: 'c', operation: 'hit', count: n });
      clock.advance(10);
    }
    const numbers = (query: Parameters<Monitor['query']>[0]) => monitor.query(query).map(({ number }) => number);
    expect(numbers({ kinds: ['stage'] })).toEqual([2, 4, 6]);
    expect(numbers({ source: 's3' })).toEqual([4]);
    expect(numbers({ from: 10, to: 30 })).toEqual([2, 3, 4]);
    expect(numbers({ kinds: ['cache'], limit: 2 })).toEqual([3, 5]);
    expect(() => monitor.query({ limit: 0 })).toThrow(RangeError);
    expect(() => monitor.query({ kinds: ['other' as 'stage'] })).toThrow('kinds');
    expect(() => monitor.query({ kind: 'stage' } as object)).toThrow('did you mean `kinds`');
  });

  it('never samples away what starts, ends or fails', () => {
    let turn = 0;
    const monitor = new Monitor({ ...quiet, sampleRate: 0.5, random: () => (turn++ % 2 ? 0.9 : 0.1) });
    for (let n = 0; n < 10; n++) monitor.record(stage());
    expect(monitor.stats).toMatchObject({ recorded: 5, sampledOut: 5 });
    const none = new Monitor({ ...quiet, sampleRate: 0 });
    none.record(stage());
    none.record({ kind: 'started', source: 'run' });
    none.record({ kind: 'error', source: 'run', message: 'm', recoverable: true });
    none.record({ kind: 'completed', source: 'run' });
    expect(none.query().map(({ kind }) => kind)).toEqual(['started', 'error', 'completed']);
  });

  it('does not throw for what is no event, and counts it', () => {
    const monitor = new Monitor(quiet);
    const bad: unknown[] = [undefined, 5, {}, { kind: 'toString', source: 'a' }, { kind: 'stage', source: 5 }];
    bad.push({
      kind: 'stage',
      source: 'a',
      get durationMs() {
        throw new Error('no');
      },
    });
    for (const event of bad) expect(monitor.record(event as NewMonitorEvent)).toBe(false);
    expect(monitor.stats).toMatchObject({ recorded: 0, refused: bad.length });
  });

  it('numbers without gaps, also where reading one event records another', () => {
    const monitor = new Monitor(quiet);
    const inside = {
      ...stage(),
      get durationMs() {
        monitor.record(stage('inside'));
        return 1;
      },
    };
    expect(monitor.record(inside)).toBe(false);
    expect(monitor.query()).toMatchObject([{ number: 1, source: 'inside' }]);
    expect(monitor.stats).toMatchObject({ recorded: 1, refused: 1 });
  });

  it('gives copies, which may be changed', () => {
    const monitor = new Monitor(quiet);
    monitor.record(stage('mine'));
    Object.assign(monitor.query()[0]!, { source: 'changed' });
    expect(monitor.query()[0]!.source).toBe('mine');
  });

  it('refuses options that are none', () => {
    const bad: object[] = [{ maxEvents: 0 }, { flushEveryMs: 0 }, { sampleRate: 2 }, { sampleRate: Number.NaN }];
    bad.push({ sink: 5 }, { random: 5 }, { channels: 1 }, { clock: {} }, { sinkTimeoutMs: 0 }, { maxEvent: 5 });
    for (const options of bad) expect(() => new Monitor(options)).toThrow(RangeError);
  });

  it('hears what the library publishes, until it is disposed', async () => {
    const monitor = new Monitor({ clock: new ManualClock() });
    for (const { publish, row } of PUBLISHED) {
      publish();
      const { number: _, at: __, ...rest } = monitor.query().at(-1)!;
      expect(rest).toEqual(row);
    }
    expect(monitor.stats.recorded).toBe(CHANNELS.length);
    await monitor[Symbol.asyncDispose]();
    for (const { publish } of PUBLISHED) publish();
    expect(monitor.record(stage())).toBe(false);
    expect(monitor.query()).toHaveLength(PUBLISHED.length);
    for (const channel of CHANNELS) expect(channel.heard, channel.name).toBe(false);
  });
});

describe('the sink of a monitor', () => {
  it('has what waits every five seconds, and nothing when nothing does', async () => {
    const clock = new ManualClock();
    const calls: number[] = [];
    const monitor = new Monitor({ ...quiet, clock, sink: (events) => void calls.push(events.length) });
    monitor.record(stage());
    monitor.record(stage());
    clock.advance(4_999);
    expect(calls).toEqual([]);
    clock.advance(1);
    expect(calls).toEqual([2]);
    clock.advance(20_000);
    expect(calls).toEqual([2]);
    await monitor[Symbol.asyncDispose]();
    expect(clock.pending).toBe(0);
  });

  it('is called ahead of time where half of the room is full', async () => {
    const clock = new ManualClock();
    let got = 0;
    const monitor = new Monitor({ ...quiet, clock, maxEvents: 10, sink: (events) => void (got += events.length) });
    for (let n = 0; n < 5; n++) monitor.record(stage());
    expect(got).toBe(0);
    clock.advance(0);
    expect(got).toBe(5);
    for (let n = 0; n < 5; n++) monitor.record(stage());
    await monitor[Symbol.asyncDispose]();
    expect(got).toBe(10);
    expect(clock.pending).toBe(0);
  });

  it('that throws or rejects is counted, and has the events again', async () => {
    const clock = new ManualClock();
    const got: number[][] = [];
    let call = 0;
    const sink = (events: readonly MonitorEvent[]) => {
      got.push(events.map(({ number }) => number));
      call++;
      if (call === 1) throw new Error('first');
      return call === 2 ? Promise.reject(new Error('second')) : Promise.resolve();
    };
    const monitor = new Monitor({ ...quiet, clock, sink });
    monitor.record(stage());
    clock.advance(5_000);
    monitor.record(stage());
    clock.advance(5_000);
    await settled();
    clock.advance(5_000);
    await settled();
    expect(got).toEqual([[1], [1, 2], [1, 2]]);
    expect(monitor.stats).toMatchObject({
      flushes: 3,
      sinkFailures: 2,
      delivered: 2,
      lastFailure: 'second',
      dropped: 0,
    });
  });

  it('that hangs is not called again, holds one batch, and what does not fit is counted', async () => {
    const clock = new ManualClock();
    let calls = 0;
    const sink = () => {
      calls++;
      return new Promise<void>(() => {});
    };
    const monitor = new Monitor({ ...quiet, clock, maxEvents: 4, sink });
    monitor.record(stage());
    clock.advance(5_000);
    for (let n = 0; n < 9; n++) monitor.record(stage());
    clock.advance(60_000);
    expect(calls).toBe(1);
    expect(monitor.stats).toMatchObject({ sinkHangs: 1, flushing: true, waiting: 4, dropped: 5, kept: 4 });
    let over = false;
    void monitor[Symbol.asyncDispose]().then(() => {
      over = true;
    });
    await settled();
    expect(over).toBe(false);
    clock.advance(30_000);
    await settled();
    expect(over).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it('may change what it is given, and record while it is called', () => {
    const clock = new ManualClock();
    const sink = (events: readonly MonitorEvent[]) => {
      for (const event of events) Object.assign(event, { source: 'changed' });
      monitor.record(stage('inside'));
      void monitor.flush();
    };
    const monitor: Monitor = new Monitor({ ...quiet, clock, sink });
    monitor.record(stage('mine'));
    clock.advance(5_000);
    expect(monitor.query().map(({ source }) => source)).toEqual(['mine', 'inside']);
  });

  it('is called once with what waits when the monitor is disposed, also twice', async () => {
    const calls: number[] = [];
    const monitor = new Monitor({
      ...quiet,
      clock: new ManualClock(),
      sink: (events) => void calls.push(events.length),
    });
    monitor.record(stage());
    await Promise.all([monitor[Symbol.asyncDispose](), monitor[Symbol.asyncDispose]()]);
    await monitor[Symbol.asyncDispose]();
    expect(calls).toEqual([1]);
  });
});

it('the buffer is within its bound, and what was recorded is delivered, waiting, under way or lost, whatever the order', () => {
  const step = fc.constantFrom('push', 'push', 'push', 'take', 'ok', 'fail');
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.array(step, { maxLength: 60 }), (capacity, steps) => {
      const ring = new EventRing(capacity);
      const kept: number[] = [];
      const delivered = new Set<number>();
      const lost = new Set<number>();
      let underWay: number[] | undefined;
      let pushed = 0;
      for (const each of steps) {
        if (each === 'push') {
          ring.push({ ...stage(), number: ++pushed, at: 0 });
          kept.push(pushed);
          const out = kept.length > capacity ? kept.shift() : undefined;
          if (out !== undefined && !delivered.has(out) && !underWay?.includes(out)) lost.add(out);
        } else if (each === 'take' && underWay === undefined) {
          underWay = ring.take().map(({ number }) => number);
          expect(underWay).toEqual(kept.filter((number) => !delivered.has(number)));
        } else if (each === 'ok' && underWay !== undefined) {
          for (const number of underWay) delivered.add(number);
          ring.delivered();
          underWay = undefined;
        } else if (each === 'fail' && underWay !== undefined) {
          for (const number of underWay) if (!kept.includes(number)) lost.add(number);
          ring.failed();
          underWay = undefined;
        }
        expect([...ring].map(({ number }) => number)).toEqual(kept);
        expect(ring.size).toBe(kept.length);
        expect(ring.lost).toBe(lost.size);
        expect(ring.waiting).toBe(kept.filter((n) => !delivered.has(n) && !underWay?.includes(n)).length);
      }
    }),
    { numRuns: 300 },
  );
});
