/** What a row counts: instances by constructor, functions by where they are written, listeners by the event they wait for, memory of buffers. */
export type HeapRowKind = 'constructor' | 'function' | 'listeners' | 'buffers';

/** One row of a census. */
export interface HeapRow {
  readonly kind: HeapRowKind;
  /** The constructor, the function, the event. */
  readonly what: string;
  /** Set apart from others of the same name; the same in each census. */
  readonly key: string;
  readonly count: number;
  readonly bytes: number;
  /** Of those, what was there at the census before already. Of listeners all. */
  readonly livedCount: number;
  readonly livedBytes: number;
  /** For a function where it is written, `file:line`. */
  readonly at?: string;
  /** How what has come since `bornAfter` and lived is held, the outermost first, where it is known, and by what part of it. */
  readonly heldBy?: readonly string[];
  readonly heldShare?: number;
}

/** What V8's heap holds, by row. */
export interface HeapCensus {
  readonly objects: number;
  readonly rows: readonly HeapRow[];
  /** The highest number of an object. Objects that come later have higher ones. */
  readonly lastId: number;
  /** False where objects were numbered anew since the last census, so that nobody can tell which had been there. */
  readonly sameNumbers: boolean;
}

export interface CensusRequest {
  /** `lastId` of the census before; 0 for the first. */
  readonly livedId: number;
  /** Who came after this one, and lived, is asked who holds it; undefined: nobody is asked. */
  readonly bornAfter?: number;
}

/** Where a census comes from. Disposing ends the numbering of objects. */
export interface HeapSource extends Disposable {
  take(request: CensusRequest): Promise<HeapCensus>;
}
