import { type Clock, DEFAULT_THRESHOLDS, ManualClock, type Meter, type MeterName, type PressureLevel } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { Faults } from '../../src/governor/faults.ts';
import { Sampler } from '../../src/governor/sampler.ts';
import { FakeMeter, MIB } from './fake-meter.ts';

/** A clock that can be set without firing anything, as a machine that was suspended or whose hands somebody moved. */
class SettableClock implements Clock {
  readonly hands = new ManualClock();
  offsetMs = 0;
  broken = false;
  delays: number[] = [];

  now(): number {
    return this.broken ? Number.NaN : this.hands.now() + this.offsetMs;
  }

  wall(): number {
    return this.now();
  }

  after(delayMs: number, action: () => void): Disposable {
    this.delays.push(delayMs);
    return this.hands.after(delayMs, action);
  }
}

interface Setting {
  readonly meters?: readonly Meter[];
  readonly onLevel?: (to: PressureLevel, from: PressureLevel) => void;
}

function makeSampler(setting: Setting = {}) {
  const clock = new SettableClock();
  const faults = new Faults();
  const rss = new FakeMeter('rss');
  const sampler = new Sampler({
    clock,
    faults,
    meters: setting.meters ?? [rss],
    thresholds: DEFAULT_THRESHOLDS,
    onLevel: setting.onLevel ?? (() => {}),
  });
  return { clock, faults, rss, sampler };
}

/** A meter that takes its time. */
function slowMeter(clock: () => SettableClock, ms: number, name: MeterName = 'rss'): FakeMeter {
  const meter = new FakeMeter(name);
  meter.read = () => {
    clock().offsetMs += ms;
    return meter.bytes;
  };
  return meter;
}

/** Runs it by the clock and gives the waits that were set meanwhile. */
function waits(sampler: Sampler, clock: SettableClock, ms: number): number[] {
  sampler.start(() => sampler.take());
  clock.delays.length = 0;
  clock.hands.advance(ms);
  return clock.delays;
}

