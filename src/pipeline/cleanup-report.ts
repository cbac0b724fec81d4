import type { MeterName, PressureLevel, ReclaimStrategy } from '../governor/index.ts';

/**
 * Why a cleanup ran: `between` stages; within one by `level`, by `growth` since the last or because so much `time` has gone by; `asked` for by somebody.
 */
export type CleanupReason = 'between' | 'level' | 'growth' | 'time' | 'asked';

/** What one cleanable did in an operation. */
export interface CleanableOutcome {
  readonly name: string;
  /** By its own account. */
  readonly claimedBytes: number;
  readonly items: number;
  readonly elapsedMs: number;
  /** Times that it threw, lied or was late. */
  readonly faults: number;
}

/** One cleanup: measured, done, measured again. Bytes are what went down: negative where it went up meanwhile. */
export interface CleanupOperation {
  /** 1 for the first. */
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly takenAt: number;
  /** At work when it ran, or ended just before. */
  readonly stage: string;
  readonly why: CleanupReason;
  readonly strategy: ReclaimStrategy;
  readonly level: PressureLevel;
  /** Which read `beforeBytes` and `afterBytes`; absent when the governor could not say. */
  readonly meter?: MeterName;
  readonly beforeBytes: number;
  readonly afterBytes: number;
  /** `beforeBytes` less `afterBytes`: what the machine saw. */
  readonly freedBytes: number;
  /** What the books went down by, all holders together. */
  readonly releasedBytes: number;
  /** What was said: by cleanables, and by other holders that the train asked. */
  readonly claimedBytes: number;
  /** Things cleaned, as the cleanables count them. */
  readonly items: number;
  readonly elapsedMs: number;
  /** Its number in `governor.journal()`, where each part stands; 0 when no train ran. */
  readonly train: number;
  /** Those that were called. */
  readonly cleaned: readonly CleanableOutcome[];
}

/** The cleanups of one stage. */
export interface StageCleanup {
  readonly stage: string;
  readonly operations: number;
  /** Before the first and after the last of them. */
  readonly beforeBytes: number;
  readonly afterBytes: number;
  /** What all of them freed. `beforeBytes` less this, and with `grownBytes`, is `afterBytes`. */
  readonly freedBytes: number;
  /** What came between them: the stage at work. 0 with one operation. */
  readonly grownBytes: number;
  readonly releasedBytes: number;
  readonly claimedBytes: number;
  readonly items: number;
  readonly elapsedMs: number;
}

/** What cleaning came to. Each figure is the sum of those of the stages. */
export interface CleanupReport {
  readonly operations: number;
  readonly freedBytes: number;
  readonly releasedBytes: number;
  readonly claimedBytes: number;
  readonly items: number;
  readonly elapsedMs: number;
  /** Passed over between stages, because there was nothing to clean. */
  readonly spared: number;
  /** In mode `observe`: would have run. They did nothing and stand in no other figure. */
  readonly observed: number;
  /** In the order of their first cleanup; at most 256, those that came later under `Other Stages`. */
  readonly stages: readonly StageCleanup[];
}
