// Takes a buffer, writes a byte into each page of it, and lets it go: so many in use at a time, in one of several ways.
import { BufferPool } from 'plimsoll/pool';
import { measureWay } from './pool-ways.mjs';

const [way, bytes, live, count] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const PAGE = 4_096;

function touch(buffer) {
  for (let at = 0; at < buffer.length; at += PAGE) buffer[at] = 1;
}

function allocated(allocate) {
  const held = new Array(live);
  return (n) => {
    for (let i = 0; i < n; i++) {
      const buffer = allocate(bytes);
      touch(buffer);
      held[i % live] = buffer;
    }
  };
}

function pooled(options, lease = (pool) => pool.lease(bytes)) {
  const pool = new BufferPool({ name: 'bench', maxBytes: 2 * (live + 1) * bytes + 1_024, ...options });
  const held = new Array(live);
  return (n) => {
    for (let i = 0; i < n; i++) {
      held[i % live]?.release();
      held[i % live] = lease(pool);
      touch(held[i % live].value);
    }
    for (const each of held) each?.release();
    held.fill(undefined);
  };
}

function using() {
  const pool = new BufferPool({ name: 'bench', maxBytes: 2 * bytes + 1_024 });
  return (n) => {
    for (let i = 0; i < n; i++) {
      using lease = pool.lease(bytes);
      touch(lease.value);
    }
  };
}

const WAYS = {
  'Buffer.alloc': () => allocated(Buffer.alloc),
  'Buffer.allocUnsafe': () => allocated(Buffer.allocUnsafe),
  pool: () => pooled({}),
  'pool, not detached': () => pooled({ detach: false }),
  'pool, not zeroed': () => pooled({ zero: false }),
  'pool, neither': () => pooled({ zero: false, detach: false }),
  'pool, with `using`': using,
};

measureWay(WAYS[way](), count);
