import fc from 'fast-check';
import { RE2JS } from 're2js';
import { expect, test } from 'vitest';
import { toNative } from '../../src/rules/native-pattern.ts';
import { randomPattern, telling } from './random-pattern.ts';

function re2Of(pattern: string, caseSensitive: boolean): RE2JS | undefined {
  try {
    return RE2JS.compile(pattern, caseSensitive ? 0 : RE2JS.CASE_INSENSITIVE);
  } catch {
    return undefined;
  }
}

/** Index and groups of the first match, as plain data. */
function found(match: (ArrayLike<unknown> & { index?: number }) | null): unknown {
  return match && { index: match.index, groups: Array.from(match, (group) => group ?? null) };
}

test('both engines find the same match with the same groups wherever the native one may run', () => {
  let taken = 0;
  let offered = 0;
  const texts = fc.array(telling, { minLength: 4, maxLength: 8 });
  fc.assert(
    fc.property(randomPattern, texts, fc.boolean(), (pattern, samples, caseSensitive) => {
      const re2 = re2Of(pattern, caseSensitive);
      fc.pre(re2 !== undefined);
      offered++;
      const native = toNative(pattern, { caseSensitive });
      if (native === undefined) return;
      taken++;
      for (const text of samples) {
        expect(native.regex.test(text), text).toBe(re2!.test(text));
        expect(found(native.regex.exec(text)), text).toEqual(found(re2!.exec(text)));
      }
    }),
    { numRuns: 5_000 },
  );
  // The lane is not empty: the property would hold of one that refuses everything.
  expect(taken / offered).toBeGreaterThan(0.2);
});

test('both engines agree on every code point for the letters and classes whose case is folded here', () => {
  const all: string[] = [];
  for (let code = 0; code <= 0x10ffff; code += code === 0x1ffff ? 0xc0001 : 1) all.push(String.fromCodePoint(code));
  for (const pattern of [
    'k',
    's',
    'i',
    'z',
    '[a-z]',
    '\\w',
    '\\W',
    '[^k]',
    '[^\\x00-\\x7f]',
    '[\\x{80}-\\x{10ffff}]',
    '.',
    '\\s',
    '\\b.',
  ]) {
    const native = toNative(pattern, { caseSensitive: false })!;
    const re2 = re2Of(pattern, false)!;
    const differing = all.filter((character) => native.regex.test(character) !== re2.test(character));
    expect(differing, pattern).toEqual([]);
  }
});

test('a character without regard to case is taken only where its folding is known', () => {
  for (const character of ['\u0436', '\u00e9', '\u0130', '\u0131', '\u00df', '\u03c3', '\u{10400}']) {
    expect(toNative(character, { caseSensitive: false }), character).toBeUndefined();
    expect(toNative(character, { caseSensitive: true }), character).toBeDefined();
  }
  expect(toNative('\u4e2d\u592e', { caseSensitive: false })).toBeDefined();
});

test('every character that is taken without case has none for RE2 either', () => {
  for (let code = 0x80; code < 0x20000; code++) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const character = String.fromCodePoint(code);
    if (character.toLowerCase() !== character || character.toUpperCase() !== character) continue;
    if (!/\p{L}|\p{M}|\p{S}|\p{N}/u.test(character)) continue;
    // RE2 keeps the flag for folding only on a character that has something to fold to.
    const folds =
      RE2JS.compile(character, RE2JS.CASE_INSENSITIVE).re2().prog.toString() !==
      RE2JS.compile(character, 0).re2().prog.toString();
    if (folds) expect.fail(`U+${code.toString(16)} folds for RE2`);
  }
});

test.each([
  ['nested without end', '(a+)+$'],
  ['overlapping branches', '(a|aa)+$'],
  ['a star of a star', '(.*)*x'],
  ['nested with groups', '^(([a-z])+.)+[A-Z]([a-z])+$'],
  ['an empty option', '(a*)?b'],
  ['groups that a round may leave out', '(?:(a)|b)*'],
  ['a class it does not know', '\\p{L}+'],
  ['a POSIX class', '[[:alpha:]]'],
  ['what can match nothing, between the halves of a pair', '\\B'],
  ['many lines', '(?m)^a'],
  ['swapped greed', '(?U)a+'],
  ['a quotation', '\\Qa.b\\E'],
])('%s is left to RE2', (_what, pattern) => {
  expect(re2Of(pattern, true)).toBeDefined();
  expect(toNative(pattern, { caseSensitive: true })).toBeUndefined();
});

test.each([
  '(?i)test',
  '^(.+) (HD|FHD|4K)$',
  '\\b(uhd|4k)\\b',
  '^(UK|US)[:|] ?(.+)',
  'sky.*sport',
  '\\+([0-9]+)h?',
  '^\\[.*?\\] (.+)',
  '(.+) - \\d{4}$',
  '.*(?i)(news|cnn|bbc|sky)',
  '(.+) \\+([0-9]+)',
  'Sky (Sports|Movies|News) (.+)',
  '[^\\x00-\\x7f]',
])('what people write for channels runs natively: %s', (pattern) => {
  expect(toNative(pattern, { caseSensitive: false })?.maxLength).toBeGreaterThan(60);
});
