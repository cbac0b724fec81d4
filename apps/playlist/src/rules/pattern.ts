import { RE2JS, RE2JSException } from 're2js';
import { toNative } from './native-pattern.ts';

/** The largest compiled regular expression, in instructions of RE2's machine. */
export const MAX_PROGRAM_SIZE = 10_000;

const LEAST_CACHE_BYTES = 256 * 1024;
const CACHE_BYTES_PER_INSTRUCTION = 256;

type Groups = ArrayLike<string | undefined>;

/** A compiled regular expression that cannot backtrack without end. */
export interface Pattern {
  /** Capturing groups. */
  readonly groupCount: number;
  /** The longest text that goes to V8's engine; 0 when none does. */
  readonly nativeUpTo: number;
  test(text: string): boolean;
  /** The match and its groups by number, null when there is none. Allocates only when it matches. */
  exec(text: string): Groups | null;
}

/** What is wrong with a regular expression, as the rest of a sentence. */
export class PatternError extends Error {}

/**
 * Compiles a regular expression in RE2's syntax (no lookaround, no backreferences). It finds the leftmost match
 * anywhere in the text; letters match without regard to case unless `caseSensitive` or `(?-i)` says so. Throws
 * `PatternError`.
 *
 * The expression runs on RE2's machine, in time linear in the text: about 150 ns for the name of a channel, 400-1,100
 * ns with groups. Where it can be proven that V8's engine gives the same answer and how many steps it takes at most
 * (`native-pattern.ts`), that one runs it: 10-50 ns. The machine's state cache is kept to 256 KiB (more for the
 * largest expressions).
 */
export function compilePattern(pattern: string, options: { readonly caseSensitive: boolean }): Pattern {
  const re2 = compileRe2(pattern, options.caseSensitive);
  const groupCount = re2.groupCount();
  const native = toNative(pattern, options);
  if (native === undefined) {
    return { groupCount, nativeUpTo: 0, test: (text) => re2.test(text), exec: (text) => execRe2(re2, text) };
  }
  const { regex, maxLength } = native;
  return {
    groupCount,
    nativeUpTo: maxLength,
    test: (text) => (text.length <= maxLength ? regex.test(text) : re2.test(text)),
    exec: (text) => (text.length <= maxLength ? regex.exec(text) : execRe2(re2, text)),
  };
}

function execRe2(re2: RE2JS, text: string): Groups | null {
  return re2.test(text) ? (re2.exec(text) as Groups | null) : null;
}

function compileRe2(pattern: string, caseSensitive: boolean): RE2JS {
  try {
    const re2 = RE2JS.compile(pattern, caseSensitive ? 0 : RE2JS.CASE_INSENSITIVE);
    const size = re2.programSize();
    if (size <= MAX_PROGRAM_SIZE) {
      const { dfa } = re2.re2();
      dfa.stateBudget = Math.max(LEAST_CACHE_BYTES, size * CACHE_BYTES_PER_INSTRUCTION);
      dfa.memBudget = dfa.stateBudget;
      return re2;
    }
  } catch (error) {
    if (error instanceof RE2JSException) throw new PatternError(explain(pattern, error.message));
    // The stack is too small for what is nested here.
    if (!(error instanceof RangeError)) throw error;
  }
  throw new PatternError('it is too large: repeat less, or split it over several comparisons');
}

const REFUSED: readonly (readonly [RegExp, string])[] = [
  [
    /\(\?<?[=!]/,
    "lookaround can backtrack without end and is not supported: use a second comparison with 'not matches'",
  ],
  [/\\(?:[1-9]|k<)/, 'backreferences can backtrack without end and are not supported: write out what repeats'],
  [/\(\?>|[*+?}]\+/, 'atomic and possessive parts are not supported and not needed: write them plainly'],
  [/\(\?#/, 'comments are not supported: take them out'],
];

/** A line about a pattern that RE2 refused, with what to do about it when the reason is a well-known one. */
function explain(pattern: string, message: string): string {
  const known = REFUSED.find(([sign]) => sign.test(pattern));
  if (known !== undefined) return known[1];
  const reason = message.replace('error parsing regexp: ', '').replaceAll('`(?i)', '`').replaceAll('`', "'");
  return reason.startsWith('invalid repeat count') ? `${reason}: at most 1,000, nested counts multiplied` : reason;
}
