import { PlimsollError } from '../errors.ts';
import type { SpillFault } from './frame-format.ts';

/** `PLIMSOLL_SPILL_QUOTA`: a bound of bytes or files, the folder's or a run's, is reached. Nothing was written. */
export class SpillQuotaError extends PlimsollError {
  override readonly name: string = 'SpillQuotaError';

  constructor(message: string) {
    super(message, { code: 'PLIMSOLL_SPILL_QUOTA', recovery: 'fallback' });
  }
}

/** `PLIMSOLL_SPILL_NO_SPACE`: the disk, or the user's part of it, is full (`ENOSPC`, `EDQUOT`). Nothing half-written is left. */
export class SpillNoSpaceError extends PlimsollError {
  override readonly name: string = 'SpillNoSpaceError';
  readonly path: string;

  constructor(path: string, cause: unknown) {
    super(`there is no space left for ${path}`, { code: 'PLIMSOLL_SPILL_NO_SPACE', recovery: 'fallback', cause });
    this.path = path;
  }
}

/** `PLIMSOLL_SPILL_IO`: the file system failed in another way; `cause` is what it said. Nothing half-written is ever read. */
export class SpillIoError extends PlimsollError {
  override readonly name: string = 'SpillIoError';
  readonly path: string;

  constructor(action: string, path: string, cause: unknown) {
    const why = (cause as { code?: unknown } | null)?.code ?? cause;
    super(`could not ${action} ${path}: ${String(why)}`, {
      code: 'PLIMSOLL_SPILL_IO',
      recovery: 'circuit-break',
      cause,
    });
    this.path = path;
  }
}

/** `PLIMSOLL_SPILL_CORRUPT`: what stands on the disk is not what was written. The record is lost, or the rest of the segment. */
export class SpillCorruptError extends PlimsollError {
  override readonly name: string = 'SpillCorruptError';
  readonly path: string;
  /** Where in the file the record or batch begins. */
  readonly offset: number;
  readonly fault: SpillFault;

  constructor(path: string, offset: number, fault: SpillFault) {
    super(`what stands at byte ${offset} of ${path} is not what was written there (${fault})`, {
      code: 'PLIMSOLL_SPILL_CORRUPT',
      recovery: 'fallback',
    });
    this.path = path;
    this.offset = offset;
    this.fault = fault;
  }
}

/** `PLIMSOLL_SPILL_MEMORY_BACKED`: the folder is on a file system that keeps its files in memory, so that spilling there would free nothing. */
export class SpillMemoryBackedError extends PlimsollError {
  override readonly name: string = 'SpillMemoryBackedError';

  constructor(path: string, kind: string) {
    super(`${path} is on ${kind}, which is memory: name a folder on a disk, or set \`allowMemoryBacked\``, {
      code: 'PLIMSOLL_SPILL_MEMORY_BACKED',
      recovery: 'fail',
    });
  }
}

const FULL = new Set(['ENOSPC', 'EDQUOT']);

/** What a call of the file system threw, with a code of ours. */
export function spillError(action: string, path: string, cause: unknown): PlimsollError {
  if (cause instanceof PlimsollError) return cause;
  return FULL.has(String((cause as { code?: unknown } | null)?.code))
    ? new SpillNoSpaceError(path, cause)
    : new SpillIoError(action, path, cause);
}
