import { PlimsollError } from '../errors.ts';

/**
 * `PLIMSOLL_STAGE_FAILED`: a stage failed. `stage` says which, `cause` why, and the message both; `recovery` is the cause's. When stages further up failed as well while they were closed,
 * those errors stand in `closeErrors`. An abort is not wrapped: it rejects with the signal's own reason.
 */
export class StageError extends PlimsollError {
  override readonly name: string = 'StageError';
  readonly stage: string;
  readonly closeErrors: unknown[] = [];

  constructor(stage: string, cause: unknown) {
    const recovery = cause instanceof PlimsollError ? cause.recovery : 'fail';
    const why = cause instanceof Error ? cause.message : String(cause);
    super(`${stage}: ${why}`, { code: 'PLIMSOLL_STAGE_FAILED', recovery, cause });
    this.stage = stage;
  }

  /** As it is when it names a stage already or is the abort itself, else with this stage's name. */
  static from(error: unknown, stage: string, signal: AbortSignal): unknown {
    if (error instanceof StageError) return error;
    if (signal.aborted && (error === signal.reason || (error instanceof Error && error.name === 'AbortError'))) {
      return signal.reason;
    }
    return new StageError(stage, error);
  }
}
