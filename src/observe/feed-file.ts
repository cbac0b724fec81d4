/**
 * Looks of a process as lines of JSON in a file, for whoever watches it from outside: the command line. Written at once and whole, so that what was looked at stands
 * there when the process is killed a moment later. One file for each process, `<pid>.feed`, in two pieces: the one before is `<pid>.feed.old`.
 */
import { closeSync, lstatSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { PlimsollError } from '../errors.ts';
import { checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import type { Observation } from './observation.ts';

/** The first line of each piece: whose looks these are. */
export interface FeedHeader {
  readonly feed: 1;
  readonly pid: number;
  /** The file that Node was started with, without its folder. */
  readonly program: string;
  readonly node: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
}

/** The last line, of a process that came to its end by itself. */
export interface FeedEnd {
  readonly ended: {
    readonly at: number;
    /** As it stands when the exit begins: listeners of the program may change it yet. */
    readonly exitCode: number;
    /** The most that was ever in RAM, as the system counted it. Absent where it does not. */
    readonly peakRssBytes?: number;
  };
}

export type FeedLine = FeedHeader | Observation | FeedEnd;

export interface FeedFileOptions {
  /** An absolute path of a folder that is there. */
  readonly folder: string;
  /** Of a piece, 65,536 up: on the disk is at most twice that. A line that would not fit begins a new piece; one that is larger by itself is left out. */
  readonly maxBytes: number;
  readonly header: FeedHeader;
}

const OPTIONS = ['folder', 'maxBytes', 'header'] as const;
const LEAST_BYTES = 65_536;
const FEED_NAME = /^([1-9]\d{0,9})\.feed$/;
const PIECE_NAME = /^([1-9]\d{0,9})\.feed(?:\.old)?$/;
/** Files of processes that are gone which are kept: their last looks may be wanted. */
const KEPT_OF_GONE = 16;

/** Where the feed of a process stands, and its piece before. */
export const feedPath = (folder: string, pid: number): string => join(folder, `${pid}.feed`);
export const olderFeedPath = (path: string): string => `${path}.old`;

/** `PLIMSOLL_FEED_FOLDER`: the folder of the feeds is somebody else's, or can be written to by others. */
export class FeedFolderError extends PlimsollError {
  override readonly name = 'FeedFolderError';

  constructor(folder: string, why: string) {
    super(`The folder ${folder} is not used for feeds: ${why}`, { code: 'PLIMSOLL_FEED_FOLDER', recovery: 'fail' });
  }
}

/** The folder in which programs with `PLIMSOLL_FEED=on` write, this user's own in the system's folder for temporary files. It need not be there. */
export function feedHome(temporary: string = tmpdir()): string {
  return join(temporary, `plimsoll-feed-${process.getuid?.() ?? 'user'}`);
}

/** Makes a folder for feeds, for this user only, or sees to it that the one that is there is so. Throws `PLIMSOLL_FEED_FOLDER`, and what the system throws. */
export function openFeedFolder(folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  checkFeedFolder(folder);
  return folder;
}

/** For who reads: what stands in a folder that others may write to is theirs, whatever it says. One that is not there is in order. Throws `PLIMSOLL_FEED_FOLDER`, and what the system throws. */
export function checkFeedFolder(folder: string): void {
  const found = lstatSync(folder, { throwIfNoEntry: false });
  if (found === undefined) return;
  const uid = process.getuid?.();
  if (!found.isDirectory()) throw new FeedFolderError(folder, 'it is no folder');
  if (uid !== undefined && found.uid !== uid) throw new FeedFolderError(folder, 'it belongs to somebody else');
  if (uid !== undefined && (found.mode & 0o022) !== 0) throw new FeedFolderError(folder, 'others may write there');
}

/** Processes with a feed in the folder, whether they are there or not. Empty where there is no such folder. */
export function feedsIn(folder: string): readonly number[] {
  return pidsIn(folder, FEED_NAME);
}

function pidsIn(folder: string, pattern: RegExp): readonly number[] {
  try {
    const pids = readdirSync(folder).flatMap((name) => pattern.exec(name)?.[1] ?? []);
    return [...new Set(pids)].map(Number);
  } catch {
    return [];
  }
}

/** Whether there is a process of that number, whoever's it is. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Removes feeds of processes that are gone, but for the sixteen that were written last, and pieces whose newer one is missing. Never throws. */
export function sweepFeeds(folder: string): void {
  const gone = pidsIn(folder, PIECE_NAME)
    .filter((pid) => !isRunning(pid))
    .map((pid) => feedPath(folder, pid));
  const byAge = gone
    .map((path) => ({ path, at: lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
    .sort((a, b) => b.at - a.at);
  for (const { path } of byAge.slice(KEPT_OF_GONE)) {
    for (const each of [path, olderFeedPath(path)]) removeQuietly(each);
  }
}

/** Holds one descriptor: dispose it. What cannot be written is thrown. */
export class FeedFile implements Disposable {
  readonly path: string;
  readonly #maxBytes: number;
  readonly #header: string;
  /** Undefined after disposing, and when the next piece could not be begun. */
  #file: number | undefined;
  #disposed = false;
  #bytes = 0;
  #leftOut = 0;

  constructor(given: FeedFileOptions) {
    const { folder, maxBytes, header } = copyOptions('FeedFile', given, OPTIONS);
    if (typeof folder !== 'string' || !isAbsolute(folder)) throw invalidOption('folder', 'an absolute path', folder);
    this.#maxBytes = checkWhole('maxBytes', maxBytes, LEAST_BYTES);
    this.#header = `${JSON.stringify(header)}\n`;
    this.path = feedPath(folder, header.pid);
    // A process before may have had the number.
    for (const each of [this.path, olderFeedPath(this.path)]) removeQuietly(each);
    this.#open();
  }

  /** Lines that were larger than a piece. */
  get leftOut(): number {
    return this.#leftOut;
  }

  /** Appends one line, at once. Nothing after disposing. Where the next piece could not be begun, each line after it tries to. */
  write(line: Observation | FeedEnd): void {
    if (this.#disposed) return;
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    if (bytes.length + this.#header.length > this.#maxBytes) {
      this.#leftOut++;
      return;
    }
    if (this.#file === undefined) this.#open();
    else if (this.#bytes + bytes.length > this.#maxBytes) this.#turn(this.#file);
    this.#append(bytes);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #open(): void {
    this.#file = openSync(this.path, 'wx', 0o600);
    this.#bytes = 0;
    this.#append(Buffer.from(this.#header));
  }

  #turn(file: number): void {
    this.#file = undefined;
    closeSync(file);
    renameSync(this.path, olderFeedPath(this.path));
    this.#open();
  }

  #append(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file!, bytes, at);
    this.#bytes += bytes.length;
  }
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Somebody else's: opening says so.
  }
}
