import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, type Stats } from 'node:fs';
import { type FeedEnd, type FeedHeader, type FeedLine, olderFeedPath } from './feed-file.ts';
import { isObservation } from './is-observation.ts';

const CHUNK_BYTES = 65_536;
/** A line that is longer is none of a feed. */
const LONGEST_LINE = 4 * 1_048_576;
/** In one call of `read`, and how many pieces. */
const MOST_BYTES = 16 * 1_048_576;
const MOST_TURNS = 8;
const NEWLINE = 10;

export const isFeedHeader = (line: FeedLine): line is FeedHeader => 'feed' in line;
export const isFeedEnd = (line: FeedLine): line is FeedEnd => 'ended' in line;

/**
 * Reads what a `FeedFile` writes, while it is written: each call gives the lines that were finished since the call before, from the older piece on. Pieces that came and went between
 * two calls are lost. Lines that are none of a feed are counted and passed over, and so is what is no file of this user: a link, a pipe, a device. Never waits. Holds one descriptor: dispose it.
 */
export class FeedReader implements Disposable {
  readonly #path: string;
  #file: number | undefined;
  #begun = false;
  #rest: Buffer[] = [];
  #restBytes = 0;
  #bad = 0;
  /** How far the file that is open was read. */
  #at = 0;
  readonly #others = new Set<string>();

  constructor(path: string) {
    this.#path = path;
  }

  /** Lines that are none of a feed, and paths where there is something else. */
  get badLines(): number {
    return this.#bad;
  }

  /** Empty while there is no file. At most 16 MiB at a time; what is left comes with the next call. Throws what the system throws, but for that there is no file. Nothing after disposing. */
  read(): readonly FeedLine[] {
    const lines: FeedLine[] = [];
    if (!this.#begun) {
      this.#file = this.#open(olderFeedPath(this.#path)) ?? this.#open(this.#path);
      this.#begun = this.#file !== undefined;
    }
    let room = MOST_BYTES;
    for (let turn = 0; this.#file !== undefined && turn < MOST_TURNS; turn++) {
      room -= this.#drain(this.#file, room, lines);
      const now = lstatSync(this.#path, { throwIfNoEntry: false });
      if (room <= 0 || now === undefined || isSame(now, fstatSync(this.#file))) break;
      const next = this.#open(this.#path);
      if (next === undefined) break;
      // What was written between the last look at it and its end.
      room -= this.#drain(this.#file, room, lines);
      closeSync(this.#file);
      this.#file = next;
      this.#at = 0;
      this.#forget();
    }
    return lines;
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
    this.#begun = true;
  }

  /** What is none of a feed is bad, once. */
  #open(path: string): number | undefined {
    const found = tryOpen(path);
    if (found !== 'other') return found;
    if (!this.#others.has(path)) this.#bad++;
    this.#others.add(path);
    return undefined;
  }

  /** Up to where the file ends now: it may grow as fast as it is read. Gives how much it read. */
  #drain(file: number, room: number, lines: FeedLine[]): number {
    const end = Math.min(room, Math.max(0, fstatSync(file).size - this.#at));
    let bytes = 0;
    while (bytes < end) {
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, end - bytes));
      const length = readSync(file, chunk, 0, chunk.length, null);
      if (length === 0) break;
      bytes += length;
      this.#at += length;
      this.#take(chunk.subarray(0, length), lines);
    }
    return bytes;
  }

  #take(chunk: Buffer, lines: FeedLine[]): void {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      const line = Buffer.concat([...this.#rest, chunk.subarray(from, end)]);
      this.#forget();
      from = end + 1;
      const read = readFeedLine(line.toString('utf8'));
      if (read === undefined) this.#bad++;
      else lines.push(read);
    }
    this.#rest.push(chunk.subarray(from));
    this.#restBytes += chunk.length - from;
    if (this.#restBytes <= LONGEST_LINE) return;
    this.#forget();
    this.#bad++;
  }

  #forget(): void {
    this.#rest = [];
    this.#restBytes = 0;
  }
}

/** A line of a feed; undefined for anything else. */
export function readFeedLine(text: string): FeedLine | undefined {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isObservation(line) || isHeader(line) || isEnd(line) ? line : undefined;
}

function isHeader(line: unknown): line is FeedHeader {
  if (typeof line !== 'object' || line === null || 'snapshot' in line || 'ended' in line) return false;
  const { feed, pid, program, node, startedAt } = line as Partial<FeedHeader>;
  const isTold = typeof program === 'string' && typeof node === 'string';
  return feed === 1 && isTold && Number.isInteger(pid) && Number.isFinite(startedAt);
}

function isEnd(line: unknown): line is FeedEnd {
  if (typeof line !== 'object' || line === null || 'snapshot' in line || 'feed' in line) return false;
  const { ended } = line as Partial<FeedEnd>;
  if (typeof ended !== 'object' || ended === null) return false;
  const { at, exitCode, peakRssBytes = 0 } = ended;
  return [at, exitCode, peakRssBytes].every(Number.isFinite);
}

/** A file of this user, never what a link leads to, nor a pipe that would be waited for. */
function tryOpen(path: string): number | 'other' | undefined {
  let file: number;
  try {
    // Windows has neither flag, and no links or pipes that need them.
    file = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    // A link and a socket.
    if (code === 'ELOOP' || code === 'ENXIO') return 'other';
    throw cause;
  }
  const found = fstatSync(file);
  if (found.isFile() && found.uid === (process.getuid?.() ?? found.uid)) return file;
  closeSync(file);
  return 'other';
}

const isSame = (a: Stats, b: Stats): boolean => a.ino === b.ino && a.dev === b.dev;
