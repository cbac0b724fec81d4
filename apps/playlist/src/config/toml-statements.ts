import { parse, TomlError } from 'smol-toml';

/** One header, or one key with its value, and the comment right above it. */
export interface TomlStatement {
  readonly kind: 'header' | 'entry';
  /** `['memory', 'limit']`: from the root, the header's path in front. Inline tables are not gone into. */
  readonly path: readonly string[];
  readonly comment: readonly string[];
  readonly lines: readonly string[];
}

/** Blank lines, and comments that stand by themselves. */
export interface TomlGap {
  readonly kind: 'gap';
  readonly lines: readonly string[];
}

/** More lines than this has no statement that is split; it bounds the work, which grows with the square. */
const MAX_STATEMENT_LINES = 500;

/**
 * Takes a document that parses apart by lines, so that it can be changed and keeps its comments. For maintainers: where a value ends is asked of
 * the parser and not found out here: a statement is complete when its lines parse by themselves. Undefined when a value has too many lines.
 */
export function splitToml(text: string): (TomlStatement | TomlGap)[] | undefined {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  const parts: (TomlStatement | TomlGap)[] = [];
  let section: readonly string[] = [];
  let loose: string[] = [];
  for (let i = 0; i < lines.length; ) {
    const line = lines[i]!;
    if (/^\s*(#|$)/.test(line)) {
      loose.push(line);
      i++;
      continue;
    }
    const length = statementLength(lines, i);
    if (length === undefined) return undefined;
    const own = lines.slice(i, i + length);
    const isHeader = /^\s*\[/.test(line);
    const path = isHeader ? pathOf(own, Number.POSITIVE_INFINITY) : [...section, ...pathOf(own, dots(line))];
    if (isHeader) section = path;
    const from = loose.findLastIndex((one) => one.trim() === '') + 1;
    if (from > 0) parts.push({ kind: 'gap', lines: loose.slice(0, from) });
    parts.push({ kind: isHeader ? 'header' : 'entry', path, comment: loose.slice(from), lines: own });
    loose = [];
    i += length;
  }
  if (loose.length > 0) parts.push({ kind: 'gap', lines: loose });
  return parts;
}

/** The comment behind the value of a statement of one line, with its `#`. */
export function trailingComment({ lines }: TomlStatement): string | undefined {
  const [line = ''] = lines;
  if (lines.length > 1) return undefined;
  for (let at = line.indexOf('#'); at >= 0; at = line.indexOf('#', at + 1))
    if (parses(line.slice(0, at))) return line.slice(at).trimEnd();
  return undefined;
}

function statementLength(lines: readonly string[], from: number): number | undefined {
  for (let length = 1; length <= MAX_STATEMENT_LINES && from + length <= lines.length; length++)
    if (parses(lines.slice(from, from + length).join('\n'))) return length;
  return undefined;
}

function parses(text: string): boolean {
  try {
    parse(text);
    return true;
  } catch (error) {
    if (error instanceof TomlError) return false;
    throw error;
  }
}

/** How many keys a line may name before its `=`, at most: one more than it has dots there. Dots in quotes only make it too many. */
function dots(line: string): number {
  return line.slice(0, line.indexOf('=')).split('.').length;
}

function pathOf(lines: readonly string[], most: number): string[] {
  const path: string[] = [];
  let node: unknown = parse(lines.join('\n'));
  while (path.length < most) {
    if (Array.isArray(node) && path.length > 0 && most === Number.POSITIVE_INFINITY) node = node[0];
    if (typeof node !== 'object' || node === null || Array.isArray(node) || node instanceof Date) break;
    const [entry] = Object.entries(node);
    if (entry === undefined) break;
    path.push(entry[0]);
    node = entry[1];
  }
  return path;
}
