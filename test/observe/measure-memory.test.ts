import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { differenceOf, intervalOf, studentT95 } from '../../src/observe/confidence.ts';
import { type MeasureMemoryOptions, measureMemory } from '../../src/observe/index.ts';
import { FakeHeap } from './fake-heap.ts';

function seams(heap: FakeHeap): Omit<MeasureMemoryOptions, 'iterations'> {
  return { clock: heap.clock, figures: heap.figures, collections: heap.collections, collect: () => heap.collect() };
}

it('says what one call takes: time, what it allocates, and what stays', async () => {
  const heap = new FakeHeap();
  const work = () => {
    heap.allocate(1_000);
    heap.drop(900);
    heap.clock.advance(3);
  };
  const result = await measureMemory(work, { iterations: 30, callsPerIteration: 4, ...seams(heap) });
  expect(result).toEqual({
    iterations: 30,
    warmUp: 10,
    callsPerIteration: 4,
    timeMs: { mean: 3, low: 3, high: 3, deviation: 0, count: 30 },
    allocatedBytes: { mean: 1_000, low: 1_000, high: 1_000, deviation: 0, count: 30 },
    retainedBytes: { mean: 100, low: 100, high: 100, deviation: 0, count: 30 },
    collections: 0,
    notes: [],
  });
  expect(heap.disposed).toBe(1);
});

it('counts what collections took in the middle of a call', async () => {
  const heap = new FakeHeap();
  const work = () => {
    heap.allocate(800);
    heap.drop(800);
    heap.collect(1);
    heap.allocate(200);
  };
  const result = await measureMemory(work, { iterations: 5, ...seams(heap) });
  expect(result).toMatchObject({ collections: 5, allocatedBytes: { mean: 1_000 }, retainedBytes: { mean: 200 } });
});

it('what a reading itself allocates is taken off', async () => {
  const heap = new FakeHeap();
  const figures = () => {
    const found = heap.figures();
    heap.allocate(64);
    return found;
  };
  const work = () => heap.allocate(10);
  const result = await measureMemory(work, { iterations: 5, ...seams(heap), figures });
  expect(result.allocatedBytes!.mean).toBe(10);
});

it('bytes outside the heap that stay are retained too, and asynchronous work is waited for', async () => {
  const heap = new FakeHeap();
  const work = async () => {
    await Promise.resolve();
    heap.external += 70;
    heap.clock.advance(2);
  };
  const result = await measureMemory(work, { iterations: 5, warmUp: 0, ...seams(heap) });
  expect(result).toMatchObject({ retainedBytes: { mean: 70 }, allocatedBytes: { mean: 0 }, timeMs: { mean: 2 } });
});

it('without a collection at hand it says so, and leaves out what it cannot know', async () => {
  const heap = new FakeHeap();
  heap.tells = false;
  const result = await measureMemory(() => heap.allocate(1), { iterations: 2, ...seams(heap), collect: false });
  expect(result).not.toHaveProperty('retainedBytes');
  expect(result).not.toHaveProperty('allocatedBytes');
  expect(result.notes).toEqual([expect.stringContaining('--expose-gc'), expect.stringContaining('freed')]);
});

it('what the work throws is thrown, and the watch ends', async () => {
  const heap = new FakeHeap();
  const fail = () => {
    throw new Error('broken work');
  };
  await expect(measureMemory(fail, { iterations: 2, ...seams(heap) })).rejects.toThrow('broken work');
  expect(heap.disposed).toBe(1);
});

it('refuses options out of their range', async () => {
  const wrong = [
    {},
    { iterations: 1 },
    { iterations: 2, warmUp: -1 },
    { iterations: 2, collect: 1 },
    { iterations: 2, x: 1 },
  ];
  for (const options of wrong as unknown as MeasureMemoryOptions[])
    await expect(measureMemory(() => {}, options)).rejects.toThrow(RangeError);
  await expect(measureMemory(5 as unknown as () => void, { iterations: 2 })).rejects.toThrow(RangeError);
});

