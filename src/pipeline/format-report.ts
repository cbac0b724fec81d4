import { apportion } from './apportion.ts';
import type { PipelineReport, StageReport } from './pipeline-report.ts';

/** The words of the first line, which only the program knows. */
export interface ReportWords {
  /** What is completed: `Generation`. */
  readonly title: string;
  /** What came out of it all. */
  readonly count: number;
  /** What is counted: `channels`; and short, for rates: `ch`. */
  readonly noun: string;
  readonly unit: string;
  /** What stands in the brackets: `['1 source', '2 filters']`. Default: no brackets. */
  readonly notes?: readonly string[];
}

/** The most switches that a line names. */
const MOST_NAMED = 4;

/**
 * The report as text, lines parted by `\n`, no colour: a headline and a tree with a line for each stage; then, when there were any, a line for the changes of mode and one for
 * those of the worker, the last four of each named. A pure function. MB are 1,000,000 bytes; percentages are of the total time and add up to 100.0; a rate without a measure to
 * divide by is left out.
 */
export function formatReport(report: PipelineReport, words: ReportWords): string {
  const tenths = apportion(
    1000,
    report.stages.map((stage) => stage.elapsedMs),
  );
  const lines = report.stages.map((stage, index) => {
    const branch = index === report.stages.length - 1 ? '└─' : '├─';
    return `${branch} ${formatStage(stage, tenths[index]!)}`;
  });
  const { modeSwitches, modeSwitchCount, workerSwitches, workerSwitchCount } = report;
  const modes = modeSwitches.map(({ stage, from, to, level, why }) => {
    const because = why === 'pressure' ? `at ${level}` : 'by estimate';
    return `${stage} ${from} → ${to} ${because}`;
  });
  const workers = workerSwitches.map(({ stage, from, to, why }) => `${stage} ${from} → ${to} (${why})`);
  const switches = [
    ...formatSwitches('Modes', modes, modeSwitchCount),
    ...formatSwitches('Workers', workers, workerSwitchCount),
  ];
  return [formatHeadline(report, words), ...lines, ...switches].join('\n');
}

function formatSwitches(what: string, switches: readonly string[], count: number): string[] {
  if (count === 0) return [];
  const named = switches.slice(-MOST_NAMED);
  const before = count - named.length;
  return [
    `${what}: ${count} ${count === 1 ? 'switch' : 'switches'}: ${before > 0 ? `${before} before, ` : ''}${named.join(', ')}`,
  ];
}

function formatHeadline(report: PipelineReport, words: ReportWords): string {
  const { title, count, noun, unit, notes = [] } = words;
  const brackets = notes.length === 0 ? '' : ` (${notes.join(', ')})`;
  const parts = [`${title} completed in ${report.elapsedMs}ms: ${count} ${noun}${brackets}`];
  if (report.elapsedMs > 0) parts.push(`${((count / report.elapsedMs) * 1000).toFixed(1)} ${unit}/s`);
  if (report.peakRssBytes > 0) {
    const peak = report.peakRssBytes / 1e6;
    parts.push(`Peak: ${peak.toFixed(1)}MB`, `${(count / peak).toFixed(1)} ${unit}/MB`);
  }
  return parts.join(' | ');
}

function formatStage(stage: StageReport, tenths: number): string {
  const { name, elapsedMs, itemsIn, itemsOut, unreleasedBytes } = stage;
  const delta = stage.rssDeltaBytes / 1e6;
  const sign = delta < 0 ? '-' : '+';
  // Nobody looked at the memory meanwhile: it was too short.
  const peak = stage.peakRssBytes > 0 ? ` peak ${Math.round(stage.peakRssBytes / 1e6)}MB` : '';
  const parts = [
    `${name}: ${elapsedMs}ms ${(tenths / 10).toFixed(1)}%${peak}`,
    ...(peak === '' ? [] : [`Δ${sign}${Math.abs(delta).toFixed(1)}MB`]),
  ];
  if (itemsIn > 0 || itemsOut > 0) parts.push(`${itemsIn} in, ${itemsOut} out`);
  if (unreleasedBytes > 0) parts.push(`${unreleasedBytes} bytes not released`);
  return parts.join('  ');
}
