import {
  ALL_BUT_NEWLINE,
  ANYTHING,
  type CodePointSet,
  complement,
  DIGITS,
  foldCase,
  SPACES,
  setOf,
  WORD_CHARACTERS,
} from './code-point-set.ts';

/** A regular expression taken apart: case and flags are already worked into the sets. */
export type RegexTree =
  | { readonly kind: 'set'; readonly set: CodePointSet }
  | { readonly kind: 'assert'; readonly what: '^' | '$' | '\\b' | '\\B' }
  | { readonly kind: 'sequence'; readonly items: readonly RegexTree[] }
  | { readonly kind: 'either'; readonly branches: readonly RegexTree[] }
  | { readonly kind: 'group'; readonly of: RegexTree }
  | RepeatTree;

export interface RepeatTree {
  readonly kind: 'repeat';
  readonly of: RegexTree;
  readonly min: number;
  /** `Infinity` when there is no end. */
  readonly max: number;
  readonly lazy: boolean;
}

interface Flags {
  readonly ignoreCase: boolean;
  readonly dotAll: boolean;
}

const MAX_NESTING = 50;
const QUANTIFIER = /(?:([*+?])|\{(\d{1,4})(?:(,)(\d{0,4}))?\})(\??)/y;
const GROUP = /\((?:\?(?:P?<[A-Za-z_]\w*>|(?:([is]*)(?:-([is]*))?)([:)])))?/y;
const ESCAPED = /\\(?:x([0-9A-Fa-f]{2})|x\{([0-9A-Fa-f]{1,6})\}|([dDwWsSbBAz])|([tnrfv])|([^\sA-Za-z0-9]))/uy;
const CONTROLS: Readonly<Record<string, number>> = { t: 9, n: 10, r: 13, f: 12, v: 11 };

/**
 * Takes a pattern in RE2's syntax apart, as far as its common part goes; undefined for everything else (Unicode and
 * POSIX classes, the flags `m` and `U`, `\Q`, letters beyond ASCII without regard to case, ...). The pattern is
 * expected to be accepted by RE2.
 */
export function parseRegex(pattern: string, options: { readonly ignoreCase: boolean }): RegexTree | undefined {
  try {
    const parser = new RegexParser(pattern);
    return parser.parse(options.ignoreCase);
  } catch (error) {
    if (error instanceof NotCovered) return undefined;
    throw error;
  }
}

class NotCovered extends Error {}

class RegexParser {
  readonly #pattern: string;
  #at = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  parse(ignoreCase: boolean): RegexTree {
    const tree = this.#either({ ignoreCase, dotAll: false }, 0);
    if (this.#at < this.#pattern.length) throw new NotCovered();
    return tree;
  }

  /** Up to the end or the parenthesis that closes. Flags set inside hold to there. */
  #either(flags: Flags, depth: number): RegexTree {
    if (depth > MAX_NESTING) throw new NotCovered();
    const branches: RegexTree[] = [];
    let items: RegexTree[] = [];
    while (this.#at < this.#pattern.length && this.#pattern[this.#at] !== ')') {
      if (this.#take('|')) {
        branches.push({ kind: 'sequence', items });
        items = [];
      } else if (this.#pattern[this.#at] === '(') {
        const inside = this.#group(flags, depth);
        if ('kind' in inside) items.push(this.#quantified(inside));
        else flags = inside;
      } else {
        items.push(this.#quantified(this.#atom(flags)));
      }
    }
    const last: RegexTree = { kind: 'sequence', items };
    return branches.length === 0 ? last : { kind: 'either', branches: [...branches, last] };
  }

  /** A group, or the flags that a `(?i)` sets. */
  #group(flags: Flags, depth: number): RegexTree | Flags {
    const found = this.#match(GROUP);
    const [opening, on = '', off = '', close] = found;
    const inner = close === undefined ? flags : withFlags(flags, on, off);
    if (close === ')') return inner;
    if (opening === '(' && this.#pattern[this.#at] === '?') throw new NotCovered();
    const of = this.#either(inner, depth + 1);
    if (!this.#take(')')) throw new NotCovered();
    return close === ':' ? of : { kind: 'group', of };
  }

  #quantified(atom: RegexTree): RegexTree {
    QUANTIFIER.lastIndex = this.#at;
    const found = QUANTIFIER.exec(this.#pattern);
    if (found === null) return atom;
    this.#at = QUANTIFIER.lastIndex;
    const [, sign, least, comma, most, lazy] = found;
    const min = sign === undefined ? Number(least) : sign === '+' ? 1 : 0;
    let max = sign === '?' ? 1 : Number.POSITIVE_INFINITY;
    if (sign === undefined) max = comma === undefined ? min : most === '' ? max : Number(most);
    return { kind: 'repeat', of: atom, min, max, lazy: lazy === '?' };
  }

  #atom(flags: Flags): RegexTree {
    const character = this.#pattern[this.#at]!;
    switch (character) {
      case '^':
      case '$':
        this.#at++;
        return { kind: 'assert', what: character };
      case '.':
        this.#at++;
        return { kind: 'set', set: flags.dotAll ? ANYTHING : ALL_BUT_NEWLINE };
      case '[':
        return this.#characterClass(flags);
      case '\\':
        return this.#escape(flags);
      case '*':
      case '+':
      case '?':
      case '{':
        throw new NotCovered();
      default:
        return this.#literal(this.#codePoint(), flags);
    }
  }

  #escape(flags: Flags): RegexTree {
    const letter = this.#pattern[this.#at + 1];
    if (letter === 'b' || letter === 'B' || letter === 'A' || letter === 'z') {
      this.#at += 2;
      return { kind: 'assert', what: letter === 'A' ? '^' : letter === 'z' ? '$' : `\\${letter}` };
    }
    const value = this.#escapeValue(flags);
    return typeof value === 'number' ? this.#literal(value, flags) : { kind: 'set', set: value };
  }

