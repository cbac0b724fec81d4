// One cache of 100,000 entries under Zipf-distributed requests for a million keys: processor time of `get` that hits, of `get` and `set` where it misses, and bytes an entry after that.
import { createRequire } from 'node:module';

const [subject, sort] = process.argv.slice(2);
const ENTRIES = 100_000;
const KEYS = 1_000_000;
const EXPONENT = 0.99;
const REQUESTS = 500_000;
const ROUNDS = 3;
/** They are short: a neighbour on the machine spoils a few of them. */
const HIT_ROUNDS = 8;

const require = createRequire(new URL('../rivals/package.json', import.meta.url));
const { Cache } = subject.startsWith('plimsoll') ? await import('plimsoll/cache') : {};
const { LRUCache } = require('lru-cache');
const LRUMap = require('mnemonist/lru-map');
const { createLRU } = require('lru.min');
const { lru } = require('tiny-lru');
const MAKE = {
  'plimsoll lru': () => new Cache({ maxEntries: ENTRIES, policy: 'lru' }),
  'plimsoll lfu': () => new Cache({ maxEntries: ENTRIES, policy: 'lfu' }),
  'plimsoll tiny-lfu': () => new Cache({ maxEntries: ENTRIES, policy: 'tiny-lfu' }),
  'lru-cache': () => new LRUCache({ max: ENTRIES }),
  'mnemonist LRUMap': () => new LRUMap(ENTRIES),
  'lru.min': () => createLRU({ max: ENTRIES }),
  'tiny-lru': () => lru(ENTRIES),
};
/** A text of 13 characters and more that was put together is a rope to V8, a shorter one never. */
const KEY_OF = {
  integer: (i) => i,
  'short text': (i) => `key:${i}`,
  text: (i) => `user:${i}:profile`,
  'flat text': (i) => Buffer.from(`user:${i}:profile`).toString('latin1'),
  'new text': (i) => `user:${i}:profile`,
};

function random(seed) {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Ranks by inversion of the distribution, and which key has which rank at random. */
function zipf(keyCount, count, seed) {
  const next = random(seed);
  const cumulated = new Float64Array(keyCount);
  let sum = 0;
  for (let rank = 0; rank < keyCount; rank++) cumulated[rank] = sum += (rank + 1) ** -EXPONENT;
  const keyOfRank = Uint32Array.from({ length: keyCount }, (_, i) => i);
  for (let i = keyCount - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [keyOfRank[i], keyOfRank[j]] = [keyOfRank[j], keyOfRank[i]];
  }
  return Uint32Array.from({ length: count }, () => {
    const wanted = next() * sum;
    let [low, high] = [0, keyCount - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulated[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    return keyOfRank[low];
  });
}

/** Of `new text` each request makes its own, as a service does that is sent an id. */
const isNew = sort === 'new text';
const keys = Array.from({ length: isNew ? 0 : KEYS }, (_, i) => KEY_OF[sort](i));
const keyOf = isNew ? KEY_OF['new text'] : (i) => keys[i];
const value = { a: 'value' };
const requests = zipf(KEYS, REQUESTS, 12_345);
const among = zipf(ENTRIES, REQUESTS, 67_890);

function getAndSet(cache) {
  let hits = 0;
  for (let i = 0; i < REQUESTS; i++) {
    const key = keyOf(requests[i]);
    if (cache.get(key) === undefined) cache.set(key, value);
    else hits++;
  }
  return hits;
}

function hit(cache) {
  let hits = 0;
  for (let i = 0; i < REQUESTS; i++) if (cache.get(keyOf(among[i])) !== undefined) hits++;
  return hits;
}

/** Processor time: other processes are on the machine. */
function leastNs(rounds, act) {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage();
    act();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, ((user + system) * 1_000) / REQUESTS);
  }
  return least;
}

const held = () => {
  gc();
  gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};
// Hashed and flattened, as keys that are used again are: what that costs is the texts' own. A `Set` hashes a rope, and leaves it one.
const touched = new Set(['another']);
let units = 0;
for (const key of keys) if (!touched.has(key) && typeof key === 'string') units += key.charCodeAt(0);
if (Number.isNaN(units)) throw new Error('a key is empty');
const before = held();
const cache = MAKE[subject]();
const hits = getAndSet(cache);
getAndSet(cache);
const getSetNs = leastNs(ROUNDS, () => getAndSet(cache));
const bytesEach = (held() - before) / ENTRIES;
// Another one, that has room for all: what is popular in a full one would keep others out by some policies.
const full = MAKE[subject]();
for (let i = 0; i < ENTRIES; i++) full.set(keyOf(i), value);
if (full.has(keyOf(0)) && full.has(keyOf(ENTRIES - 1))) hit(full);
const hitNs = leastNs(HIT_ROUNDS, () => {
  if (hit(full) !== REQUESTS) throw new Error('it missed what it should have had');
});
console.log(JSON.stringify({ elapsedMs: 0, hitNs, getSetNs, bytesEach, hitRate: (100 * hits) / REQUESTS }));
