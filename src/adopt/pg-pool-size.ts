import { FailOpen } from '../fail-open.ts';
import { checkGovernor, type Governor } from '../governor/index.ts';
import { checkNumber, checkWhole, copyOptions } from '../invalid-option.ts';

const MIB = 1_048_576;
const DEFAULT_CONNECTION_BYTES = 4 * MIB;
const DEFAULT_MAX_SHARE = 0.25;

export interface PgPoolSizeOptions {
  /** The most it may come to, from 1 up: what the server can bear, divided by the processes that share it. */
  readonly max: number;
  /** The least, from 1 to `max`. Default 1. */
  readonly min?: number;
  /**
   * What one connection may hold at once, bytes: the rows of its largest result, as they come off the wire and as objects. Default 4 MiB, some 10,000 rows
   * of six columns; an idle connection is about 0.1 MiB.
   */
  readonly connectionBytes?: number;
  /** The part of the limit that all connections may take together. Above 0, up to 1. Default 0.25. */
  readonly maxShare?: number;
}

/**
 * How many connections the budget bears: a whole number for `new Pool({ max })`. Worked out once: `pg` documents no way to change `max` of a pool that is
 * there. To follow the level while running, call through `governedPool`. In the modes `observe` and `off`, and where the governor is broken, it is `max`.
 * Throws `RangeError` for unsound options.
 * @example
 * import { pgPoolSize } from 'plimsoll/adopt';
 * const pool = new Pool({ max: pgPoolSize(governor, { connectionBytes: 8 * 1024 * 1024, max: 20 }) });
 */
export function pgPoolSize(governor: Governor, options: PgPoolSizeOptions): number {
  checkGovernor(governor);
  const known = ['max', 'min', 'connectionBytes', 'maxShare'];
  const given = copyOptions('pgPoolSize', options, known);
  const { max, min = 1, connectionBytes = DEFAULT_CONNECTION_BYTES, maxShare = DEFAULT_MAX_SHARE } = given;
  checkWhole('max', max, 1);
  checkWhole('min', min, 1, max);
  checkWhole('connectionBytes', connectionBytes, 1);
  checkNumber('maxShare', maxShare, 0, 1);
  const read = () => (governor.mode === 'on' ? Math.floor((governor.limitBytes * maxShare) / connectionBytes) : max);
  return Math.min(max, Math.max(min, new FailOpen('adopt pg pool').run(read, max)));
}
