/**
 * Sizes are those of V8 on 64-bit Node without pointer compression, measured with 20,000 of each on Node 24: they agree within 3% for strings, plain objects, arrays and
 * buffers of their own, within 15% for maps, sets and objects with fractional numbers.
 */
import { types } from 'node:util';
import type { Weight } from '../weigh.ts';

/** A value of more parts than this is not weighed, and so not stored: about 10 ms of walking. */
const MOST_PARTS = 100_000;
const STRING_BYTES = 16;
const OBJECT_BYTES = 24;
const ARRAY_BYTES = 48;
const BUFFER_BYTES = 104;
const ARRAY_BUFFER_BYTES = 96;
const DOUBLE_BYTES = 16;
/** Of a map or set, and of each of its entries. */
const TABLE_BYTES = 104;
const MAP_ENTRY_BYTES = 40;
const SET_ENTRY_BYTES = 28;
/** An object with more fields than this, of names not met before, is taken for a table; what each of its fields costs besides name and value. */
const MOST_FIELDS = 24;
const TABLE_FIELD_BYTES = 40;
/** What has no parts that could be seen: dates, functions, symbols. */
const OPAQUE_BYTES = 96;
const WIDE = /[^\0-\xff]/;

/**
 * Weighs what is to be stored: text, buffers, and whatever JSON, maps and sets are made of; each part once, however often it is referred to, and every part: unlike
 * `weigh`, which looks at some and estimates, because a bound goes by this. Of class instances the own enumerable properties count. A part of a buffer counts alone where it is cut from Node's pool, otherwise with all that it keeps from being
 * freed. Undefined for a value of more than 100,000 parts.
 *
 * Text 0.15 ms a MiB (ASCII) to 1.5 ms, other values about 40 ns a part. Throws what getters and proxies throw.
 */
export function storedWeight(value: unknown): Weight | undefined {
  if (typeof value === 'string') return { heapBytes: stringBytes(value), externalBytes: 0 };
  const walk = new Walk();
  if (!walk.run(value)) return undefined;
  return { heapBytes: walk.heapBytes, externalBytes: walk.externalBytes };
}

/** Of a string by itself; what it shares with others by slicing is not seen. */
export function stringBytes(text: string): number {
  const isWide = Buffer.byteLength(text) !== text.length && WIDE.test(text);
  return STRING_BYTES + roundUp(isWide ? text.length * 2 : text.length);
}

class Walk {
  heapBytes = 0;
  externalBytes = 0;
  #parts = 0;
  readonly #seen = new Set<object>();
  readonly #shapes = new Set<string>();
  readonly #open: object[] = [];

  run(value: unknown): boolean {
    this.#meet(value);
    for (let next = this.#open.pop(); next !== undefined; next = this.#open.pop()) {
      this.#enter(next);
      if (this.#parts > MOST_PARTS) return false;
    }
    return true;
  }

  #meet(value: unknown): void {
    this.#parts++;
    if (typeof value === 'string') this.heapBytes += stringBytes(value);
    else if (typeof value === 'number') this.heapBytes += (value | 0) === value ? 0 : DOUBLE_BYTES;
    else if (typeof value === 'bigint') this.heapBytes += STRING_BYTES + value.toString(16).length / 2;
    else if (typeof value === 'function' || typeof value === 'symbol') this.heapBytes += OPAQUE_BYTES;
    else if (typeof value === 'object' && value !== null) this.#meetObject(value);
  }

  #meetObject(value: object): void {
    if (this.#seen.has(value)) return;
    this.#seen.add(value);
    this.#open.push(value);
  }

  #enter(value: object): void {
    if (ArrayBuffer.isView(value)) this.#view(value);
    else if (types.isAnyArrayBuffer(value)) this.#buffer(value);
    else if (Array.isArray(value)) this.#array(value);
    else if (types.isMap(value)) this.#map(value);
    else if (types.isSet(value)) this.#set(value);
    else if (types.isDate(value)) this.heapBytes += OPAQUE_BYTES;
    else this.#object(value);
  }

  #view(view: ArrayBufferView): void {
    this.heapBytes += BUFFER_BYTES;
    const { buffer, byteLength } = view;
    if (byteLength < buffer.byteLength && buffer.byteLength === Buffer.poolSize) this.externalBytes += byteLength;
    else this.#meetObject(buffer);
  }

  #buffer(buffer: ArrayBufferLike): void {
    this.heapBytes += ARRAY_BUFFER_BYTES;
    this.externalBytes += buffer.byteLength;
  }

  #array(items: readonly unknown[]): void {
    this.heapBytes += ARRAY_BYTES + 8 * items.length;
    // Numbers alone stand in the array itself.
    if (items.length > MOST_PARTS || items.every(isNumber)) this.#parts += items.length;
    else for (const item of items) this.#meet(item);
  }

  #map(map: ReadonlyMap<unknown, unknown>): void {
    this.heapBytes += TABLE_BYTES + MAP_ENTRY_BYTES * map.size;
    if (map.size > MOST_PARTS) this.#parts += map.size;
    else for (const [key, item] of map) this.#pair(key, item);
  }

  #set(set: ReadonlySet<unknown>): void {
    this.heapBytes += TABLE_BYTES + SET_ENTRY_BYTES * set.size;
    if (set.size > MOST_PARTS) this.#parts += set.size;
    else for (const item of set) this.#meet(item);
  }

  #object(value: object): void {
    const names = Object.keys(value);
    this.heapBytes += OBJECT_BYTES + 8 * Math.max(names.length, 2);
    if (names.length > MOST_FIELDS && this.#isTable(names)) {
      for (const name of names) this.heapBytes += TABLE_FIELD_BYTES + stringBytes(name);
    }
    if (names.length > MOST_PARTS) this.#parts += names.length;
    else for (const name of names) this.#meet((value as Record<string, unknown>)[name]);
  }

  /** Records come with the same names again; tables have names of their own, which count. */
  #isTable(names: readonly string[]): boolean {
    const shape = `${names.length} ${names[0]} ${names.at(-1)}`;
    if (this.#shapes.has(shape)) return false;
    this.#shapes.add(shape);
    return true;
  }

  #pair(key: unknown, item: unknown): void {
    this.#meet(key);
    this.#meet(item);
  }
}

const isNumber = (item: unknown): boolean => typeof item === 'number';
const roundUp = (bytes: number): number => Math.ceil(bytes / 8) * 8;
