// One operation of a cache beside its core, many times over: time of each, or bytes of an entry.
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createGovernor, ManualClock } from 'plimsoll';
import { Cache } from 'plimsoll/cache';
import { SpillFolder } from 'plimsoll/spill';

const [name, pieces] = [process.argv[2], process.argv[3]];
const ENTRIES = 100_000;
const CALLS = 1_000_000;
const HOUR = 3_600_000;
const MINUTE = 60_000;

const keys = Int32Array.from({ length: ENTRIES }, (_, i) => Math.imul(i, 2654435761) >>> 8);
const fill = (cache, options) => {
  for (const key of keys) cache.set(key, key, options);
  return cache;
};
/** Of the processor, ms: on a machine that is shared the clock on the wall says more about the others. */
const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};
/** The fastest of several passes: what the operation costs when nobody disturbs it. */
const nsEach = (count, pass) => {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const began = cpuMs();
    pass();
    best = Math.min(best, ((cpuMs() - began) * 1e6) / count);
  }
  return { nsEach: best };
};
const gets = (cache) =>
  nsEach(CALLS, () => {
    for (let i = 0; i < CALLS; i++) cache.get(keys[i % ENTRIES]);
  });
const sets = (cache, options) =>
  nsEach(CALLS, () => {
    if (options === undefined) for (let i = 0; i < CALLS; i++) cache.set(keys[i % ENTRIES], i);
    else for (let i = 0; i < CALLS; i++) cache.set(keys[i % ENTRIES], i, options);
  });
const plain = (options) => fill(new Cache({ maxEntries: ENTRIES, ...options }));

