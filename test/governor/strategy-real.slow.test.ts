/** The three strategies on real memory: the same load in a process of its own, its RSS read from outside. */
import { join } from 'node:path';
import { ManualClock } from 'plimsoll';
import { expect, it } from 'vitest';
import { Allocator } from '../../src/governor/allocator.ts';
import { Faults } from '../../src/governor/faults.ts';
import { MIB } from './fake-meter.ts';
import { watchSteps } from './watch-steps.ts';

const probe = new Allocator({ clock: new ManualClock(), faults: new Faults() });
probe.prepare();
if (probe.why !== undefined) console.warn(`The strategies are not compared on real memory: ${probe.why}.`);

async function runEach(strategy: string) {
  const { rss, said } = await watchSteps([join(import.meta.dirname, 'strategy-child.ts'), strategy]);
  const report = JSON.parse(said.done!) as {
    elapsedMs: number;
    cpuMs: number;
    seenBytes: number;
    cached: number;
    faults: unknown[];
    parts: { part: string; skipped?: string }[];
  };
  const taken = report.parts.filter((part) => part.skipped === undefined).map(({ part }) => part);
  return { ...report, taken, before: rss.held! / MIB, after: rss.done! / MIB, cached: report.cached / MIB };
}

// Again where it did not hold: on a busy machine V8 may have collected by itself, before it begins, a part of what was dropped.
it.skipIf(probe.why !== undefined)(
  'all three differ in what they give up, in RSS and in time',
  { retry: 2 },
  async () => {
    const [basic, smart, aggressive] = [await runEach('basic'), await runEach('smart'), await runEach('aggressive')];
    const shown = Object.entries({ basic, smart, aggressive }).map(
      ([strategy, { before, after, cached, elapsedMs, cpuMs, taken }]) => {
        const mib = [before, after, cached].map((one) => one.toFixed(0));
        return `${strategy}: RSS ${mib[0]} -> ${mib[1]} MiB, ${mib[2]} of 100 MiB still cached, ${elapsedMs.toFixed(0)} ms (${cpuMs.toFixed(0)} ms of CPU): ${taken.join(', ')}`;
      },
    );
    console.log(`60 MiB wanted back of 100 MiB cached and 100 MiB dropped\n${shown.join('\n')}`);
    for (const one of [basic, smart, aggressive]) {
      expect(one.faults).toEqual([]);
      expect(one.before).toBeGreaterThan(230);
    }
    // Basic took from the cache what was wanted, and RSS has not moved: the collection and the trim are somebody else's.
    expect(basic.cached).toBeCloseTo(40, 0);
    expect(basic.after).toBeGreaterThan(basic.before - 40);
    expect(basic.taken).not.toContain('full-collection');
    // Smart got what was wanted, mostly from what nobody needed.
    expect(smart.after).toBeLessThan(smart.before - 60);
    expect(smart.cached).toBeGreaterThan(60);
    // Aggressive left nothing, and RSS shows it.
    expect(aggressive.cached).toBe(0);
    expect(aggressive.after).toBeLessThan(smart.after - 40);
    expect(aggressive.after).toBeLessThan(130);
    // Of all threads: what else the machine does meanwhile does not count.
    expect(basic.cpuMs).toBeLessThan(smart.cpuMs);
    expect(basic.cpuMs).toBeLessThan(aggressive.cpuMs);
  },
);
