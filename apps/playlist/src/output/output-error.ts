import { PlimsollError } from 'plimsoll';

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'there is no space left on the disk: free some, or set `[output] dir` to another one',
  EDQUOT: 'the disk quota is used up: free some, or set `[output] dir` to another place',
  EACCES: 'permission denied: let this user write there, or set `[output] dir` to another place',
  EPERM: 'permission denied: let this user write there, or set `[output] dir` to another place',
  EROFS: 'the file system is read-only: set `[output] dir` to another place',
  EIO: 'the disk reports a read or write fault',
  ENOTDIR: 'a part of the path is a file, not a folder',
  EISDIR: 'there is a folder of that name',
};

/** A file could not be written, or not read back (`PLIMSOLL_PLAYLIST_OUTPUT`). The old output is untouched: new files only ever replace it whole. */
export class OutputError extends PlimsollError {
  constructor(path: string, cause: unknown, action: 'write' | 'read back' = 'write') {
    const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? '';
    const reason = REASONS[code] ?? (cause instanceof Error ? cause.message : String(cause));
    super(`cannot ${action} ${path}: ${reason}. The old files are untouched.`, {
      code: 'PLIMSOLL_PLAYLIST_OUTPUT',
      recovery: code === 'ENOSPC' || code === 'EDQUOT' ? 'retry' : 'fail',
      cause,
    });
  }
}
