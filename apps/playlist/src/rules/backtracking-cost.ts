import { areDisjoint, type CodePointSet, setOf } from './code-point-set.ts';
import type { RegexTree, RepeatTree } from './regex-tree.ts';

/**
 * An upper bound on the steps of a backtracking engine, as `factor * (length + 1) ** degree`.
 *
 * A backtracking engine walks the ways in which a pattern can lie on a text. In a sequence every way of a part is
 * followed by an attempt at the rest, so the ways multiply; beneath a repetition without end they multiply with
 * themselves, which is the exponential kind: such patterns get no bound here. Of the others:
 * - a repetition of one set has a way for each length; when what must follow cannot start with a member of that set,
 *   all but the longest fail at once, and one way is left;
 * - a repetition at the very end of the pattern is never taken back, for once its least count is reached all has
 *   matched;
 * - a pattern that need not start at `^` is tried from every place, or from the beginning of every run (`leadingRun`).
 */
export interface Bound {
  readonly factor: number;
  readonly degree: number;
}

/**
 * The bound of a pattern; undefined when there is none to be had, or when engines might differ in what they capture.
 */
export function boundOf(tree: RegexTree): Bound | undefined {
  const size = sizeOf(tree);
  const leading = leadingRun(tree);
  const cost = costOf(tree, { size, after: 'accept', leading });
  if (cost === undefined) return undefined;
  const fewStarts = leading !== undefined || startsAtBeginning(tree);
  const steps = fewStarts ? cost.steps : times(cost.steps, LENGTH);
  // Every start may fail at once, and each repetition that ends the pattern runs once more when all has matched.
  return plus(steps, { factor: size, degree: 1 });
}

/**
 * The repetition of a set, without end, that a pattern starts with. A match that starts inside a run of that set
 * could start at the beginning of the run as well: only there need it be tried, and all the runs together are no
 * longer than the text.
 */
export function leadingRun(tree: RegexTree): RepeatTree | undefined {
  switch (tree.kind) {
    case 'group':
      return leadingRun(tree.of);
    case 'sequence':
      return tree.items.length === 0 ? undefined : leadingRun(tree.items[0]!);
    case 'repeat':
      return tree.of.kind === 'set' && tree.max === Number.POSITIVE_INFINITY ? tree : undefined;
    default:
      return undefined;
  }
}

/** The longest text, in characters, for which the bound stays within `steps`. */
export function longestWithin(bound: Bound, steps: number): number {
  return Math.floor((steps / bound.factor) ** (1 / bound.degree)) - 1;
}

/** How many ways lead through a part, and the steps of walking them all. */
interface Cost {
  readonly ways: Bound;
  readonly steps: Bound;
}

/** What comes after a part: acceptance, a set that the next character must be in, or not known. */
interface Surroundings {
  readonly size: number;
  readonly after: 'accept' | 'unknown' | CodePointSet;
  readonly leading: RepeatTree | undefined;
}

const ONE: Bound = { factor: 1, degree: 0 };
const LENGTH: Bound = { factor: 1, degree: 1 };

function costOf(tree: RegexTree, around: Surroundings): Cost | undefined {
  switch (tree.kind) {
    case 'set':
    case 'assert':
      return { ways: ONE, steps: ONE };
    case 'group':
      return costOf(tree.of, around);
    case 'sequence':
      return sequenceCost(tree.items, around);
    case 'either':
      return eitherCost(tree.branches, around);
    case 'repeat':
      return tree.max > 1 ? repeatCost(tree, around) : optionCost(tree, around);
  }
}

function sequenceCost(items: readonly RegexTree[], around: Surroundings): Cost | undefined {
  let ways = ONE;
  let steps = ONE;
  for (let i = 0; i < items.length; i++) {
    const cost = costOf(items[i]!, { ...around, after: firstOf(items, i + 1, around.after) });
    if (cost === undefined) return undefined;
    steps = plus(steps, times(ways, cost.steps));
    ways = times(ways, cost.ways);
  }
  return { ways, steps };
}

function eitherCost(branches: readonly RegexTree[], around: Surroundings): Cost | undefined {
  let ways: Bound = { factor: 0, degree: 0 };
  let steps = ONE;
  for (const branch of branches) {
    const cost = costOf(branch, around);
    if (cost === undefined) return undefined;
    ways = plus(ways, cost.ways);
    steps = plus(steps, plus(cost.steps, ONE));
  }
  return { ways, steps };
}

/** `x?`, and `x{1}`. An empty `x` is left out: whether its group has then matched is where engines differ. */
function optionCost(tree: RepeatTree, around: Surroundings): Cost | undefined {
  if (tree.max === 0 || isNullable(tree.of)) return undefined;
  const cost = costOf(tree.of, around);
  return cost && { ways: plus(cost.ways, ONE), steps: plus(cost.steps, ONE) };
}

