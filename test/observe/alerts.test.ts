import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock.ts';
import { type AlertEvent, alertEvents, slowAcquireEvents } from '../../src/events.ts';
import { createGovernor, type Snapshot } from '../../src/governor/index.ts';
import { type AlertRule, defaultAlertRules } from '../../src/observe/alert-rules.ts';
import { AlertState } from '../../src/observe/alert-state.ts';
import { Alerts } from '../../src/observe/alerts.ts';
import { WindowCount } from '../../src/observe/event-tally.ts';
import { GrowthWatch } from '../../src/observe/growth-watch.ts';
import { CHANNELS, PUBLISHED } from './published.ts';

const MIB = 1_048_576;
const base: Snapshot = createGovernor({
  limitBytes: 4_096 * MIB,
  runtimeBytes: 0,
  clock: new ManualClock(),
}).snapshot();

function meter(
  name: 'rss' | 'heap' | 'external' | 'cgroup',
  bytes: number,
  limitBytes = 4_096 * MIB,
): Snapshot['meters'][number] {
  const rest = { reusableBytes: 0, peakBytes: bytes, bytesPerSecond: 0, off: false };
  return { name, bytes, limitBytes, ratio: bytes / limitBytes, ...rest };
}

const shows = (meters: Snapshot['meters'], more: Partial<Snapshot> = {}): Snapshot => ({
  ...base,
  meters,
  drift: [],
  ...more,
});
const rule = (more: Partial<AlertRule>): AlertRule => ({
  name: 'own',
  severity: 'warning',
  unit: 'count',
  message: 'm',
  when: 'above',
  raiseAt: 10,
  clearAt: 5,
  raiseAfterMs: 0,
  holdMs: 0,
  value: () => undefined,
  ...more,
});

