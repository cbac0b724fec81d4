import fc from 'fast-check';
import { expect, test } from 'vitest';
import { didYouMean } from '../../src/did-you-mean.ts';
import { compileRule } from '../../src/rules/compile-rule.ts';
import { RULE_FIELDS } from '../../src/rules/field-access.ts';
import { MAX_EXPRESSION_LENGTH } from '../../src/rules/lexer.ts';
import { MAX_DEPTH, MAX_TERMS, parseCondition, parseRule } from '../../src/rules/parser.ts';
import { printCondition, printRule } from '../../src/rules/print-rule.ts';
import { RuleError } from '../../src/rules/rule-error.ts';
import { oddCondition, oddRule } from './random-rule.ts';

const source = (text: string) => ({ label: 'rule 2', text });
const canonical = (text: string) => printCondition(parseCondition(source(text)));

/** A tree without its places. */
function placeless<T>(tree: T): T {
  return JSON.parse(JSON.stringify(tree, (key, value) => (key === 'at' ? 0 : value))) as T;
}

function errorOf(work: () => unknown): RuleError {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(RuleError);
    return error as RuleError;
  }
  throw new Error('expected a RuleError');
}

test.each([
  ['group_title contains "sport"', 'group_title contains "sport"'],
  ["GROUP_TITLE CONTAINS 'sport'", 'group_title contains "sport"'],
  [
    'tvg_id equals "a" or tvg_id equals "b" and tvg_id equals "c"',
    'tvg_id equals "a" OR tvg_id equals "b" AND tvg_id equals "c"',
  ],
  [
    '(tvg_id equals "a" OR tvg_id equals "b") AND tvg_id equals "c"',
    '(tvg_id equals "a" OR tvg_id equals "b") AND tvg_id equals "c"',
  ],
  ['((tvg_id equals "a"))', 'tvg_id equals "a"'],
  ['NOT tvg_id equals "a" AND tvg_id equals "b"', 'NOT tvg_id equals "a" AND tvg_id equals "b"'],
  ['NOT (tvg_id equals "a" AND tvg_id equals "b")', 'NOT (tvg_id equals "a" AND tvg_id equals "b")'],
  ['not not tvg_id equals "a"', 'NOT NOT tvg_id equals "a"'],
  ['channel_name not case_sensitive contains "x"', 'channel_name not case_sensitive contains "x"'],
  ['channel_name case_sensitive not contains "x"', 'channel_name not case_sensitive contains "x"'],
  ['case_sensitive channel_name contains "x"', 'channel_name case_sensitive contains "x"'],
  ['not case_sensitive channel_name contains "x"', 'NOT channel_name case_sensitive contains "x"'],
  ['channel_name not_contains "x"', 'channel_name not contains "x"'],
  ['channel_name not not_contains "x"', 'channel_name contains "x"'],
  ['tvg_chno greater_than 5', 'tvg_chno > "5"'],
  ['tvg_chno greater_than_or_equal "5"', 'tvg_chno >= "5"'],
  ['tvg_chno less_than -1.5', 'tvg_chno < "-1.5"'],
  ['tvg_chno<=5', 'tvg_chno <= "5"'],
  ['channel_name\n  contains\t"x"\r\nAND tvg_id equals ""', 'channel_name contains "x" AND tvg_id equals ""'],
  ['channel_name matches "\\d+\\.\\\\ \\"q\\" \\n"', 'channel_name matches "\\\\d+\\\\.\\\\ \\"q\\" \\n"'],
])('%s is read as %s', (text, expected) => {
  expect(canonical(text)).toBe(expected);
});

test('every operator has its long form and its negation', () => {
  for (const operator of ['contains', 'equals', 'matches', 'starts_with', 'ends_with']) {
    expect(canonical(`tvg_id not ${operator} "x"`)).toBe(`tvg_id not ${operator} "x"`);
    expect(canonical(`tvg_id not_${operator} "x"`)).toBe(`tvg_id not ${operator} "x"`);
  }
});

test('groups are told from parentheses of a condition', () => {
  const rule = (text: string) => printRule(parseRule(source(text)));
  expect(rule('((tvg_id equals "a") OR (tvg_id equals "b")) SET tvg_id = "c"')).toBe(
    'tvg_id equals "a" OR tvg_id equals "b" SET tvg_id = "c"',
  );
  expect(
    rule('((tvg_id equals "a") SET tvg_id = "c") and (tvg_id equals "b" SET tvg_name ?= "d", tvg_shift -= 1)'),
  ).toBe('(tvg_id equals "a" SET tvg_id = "c") AND (tvg_id equals "b" SET tvg_name ?= "d", tvg_shift -= "1")');
  expect(rule('(tvg_id equals "a" SET tvg_id = "c") OR (tvg_id equals "b" SET tvg_id = "d")')).toContain(') AND (');
  expect(rule('(tvg_id equals "a") SET tvg_id = tvg_name')).toBe('tvg_id equals "a" SET tvg_id = tvg_name');
  expect(rule('SET tvg_id = $1$2, tvg_name += $channel_name')).toBe('tvg_id = "$1$2", tvg_name += channel_name');
});

