import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { DEFAULT_THRESHOLDS, ManualClock, type PressureLevel } from 'plimsoll';
import { PIPELINE_MODES, Pipeline, type PipelineMode, type Stage } from 'plimsoll/pipeline';
import { afterAll, describe, expect, it } from 'vitest';
import {
  type NewRun,
  RunHistory,
  type RunHistoryOptions,
  type RunRecord,
  strictestMode,
} from '../../src/observe/index.ts';
import { predictRun } from '../../src/observe/predict-run.ts';
import { FakeMachine } from '../pipeline/fake-machine.ts';
import { MEMORY, type Numbers, source, sum } from '../pipeline/numbers.ts';

const dir = mkdtempSync(join(tmpdir(), 'runs-'));
afterAll(() => rmSync(dir, { recursive: true }));
let files = 0;
const fresh = () => join(dir, `${++files}.json`);
const BOUNDS: RunHistoryOptions = { maxJobs: 3, maxRunsPerJob: 4 };
const MB = 1e6;
const refused = expect.objectContaining({ code: 'PLIMSOLL_RUN_HISTORY', recovery: 'fallback' });

const run = (more: Partial<RunRecord> = {}): RunRecord => ({
  ...{ job: 'import', at: 0, items: 1_000, peakBytes: 50 * MB, limitBytes: 100 * MB, batchBytes: 65_536 },
  ...{ startMode: 'plain', mode: 'plain', modeSwitches: 0, durationMs: 100 },
  ...more,
});

/** Peaks of 10 MB and 20 KB an item, give or take a little. */
const alongLine = (items: readonly number[], more: Partial<RunRecord> = {}) =>
  items.map((each, index) =>
    run({ items: each, peakBytes: 10 * MB + 20_000 * each + (index % 2 === 0 ? 1 : -1) * 50_000, ...more }),
  );

describe('the file', () => {
  it('keeps runs from one process to the next, for its owner alone, and nothing is left beside it', () => {
    const path = fresh();
    const clock = new ManualClock(7_000);
    const history = RunHistory.open(path, { ...BOUNDS, clock });
    const { at, startMode, modeSwitches, ...given } = run({ bytes: 5 });
    expect(history.runs('import')).toEqual([]);
    expect(history.record(given)).toEqual(run({ bytes: 5, at: 7_000 }));
    expect(RunHistory.open(path, BOUNDS).runs('import')).toEqual([run({ bytes: 5, at: 7_000 })]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir).filter((name) => name.endsWith('.part'))).toEqual([]);
    expect([at, startMode, modeSwitches]).toEqual([0, 'plain', 0]);
  });

  it('never has more runs of a job, nor more jobs, than it may: the oldest go first', () => {
    const path = fresh();
    const history = RunHistory.open(path, BOUNDS);
    for (let n = 1; n <= 6; n++) history.record(run({ items: n }));
    expect(history.runs('import').map(({ items }) => items)).toEqual([3, 4, 5, 6]);
    for (const job of ['a', 'b', 'import', 'c']) history.record(run({ job }));
    expect(['a', 'b', 'c', 'import'].map((job) => history.runs(job).length)).toEqual([0, 1, 1, 4]);
    expect(RunHistory.open(path, { maxJobs: 1, maxRunsPerJob: 1 }).runs('import')).toEqual([]);
  });

  it('is read anew before it is written: two that record keep the runs of both', () => {
    const path = fresh();
    const [one, other] = [RunHistory.open(path, BOUNDS), RunHistory.open(path, BOUNDS)];
    one.record(run({ items: 1 }));
    other.record(run({ items: 2 }));
    expect(other.runs('import').map(({ items }) => items)).toEqual([1, 2]);
  });

  it('that is torn, something else or of another version is said clearly, and stays as it is', () => {
    const path = fresh();
    RunHistory.open(path, BOUNDS).record(run());
    const sound = readFileSync(path, 'utf8');
    const wrong = [
      ...['', 'null', '5', '{}', '[]', sound.slice(0, -20), sound.replace('"version":1', '"version":2')],
      ...[
        sound.replace('plimsoll-runs', 'other'),
        sound.replace(/"runs":.*/, '"runs":5}'),
        sound.replace('1000,', '-1,'),
      ],
      ...[sound.replace('"mode":"plain"', '"mode":"fast"'), sound.replace(/\[\{.*\}\]/, '[null]')],
    ];
    for (const text of wrong) {
      writeFileSync(path, text);
      expect(() => RunHistory.open(path, BOUNDS), text).toThrow(refused);
      expect(readFileSync(path, 'utf8')).toBe(text);
    }
    truncateSync(path, 65 * 1_048_576);
    expect(() => RunHistory.open(path, BOUNDS)).toThrow(/too large/);
    const folder = join(dir, 'folder');
    mkdirSync(folder);
    expect(() => RunHistory.open(folder, BOUNDS)).toThrow(refused);
  });

  it.runIf(process.platform !== 'win32')('that is a pipe is not waited for', () => {
    const pipe = join(dir, 'pipe');
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    expect(() => RunHistory.open(pipe, BOUNDS)).toThrow(/is no file/);
  });

  it('that is torn is begun anew where that is asked for, and says why', () => {
    const path = fresh();
    writeFileSync(path, '{"format":"plimsoll-ru');
    const history = RunHistory.open(path, { ...BOUNDS, onUnreadable: 'renew' });
    expect(history.renewed).toMatch(/cannot be read/);
    expect(history.predict('import', { items: 1, limitBytes: 1 })).toBeUndefined();
    expect(readFileSync(path, 'utf8')).toBe('{"format":"plimsoll-ru');
    history.record(run());
    expect(RunHistory.open(path, BOUNDS).runs('import')).toHaveLength(1);
  });

  it('that cannot be written leaves the old one, and the runs that were known', () => {
    const gone = join(dir, 'gone', 'runs.json');
    expect(() => RunHistory.open(gone, BOUNDS).record(run())).toThrow(refused);
    const path = fresh();
    const history = RunHistory.open(path, BOUNDS);
    history.record(run());
    const text = readFileSync(path, 'utf8');
    expect(() => history.record(run({ items: 1.5 }))).toThrow(RangeError);
    expect(() => history.record(run({ startMode: 'spill', mode: 'plain' }))).toThrow(RangeError);
    expect(() => history.record({ ...run(), mood: 1 } as NewRun)).toThrow(RangeError);
    expect(history.runs('import')).toHaveLength(1);
    expect(readFileSync(path, 'utf8')).toBe(text);
    chmodSync(path, 0o600);
  });
});

