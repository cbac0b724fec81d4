import type { PressureThresholds } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { renderPage } from '../../src/cli/render.ts';
import { type EndingFacts, endingOf } from '../../src/cli/run-ending.ts';
import { runPage } from '../../src/cli/run-page.ts';
import { RunRecorder } from '../../src/cli/run-recorder.ts';
import type { RunReport } from '../../src/cli/run-report.ts';
import { MIB } from '../governor/fake-meter.ts';
import { type LookFigures, looksOf } from './looks.ts';

const STARTED = 1_700_000_000_000;
const HEADER = { feed: 1, pid: 42, program: 'app.js', node: 'v24.0.0', startedAt: STARTED } as const;

function recorded(figures: readonly LookFigures[]): RunRecorder {
  const recorder = new RunRecorder(42);
  recorder.note(HEADER);
  for (const look of looksOf(figures)) recorder.note(look);
  return recorder;
}

const reportOf = (recorder: RunRecorder): RunReport => ({
  kind: 'run',
  version: 1,
  command: ['node', 'app.js'],
  startedAt: STARTED,
  elapsedMs: 5_000,
  ending: endingOf({ exitCode: 3, signal: null, endedAt: STARTED + 5_000, last: recorder.last }),
  heapFlags: ['--max-old-space-size=38'],
  processes: [recorder.report()!],
});

describe('the report of a run', () => {
  it('has peaks in the colours of the levels that the governor had', () => {
    const toneWith = (thresholds: Partial<PressureThresholds>) => {
      const [look] = looksOf([{ rss: 75 }]);
      const recorder = new RunRecorder(42);
      const snapshot = { ...look!.snapshot, thresholds: { ...look!.snapshot.thresholds, ...thresholds } };
      recorder.note({ ...look!, snapshot });
      const { blocks } = runPage(reportOf(recorder));
      const bars = blocks.flatMap((block) => (block.kind === 'bars' ? block.rows : []));
      return bars.find(({ label }) => label === 'rss')!.tone;
    };
    expect([toneWith({}), toneWith({ high: 0.8 }), toneWith({ critical: 0.75 })]).toEqual(['warn', 'good', 'bad']);
  });

  it('has peaks by meter, collections, levels, the timeline and who held what, at 80 columns', () => {
    const pressure = {
      kind: 'pressure',
      from: 'optimal',
      to: 'high',
      meter: 'rss',
      bytes: 75 * MIB,
      limitBytes: 100 * MIB,
    } as const;
    const events = [{ number: 1, at: STARTED + 3_000, source: 'governor', ...pressure }];
    const recorder = recorded([
      { rss: 40 },
      { rss: 60, rows: 20 },
      { rss: 75, rows: 30, events },
      { rss: 75, rows: 10 },
    ]);
    recorder.note({ ended: { at: STARTED + 4_500, exitCode: 3, peakRssBytes: 120 * MIB } });
    const report = reportOf(recorder);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    expect(renderPage(runPage(report))).toBe(`plimsoll run: node app.js  2023-11-14T22:13:20Z, 5.0s

ended           with exit code 3
process         app.js (42), node v24.0.0, 4 looks
the line        100MiB (configured)
highest level   high (moderate for 1.0s, high for 1.0s)
collections     4, 8.0 ms in all (0.2% of the time), the longest 2.0 ms, 4MiB
                freed
in RAM at most  120MiB, pages of files among it
flags put in    --max-old-space-size=38
given back      nothing, as it only observed: 1 train would have run

Peaks against the line
heap  ██████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   10MiB of 50MiB    20%
rss   ██████████████████████████████████████░░░░░░░░░░░░  75MiB of 100MiB    75%

Over time
rss   ▁▁▁▅▅███                                                    40MiB to 75MiB
heap  ▁▁▁▁▁▁▁▁                                                    10MiB to 10MiB
      0   3.0s

Consumers at the last look
consumer  kind  holds   peak
rows      heap  10MiB  30MiB

Suspected leaks
- too short to judge (under 8 s)

What happened last
at        what
22:13:23  pressure  optimal to high by rss, 75MiB of 100MiB
`);
  });

  it('keeps the peaks of a long run in few points', () => {
    const figures = Array.from({ length: 2_000 }, (_, index) => ({ rss: index === 777 ? 90 : 30, collections: 1 }));
    const report = recorded(figures).report()!;
    expect(report.points.length).toBeLessThanOrEqual(240);
    expect(Math.max(...report.points.map(({ meters }) => meters.rss!))).toBe(90 * MIB);
    expect(report.points.reduce((sum, { collections }) => sum + collections, 0)).toBe(2_000);
    expect(report).toMatchObject({
      looks: 2_000,
      collections: { count: 2_000, pauseMs: 4_000 },
      peakLevel: 'critical',
    });
  });

  it('says how much was wanted, and of a reclaim without a target that it was as much as there is', () => {
    const row = { kind: 'reclaim', source: 'train', how: 'train', claimedBytes: 0, durationMs: 1 } as const;
    const bounded = { ...row, number: 1, at: STARTED, targetBytes: 10 * MIB, releasedBytes: 12 * MIB };
    const boundless = { ...row, number: 2, at: STARTED, targetBytes: Number.MAX_SAFE_INTEGER - MIB, releasedBytes: 0 };
    const text = renderPage(runPage(reportOf(recorded([{ rss: 1, events: [bounded, boundless] }]))));
    expect(text).toContain('train: 12MiB released, 10MiB wanted\n');
    expect(text).toContain('train: 0B released, wanted as much as there is\n');
  });

  it('says so where nothing was looked at', () => {
    const report = { ...reportOf(recorded([{ rss: 1 }])), processes: [] };
    expect(renderPage(runPage(report))).toContain('- Nothing was looked at: it was no program of Node');
  });

  it('says what is missing from it: processes beyond the bound, and what could not be read', () => {
    const whole = reportOf(recorded([{ rss: 1 }]));
    expect(renderPage(runPage(whole))).not.toMatch(/too many|What was seen/);
    for (const processes of [whole.processes, []]) {
      const text = renderPage(runPage({ ...whole, processes, leftOut: 7, faults: 2 }));
      expect(text).toContain('- Processes that were not looked at, as there were too many: 7.\n');
      expect(text).toContain('- What was seen could not be read, shown or reported 2 times.\n');
    }
  });
});

