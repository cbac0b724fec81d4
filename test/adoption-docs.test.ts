/** What docs/adoption.md claims and a test can hold it to. Its `ts` programs are run by the gate `papers`, the others by the gate `recipes`. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as adopt from '../src/adopt/index.ts';
import { AUTO_DEFAULTS, readSettings } from '../src/auto/settings.ts';
import * as http from '../src/http/index.ts';
import { adoptionLines } from './shelf/service/adoption-lines.ts';

const ROOT = join(import.meta.dirname, '..');
const MOST_LINES = 10;
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const DOCUMENT = read('docs/adoption.md');

interface Program {
  readonly heading: string;
  /** Where the gate has it; undefined for one that is run as it stands. */
  readonly file: string | undefined;
  readonly source: string;
}

const PROGRAMS: Program[] = [...DOCUMENT.matchAll(/^```(?:ts(?: exit=\d+)?|js file=(\S+))\n(.*?)^```$/gms)].map(
  ({ index, 1: file, 2: source }) => ({ heading: headingBefore(index), file, source: source! }),
);

function headingBefore(index: number): string {
  const headings = DOCUMENT.slice(0, index).match(/^#+ .*$/gm) ?? [];
  return headings.at(-1)!.replace(/^#+ /, '');
}

function section(title: string): string {
  const [, level = '', rest = ''] = new RegExp(`^(##+) ${title}\\n(.*)`, 'ms').exec(DOCUMENT) ?? [];
  const next = rest.search(new RegExp(`^#{2,${level.length}} `, 'm'));
  return next < 0 ? rest : rest.slice(0, next);
}

/**
 * The lines of a program that are there because of us: those that import from our doors, those with a name that was imported or made by one that was, and what
 * belongs to them up to the closing bracket. Lines that only show what happens count as well.
 */
function linesOfOurs(source: string): string[] {
  const names = new Set<string>();
  const lines = source.split('\n');
  const ours = new Set<number>();
  for (const { index, 0: statement } of source.matchAll(/^import\s[^;]*?from '(?:plimsoll\b[^']*)';/gm)) {
    const first = source.slice(0, index).split('\n').length - 1;
    for (let i = 0; i < statement.split('\n').length; i++) ours.add(first + i);
    const imported = statement.replace(/ from .*/s, '').match(/\w+(?=\s*[,}]|\s*$)/g) ?? [];
    for (const name of imported) names.add(name);
  }
  for (let i = 0; i < lines.length; i++) {
    const code = codeOf(lines[i]!);
    const isOurs = [...names].some((name) => new RegExp(`(?<![.\\w])${name}\\b`).test(code));
    if (!isOurs || ours.has(i)) continue;
    const made = /^\s*(?:export )?(?:const|let|using|await using) (.+?) = (?:await |new )?(\w+)/.exec(code);
    if (made !== null && names.has(made[2]!)) for (const name of made[1]!.match(/\w+/g)!) names.add(name);
    for (let open = 0; i < lines.length; i++) {
      if (codeOf(lines[i]!).trim() !== '') ours.add(i);
      open += depth(codeOf(lines[i]!));
      if (open <= 0) break;
    }
  }
  return [...ours].sort((a, b) => a - b).map((i) => lines[i]!);
}

/** Without comments and without what stands in quotes. */
const codeOf = (line: string): string =>
  line
    .replaceAll(/'(?:[^'\\]|\\.)*'|`(?:[^`\\$]|\\.)*`/g, "''")
    .replace(/^\s*(\/\*|\*).*$/, '')
    .replace(/\/\/.*$/, '');

const depth = (code: string): number => (code.match(/[([{]/g)?.length ?? 0) - (code.match(/[)\]}]/g)?.length ?? 0);

