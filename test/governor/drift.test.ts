import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { MemoryKind } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { Drift, type DriftKind, type DriftRow } from '../../src/governor/drift.ts';
import { Faults } from '../../src/governor/faults.ts';
import { MIB } from './fake-meter.ts';

const NODE_HEAP = 4 * MIB;
const NODE_EXTERNAL = 2 * MIB;

/** A process that holds nothing at first but Node itself. */
function setUp({ countsWasm = true, mapped = false } = {}) {
  const reserved: Record<MemoryKind, number> = { heap: 0, external: 0, mapped: 0, wasm: 0 };
  const seen: Record<'heap' | 'external' | 'rss' | 'charged' | 'mapped', number | undefined> = {
    heap: NODE_HEAP,
    external: NODE_EXTERNAL,
    rss: 45 * MIB,
    charged: undefined,
    mapped: 0,
  };
  const faults = new Faults();
  const drift = new Drift({
    faults,
    reservedBytes: (kind) => reserved[kind],
    runtimeBytes: () => 45 * MIB,
    usedHeapBytes: () => seen.heap,
    externalBytes: () => seen.external,
    chargedBytes: () => seen.charged,
    rssBytes: () => seen.rss,
    countsWasm: () => countsWasm,
    ...(mapped ? { mappedBytes: () => seen.mapped } : {}),
  });
  const row = (of: DriftKind): DriftRow | undefined => drift.rows().find((one) => one.of === of);
  drift.note(0);
  return { drift, reserved, seen, row, faults };
}

describe('external', () => {
  it('a holder that reserves 100 and holds 150 shows a third too little; what Node held before is not counted', () => {
    const { drift, reserved, seen, row } = setUp();
    expect(row('external')).toEqual({
      of: 'external',
      reservedBytes: 0,
      observedBytes: 0,
      driftBytes: 0,
      bytesPerSecond: 0,
      observedAtMs: 0,
    });
    reserved.external = 100 * MIB;
    seen.external = NODE_EXTERNAL + 150 * MIB;
    drift.note(250);
    expect(row('external')).toMatchObject({
      observedBytes: 150 * MIB,
      driftBytes: -50 * MIB,
      ratio: -1 / 3,
      observedAtMs: 250,
    });
    expect(row('external')).not.toHaveProperty('sharedWith');
  });

  it('one that reserves and holds nothing shows that all of it is too much', () => {
    const { drift, reserved, row } = setUp();
    reserved.external = 100 * MIB;
    drift.note(250);
    expect(row('external')).toMatchObject({ driftBytes: 100 * MIB, ratio: 1 });
  });

  it('the baseline is lowered when less is seen, and does not rise', () => {
    const { drift, seen, row } = setUp();
    seen.external = MIB;
    drift.note(250);
    expect(row('external')).toMatchObject({ observedBytes: 0 });
    seen.external = 11 * MIB;
    drift.note(500);
    expect(row('external')).toMatchObject({ observedBytes: 10 * MIB, driftBytes: -10 * MIB, ratio: -1 });
  });

  it('what is reserved before the first sample is not taken for Node itself', () => {
    const { reserved, seen, faults } = setUp();
    reserved.external = 100 * MIB;
    seen.external = NODE_EXTERNAL + 100 * MIB;
    const late = new Drift({
      faults,
      reservedBytes: (kind) => reserved[kind],
      runtimeBytes: () => 0,
      usedHeapBytes: () => undefined,
      externalBytes: () => seen.external,
      chargedBytes: () => undefined,
      rssBytes: () => undefined,
    });
    late.note(0);
    expect(late.rows()).toMatchObject([{ of: 'external', observedBytes: 100 * MIB, driftBytes: 0 }]);
  });

  it('its trend is the growth of what is not reserved', () => {
    const { drift, reserved, seen, row } = setUp();
    for (let s = 1; s <= 60; s++) {
      reserved.external = s * MIB;
      seen.external = NODE_EXTERNAL + s * 3 * MIB;
      drift.note(s * 1_000);
    }
    expect(row('external')!.bytesPerSecond / MIB).toBeCloseTo(-2, 6);
  });
});

