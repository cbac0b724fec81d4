import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createGovernor } from '../../src/governor/index.ts';
import {
  formatMemoryReport,
  MemoryProfiler,
  type MemoryProfilerOptions,
  watchCollections,
} from '../../src/observe/index.ts';
import { FakeHeap } from './fake-heap.ts';

function begin(options: Partial<MemoryProfilerOptions> = {}, heap = new FakeHeap()) {
  const { clock, figures, collections } = heap;
  const profiler = new MemoryProfiler({ maxCheckpoints: 10, clock, figures, collections, ...options });
  profiler.start();
  return { heap, profiler };
}

it('says of each span what was allocated, freed, collected, and how fast', () => {
  const { heap, profiler } = begin();
  heap.allocate(3_000);
  heap.drop(1_000);
  heap.clock.advance(1_996);
  heap.collect(4);
  expect(profiler.checkpoint('read', { items: 60 })).toBe(true);
  heap.allocate(500);
  heap.clock.advance(1_000);
  const report = profiler.finish();
  expect(report.checkpoints.map(({ label, atMs, heapBytes }) => [label, atMs, heapBytes])).toEqual([
    ['start', 0, 10_000],
    ['read', 2_000, 12_000],
    ['end', 3_000, 12_500],
  ]);
  expect(report.checkpoints[1]!.span).toEqual({
    elapsedMs: 2_000,
    heapGrowthBytes: 2_000,
    allocatedBytes: 3_000,
    freedBytes: 1_000,
    allocatedBytesPerSecond: 1_500,
    efficiency: 1_000 / 3_000,
    collections: 1,
    pauseMs: 4,
    longestPauseMs: 4,
    items: 60,
    averageAllocationBytes: 50,
  });
  // What was allocated afterwards was not counted as items, and is not divided by them.
  expect(report.total).toMatchObject({
    allocatedBytes: 3_500,
    freedBytes: 1_000,
    items: 60,
    averageAllocationBytes: 50,
  });
  expect(report).toMatchObject({ version: 1, startedAt: 1_000, faults: 0, droppedCheckpoints: 0, drift: [] });
  expect(heap.disposed).toBe(1);
  expect(heap.clock.pending).toBe(0);
  expect(JSON.parse(JSON.stringify(report))).toEqual(report);
});

it('an average allocation that nobody counted is left out, and so is what collections do not tell', () => {
  const { heap, profiler } = begin();
  heap.tells = false;
  heap.allocate(100);
  heap.clock.advance(10);
  profiler.checkpoint('one', { items: 5 });
  const { total, checkpoints } = profiler.finish();
  for (const name of [
    'allocatedBytes',
    'freedBytes',
    'allocatedBytesPerSecond',
    'efficiency',
    'averageAllocationBytes',
  ])
    for (const span of [total, checkpoints[1]!.span]) expect(span).not.toHaveProperty(name);
  expect(total).toMatchObject({ heapGrowthBytes: 100, items: 5 });
});

it('a peak between two checkpoints is seen by the samples, and without samples it is not', () => {
  for (const [sampleEveryMs, peak] of [
    [100, 90_000],
    [0, 10_000],
  ] as const) {
    const { heap, profiler } = begin({ sampleEveryMs });
    heap.clock.advance(50);
    heap.heapUsed = 90_000;
    heap.clock.advance(100);
    heap.heapUsed = 10_000;
    expect(profiler.finish().peak.heapBytes).toBe(peak);
  }
});

it('what was most stays: peaks, and the longest pause; what went before the start is in nothing', () => {
  const heap = new FakeHeap();
  heap.drop(100);
  heap.collect(50);
  const { profiler } = begin({ sampleEveryMs: 100 }, heap);
  for (const [bytes, pauseMs] of [
    [900_000, 9],
    [800_000, 7],
  ] as const) {
    heap.external = bytes;
    heap.rss = bytes + 1;
    heap.collect(pauseMs);
    heap.clock.advance(100);
  }
  const { peak, total } = profiler.finish();
  expect(peak).toMatchObject({ externalBytes: 900_000, rssBytes: 900_001 });
  expect(total).toMatchObject({ collections: 2, pauseMs: 16, longestPauseMs: 9, freedBytes: 0 });
});

it('checkpoints past the bound are counted and not kept, and nothing of their spans is lost', () => {
  const { heap, profiler } = begin({ maxCheckpoints: 2 });
  const kept = [1, 2, 3, 4].map((number) => {
    heap.allocate(100);
    heap.clock.advance(10);
    return profiler.checkpoint(`part ${number}`, { items: 1 });
  });
  expect(kept).toEqual([true, true, false, false]);
  const { checkpoints, droppedCheckpoints, total } = profiler.finish();
  expect(droppedCheckpoints).toBe(2);
  expect(checkpoints.map(({ label }) => label)).toEqual(['start', 'part 1', 'part 2', 'end']);
  expect(checkpoints.at(-1)!.span).toMatchObject({ allocatedBytes: 200, elapsedMs: 20, items: 2 });
  expect(total).toMatchObject({ allocatedBytes: 400, elapsedMs: 40, items: 4 });
});

