import type { Governor } from '../governor/index.ts';
import type { ByteStoreStats } from './byte-store.ts';
import { type NextCacheOptions, openNextStore } from './next-cache-handler.ts';

/** An entry of `'use cache'`, as Next.js has it: times in ms since 1970, durations in seconds. */
export interface NextUseCacheEntry {
  readonly value: ReadableStream<Uint8Array>;
  readonly tags: string[];
  readonly stale: number;
  readonly timestamp: number;
  readonly expire: number;
  readonly revalidate: number;
}

/** For one of the `cacheHandlers` in `next.config`. */
export interface NextUseCacheHandler extends Disposable {
  get(cacheKey: string, softTags: string[]): Promise<NextUseCacheEntry | undefined>;
  set(cacheKey: string, pendingEntry: Promise<NextUseCacheEntry>): Promise<void>;
  refreshTags(): Promise<void>;
  getExpiration(tags: string[]): Promise<number>;
  updateTags(tags: string[], durations?: { expire?: number }): Promise<void>;
  readonly stats: ByteStoreStats;
}

type Stored = Omit<NextUseCacheEntry, 'value'> & { readonly value: Uint8Array };

/**
 * Makes a handler for the `cacheHandlers` of Next.js 16 (`'use cache'`, `'use cache: remote'`) that keeps entries in memory, bounded by bytes and under
 * the line: see `ByteStore`. Like the built-in one, but an entry is served until its `expire`, while Next.js makes it anew after `revalidate`.
 *
 * What comes in is read up to `maxEntryBytes` and let go when it is longer, or breaks off. A tag that was revalidated at once makes a miss, one with a profile
 * has the entry served once more; the tags of the path (`revalidatePath`) are looked at in `get`. Throws `RangeError` for unsound options; what it returns
 * never rejects.
 * @example
 * // use-cache-handler.mjs
 * import { ensureProcessGovernor } from 'plimsoll';
 * import { nextUseCacheHandler } from 'plimsoll/adopt';
 * export default nextUseCacheHandler(ensureProcessGovernor(), { name: 'next use cache', maxShare: 0.1 });
 */
export function nextUseCacheHandler(governor: Governor, options: NextCacheOptions): NextUseCacheHandler {
  const { store, tagTimes } = openNextStore<Stored>(governor, options);
  /** Requests under way. */
  const pending = new Map<string, Promise<void>>();

  async function keep(cacheKey: string, pendingEntry: Promise<NextUseCacheEntry>): Promise<void> {
    try {
      const { value, ...rest } = await pendingEntry;
      tagTimes.noteTime(rest.timestamp);
      const ttlMs = rest.timestamp + rest.expire * 1000 - tagTimes.now();
      const bytes = await readAll(value, ttlMs > 0 ? store.maxEntryBytes : 0);
      if (bytes === undefined) store.delete(cacheKey);
      else store.set(cacheKey, { ...rest, value: bytes }, ttlMs);
    } catch {
      // It broke off while it was made: whoever made it hears of that, and half of it is of no use to anybody.
      store.delete(cacheKey);
    }
  }

  return {
    get stats() {
      return store.stats;
    },

    async get(cacheKey, softTags) {
      await pending.get(cacheKey);
      const entry = store.get(cacheKey);
      if (entry === undefined) return undefined;
      const state = tagTimes.state([...entry.tags, ...(softTags ?? [])], entry.timestamp);
      if (state === 'expired') return undefined;
      const { value, ...rest } = entry;
      return { ...rest, value: streamOf(value), ...(state === 'stale' && { revalidate: -1 }) };
    },

    async set(cacheKey, pendingEntry) {
      const done = keep(cacheKey, pendingEntry);
      pending.set(cacheKey, done);
      await done;
      if (pending.get(cacheKey) === done) pending.delete(cacheKey);
    },

    async refreshTags() {},

    /** Says that `get` looks at the tags of the path itself. */
    async getExpiration() {
      return Number.POSITIVE_INFINITY;
    },

    async updateTags(tags, durations) {
      tagTimes.revalidate(tags, durations);
    },

    [Symbol.dispose]() {
      store[Symbol.dispose]();
    },
  };
}

/** All of it in one buffer of its own; undefined, and the rest is not read, when it is longer than `maxBytes`. */
async function readAll(stream: ReadableStream<Uint8Array>, maxBytes: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.byteLength;
    if (bytes > maxBytes) {
      await reader.cancel();
      return undefined;
    }
    chunks.push(value);
  }
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes.subarray());
      controller.close();
    },
  });
}
