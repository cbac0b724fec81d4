import { didYouMean } from '../did-you-mean.ts';
import { FIRST_READ_ONLY_FIELD, RULE_FIELDS, type RuleField } from './field-access.ts';
import { type Token, tokenize } from './lexer.ts';
import { isOrder, numberOf, OPERATOR_WORDS } from './operators.ts';
import { quoted, RuleError, type RuleText } from './rule-error.ts';
import type { Action, ActionValue, Assignment, Condition, RuleGroup } from './syntax-tree.ts';

/** How deep parentheses and NOTs may be nested. */
export const MAX_DEPTH = 100;
/** The most comparisons in one expression, and the most actions in one rule. */
export const MAX_TERMS = 4096;

/**
 * Parses a condition: comparisons joined by AND (tighter) and OR, NOT, parentheses. Throws `RuleError`.
 *
 *     condition  := conjunct { OR conjunct }
 *     conjunct   := part { AND part }
 *     part       := NOT part | '(' condition ')' | comparison
 *     comparison := { case_sensitive } field { not | case_sensitive } operator value
 */
export function parseCondition(source: RuleText): Condition {
  const parser = new Parser(source);
  const condition = parser.condition(0);
  parser.expectEnd();
  return condition;
}

/** Parses a list of actions as it stands after SET: `group_title = "Sports", tvg_name ?= "$1"`. Throws `RuleError`. */
export function parseActions(source: RuleText): Action[] {
  const parser = new Parser(source);
  const actions = parser.actionsOnly();
  parser.expectEnd();
  return actions;
}

/**
 * Parses a whole rule, in any of its forms: actions alone, `condition SET actions`, or groups
 * `(condition SET actions) AND (condition SET actions)`. OR between groups means the same as AND: each runs on its own.
 * Throws `RuleError`.
 */
export function parseRule(source: RuleText): RuleGroup[] {
  const parser = new Parser(source);
  const groups = parser.rule();
  parser.expectEnd();
  return groups;
}

class Parser {
  readonly #source: RuleText;
  readonly #tokens: Token[];
  #next = 0;
  #terms = 0;

  constructor(source: RuleText) {
    this.#source = source;
    this.#tokens = tokenize(source);
  }

