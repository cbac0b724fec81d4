// One guard, or what stands beside it, made and let go many times over: time, and bytes for each that is kept.
import { AsyncResourceGuard, LazyResource, MemoryGuard } from 'plimsoll/lifetime';

const [name, count] = [process.argv[2], Number(process.argv[3])];
const KEPT = 50_000;
const pool = [{}];
const giveBack = (value) => pool.push(value);
const dispose = () => {};
const lazy = new LazyResource({ load: () => 1 });
const loaded = Promise.resolve(1);

const SUBJECTS = {
  'bare pool: pop and push': {
    run: () => void giveBack(pool.pop()),
  },
  'MemoryGuard: make and release': {
    run: () => new MemoryGuard(pool.pop(), giveBack).release(),
    make: () => new MemoryGuard(pool, giveBack),
  },
  'async function: call and await': {
    wait: async () => dispose(),
  },
  'AsyncResourceGuard: make and release': {
    wait: () => new AsyncResourceGuard(pool, dispose).release(),
    make: () => new AsyncResourceGuard(pool, dispose),
  },
  'promise kept: await': { wait: () => loaded },
  'LazyResource: await get': { wait: () => lazy.get() },
  'LazyResource: acquire and dispose': {
    wait: async () => {
      using _use = await lazy.acquire();
    },
  },
};

const { run, wait, make } = SUBJECTS[name];
async function operate(n) {
  if (run !== undefined) for (let i = 0; i < n; i++) run();
  else for (let i = 0; i < n; i++) await wait();
}
await operate(count / 4);
await operate(count / 4);
const started = performance.now();
await operate(count);
const nsEach = ((performance.now() - started) * 1e6) / count;
let bytesEach;
if (make !== undefined) {
  const kept = new Array(KEPT).fill(undefined);
  gc();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < KEPT; i++) kept[i] = make();
  gc();
  bytesEach = (process.memoryUsage().heapUsed - before) / KEPT;
  // They are there until here.
  if (kept.at(-1) === undefined) throw new Error('not kept');
}
console.log(JSON.stringify({ nsEach, bytesEach }));
