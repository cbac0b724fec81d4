import { type Clock, systemClock } from '../clock.ts';
import { checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { nodeSpillFs, type SpillFs } from './spill-fs.ts';

export interface SpillFolderOptions {
  /** The most that all files may take, bytes. Required. A thirty-second part is kept for compaction, half a segment. At least 64 KiB. */
  readonly maxBytes: number;
  /** The most segment files, each of which holds a file descriptor, 2 up. Default 64. */
  readonly maxFiles?: number;
  /** A segment is full at that size, bytes; a larger record has one of its own. Default a sixteenth of `maxBytes`, at least 16 KiB. */
  readonly segmentBytes?: number;
  /** Takes a parent on tmpfs, ramfs or hugetlbfs too, where spilling frees nothing. Default false. */
  readonly allowMemoryBacked?: boolean;
  readonly clock?: Clock;
  /** Default `node:fs/promises`. */
  readonly fs?: SpillFs;
}

export interface SpillFolderStats {
  /** That the files take, dead records included, and the most that they may. */
  readonly diskBytes: number;
  readonly maxBytes: number;
  /** Of records that are there, with their headers. */
  readonly liveBytes: number;
  readonly recordCount: number;
  readonly fileCount: number;
  readonly puts: number;
  readonly gets: number;
  readonly deletes: number;
  /** Puts that found no room within the bounds. */
  readonly refused: number;
  /** Calls that the file system failed, background work included. */
  readonly failures: number;
  /** Records that had changed on the disk. */
  readonly corrupt: number;
  readonly compactions: number;
  /** Copied on the way. */
  readonly compactedBytes: number;
  /** Of `diskBytes` and `fileCount`, what runs take; and how many are open. */
  readonly runBytes: number;
  readonly runFileCount: number;
  readonly runCount: number;
  /** Folders of dead owners that were removed at the start. */
  readonly leftoversRemoved: number;
}

export const SPILL_FOLDER_DEFAULTS = { maxFiles: 64, allowMemoryBacked: false } as const;

const OPTIONS = ['maxBytes', 'maxFiles', 'segmentBytes', 'allowMemoryBacked', 'clock', 'fs'] as const;
const LEAST_BYTES = 65_536;
const LEAST_SEGMENT_BYTES = 16_384;
const SEGMENT_PART = 16;

/** Fills in the defaults of sound options, throws `RangeError` for others. */
export function checkSpillFolderOptions(given: SpillFolderOptions): Required<SpillFolderOptions> {
  const options = copyOptions('SpillFolder', given, OPTIONS);
  const maxBytes = checkWhole('maxBytes', options.maxBytes, LEAST_BYTES);
  const { maxFiles = SPILL_FOLDER_DEFAULTS.maxFiles, clock = systemClock, fs = nodeSpillFs } = options;
  const { allowMemoryBacked = SPILL_FOLDER_DEFAULTS.allowMemoryBacked } = options;
  if (typeof allowMemoryBacked !== 'boolean') {
    throw invalidOption('allowMemoryBacked', 'true or false', allowMemoryBacked);
  }
  const usual = Math.max(LEAST_SEGMENT_BYTES, Math.ceil(maxBytes / SEGMENT_PART));
  return {
    maxBytes,
    maxFiles: checkWhole('maxFiles', maxFiles, 2),
    segmentBytes: checkWhole('segmentBytes', options.segmentBytes ?? usual, 1, maxBytes),
    allowMemoryBacked,
    clock,
    fs,
  };
}
