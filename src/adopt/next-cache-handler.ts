import { systemClock } from '../clock.ts';
import type { Governor } from '../governor/index.ts';
import { checkWhole } from '../invalid-option.ts';
import { ByteStore, type ByteStoreOptions, type ByteStoreStats } from './byte-store.ts';
import { TagTimes } from './tag-times.ts';

export interface NextCacheOptions extends Omit<ByteStoreOptions, 'weigh'> {
  /** How many revalidated tags are remembered; past that everything older than the first of them counts as expired. 1 up, default 10,000. */
  readonly maxTags?: number;
}

/** How long an entry lives, as Next.js hands it over. */
export interface NextCacheControl {
  readonly revalidate?: number | false | undefined;
  readonly expire?: number | undefined;
}

/** What Next.js stores: by `kind` a page, a route's answer, an image, a `fetch`. Looked at for tags and `revalidate` only. */
interface NextValue {
  readonly kind?: string;
  readonly headers?: Readonly<Record<string, unknown>> | undefined;
  readonly revalidate?: number | false | undefined;
  readonly tags?: readonly string[] | undefined;
}

export interface NextCacheEntry {
  readonly value: unknown;
  /** Milliseconds since 1970, or -1: to be made anew before it is served. */
  readonly lastModified: number;
  readonly cacheControl?: NextCacheControl;
}

interface Stored {
  readonly value: NextValue | null;
  readonly lastModified: number;
  readonly cacheControl: NextCacheControl | undefined;
  readonly tags: readonly string[];
}

interface Durations {
  readonly expire?: number | undefined;
}

/** What Next.js calls, with a new instance for each request. All instances share one store. */
export interface NextCacheHandler {
  get(key: string, context?: object): Promise<NextCacheEntry | null>;
  set(key: string, value: unknown, context?: object): Promise<void>;
  revalidateTag(tags: string | readonly string[], durations?: Durations): Promise<void>;
  resetRequestCache(): void;
}

/** For `cacheHandler` in `next.config`, with what stands behind all its instances. */
export interface NextCacheHandlerClass extends Disposable {
  // biome-ignore lint/suspicious/noExplicitAny: Next.js hands over what each of its versions likes
  new (context?: any): NextCacheHandler;
  readonly stats: ByteStoreStats;
  /** Gives back everything; nothing is stored from then on. For tests: a server keeps its cache as long as it lives. */
  [Symbol.dispose](): void;
}

const TAGS_HEADER = 'x-next-cache-tags';
const DEFAULT_MAX_TAGS = 10_000;

/**
 * Makes a cache handler for Next.js (`cacheHandler`: pages, route answers, images, `fetch`; tested with 16) that keeps entries in memory, bounded by bytes
 * and under the line: see `ByteStore`. Set `cacheMaxMemorySize: 0` beside it. Not for `'use cache'`: that is `nextUseCacheHandler`.
 *
 * What the build prerendered is not in it: the first request for each page makes it anew. Entries past their `expire` go by themselves. A tag revalidated at once
 * makes a miss; one revalidated with a profile (`revalidateTag(tag, 'max')`) has the entry served while it is made anew, except for pages without `revalidate`,
 * which Next.js then makes anew before it answers. Several processes do not hear of each other's revalidations.
 *
 * Throws `RangeError` for unsound options; what it returns never throws.
 * @example
 * // cache-handler.mjs
 * import { ensureProcessGovernor } from 'plimsoll';
 * import { nextCacheHandler } from 'plimsoll/adopt';
 * export default nextCacheHandler(ensureProcessGovernor(), { name: 'next pages', maxShare: 0.1 });
 */
export function nextCacheHandler(governor: Governor, options: NextCacheOptions): NextCacheHandlerClass {
  const { store, tagTimes } = openNextStore<Stored>(governor, options);
  return class PlimsollCacheHandler implements NextCacheHandler {
    readonly #revalidatedTags: readonly string[];

    static get stats(): ByteStoreStats {
      return store.stats;
    }

    static [Symbol.dispose](): void {
      store[Symbol.dispose]();
    }

    constructor(context?: { readonly revalidatedTags?: readonly string[] }) {
      this.#revalidatedTags = context?.revalidatedTags ?? [];
    }

    async get(key: string, context: Readonly<Record<string, unknown>> = {}): Promise<NextCacheEntry | null> {
      const stored = store.get(key);
      if (stored === undefined) return null;
      const { value, lastModified, cacheControl } = stored;
      const tags = [...stored.tags, ...stringsOf(context.tags), ...stringsOf(context.softTags)];
      const state = tags.some((tag) => this.#revalidatedTags.includes(tag))
        ? 'expired'
        : tagTimes.state(tags, lastModified);
      if (state === 'expired') return null;
      return {
        value,
        lastModified: state === 'stale' ? outdatedTime(stored, tagTimes.now()) : lastModified,
        ...(cacheControl !== undefined && { cacheControl }),
      };
    }

    async set(key: string, given: unknown, context: Readonly<Record<string, unknown>> = {}): Promise<void> {
      const value = (given ?? null) as NextValue | null;
      const cacheControl = (context.cacheControl ?? undefined) as NextCacheControl | undefined;
      const header = value?.headers?.[TAGS_HEADER];
      const tags = typeof header === 'string' && value?.kind !== 'FETCH' ? header.split(',') : [];
      tags.push(...stringsOf(context.tags), ...stringsOf(value?.tags));
      const ttlMs = typeof cacheControl?.expire === 'number' ? cacheControl.expire * 1000 : undefined;
      store.set(key, { value, lastModified: tagTimes.now(), cacheControl, tags }, ttlMs);
    }

    async revalidateTag(tags: string | readonly string[], durations?: Durations): Promise<void> {
      tagTimes.revalidate(stringsOf(tags), durations);
    }

    resetRequestCache(): void {}
  };
}

/** What both handlers stand on. */
export function openNextStore<Value>(governor: Governor, options: NextCacheOptions) {
  const { maxTags = DEFAULT_MAX_TAGS, ...rest } = { ...options };
  checkWhole('maxTags', maxTags, 1);
  const store = new ByteStore<Value>(governor, rest);
  return { store, tagTimes: new TagTimes({ clock: rest.clock ?? systemClock, maxTags }) };
}

/** A time so long ago that Next.js serves the entry and makes it anew meanwhile; -1, before it serves it, where it has no such time. */
function outdatedTime({ value, lastModified, cacheControl }: Stored, now: number): number {
  const revalidate = value?.kind === 'FETCH' ? value.revalidate : cacheControl?.revalidate;
  if (typeof revalidate !== 'number') return -1;
  return Math.min(lastModified, now - revalidate * 1000 - 1);
}

/** As Next.js hands over tags: one, several, or none. */
function stringsOf(given: unknown): readonly string[] {
  if (typeof given === 'string') return [given];
  return Array.isArray(given) ? given.filter((item) => typeof item === 'string') : [];
}
