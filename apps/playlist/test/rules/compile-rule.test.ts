import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileRule, type RuleSource } from '../../src/rules/compile-rule.ts';
import { RULE_FIELDS, type RuleField } from '../../src/rules/field-access.ts';
import { RuleError } from '../../src/rules/rule-error.ts';
import { PlainRecord } from './plain-record.ts';
import { commonText } from './random-rule.ts';

type Values = Partial<Record<RuleField, string>>;

function run(rule: RuleSource, values: Values): { changed: boolean; edits: number; values: Values } {
  const record = new PlainRecord(values);
  const changed = compileRule(rule, { label: 'rule 1' }).apply(record);
  return { changed, edits: record.edits, values: record.toObject() };
}

test('the rule of the sample configuration', () => {
  const rule = {
    when: 'group_title contains "sport" AND NOT channel_name matches "(?i)test"',
    set: 'group_title = "Sports", tvg_name ?= "$1"',
  };
  expect(run(rule, { group_title: 'UK SPORT', channel_name: 'Sky 1' })).toEqual({
    changed: true,
    edits: 1,
    values: { group_title: 'Sports', channel_name: 'Sky 1' },
  });
  expect(run(rule, { group_title: 'UK sport', channel_name: 'TEST' }).changed).toBe(false);
  expect(compileRule(rule, { label: 'rule 1' }).warnings).toEqual([
    "rule 1, set, column 25: '$1' is always blank: no `matches` in its condition can be true",
  ]);
});

describe('assignments', () => {
  const set = (actions: string, values: Values) => run({ set: actions }, values).values;

  test('= sets, and clears', () => {
    expect(set('tvg_id = "x"', { tvg_id: 'y' })).toEqual({ tvg_id: 'x' });
    expect(set('tvg_id = ""', { tvg_id: 'y' })).toEqual({});
    expect(set('tvg_chno = 7', {})).toEqual({ tvg_chno: '7' });
  });

  test('?= sets what is blank', () => {
    expect(set('tvg_id ?= "x"', {})).toEqual({ tvg_id: 'x' });
    expect(set('tvg_id ?= "x"', { tvg_id: ' \t' })).toEqual({ tvg_id: 'x' });
    expect(set('tvg_id ?= "x"', { tvg_id: '0' })).toEqual({ tvg_id: '0' });
  });

  test('+= appends with nothing in between', () => {
    expect(set('channel_name += " HD"', { channel_name: 'BBC' })).toEqual({ channel_name: 'BBC HD' });
    expect(set('channel_name += "HD"', {})).toEqual({ channel_name: 'HD' });
  });

  test('-= removes every occurrence of exactly the text, in one pass', () => {
    expect(set('channel_name -= "[AD]"', { channel_name: '[AD]a[ad][AD]' })).toEqual({ channel_name: 'a[ad]' });
    expect(set('channel_name -= "ab"', { channel_name: 'aabb' })).toEqual({ channel_name: 'ab' });
    expect(set('channel_name -= ""', { channel_name: 'a' })).toEqual({ channel_name: 'a' });
    expect(set('channel_name -= "$&"', { channel_name: 'a$&b' })).toEqual({ channel_name: 'ab' });
  });

  test('a field name copies that field as it is then', () => {
    expect(set('tvg_name = channel_name, channel_name = "b", tvg_logo = channel_name', { channel_name: 'a' })).toEqual({
      tvg_name: 'a',
      channel_name: 'b',
      tvg_logo: 'b',
    });
    expect(set('tvg_name ?= $source_name', { source_name: 's' })).toEqual({ tvg_name: 's', source_name: 's' });
  });

  test('the view is not told of a value that stays, and such a rule has changed nothing', () => {
    for (const actions of ['tvg_id = "x"', 'tvg_id ?= "y"', 'tvg_id += ""', 'tvg_id -= "z"', 'tvg_id = tvg_id']) {
      expect(run({ set: actions }, { tvg_id: 'x' }), actions).toMatchObject({ changed: false, edits: 0 });
    }
    expect(run({ set: 'tvg_id = "x", tvg_name = "n"' }, { tvg_id: 'x' })).toMatchObject({ changed: true, edits: 1 });
  });
});

