/** Writes the sections of `bench/RESULTS.md`: each bench replaces its own and leaves the others alone. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { BENCH_DIR } from './measure.ts';

const PATH = join(BENCH_DIR, 'RESULTS.md');
const TITLE = `# Results

Each section is written by the command that stands in it. Figures of a small shared machine are noisy: compare within a table, not between
tables. Rows in which this project loses stay in.
`;

export interface Section {
  /** Part of the marker that a later run finds the section by: `playlist-parse`. */
  readonly id: string;
  readonly title: string;
  /** What reproduces it. */
  readonly command: string;
  /** Markdown below the line on machine, date and command. */
  readonly body: string;
}

export function writeSection(section: Section): void {
  const open = `<!-- begin ${section.id} -->`;
  const close = `<!-- end ${section.id} -->`;
  const text = `${open}\n## ${section.title}\n\n\`${section.command}\` · ${machine()} · ${new Date().toISOString().slice(0, 10)}\n\n${section.body.trim()}\n${close}\n`;
  const old = existsSync(PATH) ? readFileSync(PATH, 'utf8') : `${TITLE}`;
  const from = old.indexOf(open);
  const to = old.indexOf(close);
  writeFileSync(
    PATH,
    from < 0 || to < 0 ? `${old}\n${text}` : old.slice(0, from) + text.trimEnd() + old.slice(to + close.length),
  );
  console.log(`\n${text}`);
}

/** In general words: enough to judge a figure by. */
function machine(): string {
  const model =
    cpus()[0]
      ?.model.replaceAll(/\((R|TM)\)|CPU|Processor|@.*/gi, '')
      .replaceAll(/\s+/g, ' ')
      .trim() || process.arch;
  return `${availableParallelism()} cores (${model}), ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform}, Node ${process.versions.node}`;
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

export const ms = (value: number): string =>
  value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : `${value.toFixed(0)} ms`;
export const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
export const times = (value: number): string =>
  Number.isFinite(value) ? `${value >= 10 ? value.toFixed(0) : value.toFixed(2)}x` : '-';
