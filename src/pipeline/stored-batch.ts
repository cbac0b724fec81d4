import type { SpillRecord } from '../spill/index.ts';

/** One batch of a `BatchStore`, wherever it stands. */
export class StoredBatch {
  /** As it was appended. */
  readonly rawBytes: number;
  /** What is kept in memory: the batch, or the batch compressed; alone in its buffer. Undefined on the disk. */
  bytes: Buffer | undefined;
  record: SpillRecord | undefined;
  /** Of what is kept, wherever. */
  storedBytes: number;
  isPacked: boolean;
  /** It does not become smaller. */
  isStubborn = false;
  /** Readers that have it in hands: it stays where it is. */
  pins = 0;
  /** It is being compressed or written: its memory stays until that is over. */
  isBusy = false;
  /** Goes when nobody reads or moves it any more. */
  isGone = false;
  /** Nothing of it is there any more. */
  isRemoved = false;

  constructor(rawBytes: number, storedBytes: number, kept: Buffer | SpillRecord, isPacked: boolean) {
    this.rawBytes = rawBytes;
    this.storedBytes = storedBytes;
    if (kept instanceof Uint8Array) this.bytes = kept;
    else this.record = kept;
    this.isPacked = isPacked;
  }
}
