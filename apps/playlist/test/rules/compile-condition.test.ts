import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ALWAYS, compileCondition, NEVER } from '../../src/rules/compile-condition.ts';
import { compileFilter } from '../../src/rules/compile-filter.ts';
import { RULE_FIELDS, type RuleField } from '../../src/rules/field-access.ts';
import { numberOf } from '../../src/rules/operators.ts';
import { parseCondition } from '../../src/rules/parser.ts';
import { RuleError } from '../../src/rules/rule-error.ts';
import type { Comparison, Condition } from '../../src/rules/syntax-tree.ts';
import { PlainRecord } from './plain-record.ts';
import { commonText, livelyCondition } from './random-rule.ts';

const source = (text: string) => ({ label: 'filter 1', text });
const compile = (text: string) => compileCondition(parseCondition(source(text)), source(text));
const holds = (text: string, values: Partial<Record<RuleField, string>>) => compile(text)(new PlainRecord(values));

test.each([
  // operator, value of the rule, value of the field, as it is, with case_sensitive
  ['contains', 'port', 'SPORT', true, false],
  ['contains', 'port', 'sport', true, true],
  ['contains', 'x', 'sport', false, false],
  ['contains', '', '', true, true],
  ['equals', 'Sport', 'sPORT', true, false],
  ['equals', 'sport', 'sport', true, true],
  ['equals', 'sport', 'sports', false, false],
  ['equals', '', '', true, true],
  ['equals', '', ' ', false, false],
  ['starts_with', 'HTTPS', 'https://a', true, false],
  ['starts_with', 'https', 'https://a', true, true],
  ['starts_with', 'ttps', 'https://a', false, false],
  ['ends_with', 'hd', 'BBC HD', true, false],
  ['ends_with', 'HD', 'BBC HD', true, true],
  ['ends_with', 'BBC', 'BBC HD', false, false],
  ['matches', '^bbc', 'BBC HD', true, false],
  ['matches', '^BBC', 'BBC HD', true, true],
  ['matches', '^HD', 'BBC HD', false, false],
  ['matches', '(?i)bbc', 'BBC HD', true, true],
  ['matches', '(?-i)bbc', 'BBC HD', false, false],
  ['contains', 'ÉTÉ', 'un été', true, false],
  ['contains', 'новости', 'НОВОСТИ 24', true, false],
  ['matches', 'новости', 'НОВОСТИ 24', true, false],
])("%s '%s' of '%s': %s, with case_sensitive %s", (operator, value, field, plain, sensitive) => {
  const of = (modifiers: string) =>
    holds(`channel_name ${modifiers} ${operator} ${JSON.stringify(value)}`, { channel_name: field });
  expect(of('')).toBe(plain);
  expect(of('not')).toBe(!plain);
  expect(of('case_sensitive')).toBe(sensitive);
  expect(of('not case_sensitive')).toBe(!sensitive);
  expect(of('case_sensitive not')).toBe(!sensitive);
  expect(holds(`channel_name not_${operator} ${JSON.stringify(value)}`, { channel_name: field })).toBe(!plain);
  expect(holds(`NOT channel_name ${operator} ${JSON.stringify(value)}`, { channel_name: field })).toBe(!plain);
});

test.each([
  ['7', { '>': true, '>=': true, '<': false, '<=': false }],
  ['5', { '>': false, '>=': true, '<': false, '<=': true }],
  [' 5.0 ', { '>': false, '>=': true, '<': false, '<=': true }],
  ['-7', { '>': false, '>=': false, '<': true, '<=': true }],
  ['+12.5', { '>': true, '>=': true, '<': false, '<=': false }],
  // Compared as numbers, not as texts.
  ['10', { '>': true, '>=': true, '<': false, '<=': false }],
  ['', { '>': false, '>=': false, '<': false, '<=': false }],
  ['12 HD', { '>': false, '>=': false, '<': false, '<=': false }],
  ['0x10', { '>': false, '>=': false, '<': false, '<=': false }],
])("a number '%s' against 5", (value, expected) => {
  const names = { '>': 'greater_than', '>=': 'greater_than_or_equal', '<': 'less_than', '<=': 'less_than_or_equal' };
  for (const [operator, answer] of Object.entries(expected)) {
    expect(holds(`tvg_chno ${operator} 5`, { tvg_chno: value }), operator).toBe(answer);
    expect(holds(`tvg_chno ${names[operator as '>']} "5"`, { tvg_chno: value }), operator).toBe(answer);
    expect(holds(`tvg_chno not ${operator} 5`, { tvg_chno: value }), operator).toBe(!answer);
  }
});

