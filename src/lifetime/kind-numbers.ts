import { checkName, invalidOption } from '../invalid-option.ts';

const MOST = 255;

/** Kinds of resources as small numbers. */
export class KindNumbers {
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [];

  /** Throws `RangeError` for what is no name, and for one more than 255. */
  numberOf(kind: string): number {
    const known = this.#numbers.get(kind);
    if (known !== undefined) return known;
    checkName(kind, 'kind');
    if (this.#names.length >= MOST) throw invalidOption('kind', `one of ${MOST} different kinds at most`, kind);
    this.#names.push(kind);
    this.#numbers.set(kind, this.#names.length - 1);
    return this.#names.length - 1;
  }

  /** Undefined for one that was never registered. */
  find(kind: string): number | undefined {
    return this.#numbers.get(kind);
  }

  nameOf(number: number): string {
    return this.#names[number]!;
  }
}
