/**
 * Times of entries by slot. Invariants:
 * - A slot with an end stands in the wheel at its end or before. An end that moved away is found out when the slot comes up, so that neither a read nor a renewed
 *   write touches the wheel.
 * - What is past its end is so by comparison, whether the wheel has turned or not: the wheel only gives the memory back.
 * - There is a timer only while something stands in the wheel, and never more than one.
 */
import type { Clock } from '../clock.ts';
import { TimerWheel } from './timer-wheel.ts';

/** How long entries live: `Infinity` for ever. */
export interface TimeSettings {
  readonly ttlMs: number;
  readonly idleMs: number;
  readonly staleMs: number;
}

export interface EntryTimesOptions extends TimeSettings {
  readonly clock: Clock;
  /** Slots to begin with. */
  readonly capacity: number;
  /** A slot is past its end: who holds it removes it, and calls `remove`. Not to throw. */
  readonly onExpired: (slot: number) => void;
  /** After some have gone, all of them. Not to throw. Default none. */
  readonly onGone?: () => void;
}

/** So many are let go in one go, about 1 ms; a timer of 1 ms goes on. */
const PORTION = 4_096;
const NEXT_PORTION_MS = 1;
/** Longer delays are more than Node's timers can do. */
const LONGEST_TIMER_MS = 2 ** 30;

/**
 * Until when each slot is fresh, served, and there at all. 16 bytes a slot, 16 more from the first idle time on; a read compares one or two numbers with the clock
 * (30 ns for asking it), a write does so and links the slot (20 ns).
 */
export class EntryTimes implements Disposable {
  readonly #clock: Clock;
  readonly #onExpired: (slot: number) => void;
  readonly #onGone: (() => void) | undefined;
  readonly #wheel: TimerWheel;
  #ttlMs: number;
  #idleMs: number;
  #staleMs: number;
  /** By the clock; `Infinity` for ever. */
  #freshUntil: Float64Array<ArrayBuffer>;
  /** From the first idle time on. */
  #idleUntil: Float64Array<ArrayBuffer> | undefined;
  #idleMsOf: Float64Array<ArrayBuffer> | undefined;
  #timer: Disposable | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #running = false;
  #disposed = false;

  constructor(options: EntryTimesOptions) {
    this.#clock = options.clock;
    this.#onExpired = options.onExpired;
    this.#onGone = options.onGone;
    this.#ttlMs = options.ttlMs;
    this.#idleMs = options.idleMs;
    this.#staleMs = options.staleMs;
    this.#wheel = new TimerWheel(options.clock.now(), options.capacity);
    this.#freshUntil = filled(options.capacity, undefined);
    if (options.idleMs < Number.POSITIVE_INFINITY) this.#needIdle();
  }

  /** Slots there is room for. */
  get capacity(): number {
    return this.#freshUntil.length;
  }

