import { afterEach, describe, expect, it, vi } from 'vitest';
import { ManualClock } from '../../src/clock.ts';
import { createGovernor, type Snapshot } from '../../src/governor/index.ts';
import {
  formatLeakReport,
  type HeapCensus,
  type HeapRow,
  type HeapSource,
  type LeakCheckpoint,
  LeakFinder,
  type LeakFinderOptions,
} from '../../src/observe/index.ts';
import { breakable } from '../contract/broken-governor.ts';
import { seededRandom } from './planted-leaks.ts';

const KIB = 1_024;

/** A heap whose rows are said before each checkpoint. */
class SaidHeap implements HeapSource {
  rows: HeapRow[] = [];
  sameNumbers = true;
  requests: object[] = [];
  disposed = 0;
  fails: Error | undefined;
  #lastId = 0;

  take(request: object): Promise<HeapCensus> {
    this.requests.push(request);
    if (this.fails !== undefined) return Promise.reject(this.fails);
    this.#lastId += 100;
    return Promise.resolve({ objects: 9, rows: this.rows, lastId: this.#lastId, sameNumbers: this.sameNumbers });
  }

  [Symbol.dispose](): void {
    this.disposed++;
  }
}

function row(what: string, livedBytes: number, more: Partial<HeapRow> = {}): HeapRow {
  const counts = { count: Math.round(livedBytes / 40), livedCount: Math.round(livedBytes / 40) };
  return { kind: 'constructor', what, key: what, bytes: livedBytes + 500, livedBytes, ...counts, ...more };
}

function begin(more: Partial<LeakFinderOptions> = {}) {
  const heap = new SaidHeap();
  const clock = new ManualClock(5_000);
  const machine = { free: 1e9, heapUsed: 1e6, external: 0, arrayBuffers: 0, resources: [] as string[] };
  const finder = new LeakFinder({
    maxCheckpoints: 12,
    maxRows: 50,
    heap: () => heap,
    clock,
    figures: () => ({ rss: 5e7, ...machine }),
    freeBytes: () => machine.free,
    resources: () => machine.resources,
    ...more,
  });
  return { heap, clock, machine, finder };
}

type Begun = ReturnType<typeof begin>;

async function rounds(count: number, { finder }: Begun, each: (round: number) => void) {
  for (let round = 1; round <= count; round++) {
    each(round);
    await finder.checkpoint();
  }
  return finder.report();
}

const names = (report: { readonly suspects: readonly { readonly what: string }[] }) =>
  report.suspects.map(({ what }) => what);

it('suspects what grows each time, and nothing else that moves', async () => {
  const begun = begin();
  const random = seededRandom(7);
  const report = await rounds(9, begun, (round) => {
    // Known by name where the heap is counted; and what is little for a whole process.
    begun.machine.heapUsed = round * 1e6;
    begun.machine.arrayBuffers = round * 1e6;
    begun.machine.external = round * (1e6 + 20 * KIB);
    begun.heap.rows = [
      row('Leak', 10 * KIB * round, { heldBy: ['variable cache', 'Map.table'], heldShare: 1 }),
      row('Noise', 500 * KIB * random()),
      row('Filled', 50 * KIB * Math.min(round, 4)),
      row('Still', 900 * KIB),
      row('Less and less', 900 * KIB * (1 - 1 / round ** 2)),
      row('Falls', 90 * KIB * (10 - round)),
      row('Small', KIB * round),
      row('Comes and goes', 0, { bytes: 50 * KIB * round, count: 90 * round }),
    ];
  });
  expect(names(report)).toEqual(['Leak']);
  // One order of eight things in 40,320, asked of five rows that moved.
  expect(report.asked).toBe(5);
  expect(report.suspects[0]).toMatchObject({
    ...{ kind: 'constructor', growthBytes: 70 * KIB, bytesEach: 10 * KIB, heldBy: ['variable cache', 'Map.table'] },
    confidence: expect.closeTo(1 - 5 / 40_320, 6),
  });
  expect(report.suspects[0]!.points).toHaveLength(8);
  expect(report).toMatchObject({ version: 1, compared: 8, droppedRows: 0, notes: [] });
  expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  expect(begun.heap.requests.slice(0, 3)).toEqual([
    { livedId: 0 },
    { livedId: 100, bornAfter: 100 },
    { livedId: 200, bornAfter: 100 },
  ]);
});

it('says nothing before five checkpoints after the warm-up', async () => {
  const begun = begin({ warmUp: 2 });
  const grow = (round: number) => {
    begun.heap.rows = [row('Leak', 10 * KIB * round)];
  };
  const early = await rounds(6, begun, grow);
  expect(early).toMatchObject({ compared: 4, suspects: [] });
  expect(early.notes[0]).toMatch(/^4 of the 5 checkpoints/);
  grow(7);
  await begun.finder.checkpoint();
  expect(names(begun.finder.report())).toEqual(['Leak']);
  expect(begun.finder.report().checkpoints.map(({ compared }) => compared)).toEqual([
    false,
    false,
    true,
    true,
    true,
    true,
    true,
  ]);
});

it('of random walks, one in hundreds is suspected', async () => {
  const random = seededRandom(3);
  let suspected = 0;
  for (let run = 0; run < 40; run++) {
    const begun = begin();
    const at = Array.from({ length: 20 }, () => 500 * KIB);
    const report = await rounds(9, begun, () => {
      begun.heap.rows = at.map((_, index) => row(`Walk ${index}`, 500 * KIB + 200 * KIB * random()));
    });
    suspected += report.suspects.length;
  }
  // 800 rows; Bonferroni asks for one run in twenty at most.
  expect(suspected).toBeLessThanOrEqual(2);
});

it('of consumers and what keeps the loop alive too, by the source and by Node', async () => {
  let held = 0;
  const consumers = () => [
    { name: 'cache', ownBytes: held },
    { name: 'pool', ownBytes: 4_096 },
  ];
  const snapshot = () => ({ consumers: consumers(), meters: [], availableBytes: 1e9 }) as unknown as Snapshot;
  const begun = begin({ source: { snapshot } });
  const report = await rounds(8, begun, (round) => {
    held = round * 8 * KIB;
    begun.machine.resources = Array.from({ length: 20 * round }, () => 'Timeout').concat('TCPSocketWrap');
  });
  expect(report.suspects.map(({ kind, what, growthCount }) => [kind, what, growthCount])).toEqual([
    ['consumer', 'cache', 0],
    ['resource', 'Timeout', 120],
  ]);
});

describe('room for a heap snapshot', () => {
  it('without it none is taken, a note says so, and the rest is counted all the same', async () => {
    const begun = begin();
    begun.machine.free = 5e6;
    const report = await rounds(8, begun, (round) => {
      begun.machine.heapUsed = 1e6 + round * 1e6;
      begun.machine.resources = Array.from({ length: 20 * round }, () => 'Timeout');
    });
    expect(begun.heap.requests).toEqual([]);
    expect(report.checkpoints[0]).toMatchObject({
      note: expect.stringMatching(
        /^the heap was not counted: that needs 38\.1MiB under the limit, and 4\.8MiB are free$/,
      ),
    });
    // In place of what the heap holds by name stands the heap as a whole, once it has grown much.
    expect(names(report)).toEqual(['heap', 'Timeout']);
  });

  it('is what meters of the machine leave under the limit of the source, and not what the books do', async () => {
    const meter = (name: string, bytes: number, off = false) => ({ name, bytes, limitBytes: 100e6, off });
    for (const [meters, isTaken] of [
      [[meter('ledger', 99e6), meter('heap', 99e6), meter('rss', 79e6)], true],
      [[meter('rss', 81e6)], false],
      [[meter('rss', 99e6, true)], true],
      [[], true],
    ] as const) {
      const snapshot = () => ({ consumers: [], meters, availableBytes: 25e6 }) as unknown as Snapshot;
      const begun = begin({ source: { snapshot }, freeBytes: undefined as unknown as () => number });
      await begun.finder.checkpoint();
      expect(begun.heap.requests.length, JSON.stringify(meters)).toBe(isTaken ? 1 : 0);
    }
  });
});

it('keeps what each checkpoint was resolved to, figure by figure', async () => {
  const begun = begin({ maxCheckpoints: 6 });
  const told: LeakCheckpoint[] = [];
  for (let round = 1; round <= 9; round++) {
    Object.assign(begun.machine, { heapUsed: round, external: round * 10, arrayBuffers: round * 100 });
    begun.machine.free = round === 7 ? 0 : 1e9;
    begun.clock.advance(1_000);
    told.push(await begun.finder.checkpoint());
  }
  expect(begun.finder.report().checkpoints).toEqual(told.slice(3));
  expect(told.slice(3).map(({ objects, note }) => [objects, note !== undefined])).toEqual(
    [4, 5, 6, 7, 8, 9].map((round) => (round === 7 ? [undefined, true] : [9, false])),
  );
});

describe('bounds', () => {
  it('the oldest checkpoint goes first, and is not compared any more', async () => {
    const begun = begin({ maxCheckpoints: 6 });
    const report = await rounds(30, begun, (round) => {
      begun.heap.rows = [row('Stopped', 100 * KIB * Math.min(round, 20)), row('Leak', 5 * KIB * round)];
    });
    expect(report.checkpoints.map(({ number }) => number)).toEqual([25, 26, 27, 28, 29, 30]);
    expect(names(report)).toEqual(['Leak']);
    expect(report.suspects[0]!.points.map(({ checkpoint }) => checkpoint)).toEqual([25, 26, 27, 28, 29, 30]);
  });

  it('of new rows the largest find a place, the others are counted, and a row that is nothing any more makes room', async () => {
    const begun = begin({ maxRows: 4, maxCheckpoints: 6 });
    const many = (round: number) =>
      Array.from({ length: 5 }, (_, index) => row(`Row ${index}`, 100 * KIB * (index + 1) + 10 * KIB * round));
    const report = await rounds(8, begun, (round) => {
      begun.heap.rows = many(round);
    });
    // One place is that of the heap as a whole.
    expect(names(report).toSorted()).toEqual(['Row 2', 'Row 3', 'Row 4']);
    expect(report.droppedRows).toBe(2 * 8);
    begun.heap.rows = [];
    for (let n = 0; n < 6; n++) await begun.finder.checkpoint();
    const later = await rounds(8, begun, (round) => {
      begun.heap.rows = [row('New', 100 * KIB * round)];
    });
    expect(names(later)).toEqual(['New']);
  });
});

describe('what fails', () => {
  afterEach(() => vi.restoreAllMocks());

  it('is noted and never thrown: a source, figures, resources, a heap', async () => {
    const fail = () => {
      throw new Error('out of order\u001b[31m');
    };
    const begun = begin({ source: { snapshot: fail }, resources: fail });
    begun.heap.fails = new Error('no inspector');
    const checkpoint = await begun.finder.checkpoint();
    expect(checkpoint.note).toBe('the heap was not counted: no inspector');
    const report = begun.finder.report();
    expect(report.notes).toHaveLength(4);
    expect(formatLeakReport(report)).toContain('note: consumers could not be read: out of order [31m');
    const broken = new LeakFinder({
      maxCheckpoints: 6,
      maxRows: 1,
      heap: fail,
      freeBytes: () => Number.NaN,
      figures: fail,
    });
    expect((await broken.checkpoint()).note).toMatch(/^the heap was not counted/);
  });

  it('a governor that breaks takes nothing with it but its consumers', async () => {
    using whole = createGovernor({ limitBytes: 1e9, runtimeBytes: 0, clock: new ManualClock(), meters: [] });
    const { governor, breakIt } = breakable(whole);
    const begun = begin({ source: governor });
    const report = await rounds(8, begun, (round) => {
      if (round === 2) breakIt();
      begun.heap.rows = [row('Leak', 10 * KIB * round)];
    });
    expect(names(report)).toEqual(['Leak']);
    expect(report.notes).toEqual(['consumers could not be read: broken on purpose']);
  });

  it('objects that were numbered anew are not compared with those before, but with those after', async () => {
    const begun = begin();
    const report = await rounds(12, begun, (round) => {
      begun.heap.sameNumbers = round !== 4;
      begun.heap.rows = round === 4 ? [row('Still', 9e6)] : [row('Still', 1e6), row('Leak', 10 * KIB * round)];
    });
    expect(names(report)).toEqual(['Leak']);
    expect(report.suspects[0]!.points.map(({ checkpoint }) => checkpoint)).not.toContain(4);
    expect(report.checkpoints[3]!.note).toMatch(/numbered anew/);
    expect(begun.heap.requests.at(-1)).toEqual({ livedId: 1_100, bornAfter: 400 });
  });

  it('two checkpoints at once are one too many', async () => {
    const { finder } = begin();
    const first = finder.checkpoint();
    await expect(finder.checkpoint()).rejects.toMatchObject({ code: 'PLIMSOLL_LEAK_FINDER', recovery: 'retry' });
    expect((await first).number).toBe(1);
    expect((await finder.checkpoint()).number).toBe(2);
  });
});

it('disposing lets the heap go, once, also in the middle of a checkpoint; the report stays', async () => {
  const begun = begin();
  begun.heap.rows = [row('Leak', 1e6)];
  await begun.finder.checkpoint();
  const last = begun.finder.checkpoint();
  begun.finder[Symbol.dispose]();
  begun.finder[Symbol.dispose]();
  await last;
  expect(begun.heap.disposed).toBe(1);
  expect(begun.finder.report().checkpoints).toHaveLength(2);
  await expect(begun.finder.checkpoint()).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
});

it('what is held by another suspect stands behind it and says so; text that others wrote is cleaned', async () => {
  const begun = begin();
  const report = await rounds(9, begun, (round) => {
    begun.heap.rows = [
      row('(string)', 90 * KIB * round, {
        heldBy: ['variable cache', 'Map.table', '(array)[]', 'Entry.text'],
        heldShare: 0.9,
      }),
      row('Entry', 10 * KIB * round, { heldBy: ['variable cache', 'Map.table', '(array)[]'], heldShare: 1 }),
      row("'tick' of Clock", 0, { kind: 'listeners', bytes: 0, livedCount: 20 * round, count: 20 * round }),
      row('on\u001bTick', 8 * KIB * round, {
        kind: 'function',
        at: '/app/a.js:4',
        heldBy: ['Clock._events', 'Object.tick', 'Array[]'],
        heldShare: 1,
      }),
    ];
  });
  expect(report.suspects.map(({ what, within }) => [what, within])).toEqual([
    ['Entry', undefined],
    ["'tick' of Clock", undefined],
    ['(string)', 'Entry'],
    ['on\u001bTick', "'tick' of Clock"],
  ]);
  expect(formatLeakReport(report)).toBe(
    [
      '4 suspects in 8 checkpoints compared, 4 rows that moved',
      'constructor Entry: 256 more each time, 10KiB each time, 99.9% sure',
      '  from 20.5KiB to 90.5KiB, checkpoints 2 to 9',
      '  held by variable cache → Map.table → (array)[] (100% of those asked)',
      "listeners 'tick' of Clock: 20 more each time, 99.9% sure",
      '  from 40 to 180, checkpoints 2 to 9',
      'constructor (string): 2304 more each time, 90KiB each time, 99.9% sure',
      '  from 180.5KiB to 810.5KiB, checkpoints 2 to 9',
      '  inside Entry',
      '  held by variable cache → Map.table → (array)[] → Entry.text (90% of those asked)',
      'function on Tick (/app/a.js:4): 205 more each time, 8KiB each time, 99.9% sure',
      '  from 16.5KiB to 72.5KiB, checkpoints 2 to 9',
      "  inside 'tick' of Clock",
      '  held by Clock._events → Object.tick → Array[] (100% of those asked)',
      'the process: heap 976.6KiB to 976.6KiB, external 0B to 0B',
      'looking took 0 ms',
      '',
    ].join('\n'),
  );
});

it('refuses options out of their range, and none without its bounds', () => {
  const sound = { maxCheckpoints: 6, maxRows: 1 };
  for (const options of [
    {},
    { maxRows: 5 },
    { maxCheckpoints: 6 },
    { ...sound, maxCheckpoints: 5 },
    { ...sound, maxCheckpoints: 201 },
    { ...sound, warmUp: 0 },
    { ...sound, leastBytes: 0 },
    { ...sound, leastConfidence: 1.1 },
    { ...sound, memoryFactor: 1 },
    { ...sound, heap: true },
    { ...sound, source: {} },
    { ...sound, freeBytes: 5 },
    { ...sound, resources: 5 },
    { ...sound, rows: 5 },
  ])
    expect(() => new LeakFinder(options as unknown as LeakFinderOptions), JSON.stringify(options)).toThrow(RangeError);
});