test.each([
  ['groop_title contains "x"', 1, "unknown field 'groop_title': did you mean 'group_title'?"],
  ['tvg-id contains "x"', 1, "unknown field 'tvg-id': did you mean 'tvg_id'?"],
  [
    'NOT (tvg_id equals "é" AND zzzzzz contains "x")',
    28,
    `unknown field 'zzzzzz': there are ${RULE_FIELDS.join(', ')}`,
  ],
  [
    'channel_name contain "x"',
    14,
    "expected an operator after 'channel_name', found 'contain': did you mean 'contains'?",
  ],
  ['channel_name = "x"', 14, "expected an operator after 'channel_name', found '=': to compare write 'equals'"],
  ['channel_name == "x"', 14, "'==' is not used here: write 'equals'"],
  ['tvg_id equals "a" && tvg_id equals "b"', 19, "'&&' is not used here: write 'AND'"],
  ['channel_name contains sport', 23, 'put the value in quotes: "sport"'],
  ['channel_name contains 4K', 23, 'put the value in quotes'],
  ['channel_name contains', 22, 'expected a text in quotes, found the end'],
  ['channel_name contains "x', 23, 'this " is never closed'],
  ['channel_name contains \u201cx\u201d', 23, "'\u201c' is not a plain quote: put texts between \" or '"],
  ['(channel_name contains "x"', 1, "this '(' is never closed"],
  ['channel_name contains "x")', 26, "this ')' closes nothing"],
  ['channel_name contains "x" tvg_id equals "y"', 27, "expected ',', AND, OR or the end, found 'tvg_id'"],
  ['channel_name not not contains "x"', 18, "'not' stands here twice"],
  ['tvg_chno > "x"', 12, "'>' compares numbers: the text 'x' is not one"],
  ['tvg_chno > ""', 12, "'>' compares numbers: the text '' is not one"],
  ['channel_name contains "a" SET tvg_id = "x"', 27, "'SET' has no place here: a filter, and a `when`, only ask"],
  ['contains "x"', 1, "expected a field name, found 'contains'"],
  ['', 1, 'expected a field name, found the end'],
  ['channel_name contains "x" AND', 30, 'expected a field name, found the end'],
  ['# comment', 1, "unexpected '#': texts stand between \" or '"],
])('%s: column %i, %s', (text, column, problem) => {
  const error = errorOf(() => parseCondition(source(text)));
  expect(error.message).toBe(`rule 2, column ${column}: ${problem}`);
  expect(error).toMatchObject({ code: 'PLIMSOLL_PLAYLIST_RULE_INVALID', line: 1, column, label: 'rule 2' });
  expect(error.stack).not.toContain('\n');
});

test.each([
  ['channel_name contains "a" SET source_name = "x"', 31, "'source_name' can be asked about, not set"],
  ['channel_name contains "a" SET tvg_id "x"', 38, "expected =, ?=, += or -= after 'tvg_id', found the text 'x'"],
  [
    'channel_name contains "a" SET tvg_id = Sports',
    40,
    "put the value in quotes, or name a field: 'Sports' is neither",
  ],
  ['channel_name contains "a" SET', 30, 'expected a field name, found the end'],
  ['channel_name contains "a" SET tvg_id = "x",', 44, 'expected a field name, found the end'],
  ['(channel_name contains "a" SET tvg_id = "x"', 1, "this '(' is never closed"],
  [
    '(channel_name contains "a" SET tvg_id = "x") AND tvg_id equals "y"',
    50,
    "expected '(' and a further group, found 'tvg_id'",
  ],
  [
    '((channel_name contains "a" SET tvg_id = "x"))',
    29,
    "'SET' stands inside a parenthesis that is part of a condition",
  ],
  ['channel_name contains "a" SET tvg_id = $nothing', 40, "unknown field 'nothing': there are"],
])('of a rule, %s: column %i, %s', (text, column, problem) => {
  const error = errorOf(() => parseRule(source(text)));
  expect(error.message).toContain(`rule 2, column ${column}: ${problem}`);
});

test('an error points at its place, in characters, on its line', () => {
  const error = errorOf(() =>
    parseCondition(source('channel_name contains "\u{1f600}\u{1f600}" AND groop_title contains "x"')),
  );
  expect(error.column).toBe(32);
  expect(error.excerpt.split('\n')[1]).toBe(`${' '.repeat(31)}^`);
  const later = errorOf(() => parseCondition(source('channel_name contains "a"\n  AND groop_title contains "x"\n')));
  expect(later.message).toContain('rule 2, line 2, column 7: unknown field');
  expect(later.excerpt).toBe('  AND groop_title contains "x"\n      ^');
});

test('an excerpt of a long expression stays short and on one line', () => {
  const text = `${'tvg_id equals "a" AND '.repeat(500)}nope equals "\t" ${'OR tvg_id equals "b"'.repeat(500)}`;
  const [line, caret] = errorOf(() => parseCondition(source(text))).excerpt.split('\n');
  expect(line!.length).toBeLessThan(100);
  expect(line!.slice(caret!.length - 1)).toMatch(/^nope/);
});

