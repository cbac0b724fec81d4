/** The ABI, version 1, as types of functions: what ABI.md says in words. Loaded in workers too. */
export const ABI_VERSION = 1;
export const PAGE_BYTES = 65_536;

/** What a module may import from `plimsoll`. */
export const HOST_FUNCTIONS: Readonly<Record<string, string>> = {
  log: 'i32 i32 i32 ->',
  now: '-> f64',
  pressure: '-> i32',
  emit: 'i32 i32 -> i32',
  fail: 'i32 i32 ->',
  spill_write: 'i32 i32 -> i32',
  spill_size: 'i32 -> i32',
  spill_read: 'i32 i32 i32 i32 -> i32',
  spill_free: 'i32 -> i32',
};

/** What it exports: all of these, */
export const REQUIRED_EXPORTS: Readonly<Record<string, string>> = {
  plimsoll_abi: '-> i32',
  plimsoll_alloc: 'i32 -> i32',
  plimsoll_init: 'i32 i32 -> i32',
  plimsoll_process: 'i32 i32 -> i32',
};

/** and these where it likes. */
export const OPTIONAL_EXPORTS: Readonly<Record<string, string>> = {
  plimsoll_pressure: 'i32 ->',
  plimsoll_finalize: '-> i32',
  plimsoll_trim: '->',
  _initialize: '->',
};

/** Names of exports that only the host gives: mutable globals and tables, by their numbers. */
export const HOST_EXPORTS = 'plimsoll:';
export const globalExport = (index: number): string => `${HOST_EXPORTS}g${index}`;
export const tableExport = (index: number): string => `${HOST_EXPORTS}t${index}`;

/** What the spill calls give instead of a handle or a count. */
export const SPILL_ERROR = { none: -1, noRoom: -2, failed: -3, noHandle: -4, tooLong: -5 } as const;
export const MAX_SPILL_RECORDS = 16_384;
export const MAX_SPILL_RECORD_BYTES = 1_048_576;
export const MAX_CONFIG_BYTES = 1_048_576;
export const MAX_TEXT_BYTES = 1_024;
export const MAX_LOG_LINES = 64;
