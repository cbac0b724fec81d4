import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from 'plimsoll';
import { afterAll, describe, expect, it } from 'vitest';
import { type CollectCall, Collector, type CollectorOptions } from '../../src/governor/collector.ts';
import { Faults } from '../../src/governor/faults.ts';
import { MIB } from './fake-meter.ts';

const HOUR_MS = 3_600_000;

/** A collector over a heap in which `garbage` is found at each collection that takes `tookMs`. */
function setUp(options: Partial<CollectorOptions> = {}) {
  const clock = new ManualClock();
  const faults = new Faults();
  const heap = { bytes: 100 * MIB, garbage: 10 * MIB, tookMs: 10 };
  const made: string[] = [];
  const collector = new Collector({
    clock,
    faults,
    collect: (type) => {
      made.push(type);
      clock.advance(heap.tookMs);
      heap.bytes -= heap.garbage;
    },
    heapBytes: () => heap.bytes,
    ...options,
  });
  const run = (extra: Partial<CollectCall> = {}) =>
    collector.run({ type: 'full', usedBytes: () => heap.bytes, ...extra });
  return { clock, faults, heap, made, collector, run };
}

describe('a collection', () => {
  it('is made, timed and counted, by type', () => {
    const { collector, run, heap } = setUp();
    expect([run(), run({ type: 'minor' }), heap.bytes]).toEqual([10, 10, 80 * MIB]);
    expect(collector).toMatchObject({ count: 2, spentMs: 20, why: undefined });
    expect([collector.countOf('full'), collector.countOf('minor')]).toEqual([1, 1]);
  });

  it('comes at most four times a second, unless something was released since', () => {
    const { collector, clock, run } = setUp();
    run();
    expect([run(), collector.why]).toEqual([-1, 'collected a moment ago, or in vain lately']);
    expect(run({ releasedBytes: 1 })).toBe(10);
    clock.advance(250);
    expect(run()).toBe(10);
  });

  it('in vain is made less and less often, and as often as before when it brings something again', () => {
    const { heap, clock, made, run } = setUp({ collectShare: 1 });
    heap.garbage = 0;
    for (let at = 0; at < 60_000; at += 10) {
      clock.advance(10);
      run();
    }
    expect(made.length).toBeLessThan(20);
    heap.garbage = 0.1 * heap.bytes;
    clock.advance(5_000);
    made.length = 0;
    for (let at = 0; at < 5_000; at += 10) {
      clock.advance(10);
      heap.bytes = 100 * MIB;
      run();
    }
    expect(made.length).toBeGreaterThan(10);
  });

  it('is switched off with `collect: false`, and by one that throws, which is a fault', () => {
    const off = setUp({ collect: false });
    expect([off.run(), off.collector.why]).toEqual([-1, 'collections are switched off']);
    const { run, faults, collector, clock } = setUp({
      collect: () => {
        throw new Error('no collection today');
      },
    });
    expect(run()).toBe(-1);
    expect(faults.rows()).toEqual([{ part: 'collect', message: 'no collection today', count: 1, off: true }]);
    clock.advance(HOUR_MS);
    expect([run(), collector.why]).toEqual([-1, 'collections are switched off: one failed']);
  });

  it('goes on when the clock goes back', () => {
    const { clock, run, made } = setUp();
    let shift = HOUR_MS;
    const now = clock.now.bind(clock);
    clock.now = () => now() + shift;
    run();
    shift = 0;
    expect([run(), made.length]).toEqual([10, 2]);
  });
});

describe('the pause budget', () => {
  it('is kept by what a byte of heap was found to cost', () => {
    const { heap, collector, clock, run } = setUp();
    heap.garbage = 2 * MIB;
    heap.tookMs = 100;
    run();
    expect(collector.expectedMs('full', 100 * MIB)).toBe(100);
    heap.bytes = 300 * MIB;
    clock.advance(5_000);
    expect(run()).toBe(-1);
    expect(collector.why).toMatch(/^expected to pause for 2\d\dms, 200ms are allowed$/);
    expect(run({ patience: 4 })).toBe(100);
  });

  it('is asked of a minor collection by its own cost', () => {
    const { heap, clock, run } = setUp({ pauseBudgetMs: 10 });
    heap.tookMs = 40;
    expect(run({ type: 'minor' })).toBe(40);
    clock.advance(1_000);
    expect(run({ type: 'minor' })).toBe(-1);
  });

  it('lets one be tried again some day: what was once slow need not be', () => {
    const { heap, clock, made, run } = setUp();
    heap.garbage = 0.5 * MIB;
    heap.tookMs = 1_000;
    run();
    heap.tookMs = 5;
    clock.advance(60_000);
    expect(run()).toBe(-1);
    clock.advance(120_000);
    expect([run(), made.length]).toEqual([5, 2]);
  });
});

