import type { CleanupReport } from './cleanup-report.ts';
import { roundTo, roundTogether } from './round-together.ts';

const TENTH_OF_MB = 100_000;
const HEAD = ['Stage', 'Operations', 'Before', 'Freed', 'Grown', 'After', 'Claimed', 'Items', 'Time'] as const;

/**
 * One line: `5 operations, 127.3MB freed, 156420 items cleaned, 45ms total`. Freed is what the machine saw, and negative where use has grown meanwhile; what was claimed stands in the
 * table. MB are 1,000,000 bytes. A pure function.
 */
export function formatCleanupSummary(report: CleanupReport): string {
  const { operations, freedBytes, items, elapsedMs } = report;
  // One is written as one; the rest is the form that programs read.
  return `${operations} ${operations === 1 ? 'operation' : 'operations'}, ${mb(tenths(freedBytes))} freed, ${items} ${items === 1 ? 'item' : 'items'} cleaned, ${Math.round(elapsedMs)}ms total`;
}

/**
 * A line for each stage and one for all, lines parted by `\n`, no colour: before, freed, what the stage grew by between its cleanups, after, what was claimed, items and time. As shown, each
 * column of sums adds up to the last line, which has the figures of `formatCleanupSummary`; and in each line before less freed with grown is after. A pure function.
 */
export function formatCleanupTable(report: CleanupReport): string {
  const { stages } = report;
  const freed = roundTogether(
    stages.map(({ freedBytes }) => freedBytes),
    TENTH_OF_MB,
  );
  const claimed = roundTogether(
    stages.map(({ claimedBytes }) => claimedBytes),
    TENTH_OF_MB,
  );
  const spent = roundTogether(stages.map(({ elapsedMs }) => elapsedMs));
  const rows = stages.map(({ stage, operations, beforeBytes, grownBytes, items }, index) => {
    const before = tenths(beforeBytes);
    const grown = tenths(grownBytes);
    const after = before - freed[index]! + grown;
    const bytes = [before, freed[index]!, grown, after, claimed[index]!].map(mb);
    return [stage, `${operations}`, ...bytes, `${items}`, `${spent[index]!}ms`];
  });
  const { operations, freedBytes, claimedBytes, items, elapsedMs } = report;
  const sums = ['', mb(tenths(freedBytes)), '', '', mb(tenths(claimedBytes))];
  const all = ['All Stages', `${operations}`, ...sums, `${items}`, `${Math.round(elapsedMs)}ms`];
  return align([HEAD, ...rows, all]);
}

function tenths(bytes: number): number {
  return roundTo(bytes, TENTH_OF_MB);
}

function mb(tenthsOfMb: number): string {
  return `${(tenthsOfMb / 10).toFixed(1)}MB`;
}

/** Names to the left, figures to the right, two spaces between. */
function align(rows: readonly (readonly string[])[]): string {
  const widths = HEAD.map((_, at) => Math.max(...rows.map((row) => row[at]!.length)));
  const cell = (text: string, at: number) => (at === 0 ? text.padEnd(widths[at]!) : text.padStart(widths[at]!));
  return rows.map((row) => row.map(cell).join('  ').trimEnd()).join('\n');
}
