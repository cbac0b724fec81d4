import { type Clock, systemClock } from '../clock.ts';
import { FailOpen } from '../fail-open.ts';
import { HolderBook, type HolderReport, type ReclaimRequest } from '../governor/index.ts';
import { invalidOption } from '../invalid-option.ts';
import { FlatText, flatBytes, isWide, SCRATCH_BYTES } from './flat-text.ts';
import { InternTable } from './intern-table.ts';
import { checkInternerOptions, type StringInternerOptions } from './interner-options.ts';
import { StaleSymbolError } from './stale-symbol-error.ts';
import { hashAscii, hashBytes } from './string-hash.ts';

declare const internedString: unique symbol;

/** For tests, which look into the table. */
export const tableOf: unique symbol = Symbol('table');

/** A number that stands for a kept text: two of one interner are equal exactly when their texts are. Whole, from 1 up, small while texts are seldom dropped. */
export type InternedString = number & { readonly [internedString]: true };

export interface InternerStats {
  readonly entryCount: number;
  /** Texts and index together; `heapBytes` and `externalBytes` are its parts. */
  readonly bytes: number;
  /** Texts, and pointers to them. */
  readonly heapBytes: number;
  /** The index, in typed arrays. */
  readonly externalBytes: number;
  readonly maxBytes: number;
  readonly hits: number;
  /** Not there: made anew, kept or not. Those that were too long are not among them. */
  readonly misses: number;
  /** Dropped: for others of this interner, not used since an epoch, or because the governor asked. */
  readonly evicted: number;
  readonly released: number;
  readonly reclaimed: number;
  /** Passed through and not kept: there was no room for them, or they were longer than `maxStringBytes`. */
  readonly refused: number;
  readonly tooLong: number;
  /** Texts met that have the hash of another one. */
  readonly collisions: number;
  /** Calls of the governor that failed; it went on by its own bound. */
  readonly faults: number;
}

type Gone = 'evicted' | 'released' | 'reclaimed';

/** How many that are in use may be passed in looking for one to drop. */
const MOST_PASSED = 256;
const MOST_MS = 4;
const LOOK_AT_CLOCK_EVERY = 64;

/**
 * One string for equal texts, within a number of bytes. A text that is known is found by its UTF-8 bytes and returned without decoding or allocating. A text that is not is copied,
 * so that no slice keeps its file alive, and reserved before it is kept; where there is no room it is passed through as it came. Texts are compared, never their hashes alone.
 *
 * Out of room it drops what was not used lately (CLOCK, an approximation of least recently used); `releaseBefore` drops what was not used since an epoch; the governor
 * has the same dropped when it needs the bytes. A dropped text is only decoded anew next time.
 *
 * `docs/intern.md` has the measured figures: a known text takes 27 to 135 ns by its bytes, values of which half are new 0.2 to 0.3 µs; the index takes 34 to 68 bytes for each text,
 * besides what V8 takes for it (16 bytes and the text, in steps of 8). While the index grows the old one is there too. Does not pay for what hardly repeats: names, ids.
 * After its construction nothing throws for want of memory or for a broken governor. Whoever made it disposes it; then everything is passed through.
 * @example
 * import { StringInterner } from 'plimsoll/intern';
 * using groups = new StringInterner({ maxBytes: 1_000_000 });
 * const group = groups.internBytes(line, from, to);
 */
export class StringInterner implements Disposable {
  readonly name: string;
  readonly maxBytes: number;
  readonly #longest: number;
  readonly #seed: number;
  readonly #hashMask: number;
  readonly #clock: Clock;
  readonly #failOpen: FailOpen;
  readonly #heap: HolderBook;
  readonly #external: HolderBook;
  readonly #flat = new FlatText();
  readonly #gone: Record<Gone, number> = { evicted: 0, released: 0, reclaimed: 0 };
  #table = new InternTable();
  #textBytes = 0;
  /** Of texts that are gone and have not been given back yet. */
  #looseBytes = 0;
  #epoch = 1;
  /** What a use is marked with: twice the epoch, and 1. */
  #use = 3;
  #hits = 0;
  #misses = 0;
  #kept = 0;
  #refused = 0;
  #tooLong = 0;
  #disposed = false;

