import type { FilterConfig, RuleConfig } from '../config/config.ts';
import { type CompiledFilter, compileFilter } from './compile-filter.ts';
import { type CompiledRule, compileRule } from './compile-rule.ts';

/** A rule and how many records it has changed. */
export interface RuleTally {
  readonly label: string;
  readonly rule: CompiledRule;
  changed: number;
}

/** A filter and how many records it has removed. */
export interface FilterTally {
  readonly label: string;
  readonly filter: CompiledFilter;
  removed: number;
}

/** The configured rules and filters, parted by what they work on, in the order of the file. */
export interface RuleSet {
  readonly rules: readonly RuleTally[];
  readonly filters: readonly FilterTally[];
  readonly warnings: readonly string[];
}

export const onChannels = ({ usesProgrammeFields }: { readonly usesProgrammeFields: boolean }): boolean =>
  !usesProgrammeFields;

/** Compiles everything ahead, so that a mistake is found before anything is read. Throws `RuleError`. */
export function compileRuleSet(rules: readonly RuleConfig[], filters: readonly FilterConfig[]): RuleSet {
  const compiledRules = rules.map(({ label, when, set }) => ({
    label,
    rule: compileRule({ when, set }, { label }),
    changed: 0,
  }));
  const compiledFilters = filters.map(({ label, mode, expression }) => ({
    label,
    filter: compileFilter(mode === 'include' ? { include: expression } : { exclude: expression }, { label }),
    removed: 0,
  }));
  return {
    rules: compiledRules,
    filters: compiledFilters,
    warnings: compiledRules.flatMap(({ rule }) => rule.warnings),
  };
}
