/**
 * Four holders, each within a bound of its own that is modest for itself, and together more than twice the limit: a cache of pages, a pool of buffers, an
 * interner and a registry of open resources. Every value that comes back is checked. With the governor they answer to one budget; the program is the same.
 */
import { Cache } from 'plimsoll/cache';
import { StringInterner } from 'plimsoll/intern';
import { ResourceRegistry } from 'plimsoll/lifetime';
import { BufferPool } from 'plimsoll/pool';
import { runLoad, turn } from './load.mjs';

const KIB = 1024;
/** Bounds, as shares of the limit. */
const CACHE = 0.8;
const POOL = 0.6;
const INTERNER = 0.25;
const REGISTRY = 0.8;
/** Bytes that go through each, in limits. */
const WHOLE = 2;
/** Of what the buffers of a burst may come to, as a share of the limit: they are given back between bursts and stay in the pool. */
const BURST = 0.15;
const LABEL_BYTES = 200;

const page = (key) => Buffer.allocUnsafeSlow((4 + ((key * 37) % 29)) * KIB).fill(key % 251);
const label = (key) => Buffer.from(`group ${key} `.padEnd(LABEL_BYTES, String.fromCharCode(97 + (key % 26))));

await runLoad(async ({ limitBytes, governor }) => {
  const share = (part) => Math.floor(limitBytes * part);
  const under = governor === undefined ? {} : { governor };
  const cache = new Cache({
    name: 'pages',
    maxBytes: share(CACHE),
    weigh: (value) => ({ heapBytes: 200, externalBytes: value.length }),
    ...under,
  });
  const pool = new BufferPool({ name: 'reads', maxBytes: share(POOL), ...under });
  const interner = new StringInterner({ name: 'labels', maxBytes: share(INTERNER), ...under });
  const files = new ResourceRegistry({
    name: 'files',
    maxCount: 100_000,
    maxBytes: share(REGISTRY),
    memoryKind: 'external',
    ...under,
  });
  const counts = { asked: 0, done: 0, hits: 0, refused: 0, closed: 0 };
  const check = (holds) => {
    counts.asked++;
    if (holds) counts.done++;
  };

  const readPage = (key) => {
    const known = cache.get(key);
    const value = known ?? page(key);
    if (known === undefined) cache.set(key, value);
    else counts.hits++;
    check(value[0] === key % 251 && value[value.length - 1] === key % 251);
    return value.length;
  };
  const openFile = (key) => {
    const bytes = 32 * KIB;
    // Looked up before it is made: over the line a resource is refused, and the caller goes without.
    const buffers = { buffer: undefined };
    const close = (held) => {
      held.buffer = undefined;
      counts.closed++;
    };
    const id = files.tryAdd({ name: 'file', kind: 'file', bytes, value: buffers, dispose: close, sync: true });
    if (id === undefined) counts.refused++;
    else buffers.buffer = Buffer.allocUnsafeSlow(bytes).fill(key % 251);
    check(id === undefined || buffers.buffer?.[7] === key % 251 || !files.has(id));
  };
  const burst = () => {
    const leases = [];
    for (let bytes = 0; bytes < limitBytes * BURST; ) {
      const lease = pool.tryLease(64 * KIB);
      if (lease === undefined) {
        counts.refused++;
        break;
      }
      check(lease.value[0] === 0 && lease.value[lease.value.length - 1] === 0);
      lease.value.fill(9);
      leases.push(lease);
      bytes += lease.value.length;
    }
    for (const lease of leases) lease[Symbol.dispose]();
  };

  for (let loaded = 0, i = 0; loaded < WHOLE * limitBytes; i++) {
    // One look-up in three is for something recent.
    loaded += readPage(i % 3 === 2 && i > 100 ? i - 100 : i);
    openFile(i);
    for (let n = 0; n < 4; n++) {
      const key = i * 4 + n;
      const bytes = label(key);
      check(interner.internBytes(bytes, 0, bytes.length) === bytes.toString('latin1'));
    }
    if (i % 1_024 === 0) burst();
    if (i % 32 === 0) await turn();
  }
  const { entryCount } = cache.stats;
  return { ...counts, entries: entryCount, keep: () => [cache, pool, interner, files] };
});