describe('captures', () => {
  const named = (when: string, set: string, name: string) => run({ when, set }, { channel_name: name }).values.tvg_name;

  test('$1 to $9 are groups, $0 the match, $$ a dollar, any other dollar itself', () => {
    const all = 'channel_name matches "(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)"';
    expect(named(all, 'tvg_name = "$9$8$7$6$5$4$3$2$1"', 'abcdefghij!')).toBe('ihgfedcba');
    expect(named(all, 'tvg_name = "$0|$10|$$1|$|$x|$$$1"', 'abcdefghij!')).toBe('abcdefghij|a0|$1|$|$x|$a');
  });

  test('a group that took no part is blank, and so is one that does not exist', () => {
    expect(named('channel_name matches "(a)|(b)"', 'tvg_name = "<$1$2$3>"', 'b')).toBe('<b>');
  });

  test('they come from the last `matches` that was true', () => {
    const two = 'channel_name matches "(a)" AND channel_name matches "(b)"';
    expect(named(two, 'tvg_name = "$1"', 'ab')).toBe('b');
    expect(named('channel_name matches "(a)" OR channel_name matches "(b)"', 'tvg_name = "$1"', 'ab')).toBe('a');
    expect(named('channel_name matches "(x)" OR channel_name matches "(b)"', 'tvg_name = "$1"', 'ab')).toBe('b');
  });

  test('a negated `matches` leaves nothing, one negated twice does', () => {
    expect(named('channel_name matches "(a)" AND channel_name not matches "(z)"', 'tvg_name = "$1"', 'ab')).toBe('a');
    expect(named('NOT (channel_name matches "(a)" AND tvg_id equals "x")', 'tvg_name = "<$1>"', 'ab')).toBe('<>');
    expect(named('NOT channel_name not matches "(a)"', 'tvg_name = "<$1>"', 'ab')).toBe('<a>');
  });

  test('the text is as it was, whatever its case, and what it holds is not looked into again', () => {
    expect(named('channel_name matches "^(.*)$"', 'tvg_name = "$1"', '$1 ÀÉ')).toBe('$1 ÀÉ');
  });

  test('nothing is left over for the next record', () => {
    const rule = compileRule(
      { when: 'channel_name matches "(a)" OR tvg_id equals "x"', set: 'tvg_name = "<$1>"' },
      { label: 'rule' },
    );
    rule.apply(new PlainRecord({ channel_name: 'a' }));
    const next = new PlainRecord({ tvg_id: 'x' });
    rule.apply(next);
    expect(next.toObject().tvg_name).toBe('<>');
  });

  test('both engines hand over the same groups', () => {
    // `\pL` is not for the native lane, `[a-z]` is.
    for (const letter of ['\\pL', '[a-z]']) {
      expect(named(`channel_name matches "(${letter}+) (${letter}+)?"`, 'tvg_name = "$2-$1"', 'ab cd')).toBe('cd-ab');
      expect(named(`channel_name matches "(${letter}+) (${letter}+)?"`, 'tvg_name = "$2-$1"', 'ab 1')).toBe('-ab');
    }
  });
});

