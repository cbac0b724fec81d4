import { type FieldAccess, RULE_FIELDS, type RuleField } from '../../src/rules/field-access.ts';

/** A record for tests: plain texts by field name. */
export class PlainRecord implements FieldAccess {
  readonly #values: string[];
  /** Calls of `set`. */
  edits = 0;

  constructor(values: Partial<Record<RuleField, string>> = {}) {
    this.#values = RULE_FIELDS.map((name) => values[name] ?? '');
  }

  get(field: number): string {
    return this.#values[field]!;
  }

  lower(field: number): string {
    return this.#values[field]!.toLowerCase();
  }

  set(field: number, value: string): void {
    this.edits++;
    this.#values[field] = value;
  }

  /** The fields that are not blank. */
  toObject(): Partial<Record<RuleField, string>> {
    return Object.fromEntries(
      RULE_FIELDS.flatMap((name, i) => (this.#values[i] === '' ? [] : [[name, this.#values[i]!]])),
    );
  }
}
