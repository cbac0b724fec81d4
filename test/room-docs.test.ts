/** Each page of a room has every option of the room in a table, with its default. The programs in it are run by the gate `papers`. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const ROOMS = ['cache', 'pool', 'intern', 'lifetime', 'spill', 'pipeline', 'wasm', 'observe', 'dashboard'] as const;
/** Rooms that have a page together, beside each that has its own. */
const PAGES: readonly (readonly [page: string, rooms: readonly string[]])[] = [
  ...ROOMS.map((room) => [room, [room]] as const),
  ['exporters', ['metrics', 'prometheus', 'otel']],
];
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** `CacheOptions: ttlMs` for every field of every exported interface whose name ends in Options. */
function optionsOf(text: string): { readonly of: string; readonly name: string }[] {
  return [...text.matchAll(/^export interface (\w+Options)\b[^{]*\{\n(.*?)^\}/gms)].flatMap(([, of, body]) =>
    [...body!.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name]) => ({ of: of!, name: name! })),
  );
}

/** Every name in the first cell of a row whose table has a column for the default, with what that column says. */
function defaultsOf(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, head = '', rows = ''] of text.matchAll(/^(\| option .*)\n\| ---.*\n((?:\|.*\n)+)/gm)) {
    const column = cellsOf(head).indexOf('default');
    for (const row of rows.trim().split('\n')) {
      const cells = cellsOf(row);
      for (const [, name] of cells[0]!.matchAll(/`(?:\w+\.)?(\w+)`/g)) found.set(name!, cells[column] ?? '');
    }
  }
  return found;
}

const cellsOf = (row: string): string[] =>
  row
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());

describe.each(PAGES)('docs/%s.md', (name, rooms) => {
  const page = read(`docs/${name}.md`);
  const options = rooms.flatMap((room) => {
    const door = read(`src/${room}/index.ts`);
    return globSync(`src/${room}/*.ts`, { cwd: ROOT })
      .flatMap((path) => optionsOf(read(path)))
      .filter(({ of }) => new RegExp(`\\b${of}\\b`).test(door));
  });

  it('has a row with a default for every option that can be given', () => {
    expect(options.length).toBeGreaterThan(3);
    const defaults = defaultsOf(page);
    const missing = options.filter(({ name }) => (defaults.get(name) ?? '') === '');
    expect(missing.map(({ of, name }) => `${of}: ${name}`)).toEqual([]);
  });

  it('has a program that is run, and says when the room is not for you', () => {
    expect(page).toMatch(/^```ts\n.*?^```\n\n(?:What it prints:\n\n)?```text\n/ms);
    expect(page).toMatch(/^#+ When not to use/m);
  });
});

it('finds options and rows', () => {
  expect(optionsOf('export interface AOptions<T> extends B {\n  /** x */\n  readonly oneMs?: number;\n}\n')).toEqual([
    { of: 'AOptions', name: 'oneMs' },
  ]);
  const table =
    '| option | unit | default | |\n| --- | --- | --- | --- |\n| `oneMs`, `twoMs` | ms | 5, 6 | how long |\n';
  expect([...defaultsOf(table)]).toEqual([
    ['oneMs', '5, 6'],
    ['twoMs', '5, 6'],
  ]);
});