it('a real heap: arrays of a thousand numbers are found where they are made, and where they are kept', () => {
  const run = spawnSync(
    process.execPath,
    ['--expose-gc', '--conditions=source', join(import.meta.dirname, 'measure-child.ts')],
    { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } },
  );
  expect(run.status, run.stderr).toBe(0);
  const { dropped, kept, watched } = JSON.parse(run.stdout);
  // 4 or 8 bytes a number, and two headers.
  expect(kept.allocatedBytes.mean).toBeGreaterThan(4_000);
  expect(kept.retainedBytes.mean / kept.allocatedBytes.mean).toBeGreaterThan(0.9);
  expect(dropped.allocatedBytes.mean / kept.allocatedBytes.mean).toBeGreaterThan(0.9);
  expect(dropped.retainedBytes.mean / kept.retainedBytes.mean).toBeLessThan(0.1);
  expect(watched.count).toBeGreaterThan(0);
  expect(watched.freedBytes).toBeGreaterThan(4_000_000);
  expect(watched.pauseMs).toBeGreaterThanOrEqual(watched.longestMs);
  expect(watched.longestMs).toBeGreaterThan(0);
  expect(watched.pauseMs).toBeLessThan(watched.elapsedMs);
});

it('intervals are those of the tables, and noise about the truth covers it nineteen times of twenty', () => {
  // e-Handbook, 1.3.5.2: ZARR13, n 195, mean 9.261460, deviation 0.022789, 95% from 9.258242 to 9.264679.
  expect(9.26146 - (studentT95(194) * 0.022789) / Math.sqrt(195)).toBeCloseTo(9.258242, 5);
  expect([studentT95(1), studentT95(30), studentT95(30.9)]).toEqual([12.706, 2.042, 2.042]);
  expect(studentT95(40)).toBeCloseTo(2.021, 3);
  expect(studentT95(120)).toBeCloseTo(1.98, 3);
  expect(intervalOf([1, 2, 3, 4])).toMatchObject({ mean: 2.5, count: 4, deviation: Math.sqrt(5 / 3) });
  let covered = 0;
  let state = 7;
  const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  for (let round = 0; round < 1_000; round++) {
    const { low, high } = intervalOf(Array.from({ length: 30 }, () => random() + random() + random()));
    if (low <= 1.5 && 1.5 <= high) covered++;
  }
  expect(covered).toBeGreaterThan(925);
  expect(covered).toBeLessThan(975);
});

it('a difference of two means is that of the tables', () => {
  const sample = (mean: number, deviation: number, count: number) => ({ mean, deviation, count, low: 0, high: 0 });
  // e-Handbook, 1.3.5.3: miles per gallon, 249 cars and 79; t -12.94627 of 136.87 degrees.
  const cars = differenceOf(sample(20.14458, 6.4147, 249), sample(30.48101, 6.10771, 79));
  expect(cars.mean).toBeCloseTo(10.33643, 5);
  expect(cars.high - cars.mean).toBeCloseTo((studentT95(136) * 10.33643) / 12.94627, 4);
  // 2.94 degrees, rounded down.
  const few = differenceOf(sample(1, 2, 3), sample(2, 1, 3));
  expect(few.high - few.mean).toBeCloseTo(4.303 * Math.sqrt(5 / 3), 6);
});

it('an interval has its mean in the middle, for any readings', () => {
  const readings = fc.array(fc.double({ min: -1e9, max: 1e9, noNaN: true }), { minLength: 2, maxLength: 50 });
  fc.assert(
    fc.property(readings, (values) => {
      const { mean, low, high, deviation } = intervalOf(values);
      expect(low).toBeLessThanOrEqual(mean);
      expect(high).toBeGreaterThanOrEqual(mean);
      expect(deviation).toBeGreaterThanOrEqual(0);
      expect(mean).toBeCloseTo(values.reduce((a, b) => a + b, 0) / values.length, 3);
    }),
  );
});
