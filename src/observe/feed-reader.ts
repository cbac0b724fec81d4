import { closeSync, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { type FeedEnd, type FeedHeader, type FeedLine, olderFeedPath } from './feed-file.ts';
import type { Observation } from './observation.ts';

const CHUNK_BYTES = 65_536;
/** A line that is longer is none of a feed. */
const LONGEST_LINE = 4 * 1_048_576;
const NEWLINE = 10;

export const isFeedHeader = (line: FeedLine): line is FeedHeader => 'feed' in line;
export const isFeedEnd = (line: FeedLine): line is FeedEnd => 'ended' in line;

/**
 * Reads what a `FeedFile` writes, while it is written: each call gives the lines that were finished since the call before, from the older piece on. Pieces that came and went between
 * two calls are lost. Lines that are none of a feed are counted and passed over. Holds one descriptor: dispose it.
 */
export class FeedReader implements Disposable {
  readonly #path: string;
  #file: number | undefined;
  #begun = false;
  #rest: Buffer[] = [];
  #restBytes = 0;
  #bad = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Lines that could not be read. */
  get badLines(): number {
    return this.#bad;
  }

  /** Empty while there is no file. Throws what the system throws, but for that. */
  read(): readonly FeedLine[] {
    const lines: FeedLine[] = [];
    if (!this.#begun) this.#file = tryOpen(olderFeedPath(this.#path)) ?? tryOpen(this.#path);
    this.#begun = this.#file !== undefined;
    while (this.#file !== undefined) {
      this.#drain(this.#file, lines);
      const now = statSync(this.#path, { throwIfNoEntry: false });
      if (now === undefined || isSame(now, fstatSync(this.#file))) break;
      const next = tryOpen(this.#path);
      if (next === undefined) break;
      // What was written between the last look at it and its end.
      this.#drain(this.#file, lines);
      closeSync(this.#file);
      this.#file = next;
      this.#forget();
    }
    return lines;
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
    this.#begun = true;
  }

  #drain(file: number, lines: FeedLine[]): void {
    for (;;) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const length = readSync(file, chunk, 0, CHUNK_BYTES, null);
      if (length === 0) return;
      this.#take(chunk.subarray(0, length), lines);
    }
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
  if (typeof line !== 'object' || line === null) return undefined;
  const { feed, pid, startedAt, ended } = line as Partial<FeedHeader & FeedEnd>;
  if (feed === 1 && Number.isInteger(pid) && Number.isFinite(startedAt)) return line as FeedHeader;
  if (typeof ended === 'object' && ended !== null && Number.isFinite(ended.at)) return line as FeedEnd;
  return isObservation(line) ? line : undefined;
}

/** Whether somebody else's JSON has the shape of a look, as far as screens depend on it. */
export function isObservation(value: unknown): value is Observation {
  if (typeof value !== 'object' || value === null) return false;
  const { version, number, at, pid, snapshot, collections, events, alerts } = value as Partial<Observation>;
  if (version !== 1 || ![number, at, pid].every(Number.isFinite)) return false;
  if (typeof snapshot !== 'object' || snapshot === null || !Number.isFinite(collections?.count)) return false;
  if (!Array.isArray(events) || !Array.isArray(alerts)) return false;
  const { meters, consumers, limitBytes, reservedBytes, level, trains, warnings, faults } = snapshot;
  const lists = [meters, consumers, warnings, faults].every(Array.isArray);
  return lists && typeof level === 'string' && [limitBytes, reservedBytes, trains?.count].every(Number.isFinite);
}

function tryOpen(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw cause;
  }
}

const isSame = (a: Stats, b: Stats): boolean => a.ino === b.ino && a.dev === b.dev;
