import { boundOf, isNullable, leadingRun, longestWithin, startsAtBeginning } from './backtracking-cost.ts';
import { sourceOf } from './code-point-set.ts';
import { parseRegex, type RegexTree } from './regex-tree.ts';

/**
 * Steps that V8's engine may take on one text in the worst case. Where they grow faster than the text, 2^20: 0.04 ms
 * on the worst texts found; where they grow with it, as RE2's do, 2^21: 0.7 ms. A text that could need more goes to
 * the engine that cannot backtrack.
 */
const MOST_STEPS = 2 ** 20;
const MOST_LINEAR_STEPS = 2 ** 21;
const LONGEST_TEXT = 65_536;
const SHORTEST_LIMIT = 16;

/** A regular expression that V8 may run, on texts of up to `maxLength` UTF-16 units. */
export interface NativePattern {
  readonly regex: RegExp;
  readonly maxLength: number;
}

/**
 * Translates a pattern in RE2's syntax for V8's engine: same matches, same groups, and a known bound on its
 * backtracking. Undefined when that is not to be had. The translation uses only what both engines agree on (sets of
 * code points, written out, without V8's flags for case and dots). A pattern that can match nothing is left out: V8
 * finds that nothing between the halves of a surrogate pair, too.
 */
export function toNative(pattern: string, options: { readonly caseSensitive: boolean }): NativePattern | undefined {
  const tree = parseRegex(pattern, { ignoreCase: !options.caseSensitive });
  if (tree === undefined || (isNullable(tree) && !startsAtBeginning(tree))) return undefined;
  const bound = boundOf(tree);
  if (bound === undefined) return undefined;
  const maxLength = Math.min(LONGEST_TEXT, longestWithin(bound, bound.degree > 1 ? MOST_STEPS : MOST_LINEAR_STEPS));
  if (maxLength < SHORTEST_LIMIT) return undefined;
  const run = leadingRun(tree)?.of;
  const start = run?.kind === 'set' ? `(?<!${sourceOf(run.set)})` : '';
  return { regex: new RegExp(start + sourceOfTree(tree), 'u'), maxLength };
}

function sourceOfTree(tree: RegexTree): string {
  switch (tree.kind) {
    case 'set':
      return sourceOf(tree.set);
    case 'assert':
      return tree.what;
    case 'sequence':
      return tree.items.map(sourceOfTree).join('');
    case 'either':
      return `(?:${tree.branches.map(sourceOfTree).join('|')})`;
    case 'group':
      return `(${sourceOfTree(tree.of)})`;
    case 'repeat':
      return `(?:${sourceOfTree(tree.of)})${quantifierOf(tree.min, tree.max)}${tree.lazy ? '?' : ''}`;
  }
}

function quantifierOf(min: number, max: number): string {
  return max === Number.POSITIVE_INFINITY ? `{${min},}` : `{${min},${max}}`;
}
