import { trainEvents } from 'plimsoll';
import { afterEach, describe, expect, it } from 'vitest';
import { describeDeeds, describeLevel, PressureLines } from '../../src/auto/pressure-lines.ts';
import { breakable } from '../contract/broken-governor.ts';
import { MIB, setUp as setUpGovernor } from '../governor/fake-meter.ts';

const begun: Disposable[] = [];

afterEach(() => {
  for (const one of begun.splice(0)) one[Symbol.dispose]();
});

function setUp(mode: 'on' | 'observe' = 'observe') {
  const { governor, clock, rss } = setUpGovernor({ mode, collect: false, trim: false });
  const lines: string[] = [];
  const told = new PressureLines({ governor, clock, write: (line) => void lines.push(line) });
  begun.push(told);
  const use = (percent: number) => {
    rss.bytes = percent * MIB;
    governor.sample();
  };
  return { governor, clock, lines, told, use };
}

describe('the lines', () => {
  it('are none while all is calm', () => {
    const { clock, lines, use } = setUp();
    use(30);
    clock.advance(600_000);
    expect(lines).toEqual([]);
  });

  it('tell each change of level, the meter and what it read', () => {
    const { clock, lines, use } = setUp();
    use(60);
    clock.advance(5_000);
    use(75);
    clock.advance(5_000);
    use(20);
    clock.advance(5_000);
    expect(lines[0]).toBe('moderate, 60 of 100 MiB (rss)');
    expect(lines[1]).toMatch(/^high, 75 of 100 MiB \(rss\)/);
    expect(lines.at(-1)).toMatch(/^optimal, 20 of 100 MiB \(rss\)/);
  });

  it('tell what was there before anybody listened', () => {
    const { governor, clock, rss } = setUpGovernor({ mode: 'observe' });
    rss.bytes = 90 * MIB;
    governor.sample();
    const lines: string[] = [];
    using _told = new PressureLines({ governor, clock, write: (line) => void lines.push(line) });
    expect(lines).toEqual([expect.stringMatching(/^critical, 90 of 100 MiB/)]);
  });

  it('tell in observe what would have been done', async () => {
    const { governor, clock, lines, use } = setUp();
    use(80);
    await governor.reclaim({ targetBytes: MIB });
    clock.advance(2_000);
    expect(lines.join('\n')).toContain('would have');
    expect(governor.journal().every(({ observed }) => observed)).toBe(true);
  });

  it('do not wait when it gets worse, and hold back otherwise: at most one a second, fewer when it never ends', () => {
    const { clock, lines, use } = setUp();
    for (const percent of [60, 75, 90, 98]) use(percent);
    expect(lines.map((line) => line.split(',')[0])).toEqual(['moderate', 'high', 'critical', 'emergency']);
    lines.length = 0;
    for (let second = 0; second < 900; second++) {
      use(second % 2 === 0 ? 20 : 55);
      clock.advance(1_000);
    }
    expect(lines.length).toBeGreaterThan(8);
    expect(lines.length).toBeLessThan(25);
    // After a quiet time they come at once again.
    clock.advance(600_000);
    lines.length = 0;
    use(75);
    clock.advance(2_000);
    use(20);
    clock.advance(2_000);
    expect(lines).toHaveLength(2);
  });

  it('tell the newest level when their turn comes, and nothing when it is the one that was told', () => {
    const { clock, lines, use } = setUp();
    use(60);
    use(20);
    use(60);
    clock.advance(10_000);
    expect(lines).toEqual(['moderate, 60 of 100 MiB (rss)']);
  });

  it('are not about the trains of another governor', async () => {
    const { clock, lines } = setUp();
    const other = setUpGovernor({ mode: 'on' });
    await other.governor.reclaim();
    clock.advance(5_000);
    expect(lines).toEqual([]);
  });

  it('end with what made them, timers and listeners too', () => {
    const { governor, clock, lines, told, use } = setUp();
    use(60);
    use(20);
    told[Symbol.dispose]();
    told[Symbol.dispose]();
    expect(trainEvents.heard).toBe(false);
    clock.advance(5_000);
    use(99);
    expect(lines).toHaveLength(1);
    governor[Symbol.dispose]();
    expect(clock.pending).toBe(0);
  });

  it('are missing, and nothing else, when the governor is broken', () => {
    for (const early of [true, false]) {
      const { governor, clock, rss } = setUpGovernor({ mode: 'observe' });
      const broken = breakable(governor);
      if (early) broken.breakIt();
      const lines: string[] = [];
      using _told = new PressureLines({ governor: broken.governor, clock, write: (line) => void lines.push(line) });
      broken.breakIt();
      rss.bytes = 90 * MIB;
      governor.sample();
      clock.advance(5_000);
      expect(lines).toEqual([]);
    }
  });
});

it('a level without a meter is told all the same', () => {
  expect(describeLevel({ level: 'high', decidingMeter: 'cgroup', meters: [] })).toBe('high');
});

describe('what was done', () => {
  const parts = [{ part: 'reclaim-now' }, { part: 'full-collection' }, { part: 'trim' }] as const;
  const nothing = { observed: false, count: 0, seenBytes: 0, shed: 0, parts: [] };

  it.each([
    [{ ...nothing }, []],
    [{ ...nothing, count: 1, seenBytes: 31 * MIB, parts }, ['asked holders, collected and trimmed, 31 MiB back']],
    [{ ...nothing, count: 3, observed: true, parts }, ['would have asked holders, collected and trimmed, 3 times']],
    [{ ...nothing, count: 1, parts: [{ part: 'trim', skipped: 'no' }] as const }, ['found nothing to give back']],
    [
      { ...nothing, count: 1, observed: true, parts: [{ part: 'trim', skipped: 'only observed' }] as const },
      ['would have trimmed'],
    ],
    [{ ...nothing, shed: 1 }, ['turned away 1 request']],
    [{ ...nothing, shed: 20, observed: true }, ['would have turned away 20 requests']],
  ])('is told as it was: %j', (deeds, told) => {
    expect(describeDeeds(deeds)).toEqual(told);
  });
});
