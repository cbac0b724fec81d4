import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DieFast } from '../../src/governor/die-fast.ts';
import type { FlightRecorderSettings } from '../../src/governor/flight-recorder.ts';
import { LastResort } from '../../src/governor/last-resort.ts';
import { TerminationLog } from '../../src/governor/termination-log.ts';
import { recordInto } from './flight-parts.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plimsoll-last-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const setUp = (more: Partial<FlightRecorderSettings> = {}) => recordInto(folder, more);

describe('the flight recorder, told of the heap', () => {
  it('writes when the heap comes near its limit, once per approach, and once more when it comes nearer', () => {
    const { recorder, clock } = setUp({ keep: 100 });
    const count = (ratio: number) => {
      recorder.noteHeap(ratio);
      return recorder.count;
    };
    expect([count(0.5), count(0.949), count(0.95), count(0.96), count(0.94), count(0.96)]).toEqual([0, 0, 1, 1, 1, 1]);
    expect([count(0.976), count(0.99), count(1)]).toEqual([2, 2, 2]);
    // It trembles: however often the line is crossed, no faster than other dumps.
    for (let i = 0; i < 50; i++) expect([count(0.8), count(0.98)]).toEqual([2, 2]);
    clock.advance(10_000);
    expect([count(Number.NaN), count(0.8), count(0.96), count(0.99)]).toEqual([2, 2, 3, 4]);
  });

  it('writes early what is bound to come near, once until it has gone, and again when it does come near', () => {
    const { recorder, clock } = setUp({ keep: 100 });
    const count = (ratio: number, early = false) => {
      recorder.noteHeap(ratio, early);
      return recorder.count;
    };
    expect([count(0.86), count(0.85, true), count(0.86, true), count(0.87)]).toEqual([0, 1, 1, 1]);
    // A heap that stays so full is written down no second time, however often it is collected.
    for (let i = 0; i < 20; i++) {
      clock.advance(10_000);
      expect([count(0.86, true), count(0.82), count(0.6, true), count(0.94)]).toEqual([1, 1, 1, 1]);
    }
    // Within the time between two dumps: each is later news.
    expect([count(0.86, true), count(0.95), count(0.98)]).toEqual([1, 2, 3]);
    expect([count(0.86, true), count(0.95), count(0.98)]).toEqual([3, 3, 3]);
    clock.advance(10_000);
    expect([count(0.7, true), count(0.9, true), count(0.96)]).toEqual([3, 3, 4]);
  });

  it('writes early ever less often where that is in vain', () => {
    const { recorder, clock } = setUp({ keep: 100 });
    const at: number[] = [];
    for (let i = 0; i < 3_000; i++) {
      const before = recorder.count;
      recorder.noteHeap(0.3);
      recorder.noteHeap(0.7, true);
      if (recorder.count > before) at.push(i);
      clock.advance(1_000);
    }
    expect(at).toEqual([0, 10, 30, 70, 150, 310, 630, 1_270, 2_550]);
  });
});

function makeResort() {
  const { clock, faults, parts, recorder } = setUp();
  const path = join(folder, 'log');
  const log = new TerminationLog({ path, clock, faults, parts });
  const exits: number[] = [];
  const exit = (code: number) => void exits.push(code);
  const dieFast = new DieFast({ afterMs: 1_000, faults, onDie() {}, say() {}, exit });
  const heap = { used: 0.5, filled: 0.5 };
  const resort = new LastResort({
    recorder,
    log,
    dieFast,
    heapRatio: () => heap.used,
    filledHeapRatio: () => heap.filled,
    trainCount: () => 1,
    mayEnd: () => true,
  });
  const reading = { level: 'high', meter: 'heap', bytes: 1, limitBytes: 2, falling: false } as const;
  const sample = (filled: number, afterMs = 500) => {
    heap.filled = filled;
    clock.advance(afterMs);
    resort.note(reading, clock.now());
    return [recorder.count, text()];
  };
  const text = () => {
    try {
      return readFileSync(path, 'utf8').split(';')[0];
    } catch {
      return undefined;
    }
  };
  return { resort, recorder, sample, clock, heap, exits, text };
}

describe('the last words', () => {
  it('go by the pages of the heap: what is used in them may be far from the limit; nobody dies fast of it', () => {
    const { sample, exits } = makeResort();
    for (let i = 0; i < 100; i++) sample(0.94);
    expect(sample(0.94)).toEqual([0, undefined]);
    expect(sample(0.95)).toEqual([1, 'plimsoll: the heap is 95% full']);
    for (let i = 0; i < 100; i++) sample(0.99);
    expect(exits).toEqual([]);
    // The danger is over: it explains no later death.
    expect(sample(0.85)[1]).toBe('plimsoll: the heap is 99% full');
    expect(sample(0.7)[1]).toBe('');
  });

  it('are written as soon as a full collection leaves a heap that is nearly full', () => {
    const { resort, sample, clock, text, recorder } = makeResort();
    sample(0.86, 60_000);
    expect(recorder.count).toBe(0);
    resort.noteCollection(clock.now());
    expect([recorder.count, text()]).toEqual([1, 'plimsoll: the heap is 86% full after a collection']);
  });

  it('are written for a heap that fills within a second', () => {
    const { sample } = makeResort();
    sample(0.3);
    expect(sample(0.55)).toEqual([0, undefined]);
    expect(sample(0.65, 1_000)).toEqual([0, undefined]);
    expect(sample(0.7, 100)).toEqual([1, 'plimsoll: the heap is 70% full and fills fast']);
    // Too short to tell, and the clock goes back: neither says anything new.
    expect(sample(0.6, 1)[1]).toBe('plimsoll: the heap is 70% full and fills fast');
    expect(sample(0.71, 500)[1]).toBe('');
  });

  it('are there when objects that leave a third of each page empty fill the heap', () => {
    const script = `
      import { createGovernor } from 'plimsoll';
      const governor = createGovernor({ flightRecorder: { folder: ${JSON.stringify(folder)} } });
      const held = [];
      // 88 KiB each: V8 gives up at two thirds of its limit.
      setInterval(() => { for (let i = 0; i < 2; i++) held.push(new Array(11_000).fill(0.5)); }, 25);`;
    const flags = ['--conditions=source', '--max-old-space-size=64', '--max-semi-space-size=1', '--input-type=module'];
    const child = spawnSync(process.execPath, [...flags, '-e', script], { encoding: 'utf8', timeout: 60_000 });
    expect(child.stderr).toContain('heap out of memory');
    expect(readdirSync(folder).filter((name) => name.endsWith('.json')).length).toBeGreaterThan(0);
  });
});
