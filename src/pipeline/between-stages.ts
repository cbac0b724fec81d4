import type { ReclaimStrategy } from '../governor/index.ts';

/**
 * What a pipeline tells of its stages, so that memory is given back between them and while they work. `MemoryCleanupCoordinator` is one. None of these throws, and no
 * promise rejects; where there is nothing to do they cost a look at the clock and give undefined.
 */
export interface BetweenStages {
  /** A stage has ended and released what it held. What is returned is waited for before anything goes on. An aborted signal ends the waiting. */
  stageEnded(stage: string, signal?: AbortSignal): Promise<void> | undefined;
  /**
   * A stage is at work: it has handed on a batch, or said that it has advanced. Called as often as that happens. A promise when a cleanup is under way: who can wait does,
   * who cannot (`advance`) goes on, and it runs at the next turn.
   */
  whileRunning(stage: string, signal?: AbortSignal): Promise<void> | undefined;
  /** Somebody wants one now, such as a stage that is about to go on with less at `emergency`. */
  cleanupWanted(stage: string, strategy: ReclaimStrategy, signal?: AbortSignal): Promise<void>;
}
