import type { LeakCheckpoint } from './leak-report.ts';

const FIGURES = ['number', 'at', 'heapBytes', 'externalBytes', 'arrayBufferBytes', 'rssBytes', 'spentMs'] as const;
/** The figures, whether it was compared, and the objects. */
const COLUMNS = FIGURES.length + 2;

/** The last checkpoints, in memory that is taken at the start: it is looked at itself. */
export class CheckpointRing {
  readonly #places: number;
  readonly #figures: Float64Array;
  readonly #notes = new Map<number, string>();
  #count = 0;

  constructor(places: number) {
    this.#places = places;
    this.#figures = new Float64Array(places * COLUMNS);
  }

  push(checkpoint: LeakCheckpoint): void {
    const place = this.#count++ % this.#places;
    const at = place * COLUMNS;
    for (const [column, name] of FIGURES.entries()) this.#figures[at + column] = checkpoint[name];
    this.#figures[at + FIGURES.length] = Number(checkpoint.compared);
    this.#figures[at + FIGURES.length + 1] = checkpoint.objects ?? Number.NaN;
    this.#notes.delete(place);
    if (checkpoint.note !== undefined) this.#notes.set(place, checkpoint.note);
  }

  /** Oldest first. */
  list(): LeakCheckpoint[] {
    const first = Math.max(0, this.#count - this.#places);
    return Array.from({ length: this.#count - first }, (_, index) => this.#at((first + index) % this.#places));
  }

  #at(place: number): LeakCheckpoint {
    const at = place * COLUMNS;
    const read = (column: number) => this.#figures[at + column]!;
    const [number, wall, heapBytes, externalBytes, arrayBufferBytes, rssBytes, spentMs] = FIGURES.map((_, column) =>
      read(column),
    );
    const objects = read(FIGURES.length + 1);
    const note = this.#notes.get(place);
    return {
      number: number!,
      at: wall!,
      compared: read(FIGURES.length) === 1,
      heapBytes: heapBytes!,
      externalBytes: externalBytes!,
      arrayBufferBytes: arrayBufferBytes!,
      rssBytes: rssBytes!,
      ...(Number.isNaN(objects) ? {} : { objects }),
      ...(note === undefined ? {} : { note }),
      spentMs: spentMs!,
    };
  }
}
