import { setImmediate } from 'node:timers/promises';

const STANDS_BYTES = 16 * 1024;
const MOST_ROUNDS = 8;

/**
 * Bytes of the heap and of what it holds outside after a collection. What earlier tests left is freed beside the main thread, or by a later collection, so it collects
 * until the figures stand.
 */
export async function settledMemory(): Promise<{ readonly heapBytes: number; readonly externalBytes: number }> {
  if (globalThis.gc === undefined) throw new Error('run with --expose-gc');
  let least = { heapBytes: Number.POSITIVE_INFINITY, externalBytes: 0 };
  for (let round = 0; round < MOST_ROUNDS; round++) {
    globalThis.gc();
    await setImmediate();
    const { heapUsed: heapBytes, external: externalBytes } = process.memoryUsage();
    const freed = least.heapBytes + least.externalBytes - (heapBytes + externalBytes);
    if (freed > 0) least = { heapBytes, externalBytes };
    if (freed < STANDS_BYTES) break;
  }
  return least;
}
