import {
  createGovernor,
  type LeakEvent,
  LeakTracker,
  type LeakTrackerOptions,
  leakEvents,
  ManualClock,
} from 'plimsoll';
import { describe, expect, it } from 'vitest';

const TURNS = 200;

/** Collections and turns of the event loop until `done`, which V8 owes nobody at any time. */
async function until(done: () => boolean): Promise<boolean> {
  for (let turn = 0; turn < TURNS && !done(); turn++) {
    (globalThis as unknown as { gc(): void }).gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return done();
}

/** A tracker, what it reports, and a clock that stands. */
function setUp(options: LeakTrackerOptions = {}) {
  const clock = new ManualClock();
  const reports: LeakEvent[] = [];
  const onLeak = (report: LeakEvent) => void reports.push(report);
  return { clock, reports, tracker: new LeakTracker({ level: 'paranoid', onLeak, clock, ...options }) };
}

/** Something that must be given back, which keeps its trace. */
class Lent {
  readonly trace;

  constructor(tracker: LeakTracker, what = 'lent') {
    this.trace = tracker.track(what, this);
  }

  use(): void {
    this.trace?.touch();
  }
}

/** What is made in here is reachable from nowhere afterwards. */
function forget(tracker: LeakTracker, count = 1, each: (lent: Lent) => void = () => {}): void {
  for (let i = 0; i < count; i++) each(new Lent(tracker));
}

describe('levels', () => {
  it('off looks at nothing', () => {
    const { tracker } = setUp({ level: 'off' });
    expect(new Lent(tracker).trace).toBeUndefined();
    expect(tracker.stats).toEqual({ sampled: 0, open: 0, leaked: 0 });
  });

  it.each(['simple', 'advanced'] as const)('%s takes the first and then one of so many', (level) => {
    const { tracker } = setUp({ level, sampleEvery: 10 });
    const lent = Array.from({ length: 25 }, () => new Lent(tracker));
    expect(lent.flatMap(({ trace }, i) => (trace === undefined ? [] : [i]))).toEqual([0, 10, 20]);
    expect(tracker.stats).toEqual({ sampled: 3, open: 3, leaked: 0 });
  });

  it('paranoid takes every one, whatever the sampling says', () => {
    const { tracker } = setUp({ sampleEvery: 10 });
    const lent = Array.from({ length: 25 }, () => new Lent(tracker));
    expect(lent.every(({ trace }) => trace !== undefined)).toBe(true);
  });

  it('simple keeps no last use; advanced and paranoid keep it where there was one', async () => {
    for (const level of ['simple', 'advanced', 'paranoid'] as const) {
      const { tracker, reports } = setUp({ level, sampleEvery: 1 });
      (function usedHere() {
        forget(tracker, 1, (lent) => lent.use());
      })();
      expect(await until(() => reports.length === 1)).toBe(true);
      const { lastUsedAt } = reports[0]!;
      if (level === 'simple') expect(lastUsedAt).toBeUndefined();
      else {
        expect(lastUsedAt).toContain('usedHere');
        expect(lastUsedAt!.split('\n')[0]).toContain('Lent.use');
      }
      forget(tracker);
      expect(await until(() => reports.length === 2)).toBe(true);
      expect(reports[1]).not.toHaveProperty('lastUsedAt');
    }
  });

  it('has defaults and refuses what is unsound', () => {
    expect(new LeakTracker().level).toBe('simple');
    const unsound = [
      { level: 'loud' },
      { sampleEvery: 0 },
      { frames: 65 },
      { maxPlaces: 0 },
      { onLeak: 1 },
      { every: 1 },
    ];
    for (const options of unsound) {
      expect(() => new LeakTracker(options as never)).toThrow(
        expect.objectContaining({ code: 'PLIMSOLL_INVALID_OPTION' }),
      );
    }
  });
});

describe('what was let go of', () => {
  it('is reported with where it was made, its age, and how many of the same place', async () => {
    const { tracker, reports, clock } = setUp();
    (function madeHere() {
      forget(tracker, 3);
    })();
    clock.advance(500);
    expect(await until(() => reports.length === 3)).toBe(true);
    for (const { what, createdAt, ageMs } of reports) {
      expect([what, ageMs]).toEqual(['lent', 500]);
      expect(createdAt).toContain('madeHere');
      // Without the frames of the tracker, and no frame is lost.
      expect(createdAt.split('\n')[0]).toContain('new Lent');
    }
    expect(reports.map(({ count }) => count)).toEqual([1, 2, 3]);
    expect(tracker.stats).toEqual({ sampled: 3, open: 0, leaked: 3 });
  });

  it('is found also when its own method is on the stack on which it was made', async () => {
    const { tracker, reports } = setUp();
    class Opener {
      trace: unknown;

      open(): void {
        this.trace = tracker.track('opener', this);
      }
    }
    (() => new Opener().open())();
    expect(await until(() => reports.length === 1)).toBe(true);
    expect(reports[0]!.createdAt).toContain('Opener.open');
  });

  it('is published as plimsoll:leak', async () => {
    const heard: unknown[] = [];
    using _ = leakEvents.subscribe((event) => void heard.push(event));
    const { tracker, reports } = setUp();
    forget(tracker);
    expect(await until(() => heard.length === 1)).toBe(true);
    expect(heard).toEqual(reports);
  });

  it('is no leak once it was given back, twice is safe', async () => {
    const { tracker, reports } = setUp();
    forget(tracker, 50, ({ trace }) => {
      trace!.close();
      trace!.close();
    });
    expect(tracker.stats).toEqual({ sampled: 50, open: 0, leaked: 0 });
    // Found after these, if they were to be found.
    forget(tracker);
    expect(await until(() => reports.length > 0)).toBe(true);
    expect(reports).toHaveLength(1);
    expect(tracker.stats).toEqual({ sampled: 51, open: 0, leaked: 1 });
  });

  it('is counted when its place is one too many, and not reported', async () => {
    const { tracker, reports } = setUp({ maxPlaces: 2 });
    for (const what of ['a', 'b', 'c', 'd']) {
      // Two at the same place.
      for (let i = 0; i < 2; i++) new Lent(tracker, what);
      expect(await until(() => tracker.stats.open === 0)).toBe(true);
    }
    expect(reports.map(({ what, count }) => `${what} ${count}`)).toEqual(['a 1', 'a 2', 'b 1', 'b 2']);
    expect(tracker.stats.leaked).toBe(8);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('of the listener');
      },
    ],
    ['rejects', async () => Promise.reject(new Error('of the listener'))],
  ])('is counted all the same when the listener %s', async (_, onLeak) => {
    const { tracker } = setUp({ onLeak: onLeak as () => void });
    forget(tracker, 3);
    expect(await until(() => tracker.stats.leaked === 3)).toBe(true);
  });
});

