// Three checkpoints of a leak finder over a heap of one sort: how long each takes, how high memory goes, and what stays.
import { readFileSync } from 'node:fs';
import { LeakFinder } from 'plimsoll/observe';

const [kind, count] = [process.argv[2], Number(process.argv[3])];
const CHECKPOINTS = 3;

const HEAPS = {
  'an idle program': () => undefined,
  'small objects': (i) => ({ i, text: `n${i}`, list: [i] }),
  texts: (i) => `text ${i} `.repeat(5) + i,
  'parsed JSON': (i) => JSON.parse(`{"id":${i},"name":"name ${i}","tags":["a","b",{"x":${i}}]}`),
  'large arrays': (i) => new Array(100_000).fill(i / 3),
};

/** The most that was in RAM; where the system does not tell, what is there now. */
function peakBytes() {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
  } catch {
    return process.memoryUsage.rss();
  }
}

function collected() {
  globalThis.gc();
  globalThis.gc();
  return process.memoryUsage();
}

const held = Array.from({ length: count }, (_, i) => HEAPS[kind](i));
const before = collected();
const finder = new LeakFinder({ maxCheckpoints: 20, maxRows: 1_000, freeBytes: () => Number.MAX_SAFE_INTEGER });
const ms = [];
let objects = 0;
for (let i = 0; i < CHECKPOINTS; i++) {
  const checkpoint = await finder.checkpoint();
  objects = checkpoint.objects;
  ms.push(checkpoint.spentMs);
}
const peak = peakBytes();
const after = collected();
console.log(
  JSON.stringify({
    heapBytes: before.heapUsed,
    objects,
    firstMs: ms[0],
    laterMs: ms.at(-1),
    peakTimesHeap: (peak - before.rss) / before.heapUsed,
    keptHeapBytes: after.heapUsed - before.heapUsed,
    keptRssBytes: after.rss - before.rss,
    held: held.length,
  }),
);
