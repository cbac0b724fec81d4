/**
 * What a value holds, from what V8 gives each sort of thing on 64-bit without pointer compression (Node's builds): header words, slots of 8 bytes, tables of
 * maps and sets by powers of two. It reads what stands in own data properties only, and runs no getter.
 *
 * Cannot be seen from JavaScript, and is not counted: private fields, what closures hold, the parent that a substring keeps alive, room that arrays and objects
 * keep to grow, and the rest of a buffer of which only a slice is held.
 */
import { isDate, isRegExp } from 'node:util/types';
import { checkKnownOptions, checkWhole } from './invalid-option.ts';

/** What a value weighs, bytes by kind. */
export interface Weight {
  /** Objects and strings. */
  readonly heapBytes: number;
  /** What buffers hold off the heap. */
  readonly externalBytes: number;
}

export interface WeighOptions {
  /** Things looked at, 1 up; what is left is taken to be like what was seen beside it. Default 2,000. */
  readonly maxNodes?: number;
}

const WORD = 8;
const DEFAULT_NODES = 2_000;
const MAX_DEPTH = 64;
/** Elements of an array, map or set that are looked at one by one; of more, so many spread evenly. */
const MAX_ELEMENTS = 64;
/** Characters of a text that are looked at for one that needs two bytes; of more, the first ones and some spread evenly. */
const MAX_SCAN = 2_048;
const PROBES = 64;
/** Objects with more properties than that, of a shape not met before, are taken for tables: V8 makes one of what is grown by `table[key] = ...`. */
const MAX_RECORD = 24;
/** And of any with more than that. */
const MAX_FAST_PROPERTIES = 1_020;
/** A hash table of V8's is half full, three words an entry. */
const SLOW_PROPERTY = 6 * WORD;
/** Typed arrays up to this size live in the heap; those of `Buffer` do not. */
const MAX_ON_HEAP = 64;

const WIDE = /[^\u0000-\u00ff]/;
const FUNCTION = 8 * WORD;
const ARRAY_BUFFER = 12 * WORD;
const TYPED_ARRAY = 13 * WORD;
/** Header, and what those have inside that is no property. */
const PLAIN = 3 * WORD;
const DATE = 12 * WORD;
const ERROR = 45 * WORD;

/**
 * What `value` holds, with all it refers to, each thing once. Of arrays, maps and sets of more than 64, 64 are looked at. About 20 ns for a buffer or a short
 * text, 40 ns a property, at most 0.2 ms, but V8 lists the names of an object whole, up to 0.9 µs each; leaves a set behind as garbage where there are objects in it.
 *
 * Against what V8 reports (Node 24; `weigh.slow.test.ts` measures it again): texts, buffers, arrays of numbers, flat objects and parsed JSON 0.9 to 1.1 times the truth.
 * @example
 * import { weigh } from 'plimsoll/adopt';
 * weigh(Buffer.alloc(16_384)); // { heapBytes: 200, externalBytes: 16384 }
 */
export function weigh(value: unknown, options: WeighOptions = {}): Weight {
  checkKnownOptions('weigh', options, ['maxNodes']);
  const { maxNodes = DEFAULT_NODES } = options;
  const scale = new Scale(checkWhole('maxNodes', maxNodes, 1));
  scale.weigh(value);
  return { heapBytes: scale.heapBytes, externalBytes: scale.externalBytes };
}

/** Weighs one value after another; what several of them refer to is counted where it is met first. Drop it afterwards: it holds what it has seen. */
export class Scale {
  readonly #maxNodes: number;
  #seen: Set<object> | undefined;
  #shapes: Set<string> | undefined;
  #nodesLeft = 0;
  #heap = 0;
  #external = 0;

  constructor(maxNodes: number) {
    this.#maxNodes = maxNodes;
  }

  /** Of the last value. */
  get heapBytes(): number {
    return Math.round(this.#heap);
  }

  get externalBytes(): number {
    return Math.round(this.#external);
  }

  /** Throws only what a proxy throws. */
  weigh(value: unknown): void {
    this.#nodesLeft = this.#maxNodes;
    this.#heap = 0;
    this.#external = 0;
    this.#add(value, 0);
  }

  #add(value: unknown, depth: number): void {
    switch (typeof value) {
      case 'string':
        this.#heap += textBytes(value);
        break;
      case 'number':
        // Small whole numbers stand in the slot itself.
        if ((value | 0) !== value || Object.is(value, -0)) this.#heap += 2 * WORD;
        break;
      case 'bigint':
        this.#heap += 3 * WORD;
        break;
      case 'object':
        if (value !== null && this.#isNew(value)) this.#addObject(value, depth + 1);
        break;
      case 'function':
        if (this.#isNew(value)) this.#heap += FUNCTION;
        break;
    }
  }

  #isNew(value: object): boolean {
    this.#seen ??= new Set();
    if (this.#seen.has(value)) return false;
    this.#seen.add(value);
    this.#nodesLeft--;
    return true;
  }

  #addObject(value: object, depth: number): void {
    if (depth > MAX_DEPTH) return;
    if (Array.isArray(value)) this.#addArray(value, depth);
    else if (ArrayBuffer.isView(value)) this.#addView(value);
    else if (value instanceof ArrayBuffer || isShared(value)) {
      this.#heap += ARRAY_BUFFER;
      this.#external += value.byteLength;
    } else if (value instanceof Map) this.#addTable(value, 3, depth, (entry) => this.#addPair(entry, depth));
    else if (value instanceof Set) this.#addTable(value, 2, depth, (item) => this.#add(item, depth));
    else this.#addProperties(value, depth);
  }

  #addPair(entry: unknown, depth: number): void {
    const [key, value] = entry as [unknown, unknown];
    this.#add(key, depth);
    this.#add(value, depth);
  }

  #addView(view: ArrayBufferView): void {
    const { byteLength } = view;
    if (byteLength <= MAX_ON_HEAP && !(view instanceof DataView) && !Buffer.isBuffer(view)) {
      this.#heap += TYPED_ARRAY + ARRAY_BUFFER + 2 * WORD + byteLength;
    } else if (byteLength < view.buffer.byteLength) {
      // A slice: the rest is others'.
      this.#heap += TYPED_ARRAY;
      this.#external += byteLength;
    } else {
      this.#heap += TYPED_ARRAY;
      // Several views of one buffer: it is there once.
      if (this.#isNew(view.buffer)) {
        this.#heap += ARRAY_BUFFER;
        this.#external += byteLength;
      }
    }
  }