describe('the default rules', () => {
  const phases = (alerts: Alerts) =>
    alerts.rows().flatMap(({ rule: name, phase }) => (phase === 'raised' ? [name] : []));
  const made = () => {
    const clock = new ManualClock();
    return { clock, alerts: new Alerts({ clock, channels: false }) };
  };

  it('say nothing of a process that does well', () => {
    const { clock, alerts } = made();
    for (let n = 0; n < 100; n++) {
      expect(
        alerts.evaluate(shows([meter('rss', 200 * MIB), meter('heap', (n % 5) * 30 * MIB), meter('external', 0)])),
      ).toEqual([]);
      clock.advance(5_000);
    }
    expect(phases(alerts)).toEqual([]);
    expect(JSON.parse(JSON.stringify(alerts.rows()))).toEqual(alerts.rows());
  });

  it('raise a peak over 1,024 MiB, also one between two looks, and 95% of any limit', () => {
    const { alerts } = made();
    alerts.evaluate(shows([meter('rss', 1_023 * MIB)]));
    expect(phases(alerts)).toEqual([]);
    alerts.evaluate(shows([{ ...meter('rss', 500 * MIB), peakBytes: 1_024 * MIB }]));
    expect(phases(alerts)).toEqual(['peak-memory']);
    const limit = made().alerts;
    limit.evaluate(shows([meter('rss', 10 * MIB), meter('cgroup', 95 * MIB, 100 * MIB)]));
    expect(phases(limit)).toEqual(['near-limit']);
  });

  it('clear a tenth below, once a peak is no longer new; books that are full are near no limit', () => {
    const { clock, alerts } = made();
    const peak = { peakBytes: 2_000 * MIB };
    const read = (bytes: number) => alerts.evaluate(shows([{ ...meter('rss', bytes * MIB), ...peak }]));
    expect(read(500)).toHaveLength(1);
    clock.advance(60_000);
    expect(read(922)).toEqual([]);
    expect(read(921)).toMatchObject([{ rule: 'peak-memory', state: 'cleared', value: 921 * MIB }]);
    expect(alerts.evaluate(shows([{ ...meter('rss', 100, 100), name: 'ledger' }]))).toEqual([]);
  });

  it('raise fewer than 10 items per MiB where a run reports items, and only there', () => {
    const { alerts } = made();
    alerts.note({ kind: 'completed', source: 'run', peakBytes: 100 * MIB });
    alerts.evaluate(shows([]));
    alerts.note({ kind: 'completed', source: 'run', items: 1_001, peakBytes: 100 * MIB });
    alerts.evaluate(shows([]));
    expect(phases(alerts)).toEqual([]);
    alerts.note({ kind: 'completed', source: 'run', items: 999, peakBytes: 100 * MIB });
    alerts.evaluate(shows([]));
    expect(phases(alerts)).toEqual(['low-efficiency']);
  });

  it('raise five failed cleanups, slow acquisitions and failing plugins, and clear when they are long ago', () => {
    const { clock, alerts } = made();
    const note = (times: number) => {
      for (let n = 0; n < times; n++) alerts.note({ kind: 'cleanup-failed', source: 'r', resource: 'f', message: 'm' });
    };
    note(4);
    alerts.evaluate(shows([]));
    expect(phases(alerts)).toEqual([]);
    note(1);
    for (let n = 0; n < 5; n++) alerts.note({ kind: 'pool', source: 'p', operation: 'slow acquire', waitedMs: 200 });
    for (let n = 0; n < 3; n++)
      alerts.note({ kind: 'plugin', source: 'p', what: 'failed', code: 'C', failures: n, message: 'm' });
    alerts.evaluate(shows([]));
    expect(phases(alerts)).toEqual(['cleanup-failures', 'pool-waiting', 'plugin-failures']);
    clock.advance(700_000);
    alerts.evaluate(shows([]));
    expect(phases(alerts)).toEqual([]);
  });

  it('suspect a leak where memory grew 50 MiB and nothing was given back', () => {
    const grow = (cleanups: boolean) => {
      const { clock, alerts } = made();
      for (let n = 0; n < 20; n++) {
        if (cleanups && n % 3 === 0) alerts.note({ kind: 'cleaned', source: 'c', bytes: 1 });
        alerts.evaluate(shows([meter('heap', n * 10 * MIB), meter('external', MIB)]));
        clock.advance(5_000);
      }
      return phases(alerts);
    };
    expect(grow(false)).toEqual(['leak-suspected']);
    expect(grow(true)).toEqual([]);
  });

  it('suspect no leak where a collection, a trim or a train gave something back, or the least went down', () => {
    const watch = new GrowthWatch();
    const at = (bytes: number, more: Partial<Snapshot> = {}) => watch.update(shows([meter('rss', bytes)], more), 0);
    expect([at(100), at(150), at(40), at(70)]).toEqual([0, 50, 0, 30]);
    const collections = { ...base.collections, count: 1 };
    const trims = { ...base.trims, count: 1 };
    const trains = { ...base.trains, releasedBytes: 1 };
    expect([at(80, { collections }), at(90, { collections })]).toEqual([0, 10]);
    expect([at(95, { collections, trims }), at(97, { collections, trims, trains })]).toEqual([0, 0]);
    expect(watch.update(shows([]), 0)).toBe(undefined);
    const both = shows([meter('rss', 900), meter('heap', 100), meter('external', 25)], { collections, trims, trains });
    expect(watch.update(both, 0)).toBe(28);
  });

  it('clear a suspected leak at half of what raised it', () => {
    const { clock, alerts } = made();
    const read = (mib: number) => alerts.evaluate(shows([meter('rss', mib * MIB)])).map(({ state }) => state);
    read(100);
    read(150);
    clock.advance(30_000);
    expect(read(150)).toEqual(['raised']);
    clock.advance(60_000);
    expect([read(126), read(125)]).toEqual([[], ['cleared']]);
  });

  it('raise drift that lasts', () => {
    const { clock, alerts } = made();
    const drift = [{ of: 'heap', reservedBytes: 0, observedBytes: 1_024 * MIB, driftBytes: -1_024 * MIB }];
    const snapshot = shows([], { drift: drift as unknown as Snapshot['drift'] });
    alerts.evaluate(snapshot);
    expect(phases(alerts)).toEqual([]);
    clock.advance(30_000);
    alerts.evaluate(snapshot);
    expect(phases(alerts)).toEqual(['drift']);
  });

  it('take other numbers, and refuse what is none', () => {
    expect(defaultAlertRules({ peakBytes: 5 }).find(({ name }) => name === 'peak-memory')?.raiseAt).toBe(5);
    const bad: object[] = [
      { peakBytes: 0 },
      { peakRatio: 2 },
      { growthBytes: -1 },
      { leastItemsPerMiB: 0 },
      { peak: 1 },
    ];
    for (const options of bad) expect(() => defaultAlertRules(options)).toThrow(RangeError);
  });
});

