/**
 * Where a registry keeps what it owns: a slot each, in arrays side by side instead of an object each.
 *
 * - `where` says what state a slot is in, and is the number of the list it hangs in: the lists run through `older` and `newer`. A slot is in one list at most, so in one state.
 * - An id is the number of the slot and of how often it has been used, in one whole number: an id of before says nothing of who is there now.
 * - Of the idle ones, none before `oldestHeavy` weighs anything. It only moves towards the newest, so that looking for bytes passes what weighs nothing once.
 * - Empty again after it was large, it lets its arrays go and begins with a number of use that none of them had.
 */

/** Free, held by somebody (in no list), idle by last use, waiting to be cleaned by priority (four), being cleaned, waiting to be tried again (by number of attempts). */
export const FREE = 0;
export const HELD = 1;
export const IDLE = 2;
export const QUEUED = 3;
export const RUNNING = 7;
export const RETRY = 8;
export const MAX_ATTEMPTS = 16;
const LISTS = RETRY + MAX_ATTEMPTS;

export const NONE = -1;
const FIRST_CAPACITY = 32;
const GROWTH = 1.5;
const SMALL = 1_024;
/** Uses of a slot before its numbers begin anew. */
const USES = 2 ** 30;

/** What is registered, beside what is counted. */
export interface SlotContent {
  readonly name: string;
  readonly value: unknown;
  readonly dispose: (value: never) => unknown;
  readonly bytes: number;
  /** 0 to 255. */
  readonly kind: number;
  /** 0 to 3. */
  readonly priority: number;
  readonly sync: boolean;
}

/** Whole numbers from 0 up, valid until the resource has left. */
export type ResourceId = number;

export class ResourceSlots {
  readonly #span: number;
  readonly #maxSlots: number;
  /** Slots that there are arrays for. */
  #capacity = 0;
  #free = NONE;
  #baseUse = 0;
  #lastUse = 0;
  #where = new Uint8Array(0);
  #traits = new Uint8Array(0);
  #attempts = new Uint8Array(0);
  #kinds = new Uint8Array(0);
  #holds = new Uint32Array(0);
  #uses = new Uint32Array(0);
  #bytes = new Float64Array(0);
  #since = new Float64Array(0);
  #older = new Int32Array(0);
  #newer = new Int32Array(0);
  #names: string[] = [];
  #values: unknown[] = [];
  #disposers: ((value: never) => unknown)[] = [];
  readonly #oldest = new Int32Array(LISTS).fill(NONE);
  readonly #newest = new Int32Array(LISTS).fill(NONE);
  readonly #counts = new Uint32Array(LISTS);
  readonly #sums = new Float64Array(LISTS);
  #oldestHeavy = NONE;
  #count = 0;
  #totalBytes = 0;

  /** At most 2 to the power of 23. */
  constructor(maxSlots: number) {
    this.#maxSlots = maxSlots;
    this.#span = 2 ** Math.ceil(Math.log2(Math.max(2, maxSlots)));
  }

