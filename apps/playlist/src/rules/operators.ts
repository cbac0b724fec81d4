import type { Operator } from './syntax-tree.ts';

/** What an operator word means; `not_...` is the operator with its `not` built in. */
export interface OperatorWord {
  readonly operator: Operator;
  readonly negated: boolean;
}

/** Every way to write an operator, in lower case. */
export const OPERATOR_WORDS: ReadonlyMap<string, OperatorWord> = new Map([
  ...(['contains', 'equals', 'matches', 'starts_with', 'ends_with'] as const).flatMap(
    (operator): [string, OperatorWord][] => [
      [operator, { operator, negated: false }],
      [`not_${operator}`, { operator, negated: true }],
    ],
  ),
  ...(
    [
      ['>', 'greater_than'],
      ['>=', 'greater_than_or_equal'],
      ['<', 'less_than'],
      ['<=', 'less_than_or_equal'],
    ] as const
  ).flatMap(([operator, long]): [string, OperatorWord][] => [
    [operator, { operator, negated: false }],
    [long, { operator, negated: false }],
  ]),
]);

/** Whether an operator compares numbers. */
export function isOrder(operator: Operator): boolean {
  return operator === '>' || operator === '>=' || operator === '<' || operator === '<=';
}

/**
 * The number a text stands for, `NaN` when it is none. A number is decimal, with an optional sign and fraction, spaces
 * around it allowed: `12`, `-1.5`, `+2`. Not a number: blank, `1e3`, `0x10`, `12 HD`. Allocates nothing.
 */
export function numberOf(text: string): number {
  let at = 0;
  let end = text.length;
  while (at < end && isSpace(text.charCodeAt(at))) at++;
  while (end > at && isSpace(text.charCodeAt(end - 1))) end--;
  const sign = text.charCodeAt(at);
  const negative = sign === 0x2d;
  if (negative || sign === 0x2b) at++;
  let digits = 0;
  let value = 0;
  let scale = 0;
  for (; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code >= 0x30 && code <= 0x39) {
      digits++;
      value = value * 10 + (code - 0x30);
      scale *= 10;
    } else if (code === 0x2e && scale === 0) {
      scale = 1;
    } else {
      return Number.NaN;
    }
  }
  if (digits === 0) return Number.NaN;
  if (scale > 1) value /= scale;
  return negative ? -value : value;
}

function isSpace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d) || code === 0xa0;
}
