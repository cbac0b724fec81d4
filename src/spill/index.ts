/**
 * Bytes on disk instead of in memory, within a quota, and gone when their owner is.
 * @module
 */
export type { RecordFault } from './record-format.ts';
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
export { nodeSpillFs, type SpillFile, type SpillFs } from './spill-fs.ts';
export type { SpillRecord } from './spill-segment.ts';