describe('how often', () => {
  it.each([
    [10, 1_000],
    [55, 500],
    [75, 250],
    [90, 100],
    [97, 50],
  ])('at %i percent of the limit and flat: in the end every %i ms', (percent, everyMs) => {
    const { sampler, clock, rss } = makeSampler();
    rss.bytes = percent * MIB;
    sampler.take();
    expect(waits(sampler, clock, 10_000).at(-1)).toBe(everyMs);
  });

  it('calm has to last: the wait doubles from sample to sample', () => {
    const { sampler, clock } = makeSampler();
    sampler.start(() => sampler.take());
    clock.hands.advance(5_000);
    expect(clock.delays).toEqual([100, 200, 400, 800, 1_000, 1_000, 1_000, 1_000]);
  });

  it('the steeper the growth the more often, down to 20 ms, and at a threshold most of all', () => {
    const { sampler, clock, rss } = makeSampler();
    rss.bytes = 10 * MIB;
    waits(sampler, clock, 10_000);
    const grow = (mibPerSecond: number) => {
      const from = clock.now();
      const start = rss.bytes;
      sampler.start(() => {});
      rss.read = () => (rss.bytes = start + ((clock.now() - from) / 1_000) * mibPerSecond * MIB);
      clock.delays.length = 0;
    };
    grow(10);
    clock.hands.advance(3_900);
    // 40 MiB to the first threshold in 4 s: about a quarter of what is left each time.
    expect(clock.delays.length).toBeGreaterThan(10);
    expect(clock.delays.at(-1)).toBeLessThan(30);
    expect(sampler.level).toBe('optimal');
    clock.hands.advance(200);
    expect(sampler.level).toBe('moderate');
    // At the next threshold it does not come late: 70% are reached at 6,000 ms.
    clock.hands.advance(1_925);
    expect(sampler.level).toBe('high');
  });

  it('growth of a meter that does not decide counts too, of RSS only where it has a say', () => {
    const heap = new FakeMeter('heap');
    const rss = new FakeMeter('rss');
    const cgroup = new FakeMeter('cgroup');
    const grow = (meter: FakeMeter, meters: FakeMeter[]) => {
      const { sampler, clock } = makeSampler({ meters });
      cgroup.bytes = 48 * MIB;
      waits(sampler, clock, 10_000);
      meter.bytes = 20 * MIB;
      clock.hands.advance(1_000);
      meter.bytes = 40 * MIB;
      clock.hands.advance(1_000);
      expect(sampler.last().decidingMeter).toBe('cgroup');
      return sampler.nextDelayMs();
    };
    // A tenth of the limit is left, and it grew by a fifth in a second or a little more.
    expect(grow(heap, [heap, cgroup])).toBeLessThan(300);
    heap.bytes = 0;
    expect(grow(rss, [rss, cgroup])).toBe(1_000);
  });

  it.each([
    [10, 0.001],
    [55, 0.005],
    [75, 0.005],
    [97, 0.05],
  ])('dear samples are rare: at %i percent of the limit they take at most %f of a core', (percent, share) => {
    const meter = slowMeter(() => clock, 5);
    const { sampler, clock } = makeSampler({ meters: [meter] });
    meter.bytes = percent * MIB;
    waits(sampler, clock, 60_000);
    const spent = sampler.spentMs;
    const from = clock.hands.now();
    const before = sampler.count;
    clock.hands.advance(600_000);
    expect(sampler.nextDelayMs()).toBe(5 / share);
    expect((sampler.spentMs - spent) / (clock.hands.now() - from)).toBeLessThanOrEqual(share);
    expect(sampler.count - before).toBe(Math.floor(600_000 / (5 / share)));
  });

  it('one slow sample is not taken for the cost of all; many are, and are forgotten again', () => {
    const meter = slowMeter(() => clock, 0);
    const { sampler, clock } = makeSampler({ meters: [meter] });
    const take = (ms: number, times: number) => {
      meter.read = () => {
        clock.offsetMs += ms;
        return 0;
      };
      for (let i = 0; i < times; i++) sampler.take();
      sampler.start(() => {});
      return sampler.nextDelayMs();
    };
    take(0.01, 3);
    waits(sampler, clock, 10_000);
    expect(sampler.nextDelayMs()).toBe(1_000);
    expect(take(3_600_000, 1)).toBe(1_000);
    expect(take(0.01, 1)).toBe(1_000);
    expect(take(4, 2)).toBe(4_000);
    expect(take(3_600_000, 3)).toBe(5_000);
    expect(take(0.01, 200)).toBe(1_000);
  });

  it.each([
    [10, 5_000],
    [55, 2_500],
    [75, 1_250],
    [90, 500],
    [97, 250],
  ])(
    'a process that hardly gets its core is looked at all the same: at %i percent every %i ms',
    (percent, longestMs) => {
      const meter = slowMeter(() => clock, 1_000);
      const { sampler, clock } = makeSampler({ meters: [meter] });
      meter.bytes = percent * MIB;
      waits(sampler, clock, 60_000);
      expect(sampler.nextDelayMs()).toBe(longestMs);
    },
  );

  it('what it costs is counted, samples inside reservations too', () => {
    const meter = slowMeter(() => clock, 2);
    const { sampler, clock } = makeSampler({ meters: [meter] });
    for (let i = 0; i < 10; i++) sampler.take(i % 2 === 0);
    clock.hands.advance(180);
    expect([sampler.count, sampler.spentMs, sampler.share]).toEqual([10, 20, 0.1]);
  });
});