describe('a prediction', () => {
  const at = (runs: readonly RunRecord[], items: number, limitBytes = 100 * MB) =>
    predictRun(runs, { items, limitBytes, thresholds: DEFAULT_THRESHOLDS });

  it('needs three runs', () => {
    expect(at(alongLine([1_000, 2_000]), 1_000)).toBeUndefined();
    expect(at(alongLine([1_000, 2_000, 1_500]), 1_000)).toBeDefined();
  });

  it('lays peaks on a line over items, with an interval in which the truth lies', () => {
    const prediction = at(alongLine([500, 1_000, 1_500, 2_000, 1_200, 800]), 2_000)!;
    expect(prediction).toMatchObject({ mode: 'plain', batchBytes: 65_536 });
    expect(prediction.peakBytes!.expected).toBeCloseTo(50 * MB, -6);
    expect(prediction.peakBytes!.low).toBeLessThan(50 * MB);
    expect(prediction.peakBytes!.high).toBeGreaterThan(50 * MB);
    expect(prediction.peakBytes).toEqual(prediction.plainPeakBytes);
    expect(prediction.basedOn).toEqual({ runs: 6, runsInMode: 6, fewestItems: 500, mostItems: 2_000, isBeyond: false });
  });

  it('lies within its interval nineteen times of twenty, about', () => {
    let state = 5;
    const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    const normal = () => Array.from({ length: 12 }, random).reduce((a, b) => a + b) - 6;
    let inside = 0;
    for (let trial = 0; trial < 400; trial++) {
      const next = () => {
        const items = Math.round(500 + 1_500 * random());
        return run({ items, peakBytes: Math.round(10 * MB + 20_000 * items + 2 * MB * normal()) });
      };
      const runs = Array.from({ length: 8 }, next);
      const truth = next();
      const { low, high } = at(runs, truth.items)!.plainPeakBytes!;
      if (truth.peakBytes >= low && truth.peakBytes <= high) inside++;
    }
    expect(inside / 400).toBeGreaterThan(0.92);
    expect(inside / 400).toBeLessThan(0.98);
  });

  it('is wider the further the items are from those that were seen, and says when they are beyond', () => {
    const runs = alongLine([500, 1_000, 1_500, 700, 1_300]);
    const width = (items: number) => {
      const { low, high } = at(runs, items)!.plainPeakBytes!;
      return high - low;
    };
    expect(width(3_000)).toBeGreaterThan(2 * width(1_000));
    expect(at(runs, 3_000)!.basedOn.isBeyond).toBe(true);
  });

  it('takes more items to need more by the same part where all runs had as many', () => {
    const runs = [50, 51, 49, 50].map((peak) => run({ peakBytes: peak * MB }));
    expect(at(runs, 1_000)!.mode).toBe('plain');
    expect(at(runs, 2_000)!.plainPeakBytes!.expected).toBe(100 * MB);
    expect(at(runs, 500)!.plainPeakBytes!.expected).toBe(50 * MB);
  });

  it('never takes more items to need less', () => {
    const runs = [60, 50, 40, 30].map((peak, index) => run({ items: 1_000 * (index + 1), peakBytes: peak * MB }));
    expect(at(runs, 9_000)!.plainPeakBytes!.expected).toBe(45 * MB);
  });

  it('tries the next stricter mode where plain does not fit, and a stricter one where runs in that did not fit either', () => {
    const plain = alongLine([1_000, 2_000, 3_000]);
    expect(at(plain, 4_000)).toMatchObject({ mode: 'streaming', batchBytes: 65_536, basedOn: { runsInMode: 0 } });
    expect(at(plain, 4_000)!.peakBytes).toBeUndefined();
    const streaming = [90, 91, 89].map((peak) =>
      run({ items: 4_000, peakBytes: peak * MB, startMode: 'streaming', mode: 'streaming', batchBytes: 32_768 }),
    );
    expect(at([...plain, ...streaming], 4_000)!.mode).toBe('compressed');
    expect(at([...plain, ...streaming], 1_000)!.mode).toBe('plain');
    const all = (['compressed', 'spill'] as const).flatMap((mode) =>
      [98, 99, 97].map((peak) => run({ items: 4_000, peakBytes: peak * MB, startMode: mode, mode })),
    );
    expect(at([...plain, ...streaming, ...all], 4_000)).toMatchObject({ mode: 'spill', batchBytes: 16_384 });
  });

  it('a run that had to leave a mode counts for it with what it took', () => {
    const left = [97, 98, 96].map((peak) => run({ peakBytes: peak * MB, mode: 'spill', modeSwitches: 3 }));
    expect(at(left, 1_000)!.mode).toBe('spill');
  });

  it('halves batches that found no room, and not below 16 KiB: run after run there would be none left', () => {
    const after = (batchBytes: number) =>
      at(
        [98, 99, 97].map((peak) => run({ mode: 'spill', modeSwitches: 3, peakBytes: peak * MB, batchBytes })),
        1_000,
      )!.batchBytes;
    expect([65_536, 32_768, 20_000, 16_384, 1_000, 1].map(after)).toEqual([32_768, 16_384, 16_384, 16_384, 1_000, 1]);
  });

  it('has the batch size that did most in its time, of those that found room', () => {
    const sized = (batchBytes: number, durationMs: number, peak: number) =>
      [0, 1, 2].map((more) => run({ batchBytes, durationMs: durationMs + more, peakBytes: peak * MB }));
    expect(at([...sized(1_024, 300, 10), ...sized(4_096, 100, 12)], 1_000)!.batchBytes).toBe(4_096);
    expect(at([...sized(1_024, 300, 10), ...sized(4_096, 100, 200)], 1, 5_000 * MB)!.batchBytes).toBe(4_096);
    expect(at([...sized(1_024, 300, 10), ...sized(4_096, 100, 200)], 1_000)!.batchBytes).toBe(1_024);
  });

  it('is sound for whatever runs there are', () => {
    const record = fc.record({
      items: fc.nat(1e9),
      peakBytes: fc.integer({ min: 1, max: 2 ** 40 }),
      batchBytes: fc.integer({ min: 1, max: 2 ** 30 }),
      mode: fc.constantFrom(...PIPELINE_MODES),
      durationMs: fc.nat(1e6),
    });
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 12 }),
        fc.nat(1e9),
        fc.integer({ min: 1, max: 2 ** 40 }),
        (rows, items, room) => {
          const prediction = at(rows.map(run), items, room);
          expect(prediction === undefined).toBe(rows.length < 3);
          if (prediction === undefined) return;
          expect(PIPELINE_MODES).toContain(prediction.mode);
          expect(Number.isSafeInteger(prediction.batchBytes) && prediction.batchBytes >= 1).toBe(true);
          const { low = 0, expected = 0, high = 0 } = prediction.peakBytes ?? {};
          expect(low <= expected && expected <= high && low >= 0 && Number.isFinite(high)).toBe(true);
          if (prediction.peakBytes !== undefined && prediction.mode !== 'spill')
            expect(high).toBeLessThanOrEqual(0.95 * room);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('refuses what is no question', () => {
    const history = RunHistory.open(fresh(), BOUNDS);
    for (const question of [
      {},
      { items: -1, limitBytes: 1 },
      { items: 1, limitBytes: 0 },
      { items: 1, limitBytes: 1, thresholds: {} },
    ])
      expect(() => history.predict('import', question as { items: number; limitBytes: number })).toThrow(RangeError);
    for (const options of [{}, { maxJobs: 1 }, { ...BOUNDS, onUnreadable: 'x' }, { maxJobs: 1_000, maxRunsPerJob: 51 }])
      expect(() => RunHistory.open(fresh(), options as RunHistoryOptions)).toThrow(RangeError);
  });
});

const STEPS: Readonly<Record<PipelineMode, number>> = { plain: 10, streaming: 5, compressed: 3, spill: -70 };

/** Holds more with each batch, less more in the stricter modes, until it spills; the machine's level rises with what is held. */
function growing(machine: FakeMachine): Stage<Numbers, Numbers> {
  return {
    name: 'Growing',
    can: { streaming: true, compression: true, spilling: true },
    memory: MEMORY,
    async *run(input, context) {
      let heldMb = 20;
      for await (const batch of input) {
        heldMb = Math.max(20, heldMb + STEPS[context.mode]);
        machine.rssBytes = heldMb * MB;
        machine.level = levelAt(heldMb / 100);
        machine.nowMs += 1;
        context.advance({});
        yield batch;
      }
    },
  };
}

function levelAt(ratio: number): PressureLevel {
  if (ratio >= DEFAULT_THRESHOLDS.emergency) return 'emergency';
  if (ratio >= DEFAULT_THRESHOLDS.critical) return 'critical';
  return ratio >= DEFAULT_THRESHOLDS.high ? 'high' : 'optimal';
}

it('the next run of a job begins in the mode that it will come to, changes it less often, and gives the same', async () => {
  const path = fresh();
  const ran: {
    readonly switches: number;
    readonly result: number;
    readonly leastMode: PipelineMode;
    readonly peakBytes: number;
  }[] = [];
  for (let n = 0; n < 4; n++) {
    const history = RunHistory.open(path, { maxJobs: 1, maxRunsPerJob: 10 });
    const ahead = history.predict('sum', { items: 200, limitBytes: 100 * MB });
    const leastMode = ahead?.mode ?? 'plain';
    const machine = new FakeMachine();
    const pipeline = new Pipeline({
      ...{ governor: machine, probe: machine, clock: machine, sampleEveryMs: 1 },
      ...{ leastMode, batchBytes: ahead?.batchBytes ?? 800 },
    });
    const result = await pipeline.from(source(machine, 20)).through(growing(machine)).into(sum(machine));
    const report = pipeline.report();
    const { peakRssBytes: peakBytes, modeSwitchCount: switches, elapsedMs: durationMs } = report;
    ran.push({ switches, result, leastMode, peakBytes });
    const mode = strictestMode(report, leastMode);
    const taken = { peakBytes, limitBytes: 100 * MB, batchBytes: ahead?.batchBytes ?? 800, durationMs };
    history.record({ job: 'sum', items: 200, startMode: leastMode, mode, modeSwitches: switches, ...taken });
  }
  expect(ran.map(({ leastMode }) => leastMode)).toEqual(['plain', 'plain', 'plain', 'spill']);
  expect(ran[0]!.switches).toBeGreaterThan(2);
  expect(ran[3]!.switches).toBe(0);
  expect(ran[3]!.peakBytes).toBeLessThan(ran[0]!.peakBytes / 2);
  expect(new Set(ran.map(({ result }) => result)).size).toBe(1);
});
