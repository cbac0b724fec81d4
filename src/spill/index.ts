/**
 * Bytes on disk instead of in memory, within a quota, and gone when their owner is.
 * @module
 */
export { SPILL_CODECS, type SpillCodec } from './frame-codec.ts';
export type { RecordFault } from './record-format.ts';
export type { SegmentWriter } from './segment-writer.ts';
export {
  SpillCorruptError,
  SpillIoError,
  SpillMemoryBackedError,
  SpillNoSpaceError,
  SpillQuotaError,
} from './spill-errors.ts';
export {
  SPILL_FOLDER_DEFAULTS,
  SpillFolder,
  type SpillFolderOptions,
  type SpillFolderStats,
} from './spill-folder.ts';
export { isSpillForced } from './spill-forced.ts';
export { nodeSpillFs, type SpillFile, type SpillFs } from './spill-fs.ts';
export type { SpillRun, SpillRunOptions, SpillRunStats } from './spill-run.ts';
export type { SpillRecord } from './spill-segment.ts';
export type { SegmentReadOptions, SpilledSegment } from './spilled-segment.ts';