describe('wasm', () => {
  it('cannot be told from external: either row has the figures of both, and says so', () => {
    const { drift, reserved, seen, row } = setUp();
    reserved.external = 30 * MIB;
    reserved.wasm = 64 * MIB;
    seen.external = NODE_EXTERNAL + 100 * MIB;
    drift.note(250);
    const both = { reservedBytes: 94 * MIB, observedBytes: 100 * MIB, driftBytes: -6 * MIB };
    expect(row('external')).toMatchObject({ ...both, sharedWith: 'wasm' });
    expect(row('wasm')).toMatchObject({ ...both, sharedWith: 'external' });
    reserved.wasm = 0;
    drift.note(500);
    expect([row('wasm'), row('external')]).toMatchObject([undefined, { reservedBytes: 30 * MIB }]);
  });

  it('where V8 does not count it, it has no row and spoils none', () => {
    const { drift, reserved, row } = setUp({ countsWasm: false });
    reserved.wasm = 64 * MIB;
    drift.note(250);
    expect(row('wasm')).toBeUndefined();
    expect(row('external')).toMatchObject({ reservedBytes: 0, driftBytes: 0 });
    expect(row('whole')).toMatchObject({ reservedBytes: 109 * MIB });
  });
});

describe('heap', () => {
  it('has garbage in it until the first collection, then stands as it was right after one', () => {
    const { drift, reserved, seen, row } = setUp();
    reserved.heap = 20 * MIB;
    seen.heap = NODE_HEAP + 70 * MIB;
    drift.note(250);
    expect(row('heap')).toMatchObject({ driftBytes: -50 * MIB, afterCollection: false });
    seen.heap = NODE_HEAP + 25 * MIB;
    drift.noteCollection(300);
    expect(row('heap')).toMatchObject({ driftBytes: -5 * MIB, ratio: -0.2, afterCollection: true, observedAtMs: 300 });
    seen.heap = NODE_HEAP + 90 * MIB;
    reserved.heap = 60 * MIB;
    drift.note(500);
    expect(row('heap')).toMatchObject({ reservedBytes: 20 * MIB, observedBytes: 25 * MIB, observedAtMs: 300 });
    drift.noteCollection(9_000);
    expect(row('heap')).toMatchObject({ reservedBytes: 60 * MIB, observedBytes: 90 * MIB });
  });

  it('garbage of the start is no baseline: a collection that goes below it lowers it', () => {
    const { drift, seen, row } = setUp();
    seen.heap = 3 * MIB;
    drift.noteCollection(100);
    expect(row('heap')).toMatchObject({ observedBytes: 0, driftBytes: 0 });
    expect(row('heap')).not.toHaveProperty('ratio');
    seen.heap = 13 * MIB;
    drift.noteCollection(200);
    expect(row('heap')).toMatchObject({ observedBytes: 10 * MIB });
  });

  it('before the first collection the trend of garbage is nobody’s drift', () => {
    const { drift, seen, row } = setUp();
    for (let s = 0; s < 60; s++) {
      seen.heap = NODE_HEAP + s * MIB;
      drift.note(s * 1_000);
    }
    expect(row('heap')!.bytesPerSecond / MIB).toBeCloseTo(-1, 6);
    drift.noteCollection(60_000);
    expect(row('heap')!.bytesPerSecond).toBe(0);
  });

  it('its trend is that of the collections, however far apart', () => {
    const { drift, reserved, seen, row } = setUp();
    reserved.heap = 5 * MIB;
    for (let minute = 1; minute <= 4; minute++) {
      for (let s = 0; s < 60; s++) drift.note((minute * 60 + s) * 1_000);
      seen.heap = NODE_HEAP + (5 + minute * 6) * MIB;
      drift.noteCollection((minute + 1) * 60_000);
    }
    expect(row('heap')!.bytesPerSecond / MIB).toBeCloseTo(-0.1, 6);
  });
});

describe('mapped', () => {
  it('has a row only where somebody knows what of it is in memory', () => {
    const { drift, reserved, row } = setUp();
    reserved.mapped = 10 * MIB;
    drift.note(250);
    expect(row('mapped')).toBeUndefined();
    const known = setUp({ mapped: true });
    known.reserved.mapped = 10 * MIB;
    known.seen.mapped = 8 * MIB;
    known.drift.note(250);
    expect(known.row('mapped')).toMatchObject({ driftBytes: 2 * MIB, ratio: 0.2 });
  });
});

