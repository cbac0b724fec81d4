import type { CleanupOperation, CleanupReport, StageCleanup } from './cleanup-report.ts';

const MOST_STAGES = 256;
const OTHER_STAGES = 'Other Stages';
const SUMS = ['freedBytes', 'releasedBytes', 'claimedBytes', 'items', 'elapsedMs'] as const;

type StageRow = { -readonly [Name in keyof StageCleanup]: StageCleanup[Name] };

/** Adds up operations by stage, and keeps the last of them when that was asked for. */
export class CleanupBooks {
  readonly #stages = new Map<string, StageRow>();
  readonly #ring: CleanupOperation[] = [];
  readonly #keep: number;
  #count = 0;
  spared = 0;
  observed = 0;

  /** Operations kept, 0 up. */
  constructor(keep: number) {
    this.#keep = keep;
  }

  /** Operations so far. */
  get count(): number {
    return this.#count;
  }

  record(operation: CleanupOperation): void {
    if (this.#keep > 0) this.#ring[this.#count % this.#keep] = operation;
    this.#count++;
    const row = this.#row(operation);
    row.operations++;
    row.grownBytes += operation.beforeBytes - row.afterBytes;
    row.afterBytes = operation.afterBytes;
    for (const name of SUMS) row[name] += operation[name];
  }

  /** Oldest first. */
  operations(): CleanupOperation[] {
    const from = this.#count > this.#keep && this.#keep > 0 ? this.#count % this.#keep : 0;
    return [...this.#ring.slice(from), ...this.#ring.slice(0, from)];
  }

  report(): CleanupReport {
    const stages = [...this.#stages.values()].map((row): StageCleanup => ({ ...row }));
    const sums = { freedBytes: 0, releasedBytes: 0, claimedBytes: 0, items: 0, elapsedMs: 0 };
    for (const stage of stages) for (const name of SUMS) sums[name] += stage[name];
    return { operations: this.#count, ...sums, spared: this.spared, observed: this.observed, stages };
  }

  #row({ stage, beforeBytes }: CleanupOperation): StageRow {
    const known = this.#stages.get(stage);
    if (known !== undefined) return known;
    const name = this.#stages.size < MOST_STAGES - 1 ? stage : OTHER_STAGES;
    let row = this.#stages.get(name);
    if (row === undefined) {
      const sums = { freedBytes: 0, releasedBytes: 0, claimedBytes: 0, items: 0, elapsedMs: 0 };
      row = { stage: name, operations: 0, beforeBytes, afterBytes: beforeBytes, grownBytes: 0, ...sums };
      this.#stages.set(name, row);
    }
    return row;
  }
}