it('names who held most when most was reserved; rows and others make up the books', () => {
  const heap = new FakeHeap();
  using governor = createGovernor({ limitBytes: 2 ** 30, runtimeBytes: 1_000, clock: heap.clock });
  const { profiler } = begin({ source: governor, topConsumers: 2 }, heap);
  const consumers = ['a', 'b', 'c'].map((name) => governor.consumer({ name, kind: 'external', maxBytes: 10_000 }));
  const rooms = [consumers[0]!.reserve(2_000), consumers[1]!.reserve(7_000), consumers[2]!.reserve(500)];
  profiler.checkpoint('full');
  for (const room of rooms) room[Symbol.dispose]();
  const { topConsumers, peak, checkpoints } = profiler.finish();
  expect(topConsumers).toEqual({
    at: 'full',
    reservedBytes: 10_500,
    rows: [
      { name: 'b', kind: 'external', ownBytes: 7_000 },
      { name: 'a', kind: 'external', ownBytes: 2_000 },
    ],
    otherBytes: 1_500,
  });
  expect(peak.ledgerBytes).toBe(10_500);
  expect(checkpoints.map(({ ledgerBytes }) => ledgerBytes)).toEqual([1_000, 10_500, 1_000]);
  for (const consumer of consumers) consumer[Symbol.dispose]();
});

it('its own cost is measured, and stands in the report', () => {
  const heap = new FakeHeap();
  const figures = () => {
    heap.clock.advance(2);
    return heap.figures();
  };
  const { profiler } = begin({ figures, sampleEveryMs: 0 }, heap);
  heap.clock.advance(94);
  profiler.checkpoint('one');
  const { cost, total } = profiler.finish();
  expect(total.elapsedMs).toBe(100);
  expect(cost).toEqual({ samples: 3, spentMs: 6, share: 0.06 });
});

it('a source, figures or collections that throw are counted, and never thrown at the program', () => {
  const fail = () => {
    throw new Error('torn');
  };
  const watch = () => ({ take: fail, [Symbol.dispose]: fail });
  const { profiler } = begin({ source: { snapshot: fail }, figures: fail, collections: watch, sampleEveryMs: 0 });
  expect(profiler.checkpoint('one')).toBe(true);
  const report = profiler.finish();
  expect(report).toMatchObject({ faults: 10, lastFault: 'torn' });
  expect(report.total).not.toHaveProperty('allocatedBytes');
  expect(formatMemoryReport(report)).toContain('figures that could not be had: 10, the last: torn');
  const { profiler: unwatched } = begin({ collections: fail });
  expect(unwatched.finish().faults).toBe(1);
});

it('has room for as many checkpoints as are asked for, in its report and its text too', () => {
  const { profiler } = begin({ maxCheckpoints: 150_000, sampleEveryMs: 0 });
  for (let number = 0; number < 150_000; number++) profiler.checkpoint('one');
  const report = profiler.finish();
  expect(formatMemoryReport(report).split('\n')).toHaveLength(150_002 + 7);
});

it('is used once, and says so', () => {
  const wrong = expect.objectContaining({ code: 'PLIMSOLL_PROFILER_STATE' });
  const fresh = new MemoryProfiler({ maxCheckpoints: 1 });
  expect(() => fresh.checkpoint('early')).toThrow(wrong);
  expect(() => fresh.finish()).toThrow(wrong);
  const { profiler, heap } = begin();
  expect(() => profiler.start()).toThrow(wrong);
  profiler[Symbol.dispose]();
  profiler[Symbol.dispose]();
  expect(heap.disposed).toBe(1);
  expect(heap.clock.pending).toBe(0);
  expect(() => profiler.checkpoint('late')).toThrow(wrong);
});

it('refuses options out of their range', () => {
  const wrong = [
    {},
    { maxCheckpoints: 0 },
    { maxCheckpoints: 1, sampleEveryMs: -1 },
    { maxCheckpoints: 1, topConsumers: 1.5 },
    { maxCheckpoints: 1, source: {} },
    { maxCheckpoints: 1, figures: 5 },
    { maxCheckpoints: 1, collections: null },
    { maxCheckpoints: 1, maxCheckpoint: 1 },
  ] as unknown as MemoryProfilerOptions[];
  for (const options of wrong) expect(() => new MemoryProfiler(options), JSON.stringify(options)).toThrow(RangeError);
  const { profiler } = begin();
  expect(() => profiler.checkpoint('')).toThrow(RangeError);
  expect(() => profiler.checkpoint('x', { items: -1 })).toThrow(RangeError);
});