describe('whole', () => {
  it('is everything, the runtime included, against the charge of the kernel, else against RSS', () => {
    const { drift, reserved, seen, row } = setUp();
    reserved.heap = reserved.external = reserved.mapped = reserved.wasm = 10 * MIB;
    seen.rss = 100 * MIB;
    drift.note(250);
    expect(row('whole')).toMatchObject({ reservedBytes: 85 * MIB, driftBytes: -15 * MIB, ratio: -0.15, meter: 'rss' });
    seen.charged = 60 * MIB;
    drift.note(500);
    expect(row('whole')).toMatchObject({ driftBytes: 25 * MIB, meter: 'cgroup', bytesPerSecond: 0 });
    seen.charged = seen.rss = undefined;
    drift.note(60_000);
    expect(row('whole')).toBeUndefined();
  });
});

it('a trend does not go on from one meter to another, nor across a clock that was set back', () => {
  const { drift, seen, row } = setUp();
  const follow = (fromMs: number, mibPerSecond: number, of: 'rss' | 'charged') => {
    for (let s = 0; s <= 30; s++) {
      seen[of] = (100 + s * mibPerSecond) * MIB;
      drift.note(fromMs + s * 1_000);
    }
    return row('whole')!.bytesPerSecond / MIB;
  };
  expect(follow(100_000, 3, 'rss')).toBeCloseTo(-3, 6);
  expect(follow(131_000, 1, 'charged')).toBeCloseTo(-1, 6);
  expect(follow(50_000, 2, 'charged')).toBeCloseTo(-2, 6);
});

describe('faults', () => {
  it('a meter that is off has no row, and its trend starts anew', () => {
    const { drift, reserved, seen, row } = setUp();
    seen.external = undefined;
    reserved.external = 10 * MIB;
    drift.note(250);
    expect(row('external')).toBeUndefined();
    seen.external = NODE_EXTERNAL + 10 * MIB;
    drift.note(500);
    expect(row('external')).toMatchObject({ driftBytes: 0 });
  });

  it('a figure that throws is a fault, and a clock that jumps gives numbers', () => {
    const { drift, seen, faults } = setUp();
    Object.defineProperty(seen, 'external', {
      get() {
        throw new Error('no figure today');
      },
    });
    drift.note(250);
    drift.noteCollection(300);
    expect(faults.rows()).toMatchObject([{ part: 'drift', message: 'no figure today', count: 1 }]);
    const jumping = setUp();
    for (const at of [1_000, 500, 1e9, -5, 7_000, 14_000, 21_000]) jumping.drift.note(at);
    for (const { bytesPerSecond, driftBytes } of jumping.drift.rows()) {
      expect([Number.isFinite(bytesPerSecond), Number.isFinite(driftBytes)]).toEqual([true, true]);
    }
  });

  it('rows are plain data', () => {
    const { drift, reserved } = setUp();
    reserved.wasm = MIB;
    drift.note(250);
    const rows = drift.rows();
    expect(rows.map(({ of }) => of)).toEqual(['heap', 'external', 'wasm', 'whole']);
    expect(JSON.parse(JSON.stringify(rows))).toEqual(rows);
  });
});

describe('in a real process', () => {
  it('holders of buffers, objects and WebAssembly memory that reserve too little, too much or what they hold are seen', () => {
    const child = join(import.meta.dirname, 'drift-child.ts');
    const run = spawnSync(process.execPath, ['--conditions=source', '--expose-gc', '--no-warnings', child], {
      encoding: 'utf8',
    });
    expect(run.stderr).toBe('');
    const said = JSON.parse(run.stdout) as Record<string, DriftRow | undefined>;
    // 100 MiB reserved, 150 held in buffers that were filled.
    expect(said.tooLittle!.ratio).toBeCloseTo(-1 / 3, 2);
    expect(said.released!.observedBytes).toBeLessThan(2 * MIB);
    expect(said.tooMuch!.ratio).toBeCloseTo(0.5, 2);
    expect(Math.abs(said.honest!.driftBytes)).toBeLessThan(0.01 * 150 * MIB);
    expect(said.heap!.afterCollection).toBe(true);
    expect(Math.abs(said.heap!.driftBytes)).toBeLessThan(0.1 * said.heap!.observedBytes);
    if (said.wasm === undefined) expect(Number(process.versions.node.split('.')[0])).toBeGreaterThanOrEqual(26);
    else {
      expect(said.wasm).toMatchObject({ sharedWith: 'external' });
      expect(Math.abs(said.wasm.driftBytes)).toBeLessThan(2 * MIB);
    }
    // Everything that was filled is in RAM.
    expect(Math.abs(said.whole!.ratio!)).toBeLessThan(0.15);
  });
});
