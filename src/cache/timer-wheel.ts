/**
 * Deadlines of slots in a hierarchical timer wheel (Varghese and Lauck 1987, scheme 7; Caffeine keeps its expiry so): six wheels of 64 buckets, one bucket of
 * 64 ms in the first, of 64 times the wheel before in the next, so that the last one spans 139 years.
 *
 * - A bucket is a ring of slots through two typed arrays. The rings' heads stand in front of the slots in the same arrays, so that nothing is ever a special case.
 * - In the first wheel a bucket is done when its time is over, in the others when it begins: what is in it then moves down.
 * - In wheel k a slot stands in the bucket of its own tick, fewer than 64 ticks ahead, so that a bucket never mixes two turns. What is further away than the last
 *   wheel reaches stands in its last bucket and is put back when that comes.
 * - Whatever happens to the clock, a step costs at most 384 buckets: rings are hung over to the ring of what is due as a whole, and that is worked off in portions.
 */
const BUCKETS = 64;
const LEVELS = 6;
const DUE = LEVELS * BUCKETS;
/** Heads of rings; slot `s` stands at `HEADS + s`. */
const HEADS = DUE + 1;
const NOWHERE = -1;

/** Milliseconds of a bucket in the first wheel: so late a slot may be found due. */
export const WHEEL_TICK_MS = 64;

/**
 * Knows which slots are due without looking at the others. It keeps no deadlines: who owns them is asked again when a slot comes up, so that a deadline that moved
 * away costs nothing until then. 8 bytes a slot; `schedule` about 20 ns, a slot that comes up about as much. No timer of its own.
 */
export class TimerWheel {
  readonly #startedAt: number;
  #now = 0;
  #next: Int32Array<ArrayBuffer>;
  #prev: Int32Array<ArrayBuffer>;

  /** `now` by the clock that all other times are by; `capacity` slots to begin with. */
  constructor(now: number, capacity: number) {
    this.#startedAt = now;
    this.#next = new Int32Array(HEADS + capacity).fill(NOWHERE);
    this.#prev = new Int32Array(HEADS + capacity).fill(NOWHERE);
    for (let head = 0; head < HEADS; head++) this.#next[head] = this.#prev[head] = head;
  }

  get bytes(): number {
    return this.#next.byteLength * 2;
  }

  /** Makes room for slots below `capacity`. */
  grow(capacity: number): void {
    if (HEADS + capacity <= this.#next.length) return;
    this.#next = grown(this.#next, HEADS + capacity);
    this.#prev = grown(this.#prev, HEADS + capacity);
  }

  /** Of slots from `capacity` on none may have a deadline. */
  shrink(capacity: number): void {
    this.#next = this.#next.slice(0, HEADS + capacity);
    this.#prev = this.#prev.slice(0, HEADS + capacity);
  }

  has(slot: number): boolean {
    return this.#next[HEADS + slot] !== NOWHERE;
  }

  /** Puts a slot where its deadline is, or nowhere for `Infinity`. Returns when `advance` has something to do because of it. */
  schedule(slot: number, deadline: number): number {
    const at = HEADS + slot;
    if (this.#next[at] !== NOWHERE) this.#unlink(at);
    if (deadline === Number.POSITIVE_INFINITY) return deadline;
    const time = deadline - this.#startedAt;
    if (!(time > this.#now)) {
      this.#link(at, DUE);
      return this.#startedAt + this.#now;
    }
    let width = WHEEL_TICK_MS;
    for (let level = 0; level < LEVELS; level++, width *= BUCKETS) {
      const tick = Math.floor(time / width);
      if (tick - Math.floor(this.#now / width) >= BUCKETS) continue;
      this.#link(at, level * BUCKETS + (tick % BUCKETS));
      return this.#startedAt + (level === 0 ? tick + 1 : tick) * width;
    }
    width /= BUCKETS;
    const last = Math.floor(this.#now / width) + BUCKETS - 1;
    this.#link(at, (LEVELS - 1) * BUCKETS + (last % BUCKETS));
    return this.#startedAt + last * width;
  }

  cancel(slot: number): void {
    const at = HEADS + slot;
    if (this.#next[at] !== NOWHERE) this.#unlink(at);
  }

  /**
   * Moves on to `now` and takes out up to `most` slots that may be due. `judge` says the deadline of each: a later one puts it back, NaN means that it has been dealt with. It may
   * schedule and cancel whatever it likes meanwhile. What was left over comes first the next time.
   */
  advance(now: number, most: number, judge: (slot: number) => number): void {
    this.#moveTo(now - this.#startedAt);
    for (let done = 0; done < most; done++) {
      const at = this.#next[DUE]!;
      if (at === DUE) return;
      this.#unlink(at);
      const deadline = judge(at - HEADS);
      if (!Number.isNaN(deadline)) this.schedule(at - HEADS, deadline);
    }
  }

  /** When `advance` has something to do next; `Infinity` when nothing is scheduled. Looks at up to 384 buckets: under 1 µs. */
  get nextAt(): number {
    if (this.#next[DUE] !== DUE) return this.#startedAt + this.#now;
    let next = Number.POSITIVE_INFINITY;
    let width = WHEEL_TICK_MS;
    for (let level = 0; level < LEVELS; level++, width *= BUCKETS) {
      const tick = Math.floor(this.#now / width);
      for (let ahead = level === 0 ? 0 : 1; ahead < BUCKETS; ahead++) {
        const head = level * BUCKETS + ((tick + ahead) % BUCKETS);
        if (this.#next[head] === head) continue;
        next = Math.min(next, (level === 0 ? tick + ahead + 1 : tick + ahead) * width);
        break;
      }
    }
    return this.#startedAt + next;
  }

  #moveTo(time: number): void {
    const before = this.#now;
    if (!(time > before)) return;
    this.#now = time;
    let width = WHEEL_TICK_MS;
    for (let level = 0; level < LEVELS; level++, width *= BUCKETS) {
      const from = Math.floor(before / width);
      const to = Math.floor(time / width);
      if (to === from) return;
      const first = level === 0 ? from : from + 1;
      const count = Math.min(BUCKETS, to - from);
      for (let i = 0; i < count; i++) this.#hangOver(level * BUCKETS + ((first + i) % BUCKETS));
    }
  }

  /** All of a ring behind what is due. */
  #hangOver(head: number): void {
    const first = this.#next[head]!;
    if (first === head) return;
    const last = this.#prev[head]!;
    const end = this.#prev[DUE]!;
    this.#next[end] = first;
    this.#prev[first] = end;
    this.#next[last] = DUE;
    this.#prev[DUE] = last;
    this.#next[head] = this.#prev[head] = head;
  }

  #link(at: number, head: number): void {
    const last = this.#prev[head]!;
    this.#next[last] = at;
    this.#prev[at] = last;
    this.#next[at] = head;
    this.#prev[head] = at;
  }

  #unlink(at: number): void {
    const next = this.#next[at]!;
    const prev = this.#prev[at]!;
    this.#next[prev] = next;
    this.#prev[next] = prev;
    this.#next[at] = this.#prev[at] = NOWHERE;
  }
}

function grown(old: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  const array = new Int32Array(length);
  array.set(old);
  return array.fill(NOWHERE, old.length);
}
