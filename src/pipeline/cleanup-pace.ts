import { levelRank, type PressureLevel } from '../governor/index.ts';
import type { CleanupReason } from './cleanup-report.ts';

/** What frees less is in vain: bytes, and a part of what is in use. */
const WORTH_BYTES = 262_144;
const WORTH_SHARE = 0.01;
/** Between stages as much has to have come since the last cleanup, from `moderate` on. */
const WORTH_A_STAGE_BYTES = 1_048_576;
const LONGEST_WAIT_MS = 30_000;
/** Within stages they take a tenth of the time at most. */
const PAUSE_FACTOR = 9;

export interface CleanupPaceOptions {
  readonly checkEveryMs: number;
  readonly everyMs: number;
  readonly growthBytes: number;
  readonly fromLevel: PressureLevel;
}

/** How the machine stands at a look. */
export interface PaceReading {
  readonly nowMs: number;
  readonly usedBytes: number;
  /** Of what is in use, what holders that no cleanup would ask have reserved. */
  readonly reservedBytes: number;
  readonly level: PressureLevel;
}

/**
 * When a cleanup is worth it. Within stages at a bounded rate: a look every `checkEveryMs`, twice as long after each cleanup that was in vain (to 30 s), and nine times what the last one took.
 */
export class CleanupPace {
  readonly #options: CleanupPaceOptions;
  #waitMs: number;
  #lookAt: number;
  #endedAt: number;
  #leftBytes: number;
  #reservedBytes: number;

  constructor(options: CleanupPaceOptions, { nowMs, usedBytes, reservedBytes }: PaceReading) {
    this.#options = options;
    this.#waitMs = options.checkEveryMs;
    this.#lookAt = nowMs + options.checkEveryMs;
    this.#endedAt = nowMs;
    this.#leftBytes = usedBytes;
    this.#reservedBytes = reservedBytes;
  }

  /** Whether it is time for a look within a stage. */
  isTime(nowMs: number): boolean {
    return nowMs >= this.#lookAt;
  }

  /** By how much use has grown since the last cleanup, or since the start; negative when it fell. */
  grownBytes(usedBytes: number): number {
    return usedBytes - this.#leftBytes;
  }

  /** Why a cleanup within a stage is due; the next look is later. */
  look(reading: PaceReading): CleanupReason | undefined {
    const { nowMs, level } = reading;
    this.#lookAt = nowMs + this.#options.checkEveryMs;
    const { everyMs, growthBytes, fromLevel } = this.#options;
    if (levelRank(level) >= levelRank(fromLevel)) return 'level';
    if (this.#unknownBytes(reading) >= growthBytes) return 'growth';
    return nowMs - this.#endedAt >= everyMs ? 'time' : undefined;
  }

  /** Whether one between two stages is worth it. `offeredBytes` is what cleanables have that it would take. */
  isWorthAStage(reading: PaceReading, offeredBytes: number): boolean {
    const { nowMs, level } = reading;
    // While all is calm a collection costs more than its garbage: a stage of some 50 ms would take twice as long.
    const { growthBytes } = this.#options;
    const worthBytes = level === 'optimal' ? Math.max(growthBytes, WORTH_A_STAGE_BYTES) : WORTH_A_STAGE_BYTES;
    if (offeredBytes > 0 || this.#unknownBytes(reading) >= worthBytes) return true;
    return levelRank(level) >= levelRank(this.#options.fromLevel) && this.isTime(nowMs);
  }

  /** A cleanup is over. `gainedBytes` is the best that can be said of it: by the machine or by the books. */
  noteEnd({ nowMs, usedBytes, reservedBytes }: PaceReading, elapsedMs: number, gainedBytes: number): void {
    const isInVain = gainedBytes < Math.max(WORTH_BYTES, usedBytes * WORTH_SHARE);
    this.#waitMs = isInVain
      ? Math.min(this.#waitMs * 2, Math.max(LONGEST_WAIT_MS, this.#options.checkEveryMs))
      : this.#options.checkEveryMs;
    this.#lookAt = nowMs + Math.max(this.#waitMs, elapsedMs * PAUSE_FACTOR);
    this.#endedAt = nowMs;
    this.#leftBytes = usedBytes;
    this.#reservedBytes = reservedBytes;
  }

  /** Of what has come since, what nobody has reserved meanwhile. The rest is held and no garbage: a cleanup would be in vain for it. */
  #unknownBytes({ usedBytes, reservedBytes }: PaceReading): number {
    return this.grownBytes(usedBytes) - Math.max(0, reservedBytes - this.#reservedBytes);
  }
}
