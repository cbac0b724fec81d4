/**
 * Bytes on disk instead of in memory, within a quota, and gone when their owner is.
 * @module
 */
export { codecAtHand, FrameCodec, freeBuffer, freeChunk, SPILL_CODECS, type SpillCodec } from './frame-codec.ts';
export type { SpillFault } from './frame-format.ts';
export { ownerFate, ownerMark } from './owner-mark.ts';
export type { SegmentWriteOptions, SegmentWriter } from './segment-writer.ts';
export {
  SpillCorruptError,
  SpillIoError,
  SpillMemoryBackedError,
  SpillNoSpaceError,
  SpillQuotaError,
} from './spill-errors.ts';
export { SpillFolder } from './spill-folder.ts';
export {
  SPILL_FOLDER_DEFAULTS,
  type SpillFolderOptions,
  type SpillFolderStats,
} from './spill-folder-options.ts';
export { isSpillForced } from './spill-forced.ts';
export { nodeSpillFs, type SpillFile, type SpillFs } from './spill-fs.ts';
export { SPILL_RUN_DEFAULTS, type SpillRun, type SpillRunOptions, type SpillRunStats } from './spill-run.ts';
export type { SpillRecord } from './spill-segment.ts';
export type { SegmentReadOptions, SpilledSegment } from './spilled-segment.ts';