test('numbers are read as Number reads them, where it reads decimals only', () => {
  const numeral = fc.tuple(
    fc.constantFrom('', ' ', '\t'),
    fc.constantFrom('', '-', '+'),
    fc.constantFrom('', '0', '7', '12', '0012'),
    fc.constantFrom('', '.', '.5', '.25', '.0'),
  );
  fc.assert(
    fc.property(numeral, ([space, sign, whole, fraction]) => {
      const text = `${space}${sign}${whole}${fraction}${space}`;
      const digits = /\d/.test(text);
      expect(numberOf(text)).toBe(digits ? Number(text) : Number.NaN);
    }),
  );
  for (const text of ['1e3', '0x10', 'Infinity', 'NaN', '1 2', '--1', '1.2.3', '1,5', 'a'])
    expect(numberOf(text), text).toBeNaN();
});

test('AND binds tighter than OR, NOT tighter than AND: the whole truth table', () => {
  const bits = [false, true];
  for (const a of bits) {
    for (const b of bits) {
      for (const c of bits) {
        const record = { tvg_id: a ? '1' : '0', tvg_name: b ? '1' : '0', tvg_logo: c ? '1' : '0' };
        const [A, B, C] = ['tvg_id equals "1"', 'tvg_name equals "1"', 'tvg_logo equals "1"'];
        const of = (text: string) => holds(text, record);
        expect(of(`${A} OR ${B} AND ${C}`)).toBe(a || (b && c));
        expect(of(`${A} AND ${B} OR ${C}`)).toBe((a && b) || c);
        expect(of(`(${A} OR ${B}) AND ${C}`)).toBe((a || b) && c);
        expect(of(`${A} AND (${B} OR ${C})`)).toBe(a && (b || c));
        expect(of(`NOT ${A} AND ${B}`)).toBe(!a && b);
        expect(of(`NOT (${A} AND ${B})`)).toBe(!(a && b));
        expect(of(`NOT ${A} OR NOT ${B} AND NOT ${C}`)).toBe(!a || (!b && !c));
        expect(of(`${A} AND ${B} AND ${C}`)).toBe(a && b && c);
        expect(of(`${A} OR ${B} OR ${C}`)).toBe(a || b || c);
        expect(of(`${A} AND ${B} AND ${C} AND ${A}`)).toBe(a && b && c);
        expect(of(`${A} OR ${B} OR ${C} OR ${A}`)).toBe(a || b || c);
      }
    }
  }
});

test('what is known beforehand is not asked', () => {
  expect(compile('channel_name contains ""')).toBe(ALWAYS);
  expect(compile('channel_name not starts_with ""')).toBe(NEVER);
  expect(compile('tvg_id equals "x" OR NOT channel_name not contains ""')).toBe(ALWAYS);
  expect(compile('tvg_id equals "x" AND channel_name not ends_with ""')).toBe(NEVER);
  expect(compile('channel_name contains "" AND tvg_id contains "" AND tvg_name contains ""')).toBe(ALWAYS);
});

/** The language said once more, as plainly as can be. */
function interpret(condition: Condition, record: PlainRecord): boolean {
  switch (condition.kind) {
    case 'compare':
      return interpretComparison(condition, record) !== condition.negated;
    case 'not':
      return !interpret(condition.of, record);
    case 'and':
      return condition.parts.every((part) => interpret(part, record));
    case 'or':
      return condition.parts.some((part) => interpret(part, record));
  }
}

function interpretComparison({ field, operator, caseSensitive, value }: Comparison, record: PlainRecord): boolean {
  const put = (text: string) => (caseSensitive ? text : text.toLowerCase());
  const [left, right] = [put(record.get(field)), put(value)];
  switch (operator) {
    case 'contains':
      return left.split(right).length > 1 || right === '';
    case 'equals':
      return left === right;
    case 'starts_with':
      return left.slice(0, right.length) === right;
    case 'ends_with':
      return left.slice(left.length - right.length) === right && left.length >= right.length;
    case 'matches': {
      const own = value.startsWith('(?-i)');
      return new RegExp(own ? value.slice(5) : value, caseSensitive || own ? '' : 'i').test(record.get(field));
    }
    default: {
      const number = /^-?\d+(\.\d+)?$/.test(left) ? Number(left) : Number.NaN;
      const limit = Number(value);
      return operator === '>'
        ? number > limit
        : operator === '>='
          ? number >= limit
          : operator === '<'
            ? number < limit
            : number <= limit;
    }
  }
}