describe('the timer', () => {
  it('is not put off by samples inside reservations', () => {
    const { sampler, clock } = makeSampler();
    let byClock = 0;
    sampler.start(() => {
      byClock++;
      sampler.take();
    });
    for (let i = 0; i < 500; i++) {
      clock.hands.advance(10);
      sampler.take(true);
    }
    expect([byClock, sampler.count, clock.hands.pending]).toEqual([7, 507, 1]);
  });

  it('is brought forward when the level rises in between', () => {
    const { sampler, clock, rss } = makeSampler();
    waits(sampler, clock, 10_000);
    rss.bytes = 97 * MIB;
    sampler.take(true);
    expect([clock.delays.at(-1), clock.hands.pending]).toEqual([20, 1]);
  });

  it('goes on after a sample that throws, and ends with the sampler', () => {
    const { sampler, clock, faults } = makeSampler();
    sampler.start(() => {
      throw new Error('no sample today');
    });
    clock.hands.advance(5_000);
    expect(faults.rows()).toMatchObject([{ part: 'sample', count: 7 }]);
    sampler[Symbol.dispose]();
    sampler.start(() => {});
    expect(clock.hands.pending).toBe(0);
  });

  it('disposed inside a sample sets no other', () => {
    const { sampler, clock } = makeSampler();
    sampler.start(() => sampler[Symbol.dispose]());
    clock.hands.advance(5_000);
    expect([clock.hands.pending, clock.delays.length]).toEqual([0, 1]);
  });
});

describe('a clock that jumps', () => {
  it.each([
    ['back by an hour', -3_600_000],
    ['ahead by a day', 86_400_000],
  ])('%s makes no burst, no gap, and no figure that is none', (_, jumpMs) => {
    const { sampler, clock, rss } = makeSampler();
    rss.bytes = 40 * MIB;
    waits(sampler, clock, 10_000);
    clock.offsetMs += jumpMs;
    rss.bytes = 45 * MIB;
    clock.delays.length = 0;
    clock.hands.advance(10_000);
    expect(clock.delays).toEqual(Array(10).fill(1_000));
    const row = sampler.trendRow();
    expect(row).toEqual({ meter: 'rss', bytesPerSecond: 0, falling: false });
    expect(sampler.share).toBe(0);
    expect(sampler.history.samples().every(({ atMs }) => Number.isFinite(atMs))).toBe(true);
  });

  it('within a sample is no cost to remember', () => {
    const { sampler, clock, rss } = makeSampler();
    waits(sampler, clock, 10_000);
    rss.read = () => {
      clock.offsetMs -= 3_600_000;
      return 0;
    };
    sampler.take();
    expect([sampler.spentMs, sampler.nextDelayMs()]).toEqual([0, 1_000]);
  });

  it('that tells no time does no harm', () => {
    const { sampler, clock, rss } = makeSampler();
    waits(sampler, clock, 10_000);
    clock.broken = true;
    rss.bytes = 97 * MIB;
    clock.hands.advance(1_000);
    expect([sampler.level, sampler.nextDelayMs(), sampler.spentMs]).toEqual(['emergency', 50, 0]);
    expect(sampler.last().atMs).toBeLessThanOrEqual(10_000);
    expect(sampler.share).toBe(0);
  });
});