describe('what is suspected', () => {
  const times = Array.from({ length: 60 }, (_, second) => second);

  it('is what grows all through a run, collections and all', () => {
    const saw = (second: number) => 10 + second * 0.5 + (second % 5) * 4;
    const report = recorded(times.map((second) => ({ rss: 50, heap: saw(second), rows: second }))).report()!;
    expect(report.suspects.map(({ name }) => name).sort()).toEqual(['heap', 'rows']);
    expect(report.suspects.find(({ name }) => name === 'rows')!.bytesPerSecond / MIB).toBeCloseTo(1, 1);
  });

  it('is nothing in a program that fills up at the start, or goes up and down', () => {
    const loads = times.map((second) => ({
      rss: 50,
      heap: Math.min(40, 10 + second * 5),
      rows: Math.min(30, second * 4),
    }));
    const waves = times.map((second) => ({ rss: 50, heap: 20 + 10 * Math.sin(second), rows: 10 + (second % 7) }));
    // More at the end than at the start, and less in between: a job with stages.
    const stages = times.map((second) => ({ rss: 50, rows: [10, 10, 40, 20, 30][Math.floor(second / 12)]! }));
    for (const figures of [loads, waves, stages]) {
      const recorder = recorded(figures);
      expect(recorder.report()!.suspects).toEqual([]);
      expect(renderPage(runPage(reportOf(recorder)))).toContain('Suspected leaks\n- none\n');
    }
  });

  it('is nothing in a run too short to tell', () => {
    expect(recorded(times.slice(0, 7).map((second) => ({ rss: 50, rows: 10 * second }))).report()!.suspects).toEqual(
      [],
    );
  });
});

describe('how a program ended', () => {
  const [calm] = looksOf([{ rss: 30 }]);
  const [near] = looksOf([{ rss: 93 }]);
  const [full] = looksOf([{ rss: 60, heap: 48 }]);
  const end = (facts: Partial<EndingFacts>) =>
    endingOf({ exitCode: null, signal: null, endedAt: (facts.last?.at ?? STARTED) + 250, ...facts });

  it('is told by its code or signal, and memory has no part in it unless there are signs', () => {
    expect(end({ exitCode: 0, last: near })).toEqual({ exitCode: 0, why: 'It ended with exit code 0.' });
    expect(end({ signal: 'SIGTERM', last: near })).toEqual({ signal: 'SIGTERM', why: 'It was ended by SIGTERM.' });
    const aborted = end({ signal: 'SIGABRT', last: calm });
    expect(aborted).not.toHaveProperty('outOfMemory');
    expect(aborted.why).toContain(
      'V8 does so when its heap is full, and writes that above. The last look, 250ms before',
    );
    expect(end({ signal: 'SIGKILL', last: calm, oomKills: 0 })).not.toHaveProperty('outOfMemory');
    expect(end({ exitCode: 1, oomKills: 3, last: near })).not.toHaveProperty('outOfMemory');
  });

  it('is the kernel’s doing where it counts that, with the last look', () => {
    expect(end({ signal: 'SIGKILL', last: near, oomKills: 1 })).toEqual({
      signal: 'SIGKILL',
      outOfMemory: 'kernel',
      why: 'The kernel killed it for want of memory: its control group counts 1 such kill. The last look, 250ms before: critical, rss 93MiB of 100MiB (93%).',
    });
    expect(end({ exitCode: 137, oomKills: 1 })).toMatchObject({ outOfMemory: 'kernel' });
    expect(end({ signal: 'SIGKILL', last: near })).toMatchObject({ outOfMemory: 'likely-kernel' });
  });

  it('is V8’s where its heap was full', () => {
    for (const facts of [{ signal: 'SIGABRT' as const }, { exitCode: 134 }]) {
      const ending = end({ ...facts, last: full });
      expect(ending.outOfMemory).toBe('heap');
      expect(ending.why).toContain('V8 ran out of heap (48MiB of 50MiB at the last look)');
    }
  });
});