test('compiled conditions answer as a plain interpreter does', () => {
  const values = fc.tuple(...RULE_FIELDS.map(() => commonText));
  let yes = 0;
  let asked = 0;
  fc.assert(
    fc.property(livelyCondition, fc.array(values, { minLength: 4, maxLength: 4 }), (condition, records) => {
      const compiled = compileCondition(condition, source(''), { groups: null, available: -1 });
      for (const texts of records) {
        const record = new PlainRecord(Object.fromEntries(RULE_FIELDS.map((name, i) => [name, texts[i]!])));
        const answer = compiled(record);
        expect(answer).toBe(interpret(condition, record));
        asked++;
        if (answer) yes++;
      }
    }),
    { numRuns: 5_000 },
  );
  // The records tell the conditions apart.
  expect(yes / asked).toBeGreaterThan(0.2);
  expect(yes / asked).toBeLessThan(0.8);
});

test.each([
  ['(a+)+$', 'a'],
  ['(a|aa)+$', 'a'],
  ['(.*)*x', 'a'],
  ['^(([a-z])+.)+[A-Z]([a-z])+$', 'a'],
  ['(.+) \\(.*\\)$', ' ('],
  ['^(.+) (HD|FHD|4K)$', ' HD'],
  ['(x+x+)+y', 'x'],
  ['(.+)x', 'a'],
  ['([ab]).*[xy]', 'ab'],
])('%s on 50,000 characters cannot hold the program up', (pattern, unit) => {
  const text = `channel_name case_sensitive matches ${JSON.stringify(pattern)}`;
  const withGroups = compileCondition(parseCondition(source(text)), source(text), { groups: null, available: -1 });
  const record = new PlainRecord({ channel_name: `${unit.repeat(50_000 / unit.length)}!` });
  const started = performance.now();
  expect(compile(text)(record)).toBe(false);
  expect(withGroups(record)).toBe(false);
  // Milliseconds on an idle machine; an engine that backtracks would be at it for years, or for seconds at best.
  expect(performance.now() - started).toBeLessThan(500);
});

test.each([
  ['(?=x)a', 'lookaround can backtrack without end'],
  ['(?<!x)a', 'lookaround can backtrack without end'],
  ['(a)\\1', 'backreferences can backtrack without end'],
  ['a++', 'atomic and possessive parts are not supported'],
  ['(a', "missing closing ): '(a'"],
  ['[a', 'missing closing ]'],
  ['a{1000}{1000}', 'invalid nested repetition operator'],
  ['(a{1000}){1000}', "invalid repeat count: '{1000}': at most 1,000, nested counts multiplied"],
  ['((a{100}){10}b){10}', 'invalid repeat count'],
  ['a{1000}'.repeat(11), 'it is too large'],
  ['(?i)[[:nope:]]', 'invalid character class range'],
  [`${'('.repeat(3000)}a${')'.repeat(3000)}`, 'expression nests too deeply'],
])('a regular expression that cannot be used is refused: %.40s', (pattern, reason) => {
  const text = `tvg_id equals "" AND channel_name matches ${JSON.stringify(pattern)}`;
  const compiling = () => compileFilter({ include: text }, { label: 'filter 3' });
  expect(compiling).toThrow(RuleError);
  expect(compiling).toThrow(reason);
  expect(compiling).toThrow(/^filter 3, column 43: the regular expression '[^\n]*$/);
});

test('a filter keeps or takes out, and says which fields it needs', () => {
  const include = compileFilter({ include: 'stream_url starts_with "https"' }, { label: 'filter 1' });
  const exclude = compileFilter({ exclude: 'stream_url starts_with "https"' }, { label: 'filter 2' });
  const record = new PlainRecord({ stream_url: 'https://a' });
  expect([include.keeps(record), exclude.keeps(record)]).toEqual([true, false]);
  expect(include).toMatchObject({
    usesProgrammeFields: false,
    usesChannelFields: true,
    reads: 1 << RULE_FIELDS.indexOf('stream_url'),
  });
  const programmes = compileFilter(
    { include: 'programme_title contains "news" AND source_name equals "home"' },
    { label: 'filter 3' },
  );
  expect(programmes).toMatchObject({ usesProgrammeFields: true, usesChannelFields: true });
  expect(compileFilter({ include: 'programme_title contains "news"' }, { label: 'f' }).usesChannelFields).toBe(false);
});