  /** Throws `RangeError` (`PLIMSOLL_INVALID_OPTION`) for unsound options. */
  constructor(options: StringInternerOptions = {}) {
    const sound = checkInternerOptions(options);
    const { governor, importance, maxBytes } = sound;
    this.name = sound.name;
    this.maxBytes = maxBytes;
    this.#longest = sound.maxStringBytes;
    this.#seed = sound.seed | 0;
    this.#hashMask = sound.hashMask | 0;
    this.#clock = sound.clock ?? systemClock;
    this.#failOpen = new FailOpen(`interner ${sound.name}`);
    const shared = { maxBytes, failOpen: this.#failOpen, ...(importance !== undefined && { importance }) };
    this.#heap = new HolderBook(governor, {
      ...shared,
      name: sound.name,
      kind: 'heap',
      reclaimer: {
        reclaimableBytes: () => this.#textBytes,
        reclaimNow: (request: ReclaimRequest) => this.#giveBack(request),
      },
      report: () => this.#report(),
    });
    this.#external = new HolderBook(governor, { ...shared, name: `${sound.name} (index)`, kind: 'external' });
    // It is there, room or not: 5 KB.
    this.#heap.tryTake(this.#table.heapBytes);
    this.#external.tryTake(this.#table.externalBytes + SCRATCH_BYTES);
  }

  get size(): number {
    return this.#table.count;
  }

  /** Texts and index together. */
  get bytes(): number {
    return this.#textBytes + this.#table.heapBytes + this.#table.externalBytes + SCRATCH_BYTES;
  }

  /** The kept string that equals `text`; `text` itself where it is not kept. Marks it as used. */
  intern(text: string): string {
    const slot = this.#slotOfText(text);
    return slot === 0 ? text : this.#table.texts[slot]!;
  }

  /**
   * The string that the UTF-8 bytes from `start` to `end` say, as `TextDecoder` with `ignoreBOM` has it: U+FFFD for what is invalid. Nothing is decoded or allocated for one that is known
   * and valid. Marks it as used. `RangeError` (`PLIMSOLL_INVALID_OPTION`) for what lies outside of `bytes`.
   */
  internBytes(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
    const found = this.#slotOfBytes(bytes, start, end);
    return typeof found === 'string' ? found : this.#table.texts[found]!;
  }

  /** A number for `text`; undefined where it is not kept. The same one while the text is kept; afterwards it names nothing, and never another text. */
  symbolOf(text: string): InternedString | undefined {
    return this.#symbol(this.#slotOfText(text));
  }

  /** The same for UTF-8 bytes, as `internBytes` has them. */
  symbolOfBytes(bytes: Uint8Array, start = 0, end: number = bytes.length): InternedString | undefined {
    const found = this.#slotOfBytes(bytes, start, end);
    return typeof found === 'string' ? undefined : this.#symbol(found);
  }

  /** The text of a symbol; marks it as used. Throws `StaleSymbolError` (`PLIMSOLL_STALE_SYMBOL`) when its text was dropped, and for a number that is none. */
  asString(symbol: InternedString): string {
    const text = this.tryAsString(symbol);
    if (text === undefined) throw new StaleSymbolError(this.name, symbol);
    return text;
  }

  /** The same, or undefined. */
  tryAsString(symbol: InternedString): string | undefined {
    const slot = this.#table.generations?.slotOf(symbol) ?? -1;
    if (slot < 0) return undefined;
    this.#table.uses[slot] = this.#use;
    return this.#table.texts[slot];
  }

  /** Begins an epoch and returns its number, one higher than the one before. What is used from now on is used in it. */
  beginEpoch(): number {
    this.#use = 2 * ++this.#epoch + 1;
    return this.#epoch;
  }

  /** Drops all that was not used in the epoch or a later one, and says how many. Looks at each text that is kept. */
  releaseBefore(epoch: number): number {
    if (!(epoch >= 0)) throw invalidOption('epoch', 'a number from 0 up', epoch);
    const table = this.#table;
    const before = table.count;
    for (let slot = 1; slot < table.top; slot++) {
      if (table.texts[slot] !== undefined && table.uses[slot]! < 2 * epoch) this.#drop(slot, 'released');
    }
    this.#settle();
    return before - table.count;
  }

  /** Drops all. */
  clear(): void {
    this.releaseBefore(Number.POSITIVE_INFINITY);
  }

  get [tableOf](): InternTable {
    return this.#table;
  }

  get stats(): InternerStats {
    const table = this.#table;
    return {
      entryCount: table.count,
      bytes: this.bytes,
      heapBytes: this.#textBytes + table.heapBytes,
      externalBytes: table.externalBytes + SCRATCH_BYTES,
      maxBytes: this.maxBytes,
      hits: this.#hits,
      misses: this.#misses,
      ...this.#gone,
      refused: this.#refused,
      tooLong: this.#tooLong,
      collisions: table.collisions,
      faults: this.#failOpen.count,
    };
  }

  /** Drops all and closes its consumers. Twice is safe. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.clear();
    const { collisions } = this.#table;
    this.#table = new InternTable();
    this.#table.collisions = collisions;
    this.#heap[Symbol.dispose]();
    this.#external[Symbol.dispose]();
  }

  #slotOfText(text: string): number {
    if (typeof text !== 'string') throw invalidOption('text', 'a string', text);
    if (text.length > this.#longest) return this.#pass('tooLong');
    const ascii = hashAscii(text, this.#seed);
    return ascii === undefined ? this.#slotOfWide(text) : this.#slotOf(text, ascii & this.#hashMask, false, false);
  }

  #slotOfWide(text: string): number {
    const utf8 = this.#flat.encode(text);
    if (utf8.length > this.#longest) return this.#pass('tooLong');
    return this.#slotOf(text, this.#hashOf(utf8, 0, utf8.length), isWide(text), false);
  }

  #slotOf(text: string, hash: number, wide: boolean, flat: boolean): number {
    const table = this.#table;
    const slot = table.findText(text, hash);
    if (slot === 0) return this.#keep(text, hash, wide, flat);
    this.#hits++;
    table.uses[slot] = this.#use;
    return slot;
  }

  /** Its slot, marked as used; what was decoded where it is not kept. */
  #slotOfBytes(bytes: Uint8Array, start: number, end: number): number | string {
    if (!(bytes instanceof Uint8Array)) throw invalidOption('bytes', 'a Uint8Array', bytes);
    if (!(start >= 0 && start <= end && end <= bytes.length)) throw outside(bytes, start, end);
    if (end - start > this.#longest) {
      const long = this.#flat.decode(bytes, start, end);
      this.#pass('tooLong');
      return long;
    }
    const hash = this.#hashOf(bytes, start, end);
    const table = this.#table;
    const known = table.findBytes(bytes, start, end, hash);
    if (known > 0) {
      this.#hits++;
      table.uses[known] = this.#use;
      return known;
    }
    const text = this.#flat.decode(bytes, start, end);
    const slot = this.#flat.isAscii ? this.#keep(text, hash, false, true) : this.#slotOfDecoded(text, hash);
    return slot === 0 ? text : slot;
  }

  /** Of bytes that are not ASCII alone. Perhaps they were invalid: other bytes may have said the same. */
  #slotOfDecoded(text: string, hash: number): number {
    return text.includes('\ufffd') ? this.#slotOfWide(text) : this.#keep(text, hash, isWide(text), true);
  }

  #hashOf(bytes: Uint8Array, start: number, end: number): number {
    return hashBytes(bytes, start, end, this.#seed) & this.#hashMask;
  }

  /** A text that is not there: its slot, or 0 when it is not kept. Asking for room may run code of others, and have this interner drop or keep something. */
  #keep(text: string, hash: number, wide: boolean, flat: boolean): number {
    this.#misses++;
    const bytes = flatBytes(text.length, wide);
    const kept = this.#kept;
    if (this.#disposed || !this.#makeRoom(bytes)) return this.#pass('refused');
    let slot = this.#disposed || kept === this.#kept ? 0 : this.#table.findText(text, hash);
    if (slot > 0 || this.#disposed || (this.#table.full && !this.#evict())) {
      this.#heap.give(bytes);
      return slot > 0 ? slot : this.#pass('refused');
    }
    const own = flat ? text : this.#flat.copy(text, wide);
    slot = this.#table.place(own, wide, hash, this.#use - 1);
    if (slot === 0) {
      this.#drop(this.#table.coldestNear(hash), 'evicted');
      slot = this.#table.place(own, wide, hash, this.#use - 1);
    }
    if (slot > 0) {
      this.#kept++;
      this.#textBytes += bytes;
    } else this.#looseBytes += bytes;
    this.#giveLoose();
    return slot > 0 ? slot : this.#pass('refused');
  }

  #pass(why: 'refused' | 'tooLong'): 0 {
    if (why === 'refused') this.#refused++;
    else this.#tooLong++;
    return 0;
  }

  /** Takes the bytes in the books, when they are within the bound. */
  #makeRoom(bytes: number): boolean {
    // Nobody is dropped for one that has no room even without them.
    if (this.bytes - this.#textBytes + bytes > this.maxBytes) return false;
    if (this.#table.full && !this.#grow(bytes) && !this.#evict()) return false;
    while (this.bytes + bytes > this.maxBytes) if (!this.#evict()) break;
    this.#giveLoose();
    if (this.bytes + bytes > this.maxBytes) return false;
    if (this.#heap.tryTake(bytes)) return true;
    const until = this.#textBytes - bytes;
    while (this.#textBytes > until) if (!this.#evict()) break;
    this.#giveLoose();
    return this.#heap.tryTake(bytes);
  }

  #grow(bytes: number): boolean {
    const { heap, external } = this.#table.growthBytes;
    if (!this.#table.canGrow || this.bytes + bytes + heap + external > this.maxBytes) return false;
    const table = this.#table;
    if (!this.#heap.tryTake(heap)) return false;
    if (this.#external.tryTake(external)) {
      // Unless it was emptied, and made smaller, in the middle.
      if (table === this.#table && table.full && !this.#disposed) {
        table.grow((slot) => this.#forget(slot, 'evicted'));
        return true;
      }
      this.#external.give(external);
    }
    this.#heap.give(heap);
    return !this.#table.full;
  }

  #evict(): boolean {
    const slot = this.#table.victim(MOST_PASSED);
    if (slot === 0) return false;
    this.#drop(slot, 'evicted');
    return true;
  }

  #drop(slot: number, why: Gone): void {
    this.#forget(slot, why);
    this.#table.remove(slot);
  }

  #forget(slot: number, why: Gone): void {
    const table = this.#table;
    const bytes = flatBytes(table.texts[slot]!.length, table.wide[slot] === 1);
    this.#gone[why]++;
    this.#textBytes -= bytes;
    this.#looseBytes += bytes;
  }

  #giveLoose(): void {
    const bytes = this.#looseBytes;
    if (bytes === 0) return;
    this.#looseBytes = 0;
    this.#heap.give(bytes);
  }

  /** After much was dropped: gives it back, and the index too where that has become too large. */
  #settle(): void {
    const table = this.#table;
    if (table.oversized) {
      this.#table = table.shrunk((slot) => this.#forget(slot, 'evicted'));
      this.#looseBytes += table.heapBytes - this.#table.heapBytes;
      this.#external.give(table.externalBytes - this.#table.externalBytes);
    }
    this.#giveLoose();
  }

  #giveBack({ targetBytes }: ReclaimRequest): number {
    const started = this.#clock.now();
    const before = this.#textBytes;
    for (let seen = 1; before - this.#textBytes < targetBytes; seen++) {
      const slot = this.#table.victim(MOST_PASSED);
      if (slot === 0) break;
      this.#drop(slot, 'reclaimed');
      if (seen % LOOK_AT_CLOCK_EVERY === 0 && this.#clock.now() - started > MOST_MS) break;
    }
    this.#settle();
    return before - this.#textBytes;
  }

  #symbol(slot: number): InternedString | undefined {
    const table = this.#table;
    if (slot === 0) return undefined;
    if (table.generations === undefined) {
      const text = table.texts[slot];
      const bytes = table.symbolBytes;
      if (this.bytes + bytes > this.maxBytes || !this.#external.tryTake(bytes)) return undefined;
      // Code of others has run: the text may be gone.
      if (table !== this.#table || table.texts[slot] !== text || table.generations !== undefined) {
        this.#external.give(bytes);
        return undefined;
      }
    }
    return table.giveSymbols().handOut(slot) as InternedString;
  }

  #report(): HolderReport {
    const { maxBytes: _, ...counts } = this.stats;
    const health = counts.faults === 0 ? 'ok' : 'degraded';
    const why = 'calls of the governor failed: it goes on by its own bound';
    return { type: 'string interner', health, ...(health === 'ok' ? {} : { why }), counts };
  }
}

function outside(bytes: Uint8Array, start: number, end: number): RangeError {
  return invalidOption('start and end', `within the ${bytes.length} bytes, in order`, `${start} to ${end}`);
}
