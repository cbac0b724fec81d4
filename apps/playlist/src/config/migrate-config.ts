import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'smol-toml';
import { checkShape } from './check-shape.ts';
import { ConfigError } from './config-error.ts';
import type { RawConfig } from './environment.ts';
import { OLDER_TABLES } from './older-tables.ts';
import { parseConfigText, readConfigText } from './read-toml.ts';
import { splitToml, type TomlGap, type TomlStatement, trailingComment } from './toml-statements.ts';
import { type Translation, translateOlder } from './translate-older.ts';

export interface Migrated {
  /** The file in the current form; loading it gives what loading the old one gives, without the warnings. */
  readonly text: string;
  /** What was read as what, and what was left out. */
  readonly warnings: readonly string[];
  /** False: it names no list yet, because m3u-proxy has them in its database. */
  readonly isComplete: boolean;
}

const NAME_THE_LISTS = [
  '# m3u-proxy has lists, guides, filters and rules in its database. They stand here, such as:',
  '#',
  '# [[source]]',
  '# url = "https://example.com/list.m3u8"',
  '#',
  '# [[guide]]',
  '# url = "https://example.com/guide.xml.gz"',
];

/**
 * Reads a configuration with tables of m3u-proxy and writes it in the current form. Comments are kept, except those of what is left out; where the text
 * cannot be changed in place all is written anew, without them, and a warning says so. Variables are neither read nor filled in. Throws `ConfigError` for a mistake in the file.
 */
export function migrateConfig(file: string): Migrated {
  const before = readConfigText(file);
  const translation = translateOlder(parseConfigText(before, file), file);
  checkSaid(translation, file);
  const { raw, tables } = translation;
  const warnings = translation.warnings.slice(0, -1);
  const isComplete = raw.source !== undefined;
  if (tables === 0)
    return { text: before, warnings: [`${file}: has no table of m3u-proxy: nothing is changed`], isComplete };
  let text = changedInPlace(before, translation);
  if (text === undefined) {
    text = `${stringify(raw)}\n`;
    warnings.push(`${file}: comments could not be kept`);
  }
  if (!isComplete) {
    text = `${text}${text === '' ? '' : '\n'}${NAME_THE_LISTS.join('\n')}\n`;
    warnings.push(`${file}: names no list: add [[source]] to what is printed`);
  }
  return { text, warnings, isComplete };
}

/** What the older keys said must be right here. The rest is looked at when it is loaded: it may need variables. */
function checkSaid({ raw, said, origins, problems }: Translation, file: string): void {
  const tables = new Set([...said.keys()].map((place) => place.split('.')[0]!));
  const own: RawConfig = { source: [{ path: 'any' }] };
  for (const table of tables) {
    const all = raw[table] as RawConfig;
    const isWhole = table === 'memory' || table === 'plugins';
    own[table] = isWhole ? all : Object.fromEntries(Object.entries(all).filter(([key]) => said.has(`${table}.${key}`)));
  }
  const checked = checkShape(own, file, (key) => origins.get(key), false);
  if (problems.length + checked.problems.length > 0) throw new ConfigError([...problems, ...checked.problems]);
}

/** Undefined when what comes out does not mean the same. */
function changedInPlace(before: string, translation: Translation): string | undefined {
  const parts = splitToml(before);
  if (parts === undefined) return undefined;
  const text = new Rewriter(parts, translation).write();
  try {
    const after = parseConfigText(text, '');
    return isDeepStrictEqual(structuredClone(after), structuredClone(translation.raw)) ? text : undefined;
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

class Rewriter {
  readonly #parts: readonly (TomlStatement | TomlGap)[];
  /** By table: lines for its keys. */
  readonly #added = new Map<string, string[]>();
  /** By table: the comment above the older table that it comes from. */
  readonly #comments = new Map<string, readonly string[]>();
  readonly #lines: string[] = [];

  constructor(parts: readonly (TomlStatement | TomlGap)[], { said }: Translation) {
    this.#parts = parts;
    const statements = parts.filter((part) => part.kind !== 'gap');
    for (const [place, { value, by }] of said) {
      const at = place.lastIndexOf('.');
      const table = place.slice(0, at);
      const older = statements.find(({ path }) => path.join('.') === by);
      // One older key may say several here: its comments go to the first.
      const isFirst = [...said].find(([, one]) => one.by === by)![0] === place;
      const source = isFirst ? older : undefined;
      const behind = source && trailingComment(source);
      const lines = this.#added.get(table) ?? [];
      const line = `${place.slice(at + 1)} = ${JSON.stringify(value)}`;
      lines.push(...(source?.comment ?? []), behind === undefined ? line : `${line} ${behind}`);
      this.#added.set(table, lines);
      const header = statements.find(
        (one) => one.kind === 'header' && one.path.join('.') === by.slice(0, by.lastIndexOf('.')),
      );
      if (!this.#comments.has(table) && header !== undefined && ![...this.#comments.values()].includes(header.comment))
        this.#comments.set(table, header.comment);
    }
  }

  write(): string {
    const firstOlder = this.#parts.findIndex((part) => part.kind === 'header' && isOlder(part));
    const firstHeader = this.#parts.findIndex((part) => part.kind === 'header');
    const newAt = firstOlder >= 0 ? firstOlder : firstHeader;
    let section = '';
    this.#parts.forEach((part, index) => {
      if (part.kind === 'header') this.#endSection(section);
      if (index === newAt) this.#writeNewTables();
      if (part.kind === 'gap') {
        this.#push(part.lines);
        return;
      }
      if (part.kind === 'header') section = isOlder(part) ? '' : part.path.join('.');
      if (!isOlder(part)) this.#push([...part.comment, ...part.lines]);
    });
    this.#endSection(section);
    if (newAt < 0) this.#writeNewTables();
    while (this.#lines.at(-1) === '') this.#lines.pop();
    return this.#lines.length === 0 ? '' : `${this.#lines.join('\n')}\n`;
  }

  /** Keys for a table that the file has already go to its end, before the blank lines there. */
  #endSection(table: string): void {
    const added = this.#added.get(table);
    if (table === '' || added === undefined) return;
    let end = this.#lines.length;
    while (end > 0 && /^\s*(#|$)/.test(this.#lines[end - 1]!)) end--;
    this.#lines.splice(end, 0, ...added);
    this.#added.delete(table);
  }

  #writeNewTables(): void {
    const headers = new Set(this.#parts.flatMap((part) => (part.kind === 'header' ? [part.path.join('.')] : [])));
    for (const table of [...this.#added.keys()].sort()) {
      if (headers.has(table)) continue;
      this.#push(['', ...(this.#comments.get(table) ?? []), `[${table}]`, ...this.#added.get(table)!, '']);
      this.#added.delete(table);
    }
  }

  /** Two blank lines become one, and none begins the file: between them something was taken out. */
  #push(lines: readonly string[]): void {
    for (const line of lines) {
      const blank = line.trim() === '';
      if (!blank || (this.#lines.length > 0 && this.#lines.at(-1)!.trim() !== '')) this.#lines.push(line);
    }
  }
}

function isOlder({ path }: TomlStatement): boolean {
  return Object.hasOwn(OLDER_TABLES, path[0]!);
}
