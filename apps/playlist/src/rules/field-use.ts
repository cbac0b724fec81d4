import { FIRST_PROGRAMME_FIELD, FIRST_READ_ONLY_FIELD } from './field-access.ts';
import type { Action, Condition } from './syntax-tree.ts';

/** Sets of fields as bits: bit n stands for field n of `RULE_FIELDS`. */
export const PROGRAMME_FIELDS = (1 << FIRST_READ_ONLY_FIELD) - (1 << FIRST_PROGRAMME_FIELD);
export const CHANNEL_FIELDS = (1 << FIRST_PROGRAMME_FIELD) - 1;

/** The fields a condition asks about. */
export function fieldsAsked(condition: Condition): number {
  if (condition.kind === 'compare') return 1 << condition.field;
  if (condition.kind === 'not') return fieldsAsked(condition.of);
  return condition.parts.reduce((fields, part) => fields | fieldsAsked(part), 0);
}

/** The fields an action looks at: what it copies, and its target unless that is simply overwritten. */
export function fieldsRead(action: Action): number {
  const copied = action.value.kind === 'field' ? 1 << action.value.field : 0;
  return action.assignment === '=' ? copied : copied | (1 << action.field);
}