describe('soft limits', () => {
  /** One who asks every 10 ms for an hour; `longest` is the most spent in any ten seconds, ms. */
  const anHour = (tookMs: number, garbage: number, patience: number) => {
    const { heap, clock, made, collector, run } = setUp();
    Object.assign(heap, { garbage, tookMs, bytes: 300 * MIB });
    let longest = 0;
    let since = 0;
    let spentSince = 0;
    while (clock.now() < HOUR_MS) {
      clock.advance(10);
      heap.bytes = 300 * MIB;
      run({ patience, releasedBytes: MIB });
      if (clock.now() - since < 10_000) continue;
      longest = Math.max(longest, collector.spentMs - spentSince);
      since = clock.now();
      spentSince = collector.spentMs;
    }
    return { made: made.length, spentMs: collector.spentMs, longest };
  };

  it('soft limits do not burn hours in garbage collection', () => {
    // Heap at the line and nothing to be found, however often somebody asks: the share holds, whatever a pause costs.
    for (const [tookMs, garbage, patience] of [
      [10, 30 * MIB, 1],
      [150, 0, 1],
      [400, 0, 4],
      [3_000, 0, 4],
      [3_000, 0, 100],
    ] as const) {
      const { made, spentMs, longest } = anHour(tookMs, garbage, patience);
      expect(made).toBeGreaterThan(0);
      expect(spentMs).toBeLessThanOrEqual(HOUR_MS * 0.051);
      expect(longest).toBeLessThanOrEqual(Math.max(2 * 500, 3_000));
    }
  });
});

describe("V8's own", () => {
  const versions = ['20', '22', '24', '26'].map((version) => ({
    version,
    path: join(import.meta.dirname, `../nodes/node_modules/node-${version}/bin/node`),
  }));
  const missing = versions.filter(({ path }) => !existsSync(path)).map(({ version }) => version);
  if (missing.length > 0) {
    console.warn(`Not tried on Node ${missing.join(', ')}: run \`npm run verify\` once, it installs them.`);
  }
  // The old ones do not run TypeScript.
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-collector-'));
  const plain = join(folder, 'collector.mjs');
  const source = readFileSync(join(import.meta.dirname, '../../src/governor/collector.ts'), 'utf8');
  writeFileSync(plain, stripTypeScriptTypes(source));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('collects in a process that was started with it, and what it was told', async () => {
    const { collector, run } = setUp({ collect: globalThis.gc as never });
    let gone = false;
    const registry = new FinalizationRegistry(() => (gone = true));
    (() => registry.register({}, undefined))();
    await new Promise((resolve) => setImmediate(resolve));
    expect(run()).toBeGreaterThanOrEqual(0);
    for (let i = 0; i < 10 && !gone; i++) await new Promise((resolve) => setImmediate(resolve));
    expect([gone, collector.count]).toEqual([true, 1]);
  });

  it.each(versions.filter(({ path }) => existsSync(path)))(
    'is switched on when needed on Node $version, and leaves no trace; a full one frees old buffers for good',
    ({ path }) => {
      const code = `
        import { getHeapStatistics } from 'node:v8';
        import { runInNewContext } from 'node:vm';
        import { Collector } from '${plain}';
        const clock = { now: () => performance.now() };
        const collector = new Collector({ clock, faults: { note: (part, cause) => { throw cause }, watch() {} } });
        const usedBytes = () => getHeapStatistics().external_memory;
        const fill = () => { const held = []; for (let i = 0; i < 2000; i++) held.push(Buffer.alloc(16384, 1)); return held; };
        let held = fill();
        collector.run({ type: 'minor', usedBytes });
        collector.run({ type: 'minor', usedBytes, releasedBytes: 1 });
        const before = usedBytes();
        held = undefined;
        const tookMs = collector.run({ type: 'full', usedBytes });
        const plain = usedBytes();
        held = fill();
        for (let i = 0; i < 2; i++) collector.run({ type: 'minor', usedBytes, releasedBytes: 1 });
        held = undefined;
        collector.run({ type: 'full', usedBytes, releasedBytes: 1, emptyPages: true });
        console.log(JSON.stringify({ before, plain, afterAll: usedBytes(), tookMs,
          trace: typeof globalThis.gc + runInNewContext('typeof gc') }));`;
      const out = JSON.parse(execFileSync(path, ['--input-type=module', '-e', code], { encoding: 'utf8' }));
      expect(out.before).toBeGreaterThan(32 * MIB);
      expect(out.plain).toBeLessThan(8 * MIB);
      expect(out.afterAll).toBeLessThan(8 * MIB);
      expect(out.tookMs).toBeGreaterThan(0);
      expect(out.trace).toBe('undefinedundefined');
    },
  );
});
