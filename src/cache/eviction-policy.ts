/** What is looked up about entries by a policy: by slot, never changed. */
export interface EvictionView {
  /** Slots are whole numbers from 0, below this; `resize` tells when it has grown. */
  readonly slotCount: number;
  /** Entries that are there. */
  readonly entryCount: number;
  /** What all entries weigh, and what they may: bytes where the cache is bound by bytes, else entries. */
  readonly weight: number;
  readonly maxWeight: number;
  /** Bytes, 0 up, where the cache is bound by bytes, else 1. */
  weightOf(slot: number): number;
  keyOf(slot: number): unknown;
  /** 31 bits, the same whenever the same key comes: for sketches. Different keys may have the same. */
  hashOf(slot: number): number;
}

/**
 * Says which entry goes next. It knows entries by their slots: small whole numbers that are used again once an entry has gone, so that links and counters stand in typed
 * arrays. Called in the middle of a change: never call the cache from here, never throw, leave no garbage. `policyContract` in `test/contract/policy.ts` is the suite for
 * policies of your own.
 */
export interface EvictionPolicy {
  readonly name: string;
  /** There is an entry in a slot that had none. */
  onInsert(slot: number): void;
  /** It was asked for and found. */
  onAccess(slot: number): void;
  /** It has a new value; `weightBefore` is what the old one weighed. Default: `onAccess`. */
  onUpdate?(slot: number, weightBefore: number): void;
  /** It goes, whatever for; what it was can still be looked up. */
  onRemove(slot: number): void;
  /**
   * The slot of the entry that should go so that something of `incomingWeight` may come; -1 when it knows of none. Only names it: `onRemove` follows. Asked again
   * until there is room.
   */
  victim(incomingWeight: number): number;
  /** Slots below this may come: at the start, whenever there is room for more, and for fewer, once entries have moved. */
  resize(slotCount: number): void;
  /** The entry in slot `from` stands in `to` now, which had none. Where it is missing, a cache that has become much smaller keeps its arrays. */
  onMove?(from: number, to: number): void;
  /** `maxWeight` has changed, or what all entries weigh: what is known of weights is to be looked up anew. */
  onBound?(): void;
}

/** Makes the policy of one cache. Called once for each, before its first entry; again when the policy is changed while running. */
export type EvictionPolicyFactory = (view: EvictionView) => EvictionPolicy;