  #addArray(array: readonly unknown[], depth: number): void {
    const { length } = array;
    const step = Math.max(1, length / MAX_ELEMENTS);
    this.#heap += 6 * WORD + length * WORD;
    const before = [this.#heap, this.#external] as const;
    let looked = 0;
    let numbers = 0;
    let boxed = 0;
    for (let at = 0; at < length && this.#nodesLeft > 0; at += step) {
      const item = array[Math.floor(at)];
      looked++;
      if (typeof item === 'number') {
        numbers++;
        if ((item | 0) !== item) boxed++;
      } else this.#add(item, depth);
    }
    // Numbers alone stand in the array itself, with whatever fraction.
    if (numbers < looked) this.#heap += boxed * 2 * WORD;
    this.#extrapolate(before, looked, length);
  }

  #addTable(table: Map<unknown, unknown> | Set<unknown>, words: number, depth: number, add: (item: unknown) => void) {
    const { size } = table;
    let capacity = 4;
    while (capacity < size) capacity *= 2;
    this.#heap += 4 * WORD + (5 + capacity / 2 + words * capacity) * WORD;
    const before = [this.#heap, this.#external] as const;
    let looked = 0;
    if (depth < MAX_DEPTH) {
      for (const item of table) {
        if (looked >= MAX_ELEMENTS || this.#nodesLeft <= 0) break;
        looked++;
        add(item);
      }
    }
    this.#extrapolate(before, looked, size);
  }

  #addProperties(value: object, depth: number): void {
    const names = Object.keys(value);
    const { length } = names;
    this.#heap += headerBytes(value) + length * WORD;
    if (length > MAX_RECORD && this.#isTable(names)) {
      const nameBytes = (textBytes(names[0]!) + textBytes(names[length >> 1]!) + textBytes(names[length - 1]!)) / 3;
      this.#heap += length * (SLOW_PROPERTY - WORD + nameBytes);
    }
    const before = [this.#heap, this.#external] as const;
    const step = Math.max(1, length / (4 * MAX_ELEMENTS));
    let looked = 0;
    for (let at = 0; at < length && this.#nodesLeft > 0; at += step) {
      looked++;
      const property = Object.getOwnPropertyDescriptor(value, names[Math.floor(at)]!);
      if (property !== undefined && 'value' in property) this.#add(property.value, depth);
    }
    this.#extrapolate(before, looked, length);
  }

  /** Records come with the same names again; tables have names of their own, which count. */
  #isTable(names: readonly string[]): boolean {
    if (names.length > MAX_FAST_PROPERTIES) return true;
    const shape = `${names.length} ${names[0]} ${names[names.length - 1]}`;
    this.#shapes ??= new Set();
    if (this.#shapes.has(shape)) return false;
    this.#shapes.add(shape);
    return true;
  }

  /** What was not looked at is like what was. */
  #extrapolate([heap, external]: readonly [number, number], looked: number, of: number): void {
    if (looked === 0 || looked >= of) return;
    this.#heap = heap + ((this.#heap - heap) * of) / looked;
    this.#external = external + ((this.#external - external) * of) / looked;
  }
}

function isShared(value: object): value is SharedArrayBuffer {
  return typeof SharedArrayBuffer === 'function' && value instanceof SharedArrayBuffer;
}

function headerBytes(value: object): number {
  if (Object.getPrototypeOf(value) === Object.prototype) return PLAIN;
  if (isDate(value) || isRegExp(value)) return DATE;
  return value instanceof Error ? ERROR : PLAIN;
}

/** A header of two words, and one or two bytes a character. */
function textBytes(text: string): number {
  const { length } = text;
  if (length === 0) return 0;
  const bytes = 2 * WORD + (isWide(text) ? 2 * length : length);
  return Math.ceil(bytes / WORD) * WORD;
}

function isWide(text: string): boolean {
  if (text.length <= MAX_SCAN) return WIDE.test(text);
  if (WIDE.test(text.slice(0, MAX_SCAN))) return true;
  for (let i = 1; i <= PROBES; i++) {
    if (text.charCodeAt(Math.floor(((text.length - 1) * i) / PROBES)) > 0xff) return true;
  }
  return false;
}