test('what a message quotes is short, whatever it is made of', () => {
  for (const unit of ['x', '\u{1f600}', '\n', '\ud800']) {
    const { message } = errorOf(() => parseCondition(source(`tvg_chno > "${unit.repeat(5000)}"`)));
    expect([...message].length).toBeLessThan(120);
    expect(message).not.toMatch(/[\n\ud800](?![\udc00-\udfff])/);
  }
});

test('length, depth and number of terms have bounds, and what keeps within them is read', () => {
  const term = 'tvg_id equals "a"';
  const nested = (depth: number) => '('.repeat(depth) + term + ')'.repeat(depth);
  expect(canonical(nested(MAX_DEPTH))).toBe(term);
  expect(errorOf(() => canonical(nested(MAX_DEPTH + 1))).message).toContain(`nested more than ${MAX_DEPTH} deep`);
  expect(errorOf(() => canonical(`${'NOT '.repeat(MAX_DEPTH + 1)}${term}`)).message).toContain('nested more than');
  const shortTerm = 'tvg_id<1';
  const chain = (count: number) => new Array(count).fill(shortTerm).join(' OR ');
  expect(parseCondition(source(chain(MAX_TERMS)))).toMatchObject({ parts: { length: MAX_TERMS } });
  expect(errorOf(() => parseCondition(source(chain(MAX_TERMS + 1)))).message).toContain(
    `more than ${MAX_TERMS} comparisons`,
  );
  expect(errorOf(() => canonical(`${term}${' '.repeat(MAX_EXPRESSION_LENGTH)}`)).message).toContain(
    'longer than 65,536 characters',
  );
});

test('what is printed is read back as the same', () => {
  fc.assert(
    fc.property(oddCondition, (condition) => {
      const text = printCondition(condition);
      expect(placeless(parseCondition(source(text)))).toEqual(placeless(condition));
    }),
    { numRuns: 2_000 },
  );
  fc.assert(
    fc.property(oddRule, (groups) => {
      expect(placeless(parseRule(source(printRule(groups))))).toEqual(placeless(groups));
    }),
    { numRuns: 2_000 },
  );
});

test('a mutated expression is compiled or refused with a place, and nothing else happens', () => {
  const seeds = [
    'group_title contains "sport" AND NOT channel_name matches "(?i)test"',
    '(channel_name matches "^\\[(.*?)\\] (.+)" SET channel_name = "$2", tvg_name ?= \'$1\') AND (tvg_chno >= 5 SET tvg_shift -= "x")',
    'case_sensitive channel_name not_starts_with "a\\"b" OR (tvg_id equals "" AND NOT (tvg_chno<-1.5)) SET tvg_id += $1$2',
  ];
  const pieces = [
    '(',
    ')',
    '"',
    "'",
    '\\',
    'NOT',
    ' SET ',
    ' AND ',
    ' OR ',
    '=',
    ',',
    '$',
    '$1',
    '>',
    '-',
    '\n',
    '\0',
    '\ud800',
    '\u{1f600}',
    'é',
    'case_sensitive ',
    '{1000}',
    '*',
  ];
  const mutation = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    cut: fc.nat(12),
    insert: fc.oneof(fc.constantFrom(...pieces), fc.string({ unit: 'binary', maxLength: 3 })),
  });
  let accepted = 0;
  fc.assert(
    fc.property(fc.constantFrom(...seeds), fc.array(mutation, { maxLength: 4 }), (seed, mutations) => {
      let text = seed;
      for (const { at, cut, insert } of mutations) {
        const index = Math.floor(at * text.length);
        text = text.slice(0, index) + insert + text.slice(index + cut);
      }
      try {
        compileRule(text, { label: 'rule 2' });
        accepted++;
      } catch (error) {
        expect(error, text).toBeInstanceOf(RuleError);
        const { message, excerpt } = error as RuleError;
        expect(message).toMatch(/^rule 2, (line \d+, )?column \d+: [^\n\r]+$/);
        expect(excerpt.split('\n')).toHaveLength(2);
      }
    }),
    { numRuns: 20_000 },
  );
  expect(accepted).toBeGreaterThan(200);
});

test('a guess is made for a slip of the hand only', () => {
  expect(didYouMean('goup_title', RULE_FIELDS)).toBe('group_title');
  expect(didYouMean('chanel_name', RULE_FIELDS)).toBe('channel_name');
  expect(didYouMean('program_title', RULE_FIELDS)).toBe('programme_title');
  expect(didYouMean('tgv_id', RULE_FIELDS)).toBe('tvg_id');
  expect(didYouMean('Group-Title', RULE_FIELDS)).toBe('group_title');
  expect(didYouMean('language', RULE_FIELDS)).toBeUndefined();
  expect(didYouMean('x'.repeat(60_000), RULE_FIELDS)).toBeUndefined();
});