describe('alerts', () => {
  it('evaluate by the clock, publish, and count what is published by others', () => {
    const clock = new ManualClock(1_000);
    const heard: AlertEvent[] = [];
    using _listening = alertEvents.subscribe((alert) => void heard.push(alert));
    const alerts = new Alerts({ clock, source: { snapshot: () => shows([]) } });
    for (let n = 0; n < 5; n++) slowAcquireEvents.publish({ pool: 'p', waitedMs: 200, waiting: 1, size: 1 });
    clock.advance(5_000);
    expect(heard).toEqual([
      {
        ...{ rule: 'pool-waiting', severity: 'warning', state: 'raised', value: 5, raiseAt: 5, clearAt: 2 },
        ...{ unit: 'count', message: 'Connections are waited for', at: 6_000 },
      },
    ]);
    alerts[Symbol.dispose]();
    alerts[Symbol.dispose]();
    expect(clock.pending).toBe(0);
    expect(slowAcquireEvents.heard).toBe(false);
    expect(() => alerts.evaluate(base)).toThrow('disposed');
  });

  it('hear the channels that they count, and no other: its messages would be made for nothing', () => {
    const rows: object[] = [];
    const look = rule({ value: ({ events }) => void rows.push(events) });
    const alerts = new Alerts({ clock: new ManualClock(), rules: [look] });
    const heard = CHANNELS.filter((channel) => channel.heard).map(({ name }) => name);
    expect(heard.map((name) => name.slice('plimsoll:'.length))).toEqual(
      expect.arrayContaining(['cleanup', 'cleanup-failed', 'plugin', 'reclaim', 'slow-acquire', 'train']),
    );
    expect(heard).toHaveLength(6);
    for (const { publish } of PUBLISHED) publish();
    alerts.evaluate(base);
    // The train only observed, so that two gave something back: a reclaim and a cleanup.
    expect(rows).toEqual([{ cleanupFailures: 1, pluginFailures: 1, slowAcquires: 1, cleanups: 2 }]);
    alerts[Symbol.dispose]();
  });

  it('go on where a snapshot, a rule or an action fails', async () => {
    const clock = new ManualClock();
    let value = 10;
    const fails = () => {
      throw new Error('no');
    };
    const told: string[] = [];
    const actions = [fails, () => Promise.reject(new Error('late')), ({ state }: AlertEvent) => void told.push(state)];
    const rules = [
      rule({ name: 'bad', value: fails }),
      rule({ name: 'nan', value: () => Number.NaN }),
      rule({ value: () => value }),
    ];
    let broken = true;
    const snapshot = () => (broken ? fails() : base);
    const alerts = new Alerts({ clock, channels: false, rules, actions, source: { snapshot } });
    clock.advance(5_000);
    broken = false;
    clock.advance(5_000);
    value = 5;
    clock.advance(5_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(told).toEqual(['raised', 'cleared']);
    expect(alerts.stats).toMatchObject({ evaluations: 2, snapshotFailures: 1, actionFailures: 4 });
    expect(alerts.rows().map(({ faults }) => faults)).toEqual([2, 2, 0]);
  });

  it('do not pile up actions that never end', () => {
    let value = 0;
    let calls = 0;
    const hang = () => {
      calls++;
      return new Promise(() => {});
    };
    const alerts = new Alerts({
      clock: new ManualClock(),
      channels: false,
      rules: [rule({ value: () => value })],
      actions: [hang],
    });
    for (let n = 0; n < 40; n++) {
      value = n % 2 ? 0 : 10;
      alerts.evaluate(base);
    }
    expect(calls).toBe(16);
    expect(alerts.stats.actionsSkipped).toBe(24);
  });

  it('go on calling actions whose calls have ended', async () => {
    let value = 0;
    let calls = 0;
    const alerts = new Alerts({
      clock: new ManualClock(),
      channels: false,
      rules: [rule({ value: () => value })],
      actions: [async () => void calls++],
    });
    for (let n = 0; n < 40; n++) {
      value = n % 2 ? 0 : 10;
      alerts.evaluate(base);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(calls).toBe(40);
  });

  it('may be evaluated and disposed from an action', () => {
    const actions = [
      () => {
        expect(alerts.evaluate(base)).toEqual([]);
        alerts[Symbol.dispose]();
      },
    ];
    const alerts: Alerts = new Alerts({
      clock: new ManualClock(),
      channels: false,
      rules: [rule({ value: () => 10 })],
      actions,
    });
    expect(alerts.evaluate(base)).toHaveLength(1);
    expect(alerts.stats.actionFailures).toBe(0);
  });

  it('refuse options that are none', () => {
    const bad: object[] = [
      { everyMs: 0 },
      { windowMs: 1 },
      { actions: [5] },
      { source: {} },
      { rule: [] },
      { channels: 1 },
    ];
    bad.push(
      { rules: [rule({}), rule({})] },
      { rules: [rule({ clearAt: 11 })] },
      { rules: [rule({ when: 'below', clearAt: 9 })] },
    );
    bad.push({ rules: [rule({ raiseAt: Number.NaN })] }, { rules: [rule({ holdMs: -1 })] }, { rules: [null] });
    for (const options of bad) expect(() => new Alerts(options)).toThrow(RangeError);
  });
});

it('what happened counts for the window, to a tenth of it', () => {
  const waits = fc.array(fc.nat(250), { maxLength: 60 });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5_000 }), waits, (start, afterMs) => {
      const window = new WindowCount(1_000);
      const parts: number[] = [];
      let now = start;
      for (const ms of afterMs) {
        now += ms;
        window.add(now);
        parts.push(Math.floor(now / 100));
        expect(window.at(now)).toBe(parts.filter((part) => part > Math.floor(now / 100) - 10).length);
      }
      expect(window.at(now + 1_000)).toBe(0);
    }),
  );
});

