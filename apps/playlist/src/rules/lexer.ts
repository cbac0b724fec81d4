import { quoted, RuleError, type RuleText } from './rule-error.ts';

/** The longest expression, in UTF-16 units. */
export const MAX_EXPRESSION_LENGTH = 65_536;

/**
 * `word`: a field, keyword or operator name; `text`: a string, escapes resolved; `number`: a bare decimal number;
 * `reference`: a bare `$1$2` or `$field`; `symbol`: punctuation and operators; `end`: the end of the expression.
 */
export interface Token {
  readonly kind: 'word' | 'text' | 'number' | 'reference' | 'symbol' | 'end';
  readonly text: string;
  readonly at: number;
}

const SPACE = /\s+/y;
const WORD = /[\p{L}_][\p{L}\p{N}_]*(?:-[\p{L}_][\p{L}\p{N}_]*)*/uy;
const NUMBER = /[+-]?(?:\d+(?:\.\d*)?|\.\d+)/y;
const REFERENCE = /\$[\w$]+/y;
const SYMBOL = /\?=|\+=|-=|>=|<=|==|!=|=~|!~|&&|\|\||[()=,<>!]/y;

/** What people write who come from other languages. */
const ELSEWHERE = new Map([
  ['==', "'equals'"],
  ['!=', "'not equals'"],
  ['=~', "'matches'"],
  ['!~', "'not matches'"],
  ['&&', "'AND'"],
  ['||', "'OR'"],
  ['!', "'NOT'"],
]);

/** The tokens of an expression, `end` last. Throws `RuleError`. Linear in the length of the text. */
export function tokenize(source: RuleText): Token[] {
  const { text } = source;
  if (text.length > MAX_EXPRESSION_LENGTH) {
    const limit = MAX_EXPRESSION_LENGTH.toLocaleString('en');
    throw new RuleError(source, 0, `longer than ${limit} characters: split it into several rules`);
  }
  const tokens: Token[] = [];
  let at = skip(SPACE, text, 0);
  while (at < text.length) {
    at = skip(SPACE, text, readToken(source, at, tokens));
  }
  tokens.push({ kind: 'end', text: '', at });
  return tokens;
}

/** Adds the token at `at`; returns where it ends. */
function readToken(source: RuleText, at: number, tokens: Token[]): number {
  const { text } = source;
  const first = text[at]!;
  if (first === '"' || first === "'") return readText(source, at, tokens);
  const symbolEnd = skip(SYMBOL, text, at);
  if (symbolEnd > at) {
    const symbol = text.slice(at, symbolEnd);
    const here = ELSEWHERE.get(symbol);
    if (here !== undefined) throw new RuleError(source, at, `'${symbol}' is not used here: write ${here}`);
    tokens.push({ kind: 'symbol', text: symbol, at });
    return symbolEnd;
  }
  for (const [kind, pattern] of [
    ['number', NUMBER],
    ['word', WORD],
    ['reference', REFERENCE],
  ] as const) {
    const end = skip(pattern, text, at);
    if (end === at) continue;
    tokens.push({ kind, text: text.slice(at, end), at });
    return end;
  }
  if (/[\u2018-\u201f\u00ab\u00bb`]/.test(first)) {
    throw new RuleError(source, at, `${quoted(first)} is not a plain quote: put texts between " or '`);
  }
  const character = String.fromCodePoint(text.codePointAt(at)!);
  throw new RuleError(source, at, `unexpected ${quoted(character)}: texts stand between " or '`);
}

/**
 * A string. `\\`, `\"`, `\'`, `\n`, `\r` and `\t` are what they always are; before any other character the backslash
 * stays, so that a regular expression can be written as it is: `"\d+"`.
 */
function readText(source: RuleText, start: number, tokens: Token[]): number {
  const { text } = source;
  const quote = text[start]!;
  let value = '';
  let from = start + 1;
  for (let at = from; at < text.length; at++) {
    const character = text[at]!;
    if (character === quote) {
      tokens.push({ kind: 'text', text: value + text.slice(from, at), at: start });
      return at + 1;
    }
    if (character !== '\\') continue;
    const escaped = resolveEscape(text[at + 1]);
    if (escaped !== undefined) {
      value += text.slice(from, at) + escaped;
      from = at + 2;
    }
    at++;
  }
  throw new RuleError(source, start, `this ${quote} is never closed`);
}

function resolveEscape(letter: string | undefined): string | undefined {
  switch (letter) {
    case '\\':
    case '"':
    case "'":
      return letter;
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return undefined;
  }
}

function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}