describe('ten lines', () => {
  it('are counted as somebody would who puts them in', () => {
    const source = `import { LRUCache } from 'lru-cache';
import {
  adopt,
} from 'plimsoll/adopt';
import { createGovernor } from 'plimsoll';
const cache = new LRUCache({ max: 10 });
// governor
const governor = createGovernor({
  share: 0.5,
});
const adopted = adopt(governor, cache, { name: 'governor' });
cache.set('adopt', 'governor');
console.log(adopted.stats, other.governor);
`;
    expect(linesOfOurs(source).length).toBe(9);
  });

  const count = PROGRAMS.map((program) => ({ ...program, ours: linesOfOurs(program.source) }));
  it.each(count)('are enough: $heading', ({ ours }) => {
    expect(ours.length, ours.join('\n')).toBeLessThanOrEqual(MOST_LINES);
  });

  it('are enough for the service that must survive', () => {
    const { added, removed } = adoptionLines();
    expect(removed).toEqual([]);
    expect(added.length, added.join('\n')).toBeLessThanOrEqual(MOST_LINES);
    expect(added.length).toBeGreaterThan(0);
  });

  it('are shown for everything that the document promises them for', () => {
    const titles = [...section('Ten lines').matchAll(/^### (.*)$/gm)].map(([, title]) => title!);
    expect(titles.length).toBeGreaterThan(6);
    const shown = new Set(count.filter(({ ours }) => ours.length > 0).map(({ heading }) => heading));
    expect(titles.filter((title) => !shown.has(title))).toEqual([]);
  });
});

describe('docs/adoption.md', () => {
  const inFiles = PROGRAMS.filter(({ file }) => file !== undefined);
  it.each(inFiles)('shows of $file what the gate runs', ({ file, source }) => {
    expect(existsSync(join(ROOT, file!))).toBe(true);
    const there = read(file!)
      .split('\n')
      .map((line) => line.trim());
    let at = 0;
    for (const line of source.split('\n').map((one) => one.trim())) {
      // What is a name in the file may be exported in the document.
      if (line === '' || line === '// ...' || line.startsWith('export default Handler')) continue;
      const found = there.indexOf(line, at);
      expect(found, `not in ${file}, or not in this order: ${line}`).toBeGreaterThanOrEqual(0);
      at = found + 1;
    }
  });

  it('has no program that nobody runs', () => {
    const fences = [...DOCUMENT.matchAll(/^```(\w+)/gm)].map(([, language]) => language!);
    const run = new Set(['ts', 'js', 'text', 'sh', 'yaml', 'diff']);
    expect(fences.filter((language) => !run.has(language))).toEqual([]);
    expect(DOCUMENT.match(/^```(ts|js)\b/gm)?.length).toBe(PROGRAMS.length);
  });

  it('names everything that the doors export', () => {
    const named = (name: string) => new RegExp(`\\b${name}\\b`).test(DOCUMENT);
    const things = Object.entries({ ...adopt, ...http }).filter(([, thing]) => typeof thing === 'function');
    const names = things.map(([name]) => name).filter((name) => !name.endsWith('Error'));
    expect(names.length).toBeGreaterThan(10);
    expect(names.filter((name) => !named(name))).toEqual([]);
  });

  it('has each variable of the environment in its table, with its default', () => {
    const asked = new Set<string>();
    const env = new Proxy({}, { get: (_, name) => void asked.add(String(name)) });
    readSettings(env as Record<string, undefined>);
    const rows = [...section('Settings').matchAll(/^\| `(PLIMSOLL\w*)` \| (.*?) \|/gm)];
    expect(rows.map(([, name]) => name).sort()).toEqual([...asked].sort());
    const defaults = new Map(rows.map(([, name, text]) => [name, text?.replaceAll('`', '')]));
    const { afterMs, staggerMs, exitCode } = AUTO_DEFAULTS.recycle;
    expect(defaults.get('PLIMSOLL')).toBe(AUTO_DEFAULTS.mode);
    expect(defaults.get('PLIMSOLL_RECYCLE_AFTER')).toBe(`${afterMs / 1_000}s`);
    expect(defaults.get('PLIMSOLL_RECYCLE_STAGGER')).toBe(`${staggerMs / 1_000}s`);
    expect(defaults.get('PLIMSOLL_RECYCLE_EXIT')).toBe(String(exitCode));
  });

  it('has no size in its figures of allocators that the bench did not print, give or take a twentieth', () => {
    const sizes = (text: string) => [...text.matchAll(/(\d[\d.]*) MiB/g)].map(([, size]) => Number(size));
    const results = /<!-- begin allocators -->(.*?)<!-- end allocators -->/s.exec(read('bench/RESULTS.md'))?.[1] ?? '';
    const printed = sizes(results);
    const shown = sizes(
      section('Alpine and jemalloc')
        .match(/^\|.*$/gm)
        ?.join() ?? '',
    );
    expect(shown.length).toBeGreaterThan(10);
    expect(shown.filter((size) => !printed.some((one) => Math.abs(one - size) <= size / 20))).toEqual([]);
  });
});
