import { didYouMean } from '../did-you-mean.ts';
import { PLACES } from './schema.ts';

export const VARIABLE_PREFIX = 'PLIMSOLL_PLAYLIST_';

/** What Kubernetes sets in every container for a service that is called plimsoll-playlist. */
const SERVICE_LINK = /^PLIMSOLL_PLAYLIST_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT(_\d+_[A-Z]+(_(PROTO|PORT|ADDR))?)?)$/;

const OLDER_PREFIX = 'M3U_PROXY_';

/** Tables and keys as they stand in the file, before they are checked. */
export type RawConfig = Record<string, unknown>;

/** What is learned while variables are put over a file. */
export interface OverFile {
  /** Which key came from which variable or flag. */
  readonly origins: Map<string, string>;
  readonly problems: string[];
  readonly warnings: string[];
}

interface PlainName {
  readonly place: string;
  readonly form: string;
  /** What it sets the key to, or nothing where it asks for nothing; undefined when it cannot be read. */
  readonly read: (text: string) => { readonly value?: string } | undefined;
}

/** Names without the prefix: each says what a key says, in a form of its own. */
const PLAIN: Readonly<Record<string, PlainName>> = {
  MEMORY_LIMIT_MB: { place: 'memory.limit', form: 'a number of mebibytes like `256`', read: mebibytes },
  CLEANUP_AGGRESSIVE: {
    place: 'memory.strategy',
    form: '`true`, `false`, `1` or `0`',
    read(text) {
      if (/^(true|1|yes|on)$/i.test(text)) return { value: 'aggressive' };
      return /^(false|0|no|off)$/i.test(text) ? {} : undefined;
    },
  },
  PLUGIN_MEMORY_LIMIT_MB: { place: 'plugins.max_memory', form: 'a number of mebibytes like `32`', read: mebibytes },
};
const SHOWN_CHARACTERS = 40;

/**
 * Puts `PLIMSOLL_PLAYLIST_<TABLE>_<KEY>` over the file's tables: `PLIMSOLL_PLAYLIST_MEMORY_LIMIT=256MiB` is `[memory] limit`. Beneath them, and over
 * the file, `MEMORY_LIMIT_MB`, `CLEANUP_AGGRESSIVE` (which, when false, says nothing) and `PLUGIN_MEMORY_LIMIT_MB`; where both kinds set a key to different values
 * the longer name wins and a warning says so. Only keys of tables that stand once; empty variables count as absent. A line for each variable of the prefix that fits no key.
 */
export function applyVariables(raw: RawConfig, env: NodeJS.ProcessEnv, told: OverFile): void {
  const places = new Map<string, string>();
  for (const place of PLACES.keys()) places.set(`${VARIABLE_PREFIX}${place.replaceAll('.', '_')}`.toUpperCase(), place);
  const older = Object.keys(env).filter((name) => name.startsWith(OLDER_PREFIX));
  if (older.length > 0) {
    const all = older.length === 1 ? 'is a variable' : `and ${older.length - 1} more are variables`;
    told.warnings.push(
      `environment: ${older[0]} ${all} of m3u-proxy and not read: see ${VARIABLE_PREFIX}<TABLE>_<KEY>`,
    );
  }
  applyPlain(raw, env, told);
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith(VARIABLE_PREFIX) || value === undefined || value === '') continue;
    if (SERVICE_LINK.test(variable)) continue;
    const place = places.get(variable);
    if (place === undefined) {
      const near = didYouMean(variable, [...places.keys()]);
      const hint = near === undefined ? '' : ` Did you mean \`${near}\`?`;
      told.problems.push(`environment: Unknown variable \`${variable}\`.${hint}`);
      continue;
    }
    warnOfClash(raw, place, value, variable, told);
    setKey(raw, place, value);
    told.origins.set(place, `environment: ${variable}`);
  }
}