  rule(): RuleGroup[] {
    if (!this.#tokens.some((token) => isKeyword(token, 'set'))) return [{ when: undefined, actions: this.actions() }];
    if (this.#takeKeyword('set')) return [{ when: undefined, actions: this.actions() }];
    if (!this.#atGroup()) return [this.#group()];
    const groups: RuleGroup[] = [];
    do {
      const open = this.#peek();
      if (!this.#takeSymbol('(')) this.#fail(open, `expected '(' and a further group, found ${nameOf(open)}`);
      groups.push(this.#group());
      this.#close(open);
    } while (this.#takeKeyword('and') || this.#takeKeyword('or'));
    return groups;
  }

  condition(depth: number): Condition {
    return this.#junction('or', depth);
  }

  actionsOnly(): Action[] {
    const token = this.#tokens.find((candidate) => isKeyword(candidate, 'set'));
    if (token !== undefined) this.#fail(token, 'no SET in `set` beside a `when`: the condition stands in `when`');
    return this.actions();
  }

  actions(): Action[] {
    const actions: Action[] = [];
    do {
      actions.push(this.#action());
    } while (this.#takeSymbol(','));
    return actions;
  }

  expectEnd(): void {
    const token = this.#peek();
    if (token.kind === 'end') return;
    if (isKeyword(token, 'set')) this.#fail(token, "'SET' has no place here: a filter, and a `when`, only ask");
    if (token.kind === 'symbol' && token.text === ')') this.#fail(token, "this ')' closes nothing");
    const before = this.#tokens[this.#next - 1];
    if (before?.kind === 'number' && token.kind === 'word') this.#fail(before, 'put the value in quotes');
    this.#fail(token, `expected ',', AND, OR or the end, found ${nameOf(token)}`);
  }

  /** Whether a conditional group starts here: a SET stands directly inside the parenthesis that opens here. */
  #atGroup(): boolean {
    let depth = 0;
    for (let i = this.#next; i < this.#tokens.length; i++) {
      const token = this.#tokens[i]!;
      if (token.kind === 'symbol' && token.text === '(') depth++;
      else if (depth === 0) return false;
      else if (token.kind === 'symbol' && token.text === ')' && --depth === 0) return false;
      else if (depth === 1 && isKeyword(token, 'set')) return true;
    }
    return false;
  }

  #group(): RuleGroup {
    const when = this.condition(0);
    const token = this.#peek();
    if (!this.#takeKeyword('set')) this.#fail(token, `expected AND, OR or SET, found ${nameOf(token)}`);
    return { when, actions: this.actions() };
  }

  #junction(kind: 'and' | 'or', depth: number): Condition {
    const parts: Condition[] = [];
    do {
      parts.push(kind === 'or' ? this.#junction('and', depth) : this.#part(depth));
    } while (this.#takeKeyword(kind));
    return parts.length === 1 ? parts[0]! : { kind, parts };
  }

  #part(depth: number): Condition {
    const token = this.#peek();
    if (depth > MAX_DEPTH) this.#fail(token, `nested more than ${MAX_DEPTH} deep`);
    if (this.#takeKeyword('not')) return { kind: 'not', of: this.#part(depth + 1) };
    if (!this.#takeSymbol('(')) return this.#comparison();
    const condition = this.condition(depth + 1);
    this.#close(token);
    return condition;
  }

  #comparison(): Condition {
    const start = this.#peek();
    if (++this.#terms > MAX_TERMS) this.#fail(start, `more than ${MAX_TERMS} comparisons: split it into several rules`);
    const early = this.#takeKeyword('case_sensitive');
    if (early && this.#peek().kind !== 'word') this.#fail(start, "'case_sensitive' stands before an operator");
    const field = this.#field();
    let negated = false;
    let caseSensitive = early;
    for (;;) {
      const modifier = this.#peek();
      if (this.#takeKeyword('not')) {
        if (negated) this.#fail(modifier, "'not' stands here twice");
        negated = true;
      } else if (this.#takeKeyword('case_sensitive')) {
        if (caseSensitive) this.#fail(modifier, "'case_sensitive' stands here twice");
        caseSensitive = true;
      } else {
        break;
      }
    }
    const word = this.#operator(field);
    const { at } = this.#peek();
    const value = isOrder(word.operator) ? this.#number(word.operator) : this.#text();
    return {
      kind: 'compare',
      field,
      operator: word.operator,
      negated: negated !== word.negated,
      caseSensitive,
      value,
      at,
    };
  }

  #action(): Action {
    const token = this.#peek();
    if (++this.#terms > MAX_TERMS) this.#fail(token, `more than ${MAX_TERMS} actions: split it into several rules`);
    const field = this.#field();
    if (field >= FIRST_READ_ONLY_FIELD) this.#fail(token, `'${RULE_FIELDS[field]}' can be asked about, not set`);
    const sign = this.#peek();
    if (sign.kind !== 'symbol' || !['=', '?=', '+=', '-='].includes(sign.text)) {
      this.#fail(sign, `expected =, ?=, += or -= after '${RULE_FIELDS[field]}', found ${nameOf(sign)}`);
    }
    this.#next++;
    return { field, assignment: sign.text as Assignment, value: this.#actionValue(), at: token.at };
  }

  #actionValue(): ActionValue {
    const token = this.#peek();
    this.#next++;
    if (token.kind === 'text' || token.kind === 'number') return { kind: 'template', text: token.text };
    if (token.kind === 'reference') {
      if (/^(?:\$\d)+$/.test(token.text)) return { kind: 'template', text: token.text };
      return { kind: 'field', field: this.#fieldNumber(token, token.text.slice(1)) };
    }
    if (token.kind !== 'word') this.#fail(token, `expected a text in quotes, found ${nameOf(token)}`);
    const field = RULE_FIELDS.indexOf(token.text.toLowerCase() as RuleField);
    if (field < 0) this.#fail(token, `put the value in quotes, or name a field: ${nameOf(token)} is neither`);
    return { kind: 'field', field };
  }

  #field(): number {
    const token = this.#peek();
    const word = token.text.toLowerCase();
    if (token.kind !== 'word' || OPERATOR_WORDS.has(word) || KEYWORDS.includes(word)) {
      this.#fail(token, `expected a field name, found ${nameOf(token)}`);
    }
    this.#next++;
    return this.#fieldNumber(token, token.text);
  }

  #fieldNumber(token: Token, name: string): number {
    const field = RULE_FIELDS.indexOf(name.toLowerCase() as RuleField);
    if (field >= 0) return field;
    const guess = didYouMean(name, RULE_FIELDS);
    const advice = guess === undefined ? `there are ${RULE_FIELDS.join(', ')}` : `did you mean '${guess}'?`;
    this.#fail(token, `unknown field ${quoted(name)}: ${advice}`);
  }

  #operator(field: number) {
    const token = this.#peek();
    const word = token.kind === 'word' || token.kind === 'symbol' ? token.text.toLowerCase() : '';
    const operator = OPERATOR_WORDS.get(word);
    if (operator === undefined) {
      const guess = token.kind === 'word' ? didYouMean(word, [...OPERATOR_WORDS.keys()]) : undefined;
      const advice =
        word === '=' ? ": to compare write 'equals'" : guess === undefined ? '' : `: did you mean '${guess}'?`;
      this.#fail(token, `expected an operator after '${RULE_FIELDS[field]}', found ${nameOf(token)}${advice}`);
    }
    this.#next++;
    return operator;
  }

  #text(): string {
    const token = this.#peek();
    if (token.kind === 'word' || token.kind === 'reference')
      this.#fail(token, `put the value in quotes: "${clip(token.text)}"`);
    if (token.kind !== 'text' && token.kind !== 'number')
      this.#fail(token, `expected a text in quotes, found ${nameOf(token)}`);
    this.#next++;
    return token.text;
  }

  #number(operator: string): string {
    const token = this.#peek();
    const isNumber = (token.kind === 'text' || token.kind === 'number') && !Number.isNaN(numberOf(token.text));
    if (!isNumber) this.#fail(token, `'${operator}' compares numbers: ${nameOf(token)} is not one`);
    this.#next++;
    return token.text;
  }

  #close(open: Token): void {
    if (this.#takeSymbol(')')) return;
    const token = this.#peek();
    if (token.kind === 'end') this.#fail(open, "this '(' is never closed");
    if (isKeyword(token, 'set')) this.#fail(token, "'SET' stands inside a parenthesis that is part of a condition");
    this.#fail(token, `expected AND, OR or ')', found ${nameOf(token)}`);
  }

  #peek(): Token {
    return this.#tokens[this.#next]!;
  }

  #takeKeyword(keyword: string): boolean {
    const found = isKeyword(this.#peek(), keyword);
    if (found) this.#next++;
    return found;
  }

  #takeSymbol(symbol: string): boolean {
    const token = this.#peek();
    const found = token.kind === 'symbol' && token.text === symbol;
    if (found) this.#next++;
    return found;
  }

  #fail(token: Token, problem: string): never {
    throw new RuleError(this.#source, token.at, problem);
  }
}

const KEYWORDS = ['and', 'or', 'not', 'case_sensitive', 'set'];

function isKeyword(token: Token, keyword: string): boolean {
  return token.kind === 'word' && token.text.toLowerCase() === keyword;
}

function nameOf(token: Token): string {
  if (token.kind === 'end') return 'the end';
  return token.kind === 'text' ? `the text ${quoted(token.text)}` : quoted(token.text);
}

function clip(text: string): string {
  return text.slice(0, 40);
}
