import type { HolderBook } from '../governor/index.ts';
import type { RegistryBound } from './cleanup-errors.ts';
import type { CleanupLine } from './cleanup-line.ts';
import { HELD, IDLE } from './resource-slots.ts';

/** Making room runs code of others, who may take it. */
const ROOM_TRIES = 4;

export interface RegistryRoomOptions {
  readonly line: CleanupLine;
  readonly book: HolderBook;
  readonly maxCount: number;
  readonly maxBytes: number;
  readonly isDraining: () => boolean;
}

/** Whether there is room for one more, and who has to go for it: those used longest ago, no more than needed. */
export class RegistryRoom {
  readonly #options: RegistryRoomOptions;

  constructor(options: RegistryRoomOptions) {
    this.#options = options;
  }

  /** Registered: idle or held. */
  get count(): number {
    const { slots } = this.#options.line;
    return slots.countIn(IDLE) + slots.countIn(HELD);
  }

  get bytes(): number {
    const { slots } = this.#options.line;
    return slots.bytesIn(IDLE) + slots.bytesIn(HELD);
  }

  /** Makes room and books the bytes, or says what is in the way. */
  admit(bytes: number): RegistryBound | 'draining' | undefined {
    const { book, line, isDraining } = this.#options;
    let taken = false;
    let bound: RegistryBound | 'draining' | undefined;
    for (let tries = 0; tries < ROOM_TRIES; tries++) {
      bound = isDraining() ? 'draining' : this.#makeRoom(bytes);
      if (bound === undefined && !taken) {
        taken = book.tryTake(bytes);
        if (!taken) {
          line.evict(line.longestUnused(0, bytes), 'limit');
          taken = book.tryTake(bytes);
        }
        if (!taken) bound = 'governor';
      }
      if (bound !== undefined) break;
      if (!isDraining() && this.#fits(bytes)) return undefined;
      bound = 'cleanup';
    }
    if (taken) book.give(bytes);
    return bound;
  }

  #fits(bytes: number): boolean {
    const { maxCount, maxBytes, line } = this.#options;
    const { count, bytes: total } = line.slots;
    if (this.count >= maxCount || this.bytes + bytes > maxBytes) return false;
    return count < 2 * maxCount && total + bytes <= 2 * maxBytes;
  }

  #makeRoom(bytes: number): RegistryBound | undefined {
    if (this.#fits(bytes)) return undefined;
    const { maxCount, maxBytes, line } = this.#options;
    const { slots } = line;
    if (slots.countIn(HELD) >= maxCount) return 'count';
    if (slots.bytesIn(HELD) + bytes > maxBytes) return 'bytes';
    if (slots.count >= 2 * maxCount || slots.bytes + bytes > 2 * maxBytes) return 'cleanup';
    line.evict(line.longestUnused(this.count + 1 - maxCount, this.bytes + bytes - maxBytes), 'limit');
    return undefined;
  }
}
