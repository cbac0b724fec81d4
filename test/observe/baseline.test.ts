import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { intervalOf } from '../../src/observe/confidence.ts';
import {
  type CompareOptions,
  compareWithBaseline,
  formatComparison,
  type MemoryMeasurement,
  measureMemory,
  readBaseline,
  writeBaseline,
} from '../../src/observe/index.ts';
import { FakeHeap } from './fake-heap.ts';

const dir = mkdtempSync(join(tmpdir(), 'baseline-'));
afterAll(() => rmSync(dir, { recursive: true }));

/** Readings about `mean` that lie up to `noise` of it to either side. */
function around(mean: number, noise: number, seed = 1): number[] {
  let state = seed;
  return Array.from({ length: 30 }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return mean * (1 + noise * ((2 * state) / 2_147_483_647 - 1));
  });
}

function measured(timeMs: number[], allocatedBytes: number[], retainedBytes?: number[]): MemoryMeasurement {
  return {
    iterations: 30,
    warmUp: 10,
    callsPerIteration: 1,
    timeMs: intervalOf(timeMs),
    allocatedBytes: intervalOf(allocatedBytes),
    ...(retainedBytes === undefined ? {} : { retainedBytes: intervalOf(retainedBytes) }),
    collections: 0,
    notes: [],
  };
}

const before = measured(around(10, 0.05), around(10_000, 0.05));
const verdicts = (result: MemoryMeasurement, options: CompareOptions, base = before) => {
  const { ok, rows } = compareWithBaseline(result, base, options);
  return [ok, ...rows.map(({ verdict }) => verdict)];
};

it('the gate fails for time past the tolerance, and for bytes past it', () => {
  const slow = measured(around(12, 0.05, 5), around(10_000, 0.05, 6));
  expect(verdicts(slow, { tolerance: 0.1 })).toEqual([false, 'regressed', 'within']);
  const fat = measured(around(10, 0.05, 5), around(12_000, 0.05, 6));
  expect(verdicts(fat, { tolerance: 0.1 })).toEqual([false, 'within', 'regressed']);
  expect(verdicts(slow, { tolerance: 0.1, timeTolerance: 0.3 })[0]).toBe(true);
  expect(verdicts(slow, { tolerance: 0.3 })[0]).toBe(true);
});

it('noise within the interval does not fail it, though the mean is past the tolerance', () => {
  const noisy = measured(around(10.9, 0.9, 5), around(10_000, 0.9, 6));
  const { ok, rows } = compareWithBaseline(noisy, before, { tolerance: 0.05 });
  expect(rows[0]!.change!.mean).toBeGreaterThan(rows[0]!.allowed);
  expect([ok, rows[0]!.verdict]).toEqual([true, 'unclear']);
  for (let seed = 2; seed < 200; seed++) {
    const again = measured(around(10, 0.05, seed * 7_919), around(10_000, 0.05, seed * 104_729));
    expect(compareWithBaseline(again, before, { tolerance: 0.05 }).ok, `seed ${seed}`).toBe(true);
  }
});

it('fewer bytes are an improvement; fewer than `leastBytes` more are nothing; zeros can be compared', () => {
  expect(verdicts(measured(around(8, 0.05), around(8_000, 0.05)), { tolerance: 0.1 })).toEqual([
    true,
    'improved',
    'improved',
  ]);
  const none = measured(around(10, 0), around(0, 0));
  expect(verdicts(measured(around(10, 0), around(60, 0)), { tolerance: 0.1 }, none)).toEqual([
    true,
    'within',
    'within',
  ]);
  expect(verdicts(measured(around(10, 0), around(65, 0)), { tolerance: 0.1 }, none)[2]).toBe('regressed');
  expect(verdicts(measured(around(10, 0), around(1, 0)), { tolerance: 0.1, leastBytes: 0 }, none)[2]).toBe('regressed');
});

it('a figure that the baseline has and the measurement has not fails, and one that is new does not', () => {
  const known = measured(around(10, 0.05), around(10_000, 0.05), around(10, 0.05));
  expect(verdicts(before, { tolerance: 0.1 }, known)).toEqual([false, 'within', 'within', 'missing']);
  expect(verdicts(known, { tolerance: 0.1 })).toEqual([true, 'within', 'within']);
});

