import fc from 'fast-check';
import { type CleanupOperation, type CleanupReport, formatCleanupSummary, formatCleanupTable } from 'plimsoll/pipeline';
import { describe, expect, it } from 'vitest';
import { CleanupBooks } from '../../src/pipeline/cleanup-books.ts';
import { roundTogether } from '../../src/pipeline/round-together.ts';

const MB = 1_000_000;

const operation = (given: Partial<CleanupOperation>): CleanupOperation => {
  const { beforeBytes = 0, freedBytes = 0 } = given;
  return {
    number: 1,
    takenAt: 0,
    stage: 'Loading',
    why: 'between',
    strategy: 'basic',
    level: 'optimal',
    beforeBytes,
    freedBytes,
    afterBytes: beforeBytes - freedBytes,
    releasedBytes: 0,
    claimedBytes: 0,
    items: 0,
    elapsedMs: 0,
    train: 1,
    cleaned: [],
    ...given,
  };
};

function reportOf(operations: readonly CleanupOperation[]): CleanupReport {
  const books = new CleanupBooks(0);
  for (const one of operations) books.record(one);
  return books.report();
}

describe('the summary', () => {
  it('has the form that is promised', () => {
    const rows = [
      { stage: 'Loading', beforeBytes: 200 * MB, freedBytes: 60.2 * MB, items: 100_000, elapsedMs: 20.2 },
      { stage: 'Loading', beforeBytes: 180 * MB, freedBytes: 40.1 * MB, items: 56_000, elapsedMs: 9.9 },
      { stage: 'Mapping', beforeBytes: 170 * MB, freedBytes: 30 * MB, items: 420, elapsedMs: 7.3 },
      { stage: 'Filtering', beforeBytes: 150 * MB, freedBytes: -5 * MB, items: 0, elapsedMs: 4 },
      { stage: 'Numbering', beforeBytes: 155 * MB, freedBytes: 2 * MB, items: 0, elapsedMs: 3.6 },
    ];
    const report = reportOf(rows.map(operation));
    expect(formatCleanupSummary(report)).toBe('5 operations, 127.3MB freed, 156420 items cleaned, 45ms total');
    expect(formatCleanupTable(report)).toBe(
      [
        'Stage       Operations   Before    Freed   Grown    After  Claimed   Items  Time',
        'Loading              2  200.0MB  100.3MB  40.2MB  139.9MB    0.0MB  156000  30ms',
        'Mapping              1  170.0MB   30.0MB   0.0MB  140.0MB    0.0MB     420   7ms',
        'Filtering            1  150.0MB   -5.0MB   0.0MB  155.0MB    0.0MB       0   4ms',
        'Numbering            1  155.0MB    2.0MB   0.0MB  153.0MB    0.0MB       0   4ms',
        'All Stages           5           127.3MB                     0.0MB  156420  45ms',
      ].join('\n'),
    );
  });

  it('says that nothing was freed, and that it grew, as it was', () => {
    expect(formatCleanupSummary(reportOf([]))).toBe('0 operations, 0.0MB freed, 0 items cleaned, 0ms total');
    const grew = reportOf([operation({ freedBytes: -3.2 * MB })]);
    expect(formatCleanupSummary(grew)).toBe('1 operation, -3.2MB freed, 0 items cleaned, 0ms total');
    const next = reportOf([operation({ freedBytes: -40_000 })]);
    expect(formatCleanupSummary(next)).toBe('1 operation, 0.0MB freed, 0 items cleaned, 0ms total');
  });
});

const bytes = fc.integer({ min: 0, max: 2 ** 34 });
const operations = fc.array(
  fc.record({
    stage: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    beforeBytes: bytes,
    freedBytes: fc.integer({ min: -(2 ** 30), max: 2 ** 30 }),
    claimedBytes: bytes,
    items: fc.nat(1_000_000),
    elapsedMs: fc.double({ min: 0, max: 1_000, noNaN: true }),
  }),
  { maxLength: 40 },
);

it('the hole: per-stage figures did not add up. As shown, every column adds up to the summary, and every line in itself', () => {
  fc.assert(
    fc.property(operations, (rows) => {
      const report = reportOf(rows.map(operation));
      const text = formatCleanupTable(report);
      const [head, ...lines] = text.split('\n').map((line) => line.trim().split(/ {2,}/));
      expect(head).toHaveLength(9);
      const all = lines.pop()!.slice(1);
      const sum = (at: number) =>
        lines.reduce((total, line) => total + Math.round(Number.parseFloat(line[at]!) * 10), 0);
      const [count, freed, claimed, items, ms] = all.map((one) => Math.round(Number.parseFloat(one) * 10));
      expect([count, freed, claimed, items, ms]).toEqual([sum(1), sum(3), sum(6), sum(7), sum(8)]);
      const [, ofCount, ofFreed, ofItems, ofMs] =
        /^(\d+) operations?, (-?[\d.]+)MB freed, (\d+) items? cleaned, (\d+)ms total$/.exec(
          formatCleanupSummary(report),
        )!;
      expect([all[0], all[1], all[3], all[4]]).toEqual([ofCount, `${ofFreed}MB`, ofItems, `${ofMs}ms`]);
      for (const line of lines) {
        const [before, less, grown, after] = line.slice(2, 6).map((one) => Math.round(Number.parseFloat(one) * 10));
        expect(before! - less! + grown!).toBe(after);
        expect(line.join(' ')).not.toMatch(/-0\.0/);
      }
      for (const [at, stage] of report.stages.entries()) {
        expect(Math.abs(Number.parseFloat(lines[at]![3]!) - stage.freedBytes / MB)).toBeLessThan(0.1);
        expect(stage.beforeBytes - stage.freedBytes + stage.grownBytes).toBe(stage.afterBytes);
      }
    }),
  );
});

it('rounds together: whole numbers that add up to the rounded sum, none off by one', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: -(2 ** 40), max: 2 ** 40 })),
      fc.integer({ min: 1, max: 10 ** 6 }),
      (values, unit) => {
        const parts = roundTogether(values, unit);
        const total = values.reduce((sum, value) => sum + value, 0);
        expect(parts.reduce((sum, part) => sum + part, 0)).toBe(Math.round(total / unit) + 0);
        for (const [at, part] of parts.entries()) expect(Math.abs(part - values[at]! / unit)).toBeLessThanOrEqual(1);
      },
    ),
  );
});
