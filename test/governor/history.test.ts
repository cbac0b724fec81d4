import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { History } from '../../src/governor/history.ts';

describe('the ring', () => {
  it('keeps the last 240 rows, each with all its figures', () => {
    const history = new History();
    for (let i = 0; i < 1_000; i++) {
      history.begin(i, i % 5, 'cgroup', i / 1_000);
      history.setBytes('cgroup', i * 2);
      if (i % 2 === 0) history.setBytes('heap', i);
    }
    expect([history.count, history.length]).toEqual([1_000, 240]);
    const samples = history.samples();
    expect(samples[0]).toEqual({
      atMs: 760,
      level: 'optimal',
      decidingMeter: 'cgroup',
      ratio: 0.76,
      ledgerBytes: 0,
      heapBytes: 760,
      externalBytes: 0,
      rssBytes: 0,
      cgroupBytes: 1_520,
    });
    // Nothing of the row that stood there before is left.
    expect(samples[1]!.heapBytes).toBe(0);
    expect([history.atMs(239), history.level(239), history.ratio(239)]).toEqual([999, 'emergency', 0.999]);
    expect([history.decidingMeter(239), history.bytes(239, 'cgroup')]).toEqual(['cgroup', 1_998]);
  });

  it('what comes thick and fast becomes one row in 20 ms, and the newest is always there', () => {
    const history = new History();
    for (let i = 0; i <= 100_000; i++) {
      history.begin(i / 100, 0, 'rss', 0.1, true);
      history.setBytes('rss', i);
    }
    expect(history.count).toBeLessThan(105);
    expect([history.atMs(history.length - 1), history.bytes(history.length - 1, 'rss')]).toEqual([1_000, 100_000]);
  });

  it('so that the ring spans over two seconds, however fast they come', () => {
    const everyMs = fc.double({ min: 0.01, max: 60, noNaN: true });
    fc.assert(
      fc.property(fc.array(everyMs, { minLength: 1, maxLength: 8 }), (gaps) => {
        const history = new History();
        let at = 0;
        for (let i = 0; at < 20_000; i++) history.begin((at += gaps[i % gaps.length]!), 0, 'rss', 0.1, true);
        expect(at - history.atMs(0)).toBeGreaterThan(2_250);
        expect(history.atMs(history.length - 1)).toBe(at);
      }),
      { numRuns: 50 },
    );
  });

  it('a change of level keeps its row, and so does what was not asked for inside a loop', () => {
    const history = new History();
    for (const [rank, dense] of [
      [0, true],
      [0, true],
      [4, true],
      [4, true],
      [3, true],
      [3, false],
      [3, false],
    ] as const) {
      history.begin(1, rank, 'rss', 0.5, dense);
    }
    expect(history.samples().map(({ level }) => level)).toEqual([
      ...['optimal', 'optimal', 'emergency', 'critical', 'critical', 'critical'],
    ]);
  });

  it('a clock that goes back makes rows', () => {
    const history = new History();
    for (const at of [100, 200, 50, 40, 30]) history.begin(at, 0, 'rss', 0.5, true);
    expect(history.samples().map(({ atMs }) => atMs)).toEqual([100, 200, 50, 40, 30]);
  });
});
