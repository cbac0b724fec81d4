import fc from 'fast-check';
import { FIRST_READ_ONLY_FIELD, RULE_FIELDS } from '../../src/rules/field-access.ts';
import type { Action, Comparison, Condition, RuleGroup } from '../../src/rules/syntax-tree.ts';

const field = fc.nat(RULE_FIELDS.length - 1);
const oddText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc
    .array(fc.constantFrom('\\', '"', "'", '\n', '\t', 'n', 'd', '$', '1', '\\d', 'AND', ' ', ')', 'SET'), {
      maxLength: 6,
    })
    .map((parts) => parts.join('')),
);
const numeral = fc.constantFrom('0', '1', '-1', '2.5', '+3', '10', ' 7 ', '.5', '5.');

/** Values that short texts do meet. */
export const commonText = fc.constantFrom('', 'a', 'A', 'b', 'ab', 'AB', 'aB', 'ba', '1', '2', '10', '-1.5', 'x1');
const harmlessPattern = fc.constantFrom('a', 'A|b', '^a', 'b$', '(a)(b)?', '[0-9]+', '(?-i)A', '^$', '(x)|(1)', '\\d');

function comparison(text: fc.Arbitrary<string>, pattern: fc.Arbitrary<string>): fc.Arbitrary<Comparison> {
  const flags = {
    kind: fc.constant('compare' as const),
    field,
    negated: fc.boolean(),
    caseSensitive: fc.boolean(),
    at: fc.constant(0),
  };
  return fc.oneof(
    fc.record({ ...flags, operator: fc.constantFrom('contains', 'equals', 'starts_with', 'ends_with'), value: text }),
    fc.record({ ...flags, operator: fc.constant('matches' as const), value: pattern }),
    fc.record({ ...flags, operator: fc.constantFrom('>', '>=', '<', '<='), value: numeral }),
  );
}

/** Conditions made of such comparisons: negated, and two to four together. */
export function conditionOf(leaf: fc.Arbitrary<Comparison>): fc.Arbitrary<Condition> {
  return fc.letrec<{ condition: Condition }>((tie) => ({
    condition: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      { arbitrary: leaf, weight: 3 },
      { arbitrary: fc.record({ kind: fc.constant('not' as const), of: tie('condition') }), weight: 1 },
      {
        arbitrary: fc.record({
          kind: fc.constantFrom('and' as const, 'or' as const),
          parts: fc.array(tie('condition'), { minLength: 2, maxLength: 4 }),
        }),
        weight: 2,
      },
    ),
  })).condition;
}

/** Conditions with odd texts in them, for printing and parsing. */
export const oddCondition = conditionOf(comparison(oddText, oddText));

/** Conditions that are sometimes true and sometimes not of records of `commonText`. */
export const livelyCondition = conditionOf(comparison(commonText, harmlessPattern));

const action: fc.Arbitrary<Action> = fc.record({
  field: fc.nat(FIRST_READ_ONLY_FIELD - 1),
  assignment: fc.constantFrom('=', '?=', '+=', '-='),
  value: fc.oneof(
    fc.record({ kind: fc.constant('template' as const), text: oddText }),
    fc.record({ kind: fc.constant('field' as const), field }),
  ),
  at: fc.constant(0),
});
const actions = fc.array(action, { minLength: 1, maxLength: 3 });

export const oddRule: fc.Arbitrary<RuleGroup[]> = fc.oneof(
  fc.record({ when: fc.constant(undefined), actions }).map((group) => [group]),
  fc.array(fc.record({ when: oddCondition, actions }), { minLength: 1, maxLength: 3 }),
);
