/**
 * What the governor promises and what it asks of those who hold memory.
 * The contract stands here, the policies beside it: nothing in this file has an implementation.
 */

/** The only pressure scale in the project, calmest first. */
export const PRESSURE_LEVELS = ['optimal', 'moderate', 'high', 'critical', 'emergency'] as const;
export type PressureLevel = (typeof PRESSURE_LEVELS)[number];

/** What sort of memory a consumer holds: V8 objects, off-heap buffers, mapped files, WASM linear memory. */
export const MEMORY_KINDS = ['heap', 'external', 'mapped', 'wasm'] as const;
export type MemoryKind = (typeof MEMORY_KINDS)[number];

/**
 * How much is given up for the bytes: `basic` frees what is unused; `aggressive` also what costs to rebuild, then collects and trims; `smart`
 * does what pays by the learned prices and the trend.
 */
export const RECLAIM_STRATEGIES = ['basic', 'aggressive', 'smart'] as const;
export type ReclaimStrategy = (typeof RECLAIM_STRATEGIES)[number];

export interface ReclaimRequest {
  /** Bytes wanted back, 1 up. Giving back more is allowed, less is normal. */
  readonly targetBytes: number;
  readonly level: PressureLevel;
  readonly strategy: ReclaimStrategy;
}

/** What the governor calls to get bytes back. What it returns is a claim: what counts is the ledger afterwards. */
export interface Reclaimer {
  /**
   * Bytes that could be given back now. An estimate, O(1), never throws. Believed: when all that others say they have would not make room
   * for a reservation, nobody is asked and it is refused.
   */
  reclaimableBytes(): number;
  /** Gives back at once, bounded in time: may run inside a tryReserve of somebody else. */
  reclaimNow?(request: ReclaimRequest): number;
  /** Gives back with waiting (spill, close). `scratch` was reserved beforehand: it needs no more. */
  reclaim?(request: ReclaimRequest, help: { signal: AbortSignal; scratch: Uint8Array }): Promise<number>;
}

/** How well a holder does its work: `degraded` when it goes on with less than it should, `failing` when what it is for does not work. */
export const HOLDER_HEALTHS = ['ok', 'degraded', 'failing'] as const;
export type HolderHealth = (typeof HOLDER_HEALTHS)[number];

/** What a holder says of itself for the snapshot. Plain data. */
export interface HolderReport {
  /** Such as `cache`, `buffer pool`: at most 40 characters. */
  readonly type: string;
  readonly health: HolderHealth;
  /** In a line, when it is not `ok`. */
  readonly why?: string;
  /** Hits, misses, entries and what else it counts, by name: at most 40, finite. */
  readonly counts: Readonly<Record<string, number>>;
}

export interface ConsumerOptions {
  /** 1 to 120 characters; need not be unique. */
  readonly name: string;
  readonly kind: MemoryKind;
  /**
   * The most this consumer may ever hold, bytes. Required: nothing grows without a bound. `Infinity` means "up to the line". All of kind `heap` together
   * may hold no more than V8's own limit times the threshold of `emergency`, as it was at the start: past that V8 ends the process.
   */
  readonly maxBytes: number;
  readonly parent?: Consumer;
  /** How long the governor protects it: low gives back first. Whole number, default 0. */
  readonly importance?: number;
  readonly reclaimer?: Reclaimer;
  /**
   * For one of several that could use all there is and can give back: those with `true` divide what the others leave. Over its share it is
   * granted only room that is free beyond the headroom, is asked first, and makes nobody below its share give back. Default false.
   */
  readonly fairShare?: boolean;
  /** Asked at each snapshot: what the holder counts, and how it does. O(1), never throws; what it throws is a fault in the snapshot. */
  readonly report?: () => HolderReport;
}

export interface AdmitOptions {
  readonly signal?: AbortSignal;
  /** Default 30,000 ms. */
  readonly timeoutMs?: number;
}

/**
 * A named holder of memory in the ledger. Disposing it releases all that it and its children hold: their reservations hold nothing from
 * then on, and using it is `PLIMSOLL_DISPOSED`.
 */
