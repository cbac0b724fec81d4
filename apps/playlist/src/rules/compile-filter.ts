import { compileCondition } from './compile-condition.ts';
import type { FieldAccess } from './field-access.ts';
import { fieldsAsked, PROGRAMME_FIELDS } from './field-use.ts';
import { parseCondition } from './parser.ts';
import { printCondition } from './print-rule.ts';

/** A filter as it stands in the configuration: keep what the expression is true of, or take it out. */
export type FilterSource = { readonly include: string } | { readonly exclude: string };

export interface CompiledFilter {
  /** Whether the record stays. Allocates nothing. */
  keeps(view: FieldAccess): boolean;
  /** It works on programmes; it may then also ask about the programme's channel. */
  readonly usesProgrammeFields: boolean;
  /** It asks about the channel or its source. */
  readonly usesChannelFields: boolean;
  /** The fields it looks at: bit n is field n of `RULE_FIELDS`. */
  readonly reads: number;
  /** The expression in its canonical spelling. */
  readonly text: string;
}

/** Compiles a filter; `label` is what messages call it (`filter 2`). Throws `RuleError`. */
export function compileFilter(source: FilterSource, options: { readonly label: string }): CompiledFilter {
  const included = 'include' in source;
  const expression = { label: options.label, text: included ? source.include : source.exclude };
  const condition = parseCondition(expression);
  const test = compileCondition(condition, expression);
  const reads = fieldsAsked(condition);
  return {
    keeps: included ? test : (view) => !test(view),
    usesProgrammeFields: (reads & PROGRAMME_FIELDS) !== 0,
    usesChannelFields: (reads & ~PROGRAMME_FIELDS) !== 0,
    reads,
    text: printCondition(condition),
  };
}
