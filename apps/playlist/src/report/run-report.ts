import {
  type CleanupReport,
  formatCleanupSummary,
  formatCleanupTable,
  formatReport,
  type PipelineMode,
  type PipelineReport,
} from 'plimsoll/pipeline';
import type { Problem } from './problem-log.ts';

/** What a rule or filter did. */
export interface Tally {
  readonly label: string;
  /** `set group_title = ...` or the filter's expression, as configured. */
  readonly text: string;
  /** Channels or programmes it changed (rules) or removed (filters). */
  readonly count: number;
  readonly of: 'channels' | 'programmes';
}

/** What became of one `[[guide]]`. */
export interface GuideTally {
  readonly label: string;
  readonly channelsIn: number;
  readonly channelsKept: number;
  readonly programmesIn: number;
  readonly programmesKept: number;
  readonly duplicates: number;
  readonly edited: number;
  /** Programmes that a filter dropped. */
  readonly dropped: number;
  /** Its programmes were not in order: it was read three times. */
  readonly unordered: boolean;
  /** It declares entities of its own, which mean nothing in the new guide. */
  readonly declaresEntities: boolean;
  /** How many places are malformed, and the first of them: byte offset in the decompressed guide, and a line for people. */
  readonly damageCount: number;
  readonly damage: readonly { readonly byteOffset: number; readonly message: string }[];
}

/** How the run was begun, by what so many earlier ones took. */
export interface RunAhead {
  readonly mode: PipelineMode;
  readonly batchBytes: number;
  readonly runs: number;
}

/** What one plugin did. */
export interface PluginTally {
  readonly stage: string;
  readonly name: string;
  readonly batches: number;
  readonly failures: number;
}

/** The whole outcome of a run: what the screen shows and `--report` writes. Serialisable; holds no credentials. */
export interface RunReport {
  readonly channels: number;
  readonly programmes: number;
  /** Bad entries that were passed over. */
  readonly skipped: number;
  readonly duplicates: number;
  readonly elapsedMs: number;
  readonly peakRssBytes: number;
  readonly peakLedgerBytes: number;
  readonly limitBytes: number;
  /** Which limit is the effective one: `configured`, `cgroup-v2`, `cgroup-v1` or `machine`. */
  readonly limitFrom: string;
  readonly stages: PipelineReport['stages'];
  /** The last changes of mode, and of who does a stage's work (a plugin, `native`), with how many there were. */
  readonly modes: { readonly count: number; readonly last: PipelineReport['modeSwitches'] };
  readonly workers: { readonly count: number; readonly last: PipelineReport['workerSwitches'] };
  readonly cleanup: CleanupReport;
  /** What went to the disk for want of memory, or because it was told to. */
  readonly spill: {
    readonly rawBytes: number;
    readonly files: number;
    readonly peakDiskBytes: number;
    readonly leftoversRemoved: number;
  };
  /** Absent while too few runs are known, or none are remembered. */
  readonly ahead?: RunAhead;
  readonly plugins: readonly PluginTally[];
  readonly dryRun: boolean;
  readonly sources: readonly { readonly name: string; readonly entries: number }[];
  readonly guides: readonly GuideTally[];
  readonly rules: readonly Tally[];
  readonly filters: readonly Tally[];
  /** Channels that came with a number; those of them that found it taken; with a label instead (`32.1`); with something that says no number. */
  readonly numbers: {
    readonly explicit: number;
    readonly moved: number;
    readonly labels: number;
    readonly unreadable: number;
  };
  readonly matching: {
    readonly byId: number;
    readonly byAlias: number;
    readonly byName: number;
    readonly unmatched: number;
    /** The first of the unmatched by name; all of them stand in the file `<name>.unmatched.txt`. */
    readonly firstUnmatched: readonly string[];
  };
  readonly problems: { readonly byKind: Readonly<Record<string, number>>; readonly first: readonly Problem[] };
  readonly warnings: readonly string[];
  /** Paths of the files written; empty in a dry run. */
  readonly files: readonly string[];
}

const MIB = 2 ** 20;

/** The report as lines for a terminal or a log, no colour. A pure function. */
export function formatRunReport(report: RunReport, pipeline: PipelineReport): string {
  const table = formatReport(
    { ...pipeline, peakRssBytes: report.peakRssBytes },
    {
      title: report.dryRun ? 'Dry run' : 'Generation',
      count: report.channels,
      noun: 'channels',
      unit: 'ch',
      notes: [counted(report.sources.length, 'source'), counted(report.filters.length, 'filter')],
    },
  );
  // Particulars first: what a terminal shows last is what was asked for.
  const lines = [
    ...warningLines(report),
    ...problemLines(report),
    ...tallyLines(report),
    ...guideLines(report),
    table,
    ...pluginLines(report),
    ...cleanupLines(report),
    ...spillLines(report),
    ...aheadLines(report),
    peakLine(report),
    ...report.files.map((file) => `wrote ${file}`),
  ];
  return lines.join('\n');
}

/** All that the user should see even when nothing else is shown. */
export function warningLines({ warnings, guides }: RunReport): string[] {
  const lines = warnings.map((warning) => `warning: ${warning}`);
  for (const { label, damage, damageCount, declaresEntities } of guides) {
    if (declaresEntities)
      lines.push(`warning: ${label} declares entities of its own: references to them mean nothing in the new guide`);
    for (const { message } of damage) lines.push(`warning: ${message}`);
    if (damageCount > damage.length)
      lines.push(`warning: ${label}: and ${grouped(damageCount - damage.length)} more places`);
  }
  return lines;
}

