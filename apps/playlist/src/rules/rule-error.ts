import { PlimsollError } from 'plimsoll';

const EXCERPT_WIDTH = 96;
const QUOTE_WIDTH = 48;

/** The text an error points into: a rule's or a filter's expression, and what the user knows it by (`rule 2`). */
export interface RuleText {
  readonly label: string;
  readonly text: string;
}

/**
 * `PLIMSOLL_PLAYLIST_RULE_INVALID`: a rule or filter that cannot be used. `message` is one line in the user's words that
 * says where and what to do (`rule 2, column 14: unknown field 'groop_title': did you mean 'group_title'?`). It has no
 * stack: it reports a mistake in a file, not in the program.
 */
export class RuleError extends PlimsollError {
  override readonly name: string = 'RuleError';
  readonly label: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  /** Two lines: the part of the expression around the place, and a caret under it. */
  readonly excerpt: string;

  /** `at` is an index into `source.text`. */
  constructor(source: RuleText, at: number, problem: string) {
    const { text, label } = source;
    const lineStart = at === 0 ? 0 : text.lastIndexOf('\n', at - 1) + 1;
    const line = text.slice(0, lineStart).split('\n').length;
    const column = [...text.slice(lineStart, at)].length + 1;
    const place = text.trimEnd().includes('\n') ? `line ${line}, column ${column}` : `column ${column}`;
    super(`${label}, ${place}: ${problem}`, { code: 'PLIMSOLL_PLAYLIST_RULE_INVALID' });
    this.label = label;
    this.line = line;
    this.column = column;
    this.excerpt = excerptOf(text, lineStart, at);
    this.stack = `${this.name}: ${this.message}`;
  }
}

/** `text` between single quotes on one line, shortened, without control characters: safe to print in a message. */
export function quoted(text: string): string {
  const characters = [...text.slice(0, QUOTE_WIDTH * 2 + 2)];
  const cut = characters.length > QUOTE_WIDTH ? `${characters.slice(0, QUOTE_WIDTH - 1).join('')}…` : text;
  return `'${plain(cut)}'`;
}

function excerptOf(text: string, lineStart: number, at: number): string {
  const newline = text.indexOf('\n', at);
  const lineEnd = newline < 0 ? text.length : newline;
  const from = Math.max(lineStart, at - (EXCERPT_WIDTH >> 1));
  const to = Math.min(lineEnd, from + EXCERPT_WIDTH);
  const indent = [...text.slice(from, at)].length;
  return `${plain(text.slice(from, to))}\n${' '.repeat(indent)}^`;
}

function plain(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, ' ').toWellFormed();
}
