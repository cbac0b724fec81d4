/** Plain data: JSON and back gives the same. */
export interface LeakCheckpoint {
  /** From 1; those before the first one that is kept are gone. */
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** False for a checkpoint of the warm-up. */
  readonly compared: boolean;
  readonly heapBytes: number;
  /** Outside V8's heap, buffers included, and buffers alone. */
  readonly externalBytes: number;
  readonly arrayBufferBytes: number;
  readonly rssBytes: number;
  /** Objects in the heap; absent where it was not counted: `note` says why. */
  readonly objects?: number;
  readonly note?: string;
  /** How long it took, most of it with the program stopped. */
  readonly spentMs: number;
}

/** `consumer`: by the ledger. `resource`: what keeps Node's event loop alive. `process`: figures of the process as a whole. The others are rows of the heap. */
export type LeakKind = 'consumer' | 'constructor' | 'function' | 'listeners' | 'buffers' | 'resource' | 'process';

export interface LeakPoint {
  readonly checkpoint: number;
  /** What was compared: bytes, or a number of things without bytes, that were there at the checkpoint before already, where that is known. */
  readonly figure: number;
  readonly bytes: number;
  readonly count: number;
}

/** What grows from checkpoint to checkpoint, and goes on growing. */
export interface LeakSuspect {
  readonly kind: LeakKind;
  /** The consumer, constructor, function, event or resource. */
  readonly what: string;
  /** For a function where it is written, `file:line`. */
  readonly at?: string;
  /** 0 to 1. See `judgeLeaks`. */
  readonly confidence: number;
  /** From the first compared checkpoint to the last. */
  readonly growthBytes: number;
  readonly growthCount: number;
  /** From one checkpoint to the next, by the median of all pairs. */
  readonly bytesEach: number;
  readonly countEach: number;
  /** All that was there at each compared checkpoint, whether it stayed or not. */
  readonly points: readonly LeakPoint[];
  /** How what came and stayed is held, the outermost first, and the part of it that is held so. Absent where nobody knows. */
  readonly heldBy?: readonly string[];
  readonly heldShare?: number;
  /** Another suspect through which it is held: what grows there explains this. */
  readonly within?: string;
}

export interface LeakReport {
  readonly version: 1;
  readonly checkpoints: readonly LeakCheckpoint[];
  /** How many were compared. Below 5 there are no suspects: nothing could be said. */
  readonly compared: number;
  /** The surest first, of equally sure ones the largest; those inside others behind the rest. */
  readonly suspects: readonly LeakSuspect[];
  /** Rows that moved enough to be asked. */
  readonly asked: number;
  /** Rows that found no place any more. */
  readonly droppedRows: number;
  /** What these figures are not. */
  readonly notes: readonly string[];
  readonly spentMs: number;
}
