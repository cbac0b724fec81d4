import { rmSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { writeHeapSnapshot } from 'node:v8';
import { formatBytes } from '../bytes.ts';
import { describeCause } from '../describe-cause.ts';
import { PlimsollError } from '../errors.ts';
import { checkWhole, invalidOption } from '../invalid-option.ts';

/** The least that is ever asked to be free, by used heap; and what is asked unless somebody knows their heap better. */
const SMALLEST_FACTOR = 2;
const DEFAULT_FACTOR = 20;
const LARGEST_FACTOR = 1_000;
const DISK_FACTOR = 2;

export interface HeapSnapshotRequest {
  /** The file. One that is there is replaced. */
  readonly path: string;
  /** What is still free under the line by the meter that decides, bytes. */
  readonly freeBytes: number;
  /** What V8 uses of its heap now, bytes. */
  readonly usedHeapBytes: number;
  /**
   * How many times the used heap must be free: 2 to 1,000. Default 20. V8 builds a graph of all objects outside the heap: measured, heaps of small objects,
   * of parsed JSON and of strings took 7 to 19 times their size, one of a few large arrays took next to nothing.
   */
  readonly memoryFactor?: number;
}

/**
 * Writes a heap snapshot for the developer tools, if there is room for it: `PLIMSOLL_NO_ROOM_FOR_SNAPSHOT` unless `memoryFactor` times the used heap is
 * free under the line, and twice the used heap on the disk (the file is up to 1.9 times as large). Taken only when somebody asks, never by the
 * governor itself: a snapshot taken in an emergency is what kills. Blocks the process, 1 to 15 s for each 100 MB of heap; what is in strings, secrets
 * too, stands in the file. Returns the size of the file in bytes. `PLIMSOLL_SNAPSHOT_FAILED` when it cannot be written; then nothing is left of it.
 */
export function writeHeapSnapshotIfRoom(request: HeapSnapshotRequest): number {
  const { path, freeBytes, usedHeapBytes, memoryFactor = DEFAULT_FACTOR } = request;
  if (typeof path !== 'string' || path === '') throw invalidOption('path', 'the path of a file', path);
  checkWhole('usedHeapBytes', usedHeapBytes, 0);
  checkWhole('memoryFactor', memoryFactor, SMALLEST_FACTOR, LARGEST_FACTOR);
  // Anything else is as good as no room.
  const free = Number.isFinite(freeBytes) && freeBytes > 0 ? freeBytes : 0;
  const needed = memoryFactor * usedHeapBytes;
  if (free < needed) throw noRoom('under the limit', free, needed);
  const onDisk = freeOnDisk(path);
  if (onDisk < DISK_FACTOR * usedHeapBytes) throw noRoom(`on the disk of ${path}`, onDisk, DISK_FACTOR * usedHeapBytes);
  try {
    writeHeapSnapshot(path);
    return statSync(path).size;
  } catch (cause) {
    removePart(path);
    throw failed(path, cause);
  }
}

function removePart(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // It was never made, or may not be removed: what went wrong first is told.
  }
}

function freeOnDisk(path: string): number {
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize;
  } catch (cause) {
    throw failed(path, cause);
  }
}

function noRoom(where: string, freeBytes: number, neededBytes: number): PlimsollError {
  const message =
    `a heap snapshot needs ${formatBytes(neededBytes)} ${where} and ${formatBytes(Math.floor(freeBytes))} are free: ` +
    'free some, or take it where there is more room';
  return new PlimsollError(message, { code: 'PLIMSOLL_NO_ROOM_FOR_SNAPSHOT', recovery: 'retry' });
}

function failed(path: string, cause: unknown): PlimsollError {
  const message = `the heap snapshot cannot be written to ${path}: ${describeCause(cause)}`;
  return new PlimsollError(message, { code: 'PLIMSOLL_SNAPSHOT_FAILED', recovery: 'fail', cause });
}