function applyPlain(raw: RawConfig, env: NodeJS.ProcessEnv, told: OverFile): void {
  for (const [variable, { place, form, read }] of Object.entries(PLAIN)) {
    const text = env[variable]?.trim() ?? '';
    if (text === '') continue;
    const found = read(text);
    if (found === undefined) {
      const shown = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text;
      const plain = shown.replace(/[\0-\x1f\x7f]/g, ' ');
      told.problems.push(`environment: ${variable}: Expected ${form}, got \`${plain}\``);
    } else if (found.value !== undefined) {
      setKey(raw, place, found.value);
      told.origins.set(place, `environment: ${variable}`);
    }
  }
}

function mebibytes(text: string): { readonly value: string } | undefined {
  return /^\d{1,9}(\.\d{1,3})?$/.test(text) && Number(text) > 0 ? { value: `${text}MiB` } : undefined;
}

function warnOfClash(raw: RawConfig, place: string, value: string, variable: string, told: OverFile): void {
  const other = told.origins.get(place)?.replace('environment: ', '');
  if (other === undefined) return;
  const schema = PLACES.get(place)!;
  const [before, now] = [getKey(raw, place), value].map((one) => schema.safeParse(one).data);
  if (before === now) return;
  told.warnings.push(
    `environment: ${other} and ${variable} both set [${place.replace('.', '] ')} differently: ${variable} holds, unset the other`,
  );
}

function getKey(raw: RawConfig, place: string): unknown {
  return place.split('.').reduce<unknown>((node, key) => (node as RawConfig | undefined)?.[key], raw);
}

/** Sets the key at `place` (`memory.levels.high`) from text; becomes a number or a boolean where the key does not take the text itself. */
export function setKey(raw: RawConfig, place: string, value: string): void {
  let typed: unknown = value;
  if (!PLACES.get(place)!.safeParse(value).success) {
    if (/^-?\d+(\.\d+)?$/.test(value)) typed = Number(value);
    else if (/^(true|false)$/i.test(value)) typed = value.toLowerCase() === 'true';
  }
  const keys = place.split('.');
  let table = raw;
  for (const key of keys.slice(0, -1)) {
    const old = Object.hasOwn(table, key) ? table[key] : undefined;
    // A copy, in case tables of the file are shared; whatever else stands there gives way.
    const inner: RawConfig = typeof old === 'object' && old !== null ? { ...old } : {};
    table[key] = inner;
    table = inner;
  }
  table[keys.at(-1)!] = typed;
}

/** Keys in which `${NAME}` stands for an environment variable, so that secrets stay out of files. Rules and filters are left alone. */
const INTERPOLATED = new Set([
  'path',
  'url',
  'host',
  'user',
  'password',
  'token',
  'dir',
  'spill_dir',
  'guide_url',
  'aliases',
  'headers',
]);

/**
 * Replaces `${NAME}` by the variable's value throughout `raw`, in place; `$${` stands for `${`. An unset variable gives a
 * line through `complain(path, message)`. What a variable holds is not looked through again.
 */
export function interpolate(
  node: unknown,
  env: NodeJS.ProcessEnv,
  complain: (path: readonly (string | number)[], message: string) => void,
  path: readonly (string | number)[] = [],
  inside = false,
): void {
  if (typeof node !== 'object' || node === null || path.length > 4) return;
  for (const [key, value] of Object.entries(node)) {
    const here = [...path, Array.isArray(node) ? Number(key) : key];
    const active = inside || INTERPOLATED.has(key);
    if (typeof value !== 'string') {
      interpolate(value, env, complain, here, active);
    } else if (active && value.includes('${')) {
      (node as Record<string, unknown>)[key] = value.replace(
        /\$\$\{|\$\{(\w+)\}/g,
        (match, name: string | undefined) => {
          if (name === undefined) return '${';
          const found = env[name];
          if (found === undefined) complain(here, `Environment variable \`${name}\` is not set`);
          return found ?? match;
        },
      );
    }
  }
}