export interface Consumer extends Disposable {
  readonly name: string;
  readonly kind: MemoryKind;
  readonly maxBytes: number;
  /** Held now and at most so far, children included. */
  readonly heldBytes: number;
  readonly peakBytes: number;
  /** Reserves or throws `BudgetExceededError` (`PLIMSOLL_BUDGET_EXCEEDED`). Synchronous. */
  reserve(bytes: number): Reservation;
  /** Reserves or returns `undefined`: being over budget is normal. Synchronous. */
  tryReserve(bytes: number): Reservation | undefined;
  /**
   * Waits its turn for room. Rejects on timeout (`PLIMSOLL_ADMISSION_TIMEOUT`), on abort (with the signal's reason), when too many wait
   * (`PLIMSOLL_ADMISSION_QUEUE_FULL`) and at once when it could never fit (`PLIMSOLL_BUDGET_EXCEEDED`). Inside a scope also at once when it would
   * have to wait while the scope holds what it did not declare up front (`PLIMSOLL_HOLD_AND_WAIT`), and when all that is in the way has been held by
   * scopes that wait themselves, for half of the time that it would wait and a second at least (`PLIMSOLL_DEADLOCK`). Outside scopes nobody sees
   * who holds something and waits for more: reserve what is needed at once. Others may pass one that waits a bounded number of times, those that do
   * not wait for a bounded number of bytes; both bounds halve with each second. One that the machine alone has no room for keeps others back for a
   * second at a time, with a pause as long.
   */
  admit(bytes: number, options?: AdmitOptions): Promise<Reservation>;
  /**
   * Begins a section in which this consumer is not asked to give back, for a holder in the middle of a change. Nests; ends when the result is
   * disposed. Keep it short: others may be refused meanwhile.
   */
  nonReclaimable(): Disposable;
  /**
   * Counts bytes that are there already and were never asked for, as those of a cache of somebody else's. Never refused, in no mode: the books may go
   * over `maxBytes`, and over the line, and then others and this consumer are made to give back. Nothing is held until it is resized.
   */
  track(): Tracked;
}

/** What somebody holds without having asked. Disposing it is for when it is gone, or nobody looks after it any more. */
export interface Tracked extends Disposable {
  readonly bytes: number;
  /** Sets how many there are: a whole number from 0 up. About 20 ns, and a sample now and then, as for reservations. `PLIMSOLL_DISPOSED` when this or its consumer has been disposed. */
  resize(bytes: number): void;
}

export interface ScopeOptions {
  /** Of the request or tenant: for errors, the snapshot and the journal. 1 to 120 characters: of a URL take the route. */
  readonly name: string;
  /** The most that all reservations made inside may hold together, bytes. Required. `Infinity` means "up to the line". */
  readonly maxBytes: number;
  /**
   * Waited for as one before the work begins; what is reserved inside draws on it without waiting, and what was not used up goes back at the end.
   * Whole number, default 0.
   */
  readonly upFrontBytes?: number;
  /** The most to wait for `upFrontBytes`, ms. Default 30,000. */
  readonly timeoutMs?: number;
  /** Aborts the scope from outside. */
  readonly signal?: AbortSignal;
}

/**
 * A request or tenant: a tag on what is reserved while it runs, across `await`, with a cap; not an owner. A reservation that outlives the
 * scope, or is transferred, loses the tag and stays with its consumer.
 */
export interface Scope {
  readonly name: string;
  readonly maxBytes: number;
  readonly heldBytes: number;
  readonly peakBytes: number;
  /**
   * Aborted when the line is in danger and this scope is the largest (`PLIMSOLL_SCOPE_ABORTED`), or by the signal that it was given. From
   * then on reservations inside fail: what throws or rejects does so with that reason, what tries says no. What it holds stays until its work lets go.
   */
  readonly signal: AbortSignal;
}

/** Bytes a consumer holds. Reserved before allocating, released by `Symbol.dispose`; disposing twice is safe. */
export interface Reservation extends Disposable {
  readonly bytes: number;
  readonly consumer: Consumer;
  /** Adds bytes or throws `BudgetExceededError`. */
  grow(bytes: number): void;
  /** False when there is no room, and when a reclaimer or a listener has disposed or moved this reservation meanwhile. */
  tryGrow(bytes: number): boolean;
  /** Gives bytes back; never more than it holds (`RangeError`). */
  shrink(bytes: number): void;
  /** Sets the size: `grow` or `shrink` by the difference. When it throws, nothing that it added stays. */
  resize(bytes: number): void;
  /**
   * Moves the bytes to another consumer; afterwards that consumer owns them, and no scope counts them: moving them to the same consumer does
   * that alone. `PLIMSOLL_DISPOSED` when either has been disposed.
   */
  transfer(to: Consumer): void;
}