function bytesOf(options) {
  const used = () => {
    for (let i = 0; i < 4; i++) globalThis.gc();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = used();
  const cache = plain(options);
  const bytesEach = (used() - before) / ENTRIES;
  if (cache.size !== ENTRIES) throw new Error('not all are there');
  return { bytesEach };
}

/** Statuses as text, with the compressed tier below. */
async function tiers(spill, act) {
  const governor = createGovernor({ limitBytes: 4e9, runtimeBytes: 0, meters: [] });
  const reclaimers = new Map();
  const consumer = governor.consumer.bind(governor);
  governor.consumer = (options) => {
    reclaimers.set(options.name, options.reclaimer);
    return consumer(options);
  };
  const cache = new Cache({
    maxBytes: 1e9,
    governor,
    name: 'statuses',
    tiers: { second: 'compressed', maxEntries: 1e6, maxBytes: 1e9, ...(spill && { spill, maxSpillBytes: 1e9 }) },
  });
  const texts = JSON.parse(readFileSync(pieces, 'utf8')).statuses.map((status) => JSON.stringify(status));
  const rounds = 60;
  for (let i = 0; i < rounds * texts.length; i++) cache.set(i, `${texts[i % texts.length]}${i}`);
  const count = rounds * texts.length;
  const press = (book, level) => {
    const request = { targetBytes: 1e9, level, strategy: 'aggressive' };
    const reclaimer = reclaimers.get(book);
    if (reclaimer.reclaimNow !== undefined) return reclaimer.reclaimNow(request);
    return reclaimer.reclaim(request, { signal: new AbortController().signal, scratch: new Uint8Array(65_536) });
  };
  return act({ cache, count, press, reclaimers });
}

/** Each call compresses for 4 ms at most and drops the rest: so it is asked for little at a time. */
function demoteAll({ cache, reclaimers }) {
  const began = cpuMs();
  while (cache.size > 0) {
    reclaimers.get('statuses').reclaimNow({ targetBytes: 8_192, level: 'high', strategy: 'basic' });
  }
  return cpuMs() - began;
}

const SUBJECTS = {
  'get, no times': () => gets(plain()),
  'get, time to live': () => gets(plain({ ttlMs: HOUR })),
  'get, time to be idle': () => gets(plain({ idleMs: HOUR })),
  'getOrLoad, found': async () => {
    const cache = plain({ loader: () => 0 });
    return nsEach(CALLS, () => {
      for (let i = 0; i < CALLS; i++) void cache.getOrLoad(keys[i % ENTRIES]);
    });
  },
  'set again, no times': () => sets(plain()),
  'set again, time to live': () => sets(plain({ ttlMs: HOUR })),
  'set again, a time of its own': () => sets(plain(), { ttlMs: HOUR }),
  'set and evict, no times': () => {
    const cache = plain();
    let next = 0;
    return nsEach(CALLS, () => {
      for (let i = 0; i < CALLS; i++) cache.set(1e9 + (next++ % 1e9), i);
    });
  },
  'set and evict, time to live': () => {
    const cache = plain({ ttlMs: HOUR });
    let next = 0;
    return nsEach(CALLS, () => {
      for (let i = 0; i < CALLS; i++) cache.set(1e9 + (next++ % 1e9), i);
    });
  },
  'delete, no times': () => {
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 9; round++) {
      const cache = plain();
      const began = cpuMs();
      for (const key of keys) cache.delete(key);
      best = Math.min(best, ((cpuMs() - began) * 1e6) / ENTRIES);
    }
    return { nsEach: best };
  },
  'expire by the wheel': () => {
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 9; round++) {
      const clock = new ManualClock();
      const cache = new Cache({ maxEntries: ENTRIES, clock });
      for (const key of keys) cache.set(key, key, { ttlMs: 1 + (key % MINUTE) });
      const began = cpuMs();
      clock.advance(MINUTE + 1_000);
      best = Math.min(best, ((cpuMs() - began) * 1e6) / ENTRIES);
      if (cache.size > 0) throw new Error(`${cache.size} have not expired`);
    }
    return { nsEach: best };
  },
  'set, weighed': () => sets(plain({ weigh: () => 10 })),
  'set, weighed and calibrated': () => sets(plain({ weigh: () => 10, calibrate: true })),
  'an entry, no times': () => bytesOf({}),
  'an entry, time to live': () => bytesOf({ ttlMs: HOUR }),
  'an entry, time to be idle': () => bytesOf({ idleMs: HOUR }),
  'down to compressed': () =>
    tiers(undefined, (parts) => {
      const ms = demoteAll(parts);
      const { demoted, compressedBytes, uncompressedBytes } = parts.cache.stats.tiers;
      if (demoted < parts.count * 0.8) throw new Error(`only ${demoted} of ${parts.count} went down`);
      return {
        nsEach: (ms * 1e6) / demoted,
        ratio: uncompressedBytes / compressedBytes,
        bytes: uncompressedBytes / demoted,
      };
    }),
  'up from compressed': () =>
    tiers(undefined, (parts) => {
      demoteAll(parts);
      const began = cpuMs();
      for (let i = 0; i < parts.count; i++) parts.cache.get(i);
      return { nsEach: ((cpuMs() - began) * 1e6) / parts.cache.stats.tiers.compressedHits };
    }),
  'from compressed to disk': () => disk(() => {}),
  'up from disk': () =>
    disk(async ({ cache, count }) => {
      const began = performance.now();
      for (let i = 0; i < count; i++) await cache.getAsync(i);
      return { nsEach: ((performance.now() - began) * 1e6) / cache.stats.tiers.diskHits };
    }),
};

async function disk(then) {
  await using spill = await SpillFolder.open(tmpdir(), { maxBytes: 256e6, allowMemoryBacked: true });
  return await tiers(spill, async (parts) => {
    demoteAll(parts);
    const began = performance.now();
    await parts.press('statuses (compressed)', 'high');
    const ms = performance.now() - began;
    const { spilled } = parts.cache.stats.tiers;
    return (await then(parts)) ?? { nsEach: (ms * 1e6) / spilled };
  });
}

console.log(JSON.stringify(await SUBJECTS[name]()));