/** `x*`, `x+`, `x{2,5}`: only of an `x` that lies on a text in one way and is never empty. */
function repeatCost(tree: RepeatTree, around: Surroundings): Cost | undefined {
  const width = fixedWidth(tree.of);
  if (width === undefined || width === 0) return undefined;
  const once: Bound = { factor: sizeOf(tree.of), degree: 0 };
  const least = times(once, { factor: Math.max(1, tree.min), degree: 0 });
  // That the runs are no longer than the text is all used up by the starts: what follows a leading one counts for
  // every length.
  const after = tree === around.leading ? 'unknown' : around.after;
  if (after === 'accept') return { ways: ONE, steps: least };
  const rounds: Bound = tree.max === Number.POSITIVE_INFINITY ? LENGTH : { factor: tree.max, degree: 0 };
  const steps = plus(least, times(once, rounds));
  if (tree.of.kind === 'set' && after !== 'unknown' && areDisjoint(tree.of.set, after)) {
    return { ways: ONE, steps: plus(steps, times({ factor: around.size, degree: 0 }, rounds)) };
  }
  const ways = tree.max === Number.POSITIVE_INFINITY ? LENGTH : { factor: tree.max - tree.min + 1, degree: 0 };
  return { ways, steps };
}

/** The characters that must come next at `items[from]` and on: a set, acceptance, or not known. */
function firstOf(items: readonly RegexTree[], from: number, after: Surroundings['after']): Surroundings['after'] {
  if (from >= items.length) return after;
  const item = items[from]!;
  switch (item.kind) {
    case 'set':
      return item.set;
    case 'assert':
      // `$` admits no character at all; the others narrow what follows.
      return item.what === '$' ? [] : notAccepted(firstOf(items, from + 1, after));
    case 'group':
      return firstOf([item.of], 0, firstOf(items, from + 1, after));
    case 'sequence':
      return firstOf(item.items, 0, firstOf(items, from + 1, after));
    case 'either':
      return firstOfBranches(item.branches, firstOf(items, from + 1, after));
    case 'repeat': {
      const inside = firstOf([item.of], 0, 'unknown');
      if (item.min > 0) return inside;
      // What may be left out cannot keep the pattern from being accepted.
      const beyond = firstOf(items, from + 1, after);
      if (beyond === 'accept') return 'accept';
      return inside === 'unknown' || inside === 'accept' || beyond === 'unknown'
        ? 'unknown'
        : setOf([...inside, ...beyond]);
    }
  }
}

function firstOfBranches(branches: readonly RegexTree[], after: Surroundings['after']): Surroundings['after'] {
  const firsts: number[] = [];
  for (const branch of branches) {
    const first = isNullable(branch) ? 'unknown' : firstOf([branch], 0, after);
    if (first === 'unknown' || first === 'accept') return 'unknown';
    firsts.push(...first);
  }
  return setOf(firsts);
}

/** Something that may still fail stands before the acceptance. */
function notAccepted(first: Surroundings['after']): Surroundings['after'] {
  return first === 'accept' ? 'unknown' : first;
}

/** The number of characters a part takes up in its only way; undefined when there are several ways or groups inside. */
function fixedWidth(tree: RegexTree): number | undefined {
  switch (tree.kind) {
    case 'set':
      return 1;
    case 'assert':
      return 0;
    case 'group':
      return fixedWidth(tree.of);
    case 'sequence':
      return tree.items.reduce<number | undefined>((sum, item) => {
        const width = sum === undefined ? undefined : fixedWidth(item);
        return width === undefined ? undefined : sum! + width;
      }, 0);
    case 'repeat': {
      const width = tree.min === tree.max && tree.min > 0 ? fixedWidth(tree.of) : undefined;
      return width === undefined ? undefined : width * tree.min;
    }
    case 'either':
      return undefined;
  }
}

/** Whether a part can match without taking up a character. */
export function isNullable(tree: RegexTree): boolean {
  switch (tree.kind) {
    case 'set':
      return false;
    case 'assert':
      return true;
    case 'group':
      return isNullable(tree.of);
    case 'sequence':
      return tree.items.every(isNullable);
    case 'either':
      return tree.branches.some(isNullable);
    case 'repeat':
      return tree.min === 0 || isNullable(tree.of);
  }
}

/** Whether every way of a pattern begins with `^`. */
export function startsAtBeginning(tree: RegexTree): boolean {
  switch (tree.kind) {
    case 'assert':
      return tree.what === '^';
    case 'group':
      return startsAtBeginning(tree.of);
    case 'sequence':
      return tree.items.length > 0 && startsAtBeginning(tree.items[0]!);
    case 'either':
      return tree.branches.every(startsAtBeginning);
    default:
      return false;
  }
}

/** Nodes, with counted repetitions written out. */
function sizeOf(tree: RegexTree): number {
  switch (tree.kind) {
    case 'group':
      return 1 + sizeOf(tree.of);
    case 'sequence':
      return tree.items.reduce((sum, item) => sum + sizeOf(item), 1);
    case 'either':
      return tree.branches.reduce((sum, branch) => sum + sizeOf(branch), 1);
    case 'repeat': {
      const rounds = tree.max === Number.POSITIVE_INFINITY ? Math.max(tree.min, 1) : Math.max(tree.max, 1);
      return 1 + sizeOf(tree.of) * rounds;
    }
    default:
      return 1;
  }
}

function plus(a: Bound, b: Bound): Bound {
  if (a.factor === 0) return b;
  if (b.factor === 0) return a;
  return { factor: a.factor + b.factor, degree: Math.max(a.degree, b.degree) };
}

function times(a: Bound, b: Bound): Bound {
  return { factor: a.factor * b.factor, degree: a.degree + b.degree };
}
