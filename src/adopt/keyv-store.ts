import type { Governor } from '../governor/index.ts';
import { ByteStore, type ByteStoreOptions, type ByteStoreStats } from './byte-store.ts';

/** What Keyv hands over when it sets several. */
export interface KeyvStoreEntry {
  readonly key: string;
  readonly value: unknown;
  readonly ttl?: number | undefined;
}

const SEPARATOR = '::';

/**
 * A storage adapter for Keyv (5 and 6), and so for whatever takes one: `cacheable` as its primary or secondary store, `cache-manager`, `got`. Its entries are
 * bounded by bytes and under the line: see `ByteStore`. One adapter for each Keyv: the namespace stands in the adapter, as in Keyv's own.
 *
 * `set` resolves to `false` where the value was not stored, and `clear` empties the adapter's namespace, or everything where there is none. Keyv hands over text, which is
 * weighed to the byte; with its serialization switched off, values are kept as they are, not copied. It emits no errors. `disconnect` empties it and
 * closes its consumers; nothing is stored from then on.
 */
export class KeyvStore implements Disposable {
  /** Keyv 5 looks here for the kind of database, to tell whether it can iterate: it knows its own only. Call `iterator` here. */
  readonly opts = { dialect: 'plimsoll', url: '' };
  /** Set by Keyv. */
  namespace: string | undefined = undefined;
  readonly #store: ByteStore;

  /** Throws `RangeError` for unsound options. */
  constructor(governor: Governor, options: ByteStoreOptions) {
    this.#store = new ByteStore(governor, options);
  }

  get stats(): ByteStoreStats {
    return this.#store.stats;
  }

  async get<Value>(key: string): Promise<Value | undefined> {
    return this.#store.get(this.#full(key)) as Value | undefined;
  }

  async getMany<Value>(keys: readonly string[]): Promise<(Value | undefined)[]> {
    return keys.map((key) => this.#store.get(this.#full(key)) as Value | undefined);
  }

  /** `ttl` in ms; 0 and undefined mean "no end". */
  async set(key: string, value: unknown, ttl?: number): Promise<boolean> {
    return this.#set(key, value, ttl);
  }

  /** Resolves to a boolean for each: Keyv 5 reads them, though its types say `void`. */
  // biome-ignore lint/suspicious/noExplicitAny: types of Keyv 5 and 6 contradict each other
  async setMany(entries: readonly KeyvStoreEntry[]): Promise<any> {
    return entries.map(({ key, value, ttl }) => this.#set(key, value, ttl));
  }

  async has(key: string): Promise<boolean> {
    return this.#store.has(this.#full(key));
  }

  async hasMany(keys: readonly string[]): Promise<boolean[]> {
    return keys.map((key) => this.#store.has(this.#full(key)));
  }

  async delete(key: string): Promise<boolean> {
    return this.#store.delete(this.#full(key));
  }

  /** True when all of them were there. */
  async deleteMany(keys: readonly string[]): Promise<boolean> {
    return keys.map((key) => this.#store.delete(this.#full(key))).every(Boolean);
  }

  async clear(): Promise<void> {
    const prefix = this.#full('');
    if (prefix === '') return this.#store.clear();
    for (const key of this.#store.keys()) if (key.startsWith(prefix)) this.#store.delete(key);
  }

  /** Key and stored value of each entry of the namespace that was there when it began and still is. */
  async *iterator<Value>(namespace = this.namespace): AsyncGenerator<[string, Value], void> {
    const prefix = namespace ? `${namespace}${SEPARATOR}` : '';
    for (const key of this.#store.keys()) {
      if (!key.startsWith(prefix)) continue;
      const value = this.#store.peek(key);
      if (value !== undefined) yield [key.slice(prefix.length), value as Value];
    }
  }

  async disconnect(): Promise<void> {
    this.#store[Symbol.dispose]();
  }

  /** Nothing is ever emitted. */
  on(_event: string, _listener: (...args: unknown[]) => void): this {
    return this;
  }

  [Symbol.dispose](): void {
    this.#store[Symbol.dispose]();
  }

  #full(key: string): string {
    return this.namespace ? `${this.namespace}${SEPARATOR}${key}` : key;
  }

  #set(key: string, value: unknown, ttl: number | undefined): boolean {
    return this.#store.set(this.#full(key), value, ttl || undefined);
  }
}

/**
 * Makes a storage adapter for Keyv: see `KeyvStore`. Throws `RangeError` for unsound options.
 * @example
 * import { keyvStore } from 'plimsoll/adopt';
 * const sessions = new Keyv({ store: keyvStore(governor, { name: 'sessions', maxShare: 0.1 }) });
 * const answers = new Cacheable({ primary: keyvStore(governor, { name: 'answers', maxBytes: 64 * 2 ** 20 }) });
 */
export function keyvStore(governor: Governor, options: ByteStoreOptions): KeyvStore {
  return new KeyvStore(governor, options);
}