function problemLines({ problems, skipped, duplicates }: RunReport): string[] {
  const lines: string[] = [];
  if (skipped > 0) {
    const kinds = Object.entries(problems.byKind).map(([kind, count]) => `${count} ${kind}`);
    lines.push(`skipped ${counted(skipped, 'bad entry', 'bad entries')}: ${kinds.join(', ')}`);
    for (const { file, line, kind, detail } of problems.first) {
      lines.push(`  ${file}${line > 0 ? `:${line}` : ''}: ${kind}${detail === '' ? '' : `: ${detail}`}`);
    }
    if (skipped > problems.first.length) lines.push(`  and ${skipped - problems.first.length} more`);
  }
  if (duplicates > 0) lines.push(`dropped ${counted(duplicates, 'duplicate')} (same URL and name)`);
  return lines;
}

function tallyLines({ rules, filters, numbers }: RunReport): string[] {
  const lines = rules.map(({ label, text, count, of }) => `${label} changed ${grouped(count)} ${of}: ${text}`);
  for (const { label, text, count, of } of filters) lines.push(`${label} removed ${grouped(count)} ${of}: ${text}`);
  const { explicit, moved, labels, unreadable } = numbers;
  if (explicit > 0)
    lines.push(
      `numbers: ${grouped(explicit)} came with the channel, ${grouped(moved)} of them were taken and moved up`,
    );
  if (labels > 0) lines.push(`numbers: ${grouped(labels)} are labels, such as 32.1, and stay as they are`);
  if (unreadable > 0)
    lines.push(
      `numbers: ${grouped(unreadable)} values of tvg_chno say no number, or repeat a label, and were replaced`,
    );
  return lines;
}

function guideLines({ guides, matching, programmes }: RunReport): string[] {
  if (guides.length === 0) return [];
  const lines = guides.map((guide) => {
    const extras = [
      ...(guide.duplicates > 0 ? [`${grouped(guide.duplicates)} repeated`] : []),
      ...(guide.edited > 0 ? [`${grouped(guide.edited)} edited`] : []),
      ...(guide.dropped > 0 ? [`${grouped(guide.dropped)} filtered out`] : []),
      ...(guide.unordered ? ['not in order, read three times'] : []),
    ];
    const programmesKept = `${grouped(guide.programmesKept)} of ${grouped(guide.programmesIn)} programmes`;
    const channelsKept = `${grouped(guide.channelsKept)} of ${grouped(guide.channelsIn)} channels`;
    return `guide ${guide.label}: kept ${channelsKept}, ${programmesKept}${extras.length > 0 ? ` (${extras.join(', ')})` : ''}`;
  });
  const { byId, byAlias, byName, unmatched, firstUnmatched } = matching;
  lines.push(
    `guide: ${grouped(programmes)} programmes; channels matched by id ${grouped(byId)}, by alias ${grouped(byAlias)}, by name ${grouped(byName)}, unmatched ${grouped(unmatched)}`,
  );
  if (unmatched > 0) {
    const more = unmatched > firstUnmatched.length ? `, and ${grouped(unmatched - firstUnmatched.length)} more` : '';
    lines.push(`  unmatched: ${firstUnmatched.join(', ')}${more}`);
  }
  return lines;
}

function pluginLines({ plugins }: RunReport): string[] {
  return plugins.map(({ stage, name, batches, failures }) => {
    const failed = failures > 0 ? `, ${counted(failures, 'failure')}` : '';
    return `plugin ${name} (${stage}): ${counted(batches, 'batch', 'batches')}${failed}`;
  });
}

function cleanupLines({ cleanup }: RunReport): string[] {
  if (cleanup.operations === 0) return [];
  return [`cleanup: ${formatCleanupSummary(cleanup)}`, ...indented(formatCleanupTable(cleanup))];
}

function spillLines({ spill }: RunReport): string[] {
  const { rawBytes, files, peakDiskBytes, leftoversRemoved } = spill;
  const lines: string[] = [];
  if (files > 0)
    lines.push(
      `spilled ${mib(rawBytes)} in ${counted(files, 'file')}, at most ${mib(peakDiskBytes)} on the disk at once`,
    );
  if (leftoversRemoved > 0)
    lines.push(`removed ${counted(leftoversRemoved, 'spill folder')} that killed runs had left`);
  return lines;
}

function aheadLines({ ahead }: RunReport): string[] {
  if (ahead === undefined) return [];
  const { mode, batchBytes, runs } = ahead;
  return [`begun in mode ${mode} with batches of ${Math.round(batchBytes / 1024)} KiB, by ${runs} earlier runs`];
}

const indented = (text: string): string[] => text.split('\n').map((line) => `  ${line}`);
const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;

function peakLine({ peakRssBytes, limitBytes, limitFrom }: RunReport): string {
  const share = ((peakRssBytes / limitBytes) * 100).toFixed(0);
  return `peak ${(peakRssBytes / MIB).toFixed(1)} MiB of the ${(limitBytes / MIB).toFixed(0)} MiB limit (${share}%, limit ${limitFrom})`;
}

const grouped = (count: number) => count.toLocaleString('en-US');

/** `1 batch`, `2 batches`. */
const counted = (count: number, one: string, many = `${one}s`) => `${grouped(count)} ${count === 1 ? one : many}`;
