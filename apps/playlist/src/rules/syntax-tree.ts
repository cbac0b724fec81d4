/**
 * What a parsed rule or filter is made of. Plain data: parser makes it, compiler and printer read it. `at` is where a
 * comparison's value, or an action, stands in its expression (index), for messages; it has no meaning beyond that.
 */

export type TextOperator = 'contains' | 'equals' | 'matches' | 'starts_with' | 'ends_with';
export type OrderOperator = '>' | '>=' | '<' | '<=';
export type Operator = TextOperator | OrderOperator;

/**
 * One comparison. `field` is an index in `RULE_FIELDS`; `value` is the text after escapes, of an order a decimal
 * number.
 */
export interface Comparison {
  readonly kind: 'compare';
  readonly field: number;
  readonly operator: Operator;
  readonly negated: boolean;
  readonly caseSensitive: boolean;
  readonly value: string;
  readonly at: number;
}

export interface Negation {
  readonly kind: 'not';
  readonly of: Condition;
}

/** Two or more parts. */
export interface Junction {
  readonly kind: 'and' | 'or';
  readonly parts: readonly Condition[];
}

export type Condition = Comparison | Negation | Junction;

/** `=` set, `?=` set when blank, `+=` append, `-=` remove every occurrence. */
export type Assignment = '=' | '?=' | '+=' | '-=';

/** Text with `$0` to `$9` and `$$`, or the present text of another field. */
export type ActionValue =
  | { readonly kind: 'template'; readonly text: string }
  | { readonly kind: 'field'; readonly field: number };

export interface Action {
  readonly field: number;
  readonly assignment: Assignment;
  readonly value: ActionValue;
  readonly at: number;
}

/** Actions that run when their condition holds; without a condition always. A rule is a list of these. */
export interface RuleGroup {
  readonly when: Condition | undefined;
  readonly actions: readonly Action[];
}