it('two watches of collections count the same, and a real heap is found to have grown by what was made', () => {
  const watches = [watchCollections(), watchCollections()] as const;
  const profiler = new MemoryProfiler({ maxCheckpoints: 1 });
  profiler.start();
  const kept = Array.from({ length: 300_000 }, (_, number) => ({ number }));
  profiler.checkpoint('made', { items: kept.length });
  const { checkpoints, cost, faults, peak, total } = profiler.finish();
  const [one, other] = watches.map((watch) => watch.take());
  for (const watch of watches) watch[Symbol.dispose]();
  expect([one!.count, one!.freedBytes]).toEqual([other!.count, other!.freedBytes]);
  expect(watches[0].take()).toEqual({ count: 0, pauseMs: 0, longestMs: 0, freedBytes: 0 });
  // An object with one number takes 12 to 32 bytes, and its place in the array 4 or 8.
  const { averageAllocationBytes: average, collections } = checkpoints[1]!.span;
  expect(average).toBeGreaterThan(16);
  expect(average).toBeLessThan(120);
  expect(collections).toBeLessThanOrEqual(one!.count);
  expect(total.allocatedBytes! - total.freedBytes!).toBe(total.heapGrowthBytes);
  expect(peak.rssBytes).toBeGreaterThan(peak.heapBytes);
  expect(faults).toBe(0);
  expect(cost.spentMs).toBeGreaterThan(0);
  expect(cost.share).toBeLessThan(1);
});

const step = fc.record({
  allocate: fc.nat(50_000_000),
  drop: fc.nat(50_000_000),
  /** What V8 sweeps late goes without a collection that says so. */
  vanish: fc.nat(1_000_000),
  waitMs: fc.integer({ min: 0, max: 5_000 }),
  pauseMs: fc.option(fc.double({ min: 0, max: 40, noNaN: true }), { nil: undefined }),
});

it('spans add up to the total, and allocated minus freed is the growth, whatever happens', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), fc.integer({ min: 1, max: 8 }), (steps, maxCheckpoints) => {
      const { heap, profiler } = begin({ maxCheckpoints });
      for (const { allocate, drop, vanish, waitMs, pauseMs } of steps) {
        heap.allocate(allocate - vanish);
        heap.drop(drop);
        heap.clock.advance(waitMs);
        if (pauseMs !== undefined) heap.collect(pauseMs);
        profiler.checkpoint('step');
      }
      const report = profiler.finish();
      const spans = report.checkpoints.map(({ span }) => span);
      const sum = (pick: (span: (typeof spans)[number]) => number) => spans.reduce((all, span) => all + pick(span), 0);
      expect(sum((span) => span.allocatedBytes!)).toBe(report.total.allocatedBytes);
      expect(sum((span) => span.freedBytes!)).toBe(report.total.freedBytes);
      expect(sum((span) => span.collections)).toBe(report.total.collections);
      expect(report.total.elapsedMs).toBeCloseTo(report.checkpoints.at(-1)!.atMs, 6);
      for (const span of [...spans, report.total]) {
        expect(span.allocatedBytes! - span.freedBytes!).toBe(span.heapGrowthBytes);
        expect(Math.min(span.allocatedBytes!, span.freedBytes!)).toBeGreaterThanOrEqual(0);
      }
      expectColumnsAddUp(formatMemoryReport(report));
    }),
    { numRuns: 60 },
  );
});

/** As shown: the step in ms, allocated, freed, collections and pauses. */
function expectColumnsAddUp(text: string): void {
  const lines = text.split('\n');
  const rows = lines.slice(1, lines.indexOf('')).map((line) => line.split(/ {2,}/).map(Number));
  const total = rows.pop()!;
  for (const [fromEnd, inTotal] of [
    [9, 5],
    [4, 4],
    [3, 3],
    [2, 2],
    [1, 1],
  ] as const) {
    const shown = rows.reduce((all, row) => all + Math.round(row.at(-fromEnd)! * 10), 0);
    expect(shown).toBe(Math.round(total.at(-inTotal)! * 10));
  }
}

it('is shown as a table, with what is absent as a dash and names that cannot write over it', () => {
  const { heap, profiler } = begin({ sampleEveryMs: 0 });
  heap.allocate(5 * 2 ** 20);
  heap.clock.advance(500);
  profiler.checkpoint('load\u001b[31m');
  expect(formatMemoryReport(profiler.finish())).toBe(
    [
      '           at ms  +ms  heap  external  rss  ledger  allocated  freed  gc  pause ms',
      'start          0    0   0.0       0.0  0.0       -        0.0    0.0   0       0.0',
      'load [31m    500  500   5.0       0.0  0.0       -        5.0    0.0   0       0.0',
      'end          500    0   5.0       0.0  0.0       -        0.0    0.0   0       0.0',
      'total             500                                     5.0    0.0   0       0.0',
      '',
      'peak: heap 5MiB, external 500B, rss 48.8KiB',
      'allocation: 10MiB/s, freed of it 0.0%',
      'longest pause: 0.0 ms',
      'the profiler itself: 0.0 ms in 3 samples, 0.0%',
      '',
    ].join('\n'),
  );
});
