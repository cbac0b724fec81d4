import { RE2JS, RE2JSException } from 're2js';

/** The largest compiled regular expression, in instructions of RE2's machine. */
export const MAX_PROGRAM_SIZE = 10_000;

/** A compiled regular expression that cannot backtrack without end. */
export interface Pattern {
  /** Capturing groups. */
  readonly groupCount: number;
  test(text: string): boolean;
  /** The match and its groups by number, null when there is none. Allocates only when it matches. */
  exec(text: string): ArrayLike<string | undefined> | null;
}

/** What is wrong with a regular expression, as the rest of a sentence. */
export class PatternError extends Error {}

/** Compiles a regular expression in RE2's syntax. Throws `PatternError`. */
export function compilePattern(pattern: string, options: { readonly caseSensitive: boolean }): Pattern {
  const re2 = compileRe2(pattern, options.caseSensitive);
  return {
    groupCount: re2.groupCount(),
    test: (text) => re2.test(text),
    exec: (text) => (re2.test(text) ? (re2.exec(text) as ArrayLike<string | undefined> | null) : null),
  };
}

function compileRe2(pattern: string, caseSensitive: boolean): RE2JS {
  try {
    const re2 = RE2JS.compile(pattern, caseSensitive ? 0 : RE2JS.CASE_INSENSITIVE);
    if (re2.programSize() <= MAX_PROGRAM_SIZE) return re2;
  } catch (error) {
    if (error instanceof RE2JSException) throw new PatternError(explain(pattern, error.message));
    if (!(error instanceof RangeError)) throw error;
  }
  throw new PatternError('it is too large: repeat less, or split it over several comparisons');
}

function explain(_pattern: string, message: string): string {
  return message;
}
