import { didYouMean } from '../did-you-mean.ts';
import { TABLES } from './schema.ts';

export const VARIABLE_PREFIX = 'PLIMSOLL_PLAYLIST_';

type Table = Record<string, unknown>;

/**
 * Puts `PLIMSOLL_PLAYLIST_<TABLE>_<KEY>` over the file's tables: `PLIMSOLL_PLAYLIST_MEMORY_LIMIT=256MiB` is `[memory] limit`.
 * Only keys of tables that stand once; empty variables count as absent. `origins` learns which key came from which
 * variable. Returns a line for each variable of the prefix that fits no key.
 */
export function applyVariables(raw: Table, env: NodeJS.ProcessEnv, origins: Map<string, string>): string[] {
  const keys = new Map<string, readonly [table: keyof typeof TABLES, key: string]>();
  for (const [table, schema] of Object.entries(TABLES))
    for (const key of Object.keys(schema.shape))
      keys.set(`${VARIABLE_PREFIX}${table}_${key}`.toUpperCase(), [table as keyof typeof TABLES, key]);
  const problems: string[] = [];
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith(VARIABLE_PREFIX) || value === undefined || value === '') continue;
    const place = keys.get(variable);
    if (place === undefined) {
      const near = didYouMean(variable, [...keys.keys()]);
      problems.push(
        `environment: Unknown variable \`${variable}\`.${near === undefined ? '' : ` Did you mean \`${near}\`?`}`,
      );
      continue;
    }
    setKey(raw, place[0], place[1], value);
    origins.set(`${place[0]}.${place[1]}`, `environment: ${variable}`);
  }
  return problems;
}

/** Sets `raw[table][key]` from text; becomes a number or a boolean where the key does not take the text itself. */
export function setKey(raw: Table, table: keyof typeof TABLES, key: string, value: string): void {
  const schema = (TABLES[table].shape as Record<string, { safeParse(input: unknown): { success: boolean } }>)[key]!;
  let typed: unknown = value;
  if (!schema.safeParse(value).success) {
    if (/^-?\d+(\.\d+)?$/.test(value)) typed = Number(value);
    else if (/^(true|false)$/i.test(value)) typed = value.toLowerCase() === 'true';
  }
  const old = raw[table];
  raw[table] = { ...(typeof old === 'object' && old !== null ? old : {}), [key]: typed };
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
