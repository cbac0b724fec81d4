/**
 * Filters as a program for plugins: what stands in `[[filter]]` as a few bytes that a plugin without a parser, a table of Unicode or a regular expression engine can
 * follow to the same answer. What it could not follow exactly is not compiled, and the native stage does it.
 *
 *     program := 'PFP1' u32 count { u32 codeBytes code }      all numbers little endian; a channel stays while the code of every filter, in order, says true
 *     code    := { instruction }                              one truth value, which each instruction sets, turns or asks; false to begin with
 *
 *     0x00  false                 0x02  not                       0x03 u32  go on at this offset of the code when false, further on only
 *     0x01  true                                                  0x04 u32  the same when true
 *     0x10  contains   0x11  equals   0x12  starts with   0x13  ends with      u8 field, u32 length, bytes
 *     0x18  to 0x1b  the same without regard to case; the bytes are in lower case
 *     0x20  >   0x21  >=   0x22  <   0x23  <=                     u8 field, f64
 */
import type { FilterConfig } from '../config/config.ts';
import { FIRST_PROGRAMME_FIELD } from '../rules/field-access.ts';
import { fieldsAsked, PROGRAMME_FIELDS } from '../rules/field-use.ts';
import { numberOf } from '../rules/operators.ts';
import { parseCondition } from '../rules/parser.ts';
import type { Comparison, Condition, Junction } from '../rules/syntax-tree.ts';

/** What a plugin has to have room for. */
export const MAX_PROGRAM_BYTES = 65_536;

const Op = { false: 0x00, true: 0x01, not: 0x02, skipWhenFalse: 0x03, skipWhenTrue: 0x04 } as const;
const TEXT_OPERATORS = ['contains', 'equals', 'starts_with', 'ends_with'] as const;
const ORDER_OPERATORS = ['>', '>=', '<', '<='] as const;
const TEXT = 0x10;
const IGNORING_CASE = 0x08;
const ORDER = 0x20;

export interface FilterProgram {
  readonly bytes: Buffer;
  /** How many filters are in it: those on channels, in the order of the file. */
  readonly filterCount: number;
  /** The channel fields that it asks about: bit n is field n. What `ChannelEncoder` has to show. */
  readonly fields: number;
}

/**
 * The program of those filters that work on channels; undefined when there is none, or when a plugin could not come to the same answer: `matches`, a field of the
 * source, a text ignoring case with letters beyond ASCII, U+FFFD (which stands for damaged bytes), more than `MAX_PROGRAM_BYTES`.
 * Throws `RuleError` for what cannot be parsed.
 */
export function compileFilterProgram(filters: readonly FilterConfig[]): FilterProgram | undefined {
  const parts: Buffer[] = [];
  let fields = 0;
  for (const { label, mode, expression } of filters) {
    const condition = parseCondition({ label, text: expression });
    const asked = fieldsAsked(condition);
    if ((asked & PROGRAMME_FIELDS) !== 0) continue;
    const code = new FilterCode();
    if (!code.put(condition)) return undefined;
    if (mode === 'exclude') code.negate();
    fields |= asked;
    parts.push(word(code.bytes.length), Buffer.from(code.bytes));
  }
  const filterCount = parts.length / 2;
  const bytes = Buffer.concat([Buffer.from('PFP1'), word(filterCount), ...parts]);
  return filterCount === 0 || bytes.length > MAX_PROGRAM_BYTES ? undefined : { bytes, filterCount, fields };
}

class FilterCode {
  readonly bytes: number[] = [];

  /** False when there is no code for it. */
  put(condition: Condition): boolean {
    switch (condition.kind) {
      case 'compare':
        return this.#putComparison(condition);
      case 'not':
        if (!this.put(condition.of)) return false;
        this.negate();
        return true;
      default:
        return this.#putJunction(condition);
    }
  }

  negate(): void {
    this.bytes.push(Op.not);
  }

  /** Each part but the last one may settle it: then the rest is passed over. */
  #putJunction({ kind, parts }: Junction): boolean {
    const holes: number[] = [];
    for (const [index, part] of parts.entries()) {
      if (!this.put(part)) return false;
      if (index === parts.length - 1) break;
      this.bytes.push(kind === 'and' ? Op.skipWhenFalse : Op.skipWhenTrue);
      holes.push(this.bytes.length);
      this.bytes.push(0, 0, 0, 0);
    }
    const end = word(this.bytes.length);
    for (const hole of holes) for (let i = 0; i < 4; i++) this.bytes[hole + i] = end[i]!;
    return true;
  }

  #putComparison({ field, operator, negated, caseSensitive, value }: Comparison): boolean {
    if (field >= FIRST_PROGRAMME_FIELD) return false;
    const order = ORDER_OPERATORS.indexOf(operator as (typeof ORDER_OPERATORS)[number]);
    if (order >= 0) {
      const limit = Buffer.alloc(8);
      limit.writeDoubleLE(numberOf(value));
      this.bytes.push(ORDER + order, field, ...limit);
    } else {
      const kind = TEXT_OPERATORS.indexOf(operator as (typeof TEXT_OPERATORS)[number]);
      if (kind < 0 || !this.#putText(kind, field, caseSensitive, value)) return false;
    }
    if (negated) this.negate();
    return true;
  }

  #putText(kind: number, field: number, caseSensitive: boolean, value: string): boolean {
    const text = caseSensitive ? value : value.toLowerCase();
    if (text === '' && TEXT_OPERATORS[kind] !== 'equals') {
      this.bytes.push(Op.true);
      return true;
    }
    if (text.length > MAX_PROGRAM_BYTES || !isSameInBytes(text, caseSensitive)) return false;
    const bytes = Buffer.from(text);
    this.bytes.push(TEXT + kind + (caseSensitive ? 0 : IGNORING_CASE), field, ...word(bytes.length));
    for (const byte of bytes) this.bytes.push(byte);
    return true;
  }
}

/** Whether comparing bytes, ASCII letters folded and `K` and `İ` as Unicode has them, comes to what comparing texts in lower case does. */
function isSameInBytes(text: string, caseSensitive: boolean): boolean {
  for (const character of text) {
    if (character === '\ufffd' || !character.isWellFormed()) return false;
    if (!caseSensitive && character > '\x7f' && !isCaseless(character)) return false;
  }
  return true;
}

/** Whether a character beyond ASCII stands in a text in lower case only where it stood before. */
export function isCaseless(character: string): boolean {
  // The dot above is what is left of `İ` behind its `i`.
  return character.toLowerCase() === character && character.toUpperCase() === character && character !== '\u0307';
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