describe('rules in one string', () => {
  test('groups run on their own, in order, and see what those before did', () => {
    const rule = `(channel_name matches "^\\[(.*?)\\] (.+)" SET channel_name = "$2", group_title ?= "$1") AND
                  (channel_name matches "(.+) \\+([0-9]+)$" SET channel_name = "$1", tvg_shift = "$2") AND
                  (group_title equals "uk" SET group_title = "United Kingdom")`;
    expect(run(rule, { channel_name: '[UK] BBC One +1' })).toEqual({
      changed: true,
      edits: 5,
      values: { channel_name: 'BBC One', group_title: 'United Kingdom', tvg_shift: '1' },
    });
    expect(run(rule, { channel_name: 'BBC One +1' }).values).toEqual({ channel_name: 'BBC One', tvg_shift: '1' });
    expect(run({ set: rule }, { channel_name: 'BBC' })).toMatchObject({ changed: false, edits: 0 });
  });

  test('captures of one group do not reach another', () => {
    const rule = '(channel_name matches "(a)" SET tvg_id = "$1") AND (channel_name contains "a" SET tvg_name = "<$1>")';
    expect(run(rule, { channel_name: 'a' }).values).toMatchObject({ tvg_id: 'a', tvg_name: '<>' });
  });

  test('a condition, SET and actions', () => {
    expect(
      run('(tvg_logo equals "") AND (channel_name contains "one") SET tvg_logo = "l"', { channel_name: 'ONE' }).values,
    ).toEqual({
      channel_name: 'ONE',
      tvg_logo: 'l',
    });
  });
});

test('an error says in which half of the rule it is', () => {
  const compile = (rule: RuleSource) => () => compileRule(rule, { label: 'rule 2' });
  expect(compile({ when: 'groop_title equals "x"', set: 'tvg_id = "y"' })).toThrow(
    "rule 2, when, column 1: unknown field 'groop_title'",
  );
  expect(compile({ when: 'tvg_id equals "x"', set: 'tvgid = "y"' })).toThrow(
    "rule 2, set, column 1: unknown field 'tvgid': did you mean 'tvg_id'?",
  );
  expect(compile({ set: 'tvgid = "y"' })).toThrow('rule 2, column 1: unknown field');
  expect(compile({ when: 'tvg_id equals "x"', set: 'tvg_name equals "y" SET tvg_id = "z"' })).toThrow(
    'rule 2, set, column 21: no SET in `set` beside a `when`',
  );
  expect(compile({ when: '', set: 'tvg_id = "z"' })).toThrow(
    'rule 2, when, column 1: expected a field name, found the end',
  );
  expect(compile('tvg_id equals "x"')).toThrow(RuleError);
});

test('a rule about programmes asks about the channel and sets its own', () => {
  const rule = compileRule(
    'channel_name contains "bbc" AND programme_title equals "" SET programme_title = "News", programme_category += channel_name',
    { label: 'r' },
  );
  expect(rule).toMatchObject({ usesProgrammeFields: true, usesChannelFields: true });
  const bits = (...names: RuleField[]) => names.reduce((sum, name) => sum | (1 << RULE_FIELDS.indexOf(name)), 0);
  expect(rule.reads).toBe(bits('channel_name', 'programme_title', 'programme_category'));
  expect(rule.sets).toBe(bits('programme_title', 'programme_category'));
  expect(() => compileRule('programme_title contains "news" SET group_title = "News"', { label: 'rule 4' })).toThrow(
    "rule 4, column 37: a rule about programmes cannot set 'group_title': make it a rule of its own",
  );
});

test('running a rule twice changes nothing the second time, unless it appends', () => {
  const values = fc.tuple(...RULE_FIELDS.map(() => commonText));
  const action = fc.tuple(
    fc.constantFrom('tvg_id', 'tvg_name', 'group_title'),
    fc.constantFrom('=', '?='),
    fc.constantFrom('"a"', '"B1"', '"x"'),
  );
  fc.assert(
    fc.property(values, fc.uniqueArray(action, { selector: ([field]) => field, minLength: 1 }), (texts, actions) => {
      const record = new PlainRecord(Object.fromEntries(RULE_FIELDS.map((name, i) => [name, texts[i]!])));
      const rule = compileRule({ set: actions.map((parts) => parts.join(' ')).join(', ') }, { label: 'rule' });
      const before = JSON.stringify(record.toObject());
      expect(rule.apply(record)).toBe(before !== JSON.stringify(record.toObject()));
      expect(rule.apply(record)).toBe(false);
    }),
  );
});
