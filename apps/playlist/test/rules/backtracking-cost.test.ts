import fc from 'fast-check';
import { expect, test } from 'vitest';
import { boundOf, leadingRun, longestWithin } from '../../src/rules/backtracking-cost.ts';
import { type CodePointSet, setOf } from '../../src/rules/code-point-set.ts';
import { parseRegex, type RegexTree } from '../../src/rules/regex-tree.ts';
import { randomPattern } from './random-pattern.ts';

/** A plain backtracking matcher that counts each node it enters: what the bound is a bound of. */
class CountingMatcher {
  steps = 0;
  readonly #text: string;
  readonly #most: number;

  constructor(text: string, most: number) {
    this.#text = text;
    this.#most = most;
  }

  search(tree: RegexTree): boolean {
    const run = leadingRun(tree)?.of;
    for (let at = 0; at <= this.#text.length; at++) {
      this.steps++;
      const inRun = run?.kind === 'set' && at > 0 && has(run.set, this.#text.charCodeAt(at - 1));
      if (!inRun && this.#match(tree, at, () => true)) return true;
    }
    return false;
  }

  #match(tree: RegexTree, at: number, next: (at: number) => boolean): boolean {
    // One step past the bound is enough to know.
    if (++this.steps > this.#most) throw new Error('too many steps');
    switch (tree.kind) {
      case 'set':
        return at < this.#text.length && has(tree.set, this.#text.charCodeAt(at)) && next(at + 1);
      case 'assert':
        return this.#holds(tree.what, at) && next(at);
      case 'group':
        return this.#match(tree.of, at, next);
      case 'sequence':
        return this.#sequence(tree.items, 0, at, next);
      case 'either':
        return tree.branches.some((branch) => this.#match(branch, at, next));
      case 'repeat':
        return this.#repeat(tree, 0, at, next);
    }
  }

  #sequence(items: readonly RegexTree[], from: number, at: number, next: (at: number) => boolean): boolean {
    if (from === items.length) return next(at);
    return this.#match(items[from]!, at, (end) => this.#sequence(items, from + 1, end, next));
  }

  #repeat(tree: RegexTree & { kind: 'repeat' }, done: number, at: number, next: (at: number) => boolean): boolean {
    const more = () =>
      done < tree.max && this.#match(tree.of, at, (end) => end > at && this.#repeat(tree, done + 1, end, next));
    if (done < tree.min) return more();
    return tree.lazy ? next(at) || more() : more() || next(at);
  }

  #holds(what: string, at: number): boolean {
    if (what === '^') return at === 0;
    if (what === '$') return at === this.#text.length;
    const isWord = (index: number) => /\w/.test(this.#text[index] ?? '');
    return (isWord(at - 1) !== isWord(at)) === (what === '\\b');
  }
}

function has(set: CodePointSet, code: number): boolean {
  return set.some((first, i) => i % 2 === 0 && first <= code && code <= set[i + 1]!);
}

// Few letters, long runs: what makes an engine backtrack.
const run = fc.tuple(fc.constantFrom('a', 'b', 'k', 's', ' ', '-', '0', '\n'), fc.integer({ min: 1, max: 12 }));
const hostileText = fc
  .array(run, { maxLength: 6 })
  .map((runs) => runs.map(([letter, count]) => letter.repeat(count)).join(''));

test('no text takes a backtracking engine more steps than the bound says', () => {
  let tried = 0;
  fc.assert(
    fc.property(randomPattern, fc.array(hostileText, { minLength: 3, maxLength: 6 }), (pattern, texts) => {
      const tree = parseRegex(pattern, { ignoreCase: false });
      const bound = tree && boundOf(tree);
      if (tree === undefined || bound === undefined) return;
      tried++;
      for (const text of texts) {
        const most = bound.factor * (text.length + 1) ** bound.degree + 10;
        const matcher = new CountingMatcher(text, most);
        expect(() => matcher.search(tree), `${pattern} on ${JSON.stringify(text)}`).not.toThrow();
      }
    }),
    { numRuns: 20_000 },
  );
  expect(tried).toBeGreaterThan(5_000);
});

test.each([
  ['anchored, one repetition', '^(.+) HD$', 1],
  ['a repetition that starts the pattern', '.*HD', 1],
  ['what follows cannot start inside', '^[a-z]+[0-9]+$', 1],
  ['a literal from anywhere', 'test', 1],
  ['two repetitions that overlap', '^.*a.*b$', 2],
  ['a repetition from anywhere', 'sky.*sport', 2],
])('%s: degree of %s is %d', (_what, pattern, degree) => {
  expect(boundOf(parseRegex(pattern, { ignoreCase: false })!)?.degree).toBe(degree);
});

test('the longest text keeps within the steps', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 5 }), (factor, degree) => {
      const length = longestWithin({ factor, degree }, 2 ** 17);
      expect(factor * (length + 1) ** degree).toBeLessThanOrEqual(2 ** 17 * (1 + 1e-9));
    }),
  );
});

test('a set of code points holds what its ranges hold', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(40), fc.nat(8))), fc.nat(60), (ranges, code) => {
      const set = setOf(ranges.flatMap(([first, length]) => [first, first + length]));
      expect(has(set, code)).toBe(ranges.some(([first, length]) => first <= code && code <= first + length));
    }),
  );
});
