import type { RunCursor } from './run-cursor.ts';

/** A record as callbacks see it: `bytes[start .. end)`. Filled anew for each: valid until the callback returns. */
export interface RecordView {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/** One view, used again and again. */
export class MovingView implements RecordView {
  bytes: Buffer = NOTHING;
  start = 0;
  end = 0;

  /** To the record at a cursor. */
  to(cursor: RunCursor): this {
    this.bytes = cursor.bytes;
    this.start = cursor.keyEnd;
    this.end = cursor.end;
    return this;
  }
}

const NOTHING = Buffer.alloc(0);
