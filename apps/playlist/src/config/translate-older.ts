import { didYouMean } from '../did-you-mean.ts';
import { maskText } from '../sources/mask.ts';
import type { RawConfig } from './environment.ts';
import { type Meaning, OLDER_TABLES, type OlderEntry, type OlderKey, type OlderTable } from './older-tables.ts';

/** What tables of m3u-proxy say, in the words of this program. */
export interface Translation {
  /** The file's tables without the older ones, and with what these said. */
  readonly raw: RawConfig;
  /** How many older tables there were. */
  readonly tables: number;
  /** What was said by older keys: the place here (`memory.limit`), the value, and the older key. */
  readonly said: ReadonlyMap<string, Said>;
  /** For messages: which older key a key here comes from, with the file. */
  readonly origins: ReadonlyMap<string, string>;
  /** A line for each older key. */
  readonly warnings: readonly string[];
  /** A line for each older key whose value cannot be read. */
  readonly problems: readonly string[];
}

export interface Said {
  readonly value: string | number | boolean;
  readonly by: string;
}

const SHOWN_CHARACTERS = 60;

/** Tells older tables by their names. Does not change `raw`. What stands in the file in the new form holds against what is said in the older one. */
export function translateOlder(raw: RawConfig, file: string): Translation {
  const reader = new Reader(raw, file);
  const names = Object.keys(OLDER_TABLES).filter((name) => Object.hasOwn(raw, name));
  reader.readTable(raw, OLDER_TABLES, '', names);
  if (names.length > 0)
    reader.warnings.push(`${file}: \`plimsoll-playlist migrate-config ${file}\` prints it in the new form`);
  return { ...reader.result(names), tables: names.length };
}

class Reader {
  readonly #raw: RawConfig;
  readonly #file: string;
  readonly #said = new Map<string, Said>();
  readonly warnings: string[] = [];
  readonly #problems: string[] = [];

  constructor(raw: RawConfig, file: string) {
    this.#raw = raw;
    this.#file = file;
  }

  /** By the order of `entries`, in which the first of two has the say. */
  readTable(table: RawConfig, entries: OlderTable, prefix: string, names = Object.keys(table)): void {
    const known = Object.keys(entries).filter((name) => names.includes(name));
    for (const name of known) this.#readEntry(table[name], entries[name]!, `${prefix}${name}`);
    for (const name of names.filter((one) => !Object.hasOwn(entries, one))) {
      const near = didYouMean(name, Object.keys(entries));
      this.#warn(`${prefix}${name}`, `not known, left out${near === undefined ? '' : `. Did you mean \`${near}\`?`}`);
    }
  }

  result(names: readonly string[]): Omit<Translation, 'tables'> {
    const raw = Object.fromEntries(Object.entries(this.#raw).filter(([name]) => !names.includes(name)));
    const origins = new Map<string, string>();
    for (const [place, { value, by }] of this.#said) {
      setAt(raw, place.split('.'), value);
      origins.set(place, `${this.#file}: ${by}`);
    }
    return { raw, said: this.#said, origins, warnings: this.warnings, problems: this.#problems };
  }

  #readEntry(value: unknown, entry: OlderEntry, name: string): void {
    if (typeof entry === 'string') this.#warn(name, `left out: ${entry}`);
    else if (isKey(entry)) this.#readKey(value, entry, name);
    else if (isTable(value)) this.readTable(value, entry, `${name}.`);
    else this.#problems.push(`${this.#file}: ${name}: Expected a table, got ${shown(value)}`);
  }

  #readKey(value: unknown, { form, read }: OlderKey, name: string): void {
    const meaning = read(value);
    if (meaning === undefined) this.#problems.push(`${this.#file}: ${name}: Expected ${form}, got ${shown(value)}`);
    else if (meaning.set.length === 0) this.#warn(name, meaning.note ?? 'left out');
    else this.#say(meaning, name);
  }

  #say({ set, note }: Meaning, name: string): void {
    const read: string[] = [];
    for (const [place, value] of set) {
      const standing = this.#standing(place);
      if (standing !== undefined) {
        this.#warn(name, `left out: ${standing} says [${asKey(place)}, and holds`);
        continue;
      }
      this.#said.set(place, { value, by: name });
      read.push(`[${asKey(place)} = ${JSON.stringify(value)}`);
    }
    if (read.length > 0) this.#warn(name, `read as ${read.join(', ')}${note === undefined ? '' : ` (${note})`}`);
  }

  /** What has set `place` before. */
  #standing(place: string): string | undefined {
    const said = this.#said.get(place);
    if (said !== undefined) return said.by;
    let node: unknown = this.#raw;
    for (const key of place.split('.')) node = isTable(node) && Object.hasOwn(node, key) ? node[key] : undefined;
    return node === undefined ? undefined : 'the file';
  }

  #warn(name: string, what: string): void {
    this.warnings.push(maskText(`${this.#file}: ${name}: ${what}`).replace(/[\0-\x1f\x7f]/g, ' '));
  }
}

/** `memory.levels.high` is `memory.levels] high`. */
function asKey(place: string): string {
  const at = place.lastIndexOf('.');
  return `${place.slice(0, at)}] ${place.slice(at + 1)}`;
}

/** Copies the tables on its way. What stands there and is no table is a mistake that is told of elsewhere. */
function setAt(table: RawConfig, [key = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) {
    table[key] = value;
  } else if (table[key] === undefined || isTable(table[key])) {
    const inner = { ...table[key] };
    table[key] = inner;
    setAt(inner, rest, value);
  }
}

function isKey(entry: OlderKey | OlderTable): entry is OlderKey {
  return typeof entry.read === 'function';
}

function isTable(value: unknown): value is RawConfig {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (isTable(value)) return 'a table';
  const text = maskText(String(value)).replace(/[\0-\x1f\x7f]/g, ' ');
  const short = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text;
  return typeof value === 'string' ? `\`${short}\`` : `\`${short}\` (${typeof value})`;
}
