const NOTHING: Uint8Array<ArrayBufferLike> = Buffer.alloc(0);

/**
 * The record at hand of a run that is read in order: its key is `bytes[keyStart .. keyEnd)`, the record `bytes[keyEnd .. end)`. Valid until the cursor moves. At the end
 * of the run `number` is `Infinity`, which is that of no key.
 */
export abstract class RunCursor implements AsyncDisposable {
  bytes: Buffer = NOTHING as Buffer;
  keyStart = 0;
  keyEnd = 0;
  end = 0;
  /** `keyNumber` of the key. */
  number: number = Number.POSITIVE_INFINITY;

  get ended(): boolean {
    return this.number === Number.POSITIVE_INFINITY;
  }

  /** Moves on, past the last record to the end. False where the next has to be read first: `fill` then moves on to it. */
  abstract advance(): boolean;
  abstract fill(): Promise<void>;
  abstract [Symbol.asyncDispose](): Promise<void>;
}

/** Moves a cursor on, whatever it takes. */
export async function moveOn(cursor: RunCursor): Promise<void> {
  if (!cursor.advance()) await cursor.fill();
}