it('a rule is raised only after it has read badly for long enough, and cleared only by a good reading after its time', () => {
  const levels = fc.record({
    when: fc.constantFrom('above' as const, 'below' as const),
    width: fc.integer({ min: 0, max: 5 }),
    raiseAfterMs: fc.integer({ min: 0, max: 20 }),
    holdMs: fc.integer({ min: 0, max: 30 }),
  });
  const reading = fc.record({
    value: fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined }),
    afterMs: fc.integer({ min: 0, max: 15 }),
  });
  fc.assert(
    fc.property(levels, fc.array(reading, { maxLength: 60 }), ({ when, width, raiseAfterMs, holdMs }, readings) => {
      const sign = when === 'above' ? 1 : -1;
      const clearAt = 10 - sign * width;
      const state = new AlertState({ when, raiseAt: 10, clearAt, raiseAfterMs, holdMs });
      let now = 0;
      let badSince: number | undefined;
      let raisedAt: number | undefined;
      for (const { value, afterMs } of readings) {
        now += afterMs;
        const isBad = value !== undefined && (value - 10) * sign >= 0;
        const isGood = value !== undefined && !isBad && (value - clearAt) * sign <= 0;
        let expected: string | undefined;
        if (raisedAt !== undefined) {
          if (isGood && now - raisedAt >= holdMs) {
            expected = 'cleared';
            raisedAt = undefined;
            badSince = undefined;
          }
        } else if (isBad) {
          badSince ??= now;
          if (now - badSince >= raiseAfterMs) {
            expected = 'raised';
            raisedAt = now;
          }
        } else badSince = undefined;
        expect(state.update(value, now)).toBe(expected);
        expect(state.phase === 'raised').toBe(raisedAt !== undefined);
      }
    }),
    { numRuns: 300 },
  );
});