describe('fails open', () => {
  it('a meter that came back is read again: after half a minute, then after twice as long each time', () => {
    const heap = new FakeMeter('heap');
    const rss = new FakeMeter('rss');
    const { sampler, clock, faults } = makeSampler({ meters: [heap, rss] });
    rss.broken = new Error('the file vanished');
    for (let i = 0; i < 3; i++) sampler.take();
    const readAfter = (ms: number) => {
      const before = rss.reads;
      clock.offsetMs += ms;
      sampler.take();
      return rss.reads - before;
    };
    expect([readAfter(29_999), readAfter(1)]).toEqual([0, 1]);
    expect([readAfter(59_999), readAfter(1)]).toEqual([0, 1]);
    for (const waitMs of [120_000, 240_000, 480_000, 600_000, 600_000]) {
      expect([readAfter(waitMs - 1), readAfter(1)]).toEqual([0, 1]);
    }
    expect(faults.rows()).toMatchObject([{ part: 'meter rss', count: 10, off: true }]);
    expect([sampler.reading('rss'), sampler.reading('cgroup'), sampler.bytes('rss')]).toEqual([
      undefined,
      undefined,
      0,
    ]);
    rss.broken = undefined;
    rss.bytes = 97 * MIB;
    readAfter(600_000);
    expect([sampler.level, sampler.reading('rss')]).toEqual(['emergency', 97 * MIB]);
    expect(sampler.rows().every(({ off }) => !off)).toBe(true);
    // It starts with a new count.
    rss.broken = new Error('again');
    expect([1, 1, 1, 29_999, 1].map(readAfter)).toEqual([1, 1, 1, 0, 1]);
  });

  it.each([Number.POSITIVE_INFINITY, 2 ** 60, Number.NaN, -1, '7'])('a meter that reads %s is a fault', (reading) => {
    const { sampler, rss, faults } = makeSampler();
    rss.bytes = reading as number;
    sampler.take();
    rss.bytes = MIB;
    rss.limitBytes = reading as number;
    sampler.take();
    expect(faults.rows()).toMatchObject([{ part: 'meter rss', count: 2, off: false }]);
    expect(sampler.rows()).toMatchObject([{ bytes: 0, peakBytes: 0 }]);
  });

  it('and at once when the clock was set back', () => {
    const { sampler, clock, rss } = makeSampler();
    rss.broken = new Error('the file vanished');
    for (let i = 0; i < 3; i++) sampler.take();
    rss.broken = undefined;
    clock.offsetMs -= 3_600_000;
    sampler.take();
    expect(sampler.reading('rss')).toBe(0);
  });

  it('with no meter left the level is optimal, and whoever listens hears of it', () => {
    const heard: PressureLevel[] = [];
    const { sampler, rss } = makeSampler({ onLevel: (to) => heard.push(to) });
    rss.bytes = 97 * MIB;
    sampler.take();
    rss.broken = new Error('the file vanished');
    sampler.take();
    sampler.take();
    expect(sampler.level).toBe('emergency');
    sampler.take();
    expect([sampler.level, heard]).toEqual(['optimal', ['emergency', 'optimal']]);
    expect([sampler.trend, sampler.trendRow()]).toEqual([undefined, undefined]);
  });

  it('is not raised by what is free to be used again, but for at the line', () => {
    const rss = new FakeMeter('rss');
    const heap = new FakeMeter('heap');
    const sampler = new Sampler({
      clock: new ManualClock(),
      faults: new Faults(),
      meters: [heap, rss],
      thresholds: DEFAULT_THRESHOLDS,
      onLevel: () => {},
      reusableBytes: () => 40 * MIB,
    });
    const level = (mib: number) => {
      rss.bytes = mib * MIB;
      sampler.take();
      return [sampler.level, sampler.physical.bytes / MIB, sampler.rows()[1]!.reusableBytes / MIB];
    };
    expect(level(80)).toEqual(['optimal', 40, 40]);
    expect(level(94)).toEqual(['moderate', 54, 40]);
    expect(level(95)).toEqual(['emergency', 95, 0]);
    expect(level(30)).toEqual(['optimal', 0, 30]);
    expect([sampler.usedBytes('rss'), sampler.bytes('rss')]).toEqual([0, 30 * MIB]);
  });

  it('a clock that sets no timer is a fault, and samples can still be taken', () => {
    const { sampler, clock, faults } = makeSampler();
    clock.after = () => {
      throw new Error('no timers here');
    };
    sampler.start(() => {});
    sampler.take();
    expect(faults.rows()).toMatchObject([{ part: 'sample timer', off: true }]);
  });
});

describe('the trend', () => {
  it('is that of the meter that decides, and starts anew when told', () => {
    const heap = new FakeMeter('heap');
    const rss = new FakeMeter('rss');
    const { sampler, clock } = makeSampler({ meters: [heap, rss] });
    for (let i = 0; i <= 20; i++) {
      heap.bytes = 5 * MIB * (21 - i) * 0.2;
      rss.bytes = (30 + i) * MIB;
      sampler.take();
      clock.hands.advance(250);
    }
    const now = sampler.trendRow()!;
    expect(now).toMatchObject({ meter: 'rss', falling: false });
    expect(now.bytesPerSecond / MIB).toBeCloseTo(4, 6);
    expect(now.timeToLineMs).toBeCloseTo(12_250, 3);
    expect(sampler.rows().map((row) => Math.sign(row.bytesPerSecond))).toEqual([-1, 1]);
    expect(sampler.trend?.bytesPerSecond).toBe(now.bytesPerSecond);
    sampler.restartTrends();
    expect(sampler.trendRow()).toEqual({ meter: 'rss', bytesPerSecond: 0, falling: false });
  });
});