describe('stacks', () => {
  it('have the frames that were asked for, and leave the limit as it was', async () => {
    const before = Error.stackTraceLimit;
    const { tracker, reports } = setUp({ frames: 2 });
    forget(tracker);
    expect(Error.stackTraceLimit).toBe(before);
    expect(await until(() => reports.length === 1)).toBe(true);
    expect(reports[0]!.createdAt.split('\n')).toHaveLength(2);
  });

  it('that the program cannot be asked for leave tracking to go on', async () => {
    const { tracker, reports } = setUp();
    const before = Error.prepareStackTrace;
    try {
      Error.prepareStackTrace = () => {
        throw new Error('of the program');
      };
      forget(tracker);
      Error.prepareStackTrace = () => Object.create(null);
      forget(tracker);
    } finally {
      Error.prepareStackTrace = before;
    }
    expect(await until(() => reports.length === 2)).toBe(true);
    for (const { createdAt } of reports) expect(createdAt).toContain('could not be read');
  });
});

describe('reservations', () => {
  const options = { limitBytes: 1_000_000, runtimeBytes: 0, meters: [], mode: 'on' } as const;

  it('that nobody disposed of are reported; those that were are not', async () => {
    const { tracker, reports, clock } = setUp();
    const governor = createGovernor({ ...options, clock, leakTracker: tracker });
    const consumer = governor.consumer({ name: 'images', kind: 'external', maxBytes: 1_000 });
    (function leakHere() {
      consumer.reserve(100);
      consumer.reserve(10)[Symbol.dispose]();
    })();
    expect(await until(() => reports.length > 0)).toBe(true);
    expect(reports).toHaveLength(1);
    expect(reports[0]).toMatchObject({ what: 'reservation of images', count: 1 });
    expect(reports[0]!.createdAt).toContain('leakHere');
    // It reports, and gives nothing back.
    expect(consumer.heldBytes).toBe(100);
  });

  it('of a consumer that was disposed are none: what it held was written off with it', async () => {
    const { tracker, reports, clock } = setUp();
    const governor = createGovernor({ ...options, clock, leakTracker: tracker });
    const closed = governor.consumer({ name: 'closed', kind: 'external', maxBytes: 1_000 });
    const open = governor.consumer({ name: 'open', kind: 'external', maxBytes: 1_000 });
    (function leakHere() {
      closed.reserve(100);
      open.reserve(100);
    })();
    closed[Symbol.dispose]();
    expect(await until(() => tracker.stats.open === 0)).toBe(true);
    expect(reports.map(({ what }) => what)).toEqual(['reservation of open']);
    expect(tracker.stats.leaked).toBe(1);
  });

  it('cost nothing more where there is no tracker, and what is none is refused', () => {
    const { clock } = setUp();
    expect(() => createGovernor({ ...options, clock, leakTracker: {} as never })).toThrow(
      expect.objectContaining({ code: 'PLIMSOLL_INVALID_OPTION' }),
    );
  });
});
