/** Sizes of buffers that are kept: powers of two, with a step half way between two of them unless it is left out. */
export class ClassSizes {
  /** Bytes of each, smallest first. The last is the largest that is kept, whatever number that is. */
  readonly sizes: readonly number[];
  readonly #shift: number;
  readonly #halfSteps: boolean;

  /** `minBytes` is a power of two, 2 up; `maxBytes` from there up to 2^30. */
  constructor(minBytes: number, maxBytes: number, halfSteps: boolean) {
    const sizes: number[] = [];
    for (let bytes = minBytes; bytes < maxBytes; bytes *= 2) {
      sizes.push(bytes);
      if (halfSteps && bytes * 1.5 < maxBytes) sizes.push(bytes * 1.5);
    }
    sizes.push(maxBytes);
    this.sizes = sizes;
    this.#shift = 31 - Math.clz32(minBytes);
    this.#halfSteps = halfSteps;
  }

  /** Index of the smallest class that has room for `bytes`, 1 up; -1 when they are too many. About 2 ns. */
  indexFor(bytes: number): number {
    const { sizes } = this;
    if (bytes <= sizes[0]!) return 0;
    const last = sizes.length - 1;
    if (bytes > sizes[last]!) return -1;
    // 2 ** power < bytes <= 2 ** (power + 1)
    const power = 31 - Math.clz32(bytes - 1);
    const steps = power - this.#shift;
    if (!this.#halfSteps) return Math.min(steps + 1, last);
    return Math.min(2 * steps + (bytes <= 1.5 * 2 ** power ? 1 : 2), last);
  }
}