  #characterClass(flags: Flags): RegexTree {
    this.#at++;
    const negated = this.#take('^');
    let plain: number[] = [];
    const classes: number[] = [];
    do {
      const first = this.#member(flags);
      if (typeof first !== 'number') {
        classes.push(...first);
        continue;
      }
      let last: number | CodePointSet = first;
      if (this.#pattern[this.#at] === '-' && this.#pattern[this.#at + 1] !== ']') {
        this.#at++;
        last = this.#member(flags);
      }
      if (typeof last !== 'number' || last < first) throw new NotCovered();
      plain.push(first, last);
    } while (!this.#take(']'));
    if (flags.ignoreCase) plain = [...fold(setOf(plain))];
    const set = setOf([...plain, ...classes]);
    return { kind: 'set', set: negated ? complement(set) : set };
  }

  #member(flags: Flags): number | CodePointSet {
    const character = this.#pattern[this.#at];
    if (character === undefined || character === '[') throw new NotCovered();
    return character === '\\' ? this.#escapeValue(flags) : this.#codePoint();
  }

  /** An escape that stands for a character or a class. */
  #escapeValue(flags: Flags): number | CodePointSet {
    const [, byte, braced, letter, control, sign] = this.#match(ESCAPED);
    const hex = byte ?? braced;
    if (hex !== undefined) return Number.parseInt(hex, 16);
    if (control !== undefined) return CONTROLS[control]!;
    if (sign !== undefined) return sign.codePointAt(0)!;
    const set = { d: DIGITS, w: WORD_CHARACTERS, s: SPACES }[letter!.toLowerCase()];
    if (set === undefined) throw new NotCovered();
    const folded = flags.ignoreCase ? fold(set) : set;
    return letter! < 'a' ? complement(folded) : folded;
  }

  #literal(code: number, flags: Flags): RegexTree {
    const set = [code, code];
    return { kind: 'set', set: flags.ignoreCase ? fold(set) : set };
  }

  #codePoint(): number {
    const code = this.#pattern.codePointAt(this.#at)!;
    this.#at += code > 0xffff ? 2 : 1;
    return code;
  }

  #take(character: string): boolean {
    if (this.#pattern[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #match(pattern: RegExp): RegExpExecArray {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#pattern);
    if (found === null) throw new NotCovered();
    this.#at = pattern.lastIndex;
    return found;
  }
}

function withFlags(flags: Flags, on: string, off: string): Flags {
  const set = (flag: string, before: boolean) => !off.includes(flag) && (on.includes(flag) || before);
  return { ignoreCase: set('i', flags.ignoreCase), dotAll: set('s', flags.dotAll) };
}

function fold(set: CodePointSet): CodePointSet {
  const folded = foldCase(set);
  if (folded === undefined) throw new NotCovered();
  return folded;
}
