/** Below that a loop is faster than a call of Node's. */
const LONG_COPY = 96;

/** Copies `bytes[start, end)` to `out[at]`; returns the offset after it, which is beyond `out` when it was too small. Then what does not fit is left out. */
export function copyBytes(out: Buffer, at: number, bytes: Buffer, start: number, end: number): number {
  if (end - start >= LONG_COPY && at < out.length) {
    bytes.copy(out, at, start, end);
    return at + end - start;
  }
  for (let from = start; from < end; from++) out[at++] = bytes[from]!;
  return at;
}
