/** Prints how values of several sorts are weighed, against what V8 reports for them. Run with --expose-gc. */
import { weigh } from 'plimsoll/adopt';

const COUNT = 2_000;
const letters = (letter: string, i: number) => letter.repeat(1_000) + String(i).padStart(24);

const SORTS: Record<string, (i: number) => unknown> = {
  'text of one byte': (i) => Buffer.from(letters('x', i)).toString('latin1'),
  'text of two bytes': (i) => Buffer.from(letters('\u0436', i)).toString('utf8'),
  'object of five fields': (i) => ({ id: i, name: `name ${i}`, price: i + 0.5, ok: true, tag: null }),
  'array of numbers': (i) => Array.from({ length: 100 }, (_, j) => i + j + 0.5),
  'buffer of 16 KB': (i) => Buffer.alloc(16_384, i & 255),
  'slice of a pool': (i) => Buffer.from(`hello ${i}`),
  'typed array': (i) => new Float64Array(2_048).fill(i),
  'nested JSON': (i) => {
    const sizes = Array.from({ length: 24 }, (_, s) => ({
      size: s,
      code: `code-${i}-${s}-abcdef`,
      inStock: s % 2 === 0,
    }));
    return JSON.parse(
      JSON.stringify({ id: i, title: `Item ${i}`, sizes, more: { a: { b: [1, 2, { c: `deep ${i}` }] } } }),
    );
  },
  'map of objects': (i) => new Map(Array.from({ length: 50 }, (_, j) => [`key ${i} ${j}`, { value: j }])),
  'table of 100 keys': (i) => {
    const table: Record<string, number> = {};
    for (let j = 0; j < 100; j++) table[`key ${i} ${j}`] = j;
    return table;
  },
};

/** What V8 does beside moves its figures by half a megabyte at times: the median counts. */
const ROUNDS = 5;

const figures = Object.entries(SORTS).map(([sort, make]) => {
  const rounds = Array.from({ length: ROUNDS }, () => compare(make)).sort((a, b) => a.heap - b.heap);
  return [sort, rounds[(ROUNDS - 1) / 2]];
});
console.log(JSON.stringify(Object.fromEntries(figures)));

/** Weighed by measured: in the heap, and beside it (1 where neither has anything there). */
function compare(make: (i: number) => unknown): { heap: number; external: number } {
  const kept: unknown[] = new Array(COUNT).fill(null);
  for (let i = 0; i < 300; i++) weigh(make(i));
  const before = measured();
  for (let i = 0; i < COUNT; i++) kept[i] = make(i);
  const after = measured();
  let [heap, external] = [0, 0];
  for (const value of kept) {
    const weight = weigh(value);
    heap += weight.heapBytes;
    external += weight.externalBytes;
  }
  const beside = after.arrayBuffers - before.arrayBuffers;
  const isNothing = beside < 100 * COUNT && external < 100 * COUNT;
  return { heap: heap / (after.heapUsed - before.heapUsed), external: isNothing ? 1 : external / beside };
}

function measured(): NodeJS.MemoryUsage {
  for (let i = 0; i < 2; i++) globalThis.gc!();
  return process.memoryUsage();
}
