import type { MemoryKind, PressureLevel, ReclaimStrategy } from '../governor/index.ts';

/** What one cleaning came to, by its own account: what is believed is what `estimate` says afterwards, and what the machine sees. */
export interface Cleaned {
  /** Bytes let go of, 0 up. */
  readonly bytes: number;
  /** Things let go of, 0 up, whatever it counts: entries, rows. Default 0. */
  readonly items?: number;
}

/** What a cleaning is told besides its strategy. */
export interface CleanHelp {
  /** Bytes wanted back, 1 up; more is allowed, less is normal. */
  readonly targetBytes: number;
  readonly level: PressureLevel;
  /** Aborted when the time for it is over: what is done afterwards is waited for no longer. */
  readonly signal: AbortSignal;
}

/**
 * Something that holds memory and can be cleaned: a table that a stage is done with, a memo, a list of free objects. `MemoryCleanupCoordinator.register` puts it in the
 * governor's books, under its name, with what `estimate` says; from then on it is asked by trains like any other holder.
 */
export interface MemoryCleanable {
  /** As books, journal and reports have it: 1 to 120 characters. */
  readonly name: string;
  /** What sort of memory it holds. Default `heap`. */
  readonly kind?: MemoryKind;
  /** How long the governor protects it: low gives back first. Whole number, default 0. */
  readonly importance?: number;
  /**
   * `clean` gives a promise. Default false: then it is called inside reservations of others as well, and has to be done within milliseconds. A promise all the same is a
   * fault, and what it frees counts for nothing.
   */
  readonly waits?: boolean;
  /**
   * What it holds is reserved with the governor already, by itself: it gets no place in the books, which would count its bytes twice. It is cleaned just before the
   * train, by the coordinator alone. Default false.
   */
  readonly isReserved?: boolean;
  /** Bytes that could be let go of now: 0 up to the limit, O(1). One that throws, or says more, has none. */
  estimate(): number;
  /**
   * Lets go: by `basic` of what is not in use, by `aggressive` also of what would have to be made again, by `smart` of about `targetBytes`, the cheapest first. One that
   * throws, rejects, lies or hangs is noted and passed over; while it hangs it is not called again.
   */
  clean(strategy: ReclaimStrategy, help: CleanHelp): Cleaned | Promise<Cleaned>;
}
