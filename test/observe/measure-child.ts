/** Measures work of known size with a real heap, and prints what came of it. */
import { measureMemory, watchCollections } from '../../src/observe/index.ts';

const kept: number[][] = [];
const make = () => new Array<number>(1_000).fill(7);
let last: number[] = [];

using watch = watchCollections();
const started = performance.now();
for (let i = 0; i < 1_000; i++) last = make();
(globalThis as { gc?: () => void }).gc?.();
const watched = { ...watch.take(), elapsedMs: performance.now() - started };

console.log(
  JSON.stringify({
    kept: await measureMemory(() => kept.push(make()), { iterations: 40, callsPerIteration: 10 }),
    dropped: await measureMemory(() => void (last = make()), { iterations: 40, callsPerIteration: 10 }),
    watched,
    length: last.length,
  }),
);
