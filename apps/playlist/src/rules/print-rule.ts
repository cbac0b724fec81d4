import { RULE_FIELDS } from './field-access.ts';
import type { Action, Comparison, Condition, RuleGroup } from './syntax-tree.ts';

/**
 * A condition in its canonical spelling: short operators, keywords in capitals, double quotes, no parenthesis too many.
 * Parsing it again gives an equal tree.
 */
export function printCondition(condition: Condition): string {
  switch (condition.kind) {
    case 'compare':
      return printComparison(condition);
    case 'not':
      return `NOT ${printInside(condition.of, condition.of.kind === 'and' || condition.of.kind === 'or')}`;
    case 'and':
      return condition.parts.map((part) => printInside(part, part.kind === 'and' || part.kind === 'or')).join(' AND ');
    case 'or':
      return condition.parts.map((part) => printInside(part, part.kind === 'or')).join(' OR ');
  }
}

/** A rule in its canonical spelling; parsing it with `parseRule` gives equal groups. */
export function printRule(groups: readonly RuleGroup[]): string {
  const [first] = groups;
  if (groups.length === 1 && first !== undefined) return printGroup(first);
  return groups.map((group) => `(${printGroup(group)})`).join(' AND ');
}

export function printActions(actions: readonly Action[]): string {
  return actions.map(printAction).join(', ');
}

function printGroup(group: RuleGroup): string {
  const actions = printActions(group.actions);
  return group.when === undefined ? actions : `${printCondition(group.when)} SET ${actions}`;
}

function printAction(action: Action): string {
  const value = action.value.kind === 'field' ? RULE_FIELDS[action.value.field]! : printText(action.value.text);
  return `${RULE_FIELDS[action.field]} ${action.assignment} ${value}`;
}

function printComparison({ field, negated, caseSensitive, operator, value }: Comparison): string {
  const modifiers = `${negated ? 'not ' : ''}${caseSensitive ? 'case_sensitive ' : ''}`;
  return `${RULE_FIELDS[field]} ${modifiers}${operator} ${printText(value)}`;
}

function printInside(condition: Condition, parenthesised: boolean): string {
  const text = printCondition(condition);
  return parenthesised ? `(${text})` : text;
}

function printText(text: string): string {
  return `"${text.replace(/[\\"\n\r\t]/g, (character) => ESCAPES[character]!)}"`;
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
