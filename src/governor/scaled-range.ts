import { invalidOption } from '../invalid-option.ts';

/** Two shares of the limit between which something grows from nothing to all. */
export interface ScaledRange {
  /** From 0 up: up to here the scale is 0. */
  readonly from: number;
  /** More than `from`, up to 1: from here on the scale is 1. */
  readonly to: number;
}

/** Passes a sound range through, throws `RangeError` for others. */
export function checkRange(name: string, { from, to }: ScaledRange): void {
  if (!(typeof from === 'number' && from >= 0 && from < 1)) {
    throw invalidOption(`${name}.from`, 'a number from 0 to less than 1', from);
  }
  if (!(typeof to === 'number' && to > from && to <= 1)) {
    throw invalidOption(`${name}.to`, `a number above ${from} and up to 1`, to);
  }
}

/** Where `ratio` stands in the range, 0 to 1. A ratio that is no number gives NaN. */
export function scaleAt(ratio: number, from: number, to: number): number {
  const scale = (ratio - from) / (to - from);
  if (scale <= 0) return 0;
  return scale >= 1 ? 1 : scale;
}
