import type { LastKey } from './last-key.ts';
import { MergeTree } from './merge-tree.ts';
import type { RunCursor } from './run-cursor.ts';

/** The records of several runs as one, in the order of their keys, equal ones in the order of the runs; with `unique`, of equal ones only the first. */
export class SortedRecords {
  readonly #tree: MergeTree;
  readonly #unique: LastKey | undefined;

  /** Of cursors that stand at their first record. */
  constructor(cursors: readonly RunCursor[], unique: LastKey | undefined) {
    this.#tree = new MergeTree(cursors);
    this.#unique = unique;
    unique?.forget();
    this.#note();
  }

  /** At the record at hand; undefined at the end. Valid until `advance`. */
  get first(): RunCursor | undefined {
    return this.#tree.first;
  }

  /** Moves on. False where something has to be read first: then `fill`, which moves on. */
  advance(): boolean {
    const tree = this.#tree;
    do {
      const cursor = tree.first;
      if (cursor === undefined) return true;
      if (!cursor.advance()) return false;
      tree.replay();
    } while (this.#isRepeated());
    this.#note();
    return true;
  }

  async fill(): Promise<void> {
    await this.#tree.first?.fill();
    this.#tree.replay();
    if (!this.#isRepeated()) this.#note();
    else if (!this.advance()) await this.fill();
  }

  #isRepeated(): boolean {
    if (this.#unique === undefined) return false;
    const cursor = this.#tree.first;
    return cursor !== undefined && this.#unique.is(cursor);
  }

  #note(): void {
    if (this.#unique === undefined) return;
    const cursor = this.#tree.first;
    if (cursor !== undefined) this.#unique.keep(cursor);
  }
}
