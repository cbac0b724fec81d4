import { ManualClock } from 'plimsoll';
import { type FollowLevelOptions, followLevel } from 'plimsoll/adopt';
import { describe, expect, it } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { MIB, setUp } from '../governor/fake-meter.ts';

function follow(options: Partial<FollowLevelOptions> = {}, mode: 'on' | 'observe' | 'off' = 'on') {
  const { governor, rss } = setUp({ mode });
  const clock = new ManualClock();
  const told: number[] = [];
  const followed = followLevel(governor, (count) => void told.push(count), { max: 16, clock, ...options });
  const use = (share: number) => {
    rss.bytes = share * 100 * MIB;
    governor.sample();
  };
  return { governor, clock, told, followed, use };
}

describe('a number that follows the level', () => {
  it('is all up to moderate, half at high, a quarter at critical, one at emergency; down at once', () => {
    const { followed, told, use } = follow();
    use(0.6);
    expect([followed.current, told]).toEqual([16, []]);
    use(0.75);
    expect(followed.current).toBe(8);
    use(0.9);
    expect(followed.current).toBe(4);
    use(0.97);
    expect(followed.current).toBe(1);
    expect(told).toEqual([8, 4, 1]);
  });

  it('goes down in one step, however far', () => {
    const { told, use } = follow();
    use(0.97);
    expect(told).toEqual([1]);
  });

  it('comes up by a tenth per second, no higher than its level allows, and has no timer at the top', () => {
    const { followed, told, clock, use } = follow({ max: 20 });
    use(0.9);
    expect(followed.current).toBe(5);
    use(0.75);
    clock.advance(999);
    expect(followed.current).toBe(5);
    clock.advance(1);
    expect(followed.current).toBe(7);
    clock.advance(10_000);
    expect(followed.current).toBe(10);
    use(0.1);
    clock.advance(10_000);
    expect(told).toEqual([5, 7, 9, 10, 12, 14, 16, 18, 20]);
    expect(clock.pending).toBe(0);
  });

  it('does not swing: pressure that comes and goes every 300 ms lets it rise by no more than its rhythm', () => {
    const { told, clock, use } = follow({ max: 100 });
    for (let i = 0; i < 40; i++) {
      use(i % 2 === 0 ? 0.9 : 0.3);
      clock.advance(300);
    }
    expect(told).toEqual([25]);
  });

  it('starts lower under pressure, and rises also when that ended before anybody looked', () => {
    const { governor, rss } = setUp();
    rss.bytes = 90 * MIB;
    governor.sample();
    const clock = new ManualClock();
    const told: number[] = [];
    followLevel(governor, (count) => void told.push(count), { max: 4, clock });
    expect(told).toEqual([1]);
    rss.bytes = 0;
    governor.sample();
    clock.advance(5_000);
    expect(told).toEqual([1, 2, 3, 4]);
  });

  it.each([
    ['a level', 'critical' as const],
    ['a part of the limit', 0.85],
  ])('stands still from %s on, and goes on a step at a time', (_, pauseAt) => {
    const { followed, clock, use } = follow({ pauseAt, max: 4 });
    use(0.8);
    expect(followed.current).toBe(2);
    use(0.86);
    expect(followed.current).toBe(0);
    clock.advance(5_000);
    expect(followed.current).toBe(0);
    use(0.75);
    expect(followed.current).toBe(0);
    clock.advance(1_000);
    expect(followed.current).toBe(1);
  });

  it('can stand still at emergency, and have shares of its own', () => {
    const { followed, use } = follow({ min: 0, shares: { moderate: 0.5, high: 0.1, critical: 0.1 } });
    use(0.6);
    expect(followed.current).toBe(8);
    use(0.75);
    expect(followed.current).toBe(1);
    use(0.97);
    expect(followed.current).toBe(0);
  });

  it('restores all when disposed, and leaves nothing behind', () => {
    const { followed, told, clock, use } = follow();
    use(0.9);
    followed[Symbol.dispose]();
    followed[Symbol.dispose]();
    use(0.97);
    clock.advance(5_000);
    expect(told).toEqual([4, 16]);
    expect(clock.pending).toBe(0);
  });

  it.each(['observe', 'off'] as const)('changes nothing in %s', (mode) => {
    const { told, use, followed } = follow({}, mode);
    use(0.97);
    expect([told, followed.current]).toEqual([[], 16]);
  });

  it('is all again at once when the governor only observes from now on, and follows when it acts again', () => {
    const { governor, told, use } = follow();
    use(0.97);
    governor.tune({ mode: 'observe' });
    expect(told).toEqual([1, 16]);
    governor.tune({ mode: 'on' });
    expect(told).toEqual([1, 16, 1]);
  });

  it('is all again when the governor has been disposed, or breaks', () => {
    const one = follow({ min: 0 });
    one.use(0.97);
    one.governor[Symbol.dispose]();
    one.clock.advance(1_000);
    expect(one.told).toEqual([0, 16]);
    expect(one.clock.pending).toBe(0);

    const { governor, rss } = setUp();
    const { governor: broken, breakIt } = breakable(governor);
    const clock = new ManualClock();
    const told: number[] = [];
    const followed = followLevel(broken, (count) => void told.push(count), { max: 16, min: 0, clock });
    rss.bytes = 97 * MIB;
    governor.sample();
    breakIt();
    clock.advance(1_000);
    expect(told).toEqual([0, 16]);
    followed[Symbol.dispose]();
  });

  it('is all where the governor is broken from the start', () => {
    const { governor, breakIt } = breakable(setUp().governor);
    breakIt();
    const told: number[] = [];
    const followed = followLevel(governor, (count) => void told.push(count), { max: 16 });
    expect([told, followed.current]).toEqual([[], 16]);
    followed[Symbol.dispose]();
  });

  it('goes on when what it tells throws or rejects', () => {
    const { governor, rss } = setUp();
    let calls = 0;
    const followed = followLevel(
      governor,
      () => {
        if (calls++ === 0) throw new Error('no');
        return Promise.reject(new Error('neither'));
      },
      { max: 16, clock: new ManualClock() },
    );
    rss.bytes = 75 * MIB;
    governor.sample();
    rss.bytes = 90 * MIB;
    governor.sample();
    expect([calls, followed.current]).toEqual([2, 4]);
  });

  it.each([
    [{ max: 0 }, '`max`'],
    [{ max: 4, min: 5 }, '`min`'],
    [{ max: 4, riseMs: 0 }, '`riseMs`'],
    [{ max: 4, riseStep: 0 }, '`riseStep`'],
    [{ max: 4, pauseAt: 80 }, '`pauseAt`'],
    [{ max: 4, pauseAt: 'worst' as never }, '`pauseAt`'],
    [{ max: 4, shares: { high: 0.2, critical: 0.5 } }, '`shares.critical`'],
    [{ max: 4, shares: { hihg: 1 } as never }, 'did you mean `high`'],
    [{ max: 4, maximum: 3 } as never, '`maximum`'],
  ])('refuses %j', (options, named) => {
    const { governor } = setUp();
    expect(() => followLevel(governor, () => {}, options)).toThrow(named);
    expect(() => followLevel(governor, () => {}, options)).toThrow(RangeError);
  });

  it('takes no trigger that a refused one leaves behind, and says when there are too many', () => {
    const { governor } = setUp();
    const all = Array.from({ length: 255 }, () => governor.when({ level: 'high' }, () => {}));
    expect(() => followLevel(governor, () => {}, { max: 4 })).toThrow('at most 256');
    all[0]![Symbol.dispose]();
    all[1]![Symbol.dispose]();
    expect(() => followLevel(governor, () => {}, { max: 4 })).not.toThrow();
  });
});
