// Borrowing connections that cost nothing, from pools of the same size with the same time to wait: `pool-connections.mjs WAY POOL COUNT`.
import { createRequire } from 'node:module';
import { ConnectionPool } from 'plimsoll/pool';

const rivals = createRequire(new URL('../rivals/', import.meta.url));
const [way, name, countText, userText = '1000', sizeText = '25'] = process.argv.slice(2);
const [count, users] = [Number(countText), Number(userText)];
const SIZE = way === 'bytes' ? count : Number(sizeText);
const WAIT_MS = 30_000;

const connect = () => ({ socket: 1 });
const close = () => {};

function ours(options = {}) {
  const manager = { create: connect, destroy: close, isValid: () => true };
  return new ConnectionPool(manager, { maxSize: SIZE, maxWaiting: 10_000, acquireTimeoutMs: WAIT_MS, ...options });
}

/** `acquire` gives what `release` takes. */
const POOLS = {
  'nothing: a promise': () => {
    const connection = connect();
    return { acquire: () => Promise.resolve(connection), release() {} };
  },
  plimsoll: () => {
    const pool = ours();
    return { acquire: () => pool.acquire(), release: (lease) => lease.release() };
  },
  'plimsoll: with a signal': () => {
    const pool = ours();
    const { signal } = new AbortController();
    return { acquire: () => pool.acquire({ signal }), release: (lease) => lease.release() };
  },
  'plimsoll: with a stack of each borrower': () => {
    const pool = ours({ leakDetectionMs: 60_000 });
    return { acquire: () => pool.acquire(), release: (lease) => lease.release() };
  },
  'plimsoll: use': () => {
    const pool = ours();
    return { use: (act) => pool.use(act) };
  },
  'plimsoll: use, deadlocks not looked for': () => {
    const pool = ours({ deadlockAfterMs: Number.POSITIVE_INFINITY });
    return { use: (act) => pool.use(act) };
  },
  'plimsoll: tryAcquire': () => {
    const pool = ours({ minSize: 1 });
    return { tryAcquire: () => pool.tryAcquire(), release: (lease) => lease.release() };
  },
  'generic-pool': () => {
    const { createPool } = rivals('generic-pool');
    const pool = createPool(
      { create: async () => connect(), destroy: async () => close() },
      { max: SIZE, min: 0, acquireTimeoutMillis: WAIT_MS },
    );
    return { acquire: () => pool.acquire(), release: (connection) => void pool.release(connection) };
  },
  tarn: () => {
    const { Pool } = rivals('tarn');
    const pool = new Pool({
      create: async () => connect(),
      destroy: close,
      min: 0,
      max: SIZE,
      acquireTimeoutMillis: WAIT_MS,
    });
    return { acquire: () => pool.acquire().promise, release: (connection) => pool.release(connection) };
  },
  'lightning-pool': async () => {
    const { createPool } = await import(rivals.resolve('lightning-pool'));
    const pool = createPool(
      { create: connect, destroy: close },
      { max: SIZE, min: 0, maxQueue: 10_000, acquireTimeoutMillis: WAIT_MS },
    );
    return { acquire: () => pool.acquire(), release: (connection) => pool.release(connection) };
  },
};

const pool = await POOLS[name]();
const bare = () => {};

async function alone(times, latencies) {
  for (let i = 0; i < times; i++) {
    const from = latencies === undefined ? 0 : performance.now();
    if (pool.use !== undefined) {
      await pool.use(bare);
    } else if (pool.tryAcquire !== undefined) {
      pool.release(pool.tryAcquire());
      continue;
    } else {
      const held = await pool.acquire();
      if (latencies !== undefined) latencies[i] = performance.now() - from;
      pool.release(held);
      continue;
    }
    if (latencies !== undefined) latencies[i] = performance.now() - from;
  }
}

/** All of them want one again as soon as they have given one back. */
async function crowd(times, latencies) {
  let left = times;
  const user = async () => {
    while (left-- > 0) {
      const at = left;
      const from = latencies === undefined ? 0 : performance.now();
      const held = await pool.acquire();
      if (latencies !== undefined) latencies[at] = performance.now() - from;
      await null;
      pool.release(held);
    }
  };
  await Promise.all(Array.from({ length: users }, user));
}

/** Bytes of heap a connection that lies in the pool, its own object left out. */
async function bytes() {
  const heap = () => {
    gc();
    gc();
    return process.memoryUsage().heapUsed;
  };
  const before = heap();
  const held = [];
  for (let i = 0; i < count; i++) held.push(await pool.acquire());
  while (held.length > 0) pool.release(held.pop());
  await new Promise((resolve) => setTimeout(resolve, 20));
  const after = heap();
  const plain = Array.from({ length: count }, connect);
  const own = heap() - after;
  return { bytesEach: (after - before - own) / count, kept: plain.length };
}

if (way === 'bytes') {
  console.log(JSON.stringify({ elapsedMs: 0, ...(await bytes()) }));
} else {
  const run = way === 'alone' ? alone : crowd;
  await run(Math.ceil(count / 4));
  await run(Math.ceil(count / 4));
  gc();
  const started = performance.now();
  await run(count);
  const elapsedMs = performance.now() - started;
  const latencies = new Float64Array(Math.ceil(count / 2));
  await run(latencies.length, latencies);
  latencies.sort();
  console.log(
    JSON.stringify({
      elapsedMs,
      nsEach: (elapsedMs * 1e6) / count,
      p999Ms: latencies[Math.floor(latencies.length * 0.999)],
    }),
  );
}
process.exit(0);