  /** Of all arrays. */
  get bytes(): number {
    const idle = (this.#idleUntil?.byteLength ?? 0) + (this.#idleMsOf?.byteLength ?? 0);
    return this.#wheel.bytes + this.#freshUntil.byteLength + idle;
  }

  /** Whether a timer is set: when nothing can come due, none is. */
  get hasTimer(): boolean {
    return this.#timer !== undefined;
  }

  /** Makes room for slots below `capacity`. */
  grow(capacity: number): void {
    if (capacity <= this.#freshUntil.length) return;
    this.#wheel.grow(capacity);
    this.#freshUntil = filled(capacity, this.#freshUntil);
    if (this.#idleUntil === undefined) return;
    this.#idleUntil = filled(capacity, this.#idleUntil);
    this.#idleMsOf = filled(capacity, this.#idleMsOf);
  }

  /** From `capacity` on there are no slots any more. */
  shrink(capacity: number): void {
    this.#wheel.shrink(capacity);
    this.#freshUntil = this.#freshUntil.slice(0, capacity);
    this.#idleUntil = this.#idleUntil?.slice(0, capacity);
    this.#idleMsOf = this.#idleMsOf?.slice(0, capacity);
  }

  /** A slot was written: its times begin now. Those not given are the cache's. */
  set(slot: number, ttlMs: number = this.#ttlMs, idleMs: number = this.#idleMs): void {
    const now = this.#clock.now();
    this.#place(slot, now + ttlMs, idleMs, now);
  }

  /** As it was elsewhere: `freshUntil` is a time by the clock. */
  restore(slot: number, freshUntil: number, idleMs: number): void {
    this.#place(slot, freshUntil, idleMs, this.#clock.now());
  }

  /**
   * For a read that finds something in `slot`: 'fresh'; 'stale' when only who reloads it may have it; 'gone' when nobody may, whether it has been let go or not. With `use` its idle
   * time begins again. The clock is only asked when the slot has an end.
   */
  look(slot: number, use: boolean): 'fresh' | 'stale' | 'gone' {
    const freshUntil = this.#freshUntil[slot]!;
    const idleMs = this.#idleMsOf === undefined ? Number.POSITIVE_INFINITY : this.#idleMsOf[slot]!;
    if (freshUntil === Number.POSITIVE_INFINITY && idleMs === Number.POSITIVE_INFINITY) return 'fresh';
    const now = this.#clock.now();
    if (now >= freshUntil + this.#staleMs) return 'gone';
    if (idleMs < Number.POSITIVE_INFINITY) {
      if (now >= this.#idleUntil![slot]!) return 'gone';
      if (use) this.#idleUntil![slot] = now + idleMs;
    }
    return now < freshUntil ? 'fresh' : 'stale';
  }

  /** By the clock, `Infinity` for ever. */
  freshUntil(slot: number): number {
    return this.#freshUntil[slot]!;
  }

  idleMs(slot: number): number {
    return this.#idleMsOf?.[slot] ?? Number.POSITIVE_INFINITY;
  }

  /** The slot holds nothing any more. */
  remove(slot: number): void {
    this.#wheel.cancel(slot);
    this.#freshUntil[slot] = Number.POSITIVE_INFINITY;
    if (this.#idleUntil === undefined) return;
    this.#idleUntil[slot] = Number.POSITIVE_INFINITY;
    this.#idleMsOf![slot] = Number.POSITIVE_INFINITY;
  }

  /** The entry in slot `from` stands in `to` now, which had none. */
  move(from: number, to: number): void {
    const end = this.#endOf(from);
    // One without an end may stand in the wheel still, for an end that it had.
    if (end === Number.POSITIVE_INFINITY) {
      this.#wheel.cancel(from);
      return;
    }
    this.#freshUntil[to] = this.#freshUntil[from]!;
    if (this.#idleUntil !== undefined) {
      this.#idleUntil[to] = this.#idleUntil[from]!;
      this.#idleMsOf![to] = this.#idleMsOf![from]!;
    }
    this.remove(from);
    this.#arm(this.#wheel.schedule(to, end));
  }

  /** Times to live and to be idle are for what is written from then on; `staleMs` holds for all at once, and looks at each slot. */
  tune(settings: Partial<TimeSettings>): void {
    this.#ttlMs = settings.ttlMs ?? this.#ttlMs;
    this.#idleMs = settings.idleMs ?? this.#idleMs;
    if (this.#idleMs < Number.POSITIVE_INFINITY) this.#needIdle();
    if (settings.staleMs === undefined || settings.staleMs === this.#staleMs) return;
    this.#staleMs = settings.staleMs;
    for (let slot = 0; slot < this.#freshUntil.length; slot++) {
      if (this.#wheel.has(slot)) this.#arm(this.#wheel.schedule(slot, this.#endOf(slot)));
    }
  }

  /** Lets go what is past its end, at most 4,096 at once; the timer does the rest. For whoever needs room now. */
  run(): void {
    if (this.#running || this.#disposed) return;
    this.#running = true;
    const now = this.#clock.now();
    let gone = 0;
    try {
      this.#wheel.advance(now, PORTION, (slot) => {
        const end = this.#endOf(slot);
        if (end > now) return end;
        gone++;
        this.#onExpired(slot);
        return Number.NaN;
      });
    } finally {
      this.#running = false;
      this.#arm(this.#wheel.nextAt);
    }
    if (gone > 0) this.#onGone?.();
  }

  /** No timer is left, and none is set any more. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#disarm();
  }

  #place(slot: number, freshUntil: number, idleMs: number, now: number): void {
    const before = this.#endOf(slot);
    this.#freshUntil[slot] = freshUntil;
    if (idleMs < Number.POSITIVE_INFINITY) this.#needIdle();
    if (this.#idleUntil !== undefined) {
      this.#idleMsOf![slot] = idleMs;
      this.#idleUntil[slot] = now + idleMs;
    }
    const end = this.#endOf(slot);
    // Where it stands it comes up early enough.
    if (end >= before && before < Number.POSITIVE_INFINITY) return;
    if (end < before || this.#wheel.has(slot)) this.#arm(this.#wheel.schedule(slot, end));
  }

  #endOf(slot: number): number {
    const end = this.#freshUntil[slot]! + this.#staleMs;
    return this.#idleUntil === undefined ? end : Math.min(end, this.#idleUntil[slot]!);
  }

  #needIdle(): void {
    if (this.#idleUntil !== undefined) return;
    this.#idleUntil = filled(this.#freshUntil.length, undefined);
    this.#idleMsOf = filled(this.#freshUntil.length, undefined);
  }

  #arm(at: number): void {
    if (at >= this.#timerAt || this.#disposed) return;
    this.#disarm();
    const delayMs = Math.min(LONGEST_TIMER_MS, Math.max(NEXT_PORTION_MS, Math.ceil(at - this.#clock.now())));
    this.#timerAt = at;
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.run();
    });
  }

  #disarm(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
  }
}

function filled(length: number, old: Float64Array<ArrayBuffer> | undefined): Float64Array<ArrayBuffer> {
  const array = new Float64Array(length);
  if (old !== undefined) array.set(old);
  return array.fill(Number.POSITIVE_INFINITY, old?.length ?? 0);
}
