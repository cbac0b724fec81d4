import type { BufferSlot } from './buffer-slot.ts';
import { IdleStack } from './idle-stack.ts';

/** What a pool did with one size of buffer. */
export interface BufferClassStats {
  /** Bytes of each; `Infinity` for those that are too large to be kept. */
  readonly classBytes: number;
  /** Loans of one that was there, and of one that had to be made. */
  readonly hits: number;
  readonly misses: number;
  /** Let go, for whatever reason. */
  readonly dropped: number;
  readonly leased: number;
  readonly idle: number;
}

/** Buffers of one size: those at rest, and the counts. */
export class SizeClass {
  readonly classBytes: number;
  readonly idle = new IdleStack<BufferSlot>();
  hits = 0;
  misses = 0;
  dropped = 0;
  leased = 0;

  constructor(classBytes: number) {
    this.classBytes = classBytes;
  }

  get stats(): BufferClassStats {
    const { classBytes, hits, misses, dropped, leased, idle } = this;
    return { classBytes, hits, misses, dropped, leased, idle: idle.size };
  }
}
