import { formatBytes } from '../bytes.ts';
import { withoutControlCharacters as plain } from '../control-characters.ts';
import type { MemoryReport } from './memory-report.ts';

const MIB = 2 ** 20;
const PERCENT = 100;
const ABSENT = '-';
const HEAD = ['', 'at ms', '+ms', 'heap', 'external', 'rss', 'ledger', 'allocated', 'freed', 'gc', 'pause ms'] as const;

/** Rounds a column so that the rows as shown add up to the sum as shown: each row is the step from one rounded running sum to the next. */
class RoundedColumn {
  #exact = 0;
  #shown = 0;

  /** Of the next row, in whole units. */
  next(value: number): number {
    this.#exact += value;
    const rounded = Math.round(this.#exact);
    const step = rounded - this.#shown;
    this.#shown = rounded;
    return step;
  }

  get total(): number {
    return this.#shown;
  }
}

/**
 * A report as text of 100 columns and less, labels apart, for a terminal or a log. Memory stands in MiB. Each column of spans adds up as shown to its total; across a row, between heap,
 * allocated and freed, a tenth may be lost by rounding. Pure: the same report gives the same text.
 */
export function formatMemoryReport(report: MemoryReport): string {
  const lines = [...table(report), '', ...summary(report)];
  return `${lines.join('\n')}\n`;
}

function table(report: MemoryReport): string[] {
  const [elapsed, allocated, freed, pause] = Array.from({ length: 4 }, () => new RoundedColumn());
  const rows = report.checkpoints.map(({ label, heapBytes, externalBytes, rssBytes, ledgerBytes, span }) => {
    const step = elapsed!.next(span.elapsedMs);
    return [
      plain(label),
      String(elapsed!.total),
      String(step),
      mebi(heapBytes),
      mebi(externalBytes),
      mebi(rssBytes),
      mebi(ledgerBytes),
      stepOf(allocated!, span.allocatedBytes),
      stepOf(freed!, span.freedBytes),
      String(span.collections),
      tenths(pause!.next(span.pauseMs * 10)),
    ];
  });
  const { total } = report;
  rows.push([
    'total',
    '',
    String(elapsed!.total),
    '',
    '',
    '',
    '',
    total.allocatedBytes === undefined ? ABSENT : tenths(allocated!.total),
    total.freedBytes === undefined ? ABSENT : tenths(freed!.total),
    String(total.collections),
    tenths(pause!.total),
  ]);
  return aligned([HEAD, ...rows]);
}

function summary({ total, peak, topConsumers, drift, cost, droppedCheckpoints, faults, lastFault }: MemoryReport) {
  const ledger = peak.ledgerBytes === undefined ? '' : `, ledger ${formatBytes(peak.ledgerBytes)}`;
  const lines = [
    `peak: heap ${formatBytes(peak.heapBytes)}, external ${formatBytes(peak.externalBytes)}, rss ${formatBytes(peak.rssBytes)}${ledger}`,
  ];
  const { allocatedBytesPerSecond: rate, efficiency, averageAllocationBytes: average } = total;
  if (rate !== undefined) lines.push(`allocation: ${formatBytes(rate)}/s${share(', freed of it ', efficiency)}`);
  if (average !== undefined) lines.push(`an item: ${formatBytes(average)} on average`);
  lines.push(`longest pause: ${total.longestPauseMs.toFixed(1)} ms`);
  if (topConsumers !== undefined) {
    const { at, rows, otherBytes, reservedBytes } = topConsumers;
    const held = [...rows, { name: 'others', ownBytes: otherBytes }];
    lines.push(`held at ${plain(at)}: ${formatBytes(reservedBytes)}`);
    for (const { name, ownBytes } of held) lines.push(`  ${plain(name)} ${formatBytes(ownBytes)}`);
  }
  for (const { of, driftBytes, ratio } of drift) {
    lines.push(`drift of ${of}: ${formatBytes(driftBytes)}${share(', ', ratio)}`);
  }
  lines.push(`the profiler itself: ${cost.spentMs.toFixed(1)} ms in ${cost.samples} samples${share(', ', cost.share)}`);
  if (droppedCheckpoints > 0) lines.push(`checkpoints without a place: ${droppedCheckpoints}`);
  if (faults > 0) lines.push(`figures that could not be had: ${faults}, the last: ${plain(lastFault ?? '')}`);
  return lines;
}

function share(before: string, ratio: number | undefined): string {
  return ratio === undefined ? '' : `${before}${(ratio * PERCENT).toFixed(1)}%`;
}

function stepOf(column: RoundedColumn, bytes: number | undefined): string {
  return bytes === undefined ? ABSENT : tenths(column.next((bytes * 10) / MIB));
}

function mebi(bytes: number | undefined): string {
  return bytes === undefined ? ABSENT : tenths(Math.round((bytes * 10) / MIB));
}

function tenths(count: number): string {
  return (count / 10).toFixed(1);
}

/** The first column to the left, figures to the right. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = HEAD.map((_, column) => rows.reduce((widest, row) => Math.max(widest, row[column]!.length), 0));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
}
