import { PlimsollError } from '../errors.ts';

/** `PLIMSOLL_LOADS_FULL`: as many loads are under way as the cache allows, and this key is not among them. */
export class LoadsFullError extends PlimsollError {
  override readonly name: string = 'LoadsFullError';
  readonly maxLoads: number;

  constructor(cache: string, maxLoads: number) {
    super(
      `cache ${cache}: ${maxLoads} loads are under way, which is its \`maxLoads\`; try again when some have ended`,
      {
        code: 'PLIMSOLL_LOADS_FULL',
        recovery: 'retry',
      },
    );
    this.maxLoads = maxLoads;
  }
}

/** `PLIMSOLL_LOAD_TIMEOUT`: a loader took longer than the cache waits for it. Its signal was aborted. */
export class LoadTimeoutError extends PlimsollError {
  override readonly name: string = 'LoadTimeoutError';
  readonly loadTimeoutMs: number;

  constructor(cache: string, loadTimeoutMs: number) {
    super(`cache ${cache}: a load did not end within ${loadTimeoutMs}ms, its \`loadTimeoutMs\``, {
      code: 'PLIMSOLL_LOAD_TIMEOUT',
      recovery: 'retry',
    });
    this.loadTimeoutMs = loadTimeoutMs;
  }
}
