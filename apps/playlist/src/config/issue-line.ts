import type { z } from 'zod';
import { didYouMean } from '../did-you-mean.ts';
import { maskText, maskUrl } from '../sources/mask.ts';
import { KNOWN_KEYS } from './schema.ts';

const SECRET_KEYS = new Set(['password', 'token', 'user', 'headers']);
/** Their values may hold credentials in any shape, also where they are no URL at all. */
const URL_KEYS = new Set(['url', 'host', 'guide_url', 'path']);
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/;
const ARTICLE: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: '`true` or `false`',
  object: 'a table',
  array: 'a list of tables (`[[...]]`)',
  record: 'a table of strings',
};

/**
 * One line for each problem zod found: where it is, what was expected, what was there. Lists count from 1, as reports do.
 * Values of secret keys are never shown, those of URLs are masked. `originOf` names a place that is not the file: a variable or a flag.
 */
export function issueLines(
  issue: z.core.$ZodIssue,
  raw: unknown,
  file: string,
  originOf: (path: string) => string | undefined,
): string[] {
  const at = (path: readonly PropertyKey[]): string => {
    const key = showPath(path);
    return originOf(key) ?? (key === '' ? file : `${file}: ${key}`);
  };
  if (issue.code === 'unrecognized_keys') {
    const known = KNOWN_KEYS[issue.path.filter((part) => typeof part === 'string').join('.')] ?? [];
    return issue.keys.map((key) => {
      const near = didYouMean(key, known);
      const hint =
        near === undefined ? `Known here: ${known.map((one) => `\`${one}\``).join(', ')}` : `Did you mean \`${near}\`?`;
      return `${at([...issue.path, key])}: Unknown key \`${key}\`. ${hint}`;
    });
  }
  if (issue.code === 'invalid_key') return [`${at(issue.path)}: ${issue.issues[0]?.message ?? issue.message}`];
  const value = issue.path.reduce<unknown>(
    (node, part) => (node as Record<PropertyKey, unknown> | undefined)?.[part],
    raw,
  );
  if (issue.code === 'invalid_type' && value === undefined) return [`${at(issue.path)}: is required`];
  let message = issue.message;
  if (issue.code === 'invalid_type' && message.startsWith('Invalid input'))
    message = `Expected ${ARTICLE[issue.expected] ?? issue.expected}`;
  if ((issue.code === 'too_small' || issue.code === 'too_big') && !message.startsWith('Expected'))
    message = `Expected a value ${issue.code === 'too_small' ? `from ${issue.minimum} up` : `up to ${issue.maximum}`}`;
  if (!/^Expected/.test(message) || /, got /.test(message) || typeof value === 'object')
    return [`${at(issue.path)}: ${message}`];
  return [`${at(issue.path)}: ${message}, got ${showValue(value, issue.path)}`];
}

function showPath(path: readonly PropertyKey[]): string {
  let text = '';
  for (const [i, part] of path.entries()) {
    if (typeof part === 'number') text += `[${part + 1}]`;
    // Such as a whole line, `Authorization: Bearer ...`, where the name belongs.
    else if (path[i - 1] === 'headers' && !HEADER_NAME.test(String(part))) text += '.***';
    else text += `${text === '' ? '' : '.'}${String(part)}`;
  }
  return text;
}

function showValue(value: unknown, path: readonly PropertyKey[]): string {
  if (path.some((part) => SECRET_KEYS.has(String(part)))) return `a secret (${typeof value})`;
  const mask = URL_KEYS.has(String(path.at(-1))) ? maskUrl : maskText;
  const text = mask(String(value)).replace(/[\0-\x1f\x7f]/g, ' ');
  const short = text.length > 80 ? `${text.slice(0, 77)}...` : text;
  return typeof value === 'string' ? `\`${short}\`` : `\`${short}\` (${typeof value})`;
}