it('holds from measurement to file to gate: work that begins to hold on to memory is found', async () => {
  const heap = new FakeHeap();
  const { clock, figures, collections } = heap;
  const options = { iterations: 20, clock, figures, collections, collect: () => heap.collect() };
  const work = (kept: number) => () => {
    heap.allocate(1_000);
    heap.drop(1_000 - kept);
    clock.advance(1);
  };
  const path = join(dir, 'work.json');
  const written = writeBaseline(path, { work: await measureMemory(work(0), options) });
  const baseline = readBaseline(path);
  expect(baseline).toEqual(written);
  const same = compareWithBaseline(await measureMemory(work(0), options), baseline.results.work!, { tolerance: 0.1 });
  expect(same.ok).toBe(true);
  const leaky = compareWithBaseline(await measureMemory(work(200), options), baseline.results.work!, {
    tolerance: 0.1,
  });
  expect(formatComparison(leaky)).toBe(
    [
      'timeMs: within, 1.000ms before, 1.000ms now; change 0.000ms to 0.000ms, allowed 0.1000ms',
      'allocatedBytes: within, 1000B before, 1000B now; change 0B to 0B, allowed 100B',
      'retainedBytes: regressed, 0B before, 200B now; change 200B to 200B, allowed 64B',
      'failed',
      '',
    ].join('\n'),
  );
});

it('a baseline is replaced as a whole or stays as it was, and nothing is left beside it', () => {
  const path = join(dir, 'whole.json');
  writeBaseline(path, { one: before });
  const text = readFileSync(path, 'utf8');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const cyclic = { ...before, notes: [] as unknown[] };
  cyclic.notes.push(cyclic);
  const results = { one: cyclic as unknown as MemoryMeasurement };
  expect(() => writeBaseline(path, results)).toThrow(expect.objectContaining({ code: 'PLIMSOLL_BASELINE' }));
  expect(readFileSync(path, 'utf8')).toBe(text);
  const folder = join(dir, 'folder');
  mkdirSync(folder);
  expect(() => writeBaseline(folder, {})).toThrow(expect.objectContaining({ code: 'PLIMSOLL_BASELINE' }));
  expect(readdirSync(dir).filter((name) => name.endsWith('.part'))).toEqual([]);
});

it('reads no baseline that is torn, of another version, or has figures that are none', () => {
  const path = join(dir, 'wrong.json');
  const sound = { format: 'plimsoll-baseline', version: 1, runtime: '', results: { one: before } };
  const wrong: unknown[] = [
    null,
    5,
    {},
    { ...sound, version: 2 },
    { ...sound, results: null },
    { ...sound, results: { one: null } },
    { ...sound, results: { one: {} } },
    { ...sound, results: { one: { ...before, timeMs: { ...before.timeMs, mean: '5' } } } },
    { ...sound, results: { one: { ...before, allocatedBytes: { ...before.timeMs, deviation: -1 } } } },
    { ...sound, results: { one: { ...before, retainedBytes: { ...before.timeMs, count: 1 } } } },
  ];
  const refused = expect.objectContaining({ code: 'PLIMSOLL_BASELINE' });
  for (const content of wrong) {
    writeFileSync(path, JSON.stringify(content));
    expect(() => readBaseline(path), JSON.stringify(content)).toThrow(refused);
  }
  writeFileSync(path, JSON.stringify(sound).slice(0, 200));
  expect(() => readBaseline(path)).toThrow(refused);
  expect(() => readBaseline(join(dir, 'gone.json'))).toThrow(refused);
  writeFileSync(path, JSON.stringify(sound));
  expect(readBaseline(path).results.one).toEqual(before);
});

it('a gate has a tolerance, and takes no other options than its own', () => {
  for (const options of [
    {},
    { tolerance: 0 },
    { tolerance: 0.1, leastBytes: -1 },
    { tolerance: 0.1, timeTolerance: 0 },
    { tolerance: 1, x: 1 },
  ])
    expect(() => compareWithBaseline(before, before, options as CompareOptions), JSON.stringify(options)).toThrow(
      RangeError,
    );
});