  /** Of all that are not free. */
  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#totalBytes;
  }

  countIn(list: number): number {
    return this.#counts[list]!;
  }

  bytesIn(list: number): number {
    return this.#sums[list]!;
  }

  /** The one that has been in the list longest; `NONE` when it is empty. */
  oldestIn(list: number): number {
    return this.#oldest[list]!;
  }

  /** Of the idle ones with bytes, the one used longest ago. */
  get oldestHeavy(): number {
    return this.#oldestHeavy;
  }

  /** The one that came into its list after this. */
  nextOf(slot: number): number {
    return this.#newer[slot]!;
  }

  whereIs(slot: number): number {
    return this.#where[slot]!;
  }

  idOf(slot: number): ResourceId {
    return this.#uses[slot]! * this.#span + slot;
  }

  /** The slot of what is still there under that id, or `NONE`. */
  slotOf(id: ResourceId): number {
    const slot = id % this.#span;
    if (!(slot < this.#capacity) || this.#where[slot] === FREE) return NONE;
    return this.#uses[slot]! * this.#span + slot === id ? slot : NONE;
  }

  nameOf(slot: number): string {
    return this.#names[slot]!;
  }

  valueOf(slot: number): unknown {
    return this.#values[slot];
  }

  disposerOf(slot: number): (value: never) => unknown {
    return this.#disposers[slot]!;
  }

  bytesOf(slot: number): number {
    return this.#bytes[slot]!;
  }

  kindOf(slot: number): number {
    return this.#kinds[slot]!;
  }

  priorityOf(slot: number): number {
    return this.#traits[slot]! & 3;
  }

  isSync(slot: number): boolean {
    return this.#traits[slot]! > 3;
  }

  /** Since when it is in the state it is in; idle: since its last use. */
  sinceOf(slot: number): number {
    return this.#since[slot]!;
  }

  attemptsOf(slot: number): number {
    return this.#attempts[slot]!;
  }

  noteAttempt(slot: number): void {
    this.#attempts[slot]!++;
  }

  /** How many hold it then. */
  changeHolds(slot: number, by: 1 | -1): number {
    this.#holds[slot]! += by;
    return this.#holds[slot]!;
  }

  /** Idle from now on, used last. The caller has seen to it that there are less than `maxSlots`. */
  add(content: SlotContent, now: number): number {
    if (this.#free === NONE) this.#grow();
    const slot = this.#free;
    this.#free = this.#newer[slot]!;
    this.#traits[slot] = content.priority + (content.sync ? 4 : 0);
    this.#kinds[slot] = content.kind;
    this.#attempts[slot] = 0;
    this.#holds[slot] = 0;
    this.#bytes[slot] = content.bytes;
    this.#names[slot] = content.name;
    this.#values[slot] = content.value;
    this.#disposers[slot] = content.dispose;
    this.#count++;
    this.#totalBytes += content.bytes;
    this.#append(slot, IDLE, now);
    return slot;
  }

  /** Takes it out of the list it is in and puts it at the end of another, or of the same. */
  move(slot: number, list: number, now: number): void {
    this.#unlink(slot);
    this.#append(slot, list, now);
  }

  /** Lets go of all that is in it; its id says nothing from then on. */
  free(slot: number): void {
    this.#unlink(slot);
    this.#where[slot] = FREE;
    this.#names[slot] = '';
    this.#values[slot] = undefined;
    this.#disposers[slot] = nothing;
    this.#count--;
    this.#totalBytes -= this.#bytes[slot]!;
    const use = (this.#uses[slot]! + 1) % USES;
    this.#uses[slot] = use;
    if (use > this.#lastUse) this.#lastUse = use;
    this.#newer[slot] = this.#free;
    this.#free = slot;
    if (this.#count === 0) {
      this.#totalBytes = 0;
      this.#sums.fill(0);
      if (this.#capacity > SMALL) this.#letGo();
    }
  }

  /** Every slot that is not free, in no order; it may be freed or moved meanwhile. */
  *all(): Generator<number> {
    for (let slot = 0; slot < this.#capacity; slot++) if (this.#where[slot] !== FREE) yield slot;
  }

  #append(slot: number, list: number, now: number): void {
    this.#where[slot] = list;
    this.#since[slot] = now;
    this.#counts[list]!++;
    this.#sums[list]! += this.#bytes[slot]!;
    if (list === HELD) return;
    if (list === IDLE && this.#oldestHeavy === NONE && this.#bytes[slot]! > 0) this.#oldestHeavy = slot;
    const last = this.#newest[list]!;
    this.#older[slot] = last;
    this.#newer[slot] = NONE;
    this.#newest[list] = slot;
    if (last === NONE) this.#oldest[list] = slot;
    else this.#newer[last] = slot;
  }

  #unlink(slot: number): void {
    const list = this.#where[slot]!;
    this.#counts[list]!--;
    this.#sums[list]! -= this.#bytes[slot]!;
    if (list === HELD) return;
    const older = this.#older[slot]!;
    const newer = this.#newer[slot]!;
    if (slot === this.#oldestHeavy) {
      let next = newer;
      while (next !== NONE && this.#bytes[next] === 0) next = this.#newer[next]!;
      this.#oldestHeavy = next;
    }
    if (older === NONE) this.#oldest[list] = newer;
    else this.#newer[older] = newer;
    if (newer === NONE) this.#newest[list] = older;
    else this.#older[newer] = older;
  }

  #grow(): void {
    const before = this.#capacity;
    const capacity = Math.min(this.#maxSlots, Math.max(FIRST_CAPACITY, Math.ceil(before * GROWTH)));
    this.#capacity = capacity;
    this.#where = extended(this.#where, new Uint8Array(capacity));
    this.#traits = extended(this.#traits, new Uint8Array(capacity));
    this.#attempts = extended(this.#attempts, new Uint8Array(capacity));
    this.#kinds = extended(this.#kinds, new Uint8Array(capacity));
    this.#holds = extended(this.#holds, new Uint32Array(capacity));
    this.#uses = extended(this.#uses, new Uint32Array(capacity));
    this.#bytes = extended(this.#bytes, new Float64Array(capacity));
    this.#since = extended(this.#since, new Float64Array(capacity));
    this.#older = extended(this.#older, new Int32Array(capacity));
    this.#newer = extended(this.#newer, new Int32Array(capacity));
    this.#uses.fill(this.#baseUse, before);
    for (let slot = capacity - 1; slot >= before; slot--) {
      this.#newer[slot] = this.#free;
      this.#free = slot;
    }
  }

  #letGo(): void {
    this.#baseUse = (this.#lastUse + 1) % USES;
    this.#capacity = 0;
    this.#free = NONE;
    for (const list of [this.#names, this.#values, this.#disposers]) list.length = 0;
    this.#where = this.#where.slice(0, 0);
    this.#traits = this.#traits.slice(0, 0);
    this.#attempts = this.#attempts.slice(0, 0);
    this.#kinds = this.#kinds.slice(0, 0);
    this.#holds = this.#holds.slice(0, 0);
    this.#uses = this.#uses.slice(0, 0);
    this.#bytes = this.#bytes.slice(0, 0);
    this.#since = this.#since.slice(0, 0);
    this.#older = this.#older.slice(0, 0);
    this.#newer = this.#newer.slice(0, 0);
  }
}

function nothing(): void {}

function extended<A extends Uint8Array | Uint32Array | Int32Array | Float64Array>(old: A, fresh: A): A {
  fresh.set(old);
  return fresh;
}
