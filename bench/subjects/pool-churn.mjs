// A service that holds buffers of 16 KiB and replaces one after the other, at random: what it holds at a time never changes.
import { BufferPool } from 'plimsoll/pool';

const [way, live, count] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const BYTES = 16_384;

const pool = new BufferPool({ name: 'churn', maxBytes: (live + 1) * BYTES });
const WAYS = {
  'Buffer.alloc': [() => Buffer.alloc(BYTES), () => {}],
  'Buffer.allocUnsafe': [() => Buffer.allocUnsafe(BYTES), () => {}],
  pool: [() => pool.lease(BYTES), (lease) => lease.release()],
};
const [take, give] = WAYS[way];
const held = new Array(live);
let state = 42;
const next = () => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state % live;
};

const started = performance.now();
for (let i = 0; i < count; i++) {
  const at = i < live ? i : next();
  if (held[at] !== undefined) give(held[at]);
  held[at] = take();
  const buffer = held[at].value ?? held[at];
  for (let page = 0; page < BYTES; page += 4_096) buffer[page] = i;
}
const elapsedMs = performance.now() - started;
const { arrayBuffers, rss } = process.memoryUsage();
console.log(JSON.stringify({ elapsedMs, arrayBuffers, rss }));
