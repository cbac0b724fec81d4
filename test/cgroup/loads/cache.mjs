/**
 * A cache that fills: a `Map` of buffers of 4 to 64 KiB that nobody bounded, read through. With the governor the same map answers it: it drops the
 * oldest entries when asked.
 */
import { runLoad, turn } from './load.mjs';

const KIB = 1024;
/** Bytes looked up, in limits. */
const WHOLE = 4;

class Cache {
  #entries = new Map();
  #held;

  constructor(governor) {
    this.#held = governor
      ?.consumer({ name: 'cache', kind: 'external', maxBytes: Number.POSITIVE_INFINITY, reclaimer: this })
      .reserve(0);
  }

  get size() {
    return this.#entries.size;
  }

  get(key) {
    return this.#entries.get(key);
  }

  set(key, value) {
    // No room after all: the value goes by without being kept.
    if (this.#held?.tryGrow(value.length) === false && !this.#makeRoom(value.length)) return;
    this.#entries.set(key, value);
  }

  /** Its own oldest entries: a consumer is not asked for its own sake. */
  #makeRoom(bytes) {
    this.reclaimNow({ targetBytes: Math.max(bytes, this.#held.bytes / 16) });
    return this.#held.tryGrow(bytes);
  }

  reclaimableBytes() {
    return this.#held.bytes;
  }

  reclaimNow({ targetBytes }) {
    let freed = 0;
    for (const [key, value] of this.#entries) {
      if (freed >= targetBytes) break;
      this.#entries.delete(key);
      freed += value.length;
    }
    this.#held.shrink(freed);
    return freed;
  }
}

function load(key) {
  return Buffer.allocUnsafeSlow((4 + ((key * 37) % 61)) * KIB).fill(key % 251);
}

await runLoad(async ({ limitBytes, governor }) => {
  const cache = new Cache(governor);
  let asked = 0;
  let done = 0;
  let hits = 0;
  for (let loaded = 0; loaded < WHOLE * limitBytes; asked++) {
    // One look-up in three is for something recent.
    const key = asked % 3 === 2 && asked > 100 ? asked - 100 : asked;
    const known = cache.get(key);
    const value = known ?? load(key);
    if (known === undefined) {
      cache.set(key, value);
      loaded += value.length;
    } else hits++;
    done += value[0] === key % 251 ? 1 : 0;
    if (asked % 32 === 0) await turn();
  }
  return { asked, done, hits, entries: cache.size };
});
