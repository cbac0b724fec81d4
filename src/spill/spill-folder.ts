/**
 * Records in segment files. Invariants:
 * - One writes at a time, in order of arrival: puts and compaction go through one turn. Reads go beside it.
 * - What is counted as used is what the files may take, from before a write on until the file is gone: the bound holds at any moment.
 * - Puts stop half a segment before `maxBytes`. That is the room in which a segment that is mostly dead can always be compacted, since less than half of it is live.
 * - A record's place is known in memory alone: a folder is of no use to another process, and is not meant to be.
 */
import type { Clock } from '../clock.ts';
import { DisposedError } from '../errors.ts';
import { checkWhole, invalidOption } from '../invalid-option.ts';
import { FRAME_HEADER_BYTES, MAX_PAYLOAD_BYTES } from './frame-format.ts';
import type { FolderRoom } from './run-context.ts';
import type { RunFile } from './run-file.ts';
import { SpillQuotaError, spillError } from './spill-errors.ts';
import { checkSpillFolderOptions, type SpillFolderOptions, type SpillFolderStats } from './spill-folder-options.ts';
import type { SpillFs } from './spill-fs.ts';
import { SpillHome } from './spill-home.ts';
import { SpillRun, type SpillRunOptions } from './spill-run.ts';
import { type SpillRecord, SpillSegment, StoredRecord } from './spill-segment.ts';

const COPY_BYTES = 65_536;
/** A segment with less than that alive is compacted in the background; with no more than that when room is needed. */
const MOSTLY_DEAD = 0.5;
const STILL_WORTH = 0.75;
const SIGN_EVERY_MS = 3_600_000;

/**
 * Keeps byte records on disk within a number of bytes and files: in a private folder (0700) below the given one, removed when it is disposed; what dead processes left
 * there goes at the next start, what a living one has is never touched. Spilled bytes do not outlive the process and are not flushed to the disk.
 *
 * A put or get is one system call on Node's thread pool: 75 to 500 µs for 2 KB on a busy machine, waiting included; in memory a record takes about 130 bytes. Nothing is buffered: a put writes from the caller's
 * bytes, which must not change until it resolves. Codes: `PLIMSOLL_SPILL_QUOTA`, `PLIMSOLL_SPILL_NO_SPACE`, `PLIMSOLL_SPILL_IO`, `PLIMSOLL_SPILL_CORRUPT`,
 * `PLIMSOLL_SPILL_MEMORY_BACKED`, `PLIMSOLL_DISPOSED`. Whoever opened it disposes it.
 * @example
 * import { SpillFolder } from 'plimsoll/spill';
 * await using folder = await SpillFolder.open('/var/tmp', { maxBytes: 256 * 2 ** 20 });
 * const record = await folder.put(Buffer.from('hello'));
 * console.log(String(await folder.get(record)));
 */
export class SpillFolder implements AsyncDisposable {
  readonly maxBytes: number;
  readonly #home: SpillHome;
  readonly #fs: SpillFs;
  readonly #clock: Clock;
  readonly #maxFiles: number;
  readonly #segmentBytes: number;
  /** The rest is for compaction. */
  readonly #usableBytes: number;
  readonly #segments = new Set<SpillSegment>();
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  readonly #counts = { puts: 0, gets: 0, deletes: 0, refused: 0, failures: 0, corrupt: 0 };
  #compactions = 0;
  #compactedBytes = 0;
  #recordCount = 0;
  #active: SpillSegment | undefined;
  #copyBuffer: Uint8Array | undefined;
  #nextId = 1;
  #nextFile = 1;
  /** About to be written by a put or a compaction, and what runs take: counted before there is anything. */
  #aheadBytes = 0;
  #openingFiles = 0;
  #runBytes = 0;
  #runFileCount = 0;
  readonly #runs = new Set<SpillRun>();
  /** Files of runs that could not be removed. */
  readonly #stuck = new Set<RunFile>();
  #turn: Promise<unknown> = Promise.resolve();
  #compactionWaits = false;
  /** Files that are being removed. */
  readonly #removals = new Map<SpillSegment, Promise<void>>();
  /** Work that nobody waits for but the end. */
  readonly #background = new Set<Promise<void>>();
  #timer: Disposable | undefined;
  #disposed = false;

  private constructor(home: SpillHome, options: Required<SpillFolderOptions>) {
    this.maxBytes = options.maxBytes;
    this.#maxFiles = options.maxFiles;
    this.#segmentBytes = options.segmentBytes;
    this.#usableBytes = options.maxBytes - Math.ceil(options.segmentBytes / 2);
    this.#fs = options.fs;
    this.#clock = options.clock;
    this.#home = home;
    this.#signLater();
  }

  /** Throws `RangeError` for unsound options, and what the file system says, with a code; then nothing is left behind. `parentDir` is made when it is missing. */
  static async open(parentDir: string, options: SpillFolderOptions): Promise<SpillFolder> {
    if (typeof parentDir !== 'string' || parentDir === '') {
      throw invalidOption('parentDir', 'the path of a folder', parentDir);
    }
    const sound = checkSpillFolderOptions(options);
    return new SpillFolder(await SpillHome.make({ parentDir, ...sound }), sound);
  }

  /** The private folder. */
  get dir(): string {
    return this.#home.dir;
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  get stats(): SpillFolderStats {
    let liveBytes = 0;
    for (const segment of this.#segments) liveBytes += segment.liveBytes;
    return {
      diskBytes: this.#diskBytes,
      maxBytes: this.maxBytes,
      liveBytes,
      recordCount: this.#recordCount,
      fileCount: this.#fileCount,
      ...this.#counts,
      compactions: this.#compactions,
      compactedBytes: this.#compactedBytes,
      runBytes: this.#runBytes,
      runFileCount: this.#runFileCount,
      runCount: this.#runs.size,
      leftoversRemoved: this.#home.leftoversRemoved,
    };
  }

  /** Writes bytes, in one piece or several, as one record. They are read until it resolves. Nothing is kept when it rejects. */
  async put(payload: Uint8Array | readonly Uint8Array[], options: { signal?: AbortSignal } = {}): Promise<SpillRecord> {
    const pieces = payload instanceof Uint8Array ? [payload] : payload;
    const bytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
    checkWhole('bytes of a record', bytes, 0, MAX_PAYLOAD_BYTES);
    const record = new StoredRecord(this.#nextId++, bytes);
    await this.#inTurn(async () => {
      options.signal?.throwIfAborted();
      await this.#makeRoomFor(record.diskBytes);
      await this.#append(record, pieces);
      this.#recordCount++;
      this.#counts.puts++;
    });
    return record;
  }

  /**
   * Reads a record. Into `into`, from its beginning, where that holds the record and 20 bytes more: then nothing is allocated. `PLIMSOLL_SPILL_CORRUPT` when
   * it has changed on the disk, `PLIMSOLL_DISPOSED` when it has been deleted.
   */
  async get(record: SpillRecord, options: { into?: Uint8Array; signal?: AbortSignal } = {}): Promise<Uint8Array> {
    if (this.#disposed) throw new DisposedError('spill folder');
    const { into, signal } = options;
    signal?.throwIfAborted();
    const stored = record as StoredRecord;
    const { segment } = stored;
    if (segment === undefined || !this.#segments.has(segment)) throw new DisposedError('spill record');
    this.#counts.gets++;
    const buffer =
      into !== undefined && into.byteLength >= stored.diskBytes ? into : Buffer.allocUnsafeSlow(stored.diskBytes);
    segment.readers++;
    try {
      return await segment.read(stored, buffer);
    } catch (cause) {
      const isCorrupt = codeOf(cause) === 'PLIMSOLL_SPILL_CORRUPT';
      this.#counts[isCorrupt ? 'corrupt' : 'failures']++;
      throw cause;
    } finally {
      segment.readers--;
      this.#maybeRemove(segment);
    }
  }

  /** Lets a record go; twice is safe. The room on the disk comes back when its segment is empty, or mostly so. Never throws. */
  delete(record: SpillRecord): void {
    const stored = record as StoredRecord;
    const { segment } = stored;
    if (segment === undefined || !this.#segments.has(segment)) return;
    segment.drop(stored);
    this.#recordCount--;
    this.#counts.deletes++;
    if (segment.records.size === 0 && !segment.writing) this.#doom(segment);
    else if (this.#isMostlyDead(segment)) this.#compactLater();
  }

  /** Opens a run of segments: batches written one behind the other and read back as a stream. Whoever opened it disposes it; the folder's end is its end. */
  openRun(options: SpillRunOptions): SpillRun {
    if (this.#disposed) throw new DisposedError('spill folder');
    const run = new SpillRun(this.#roomForRuns(), options, () => this.#runs.delete(run));
    this.#runs.add(run);
    return run;
  }

  /** Ends reads and writes under way, closes the files and removes the folder. Throws with a code when it cannot be removed; another call tries again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#timer?.[Symbol.dispose]();
    await Promise.all([...this.#runs].map((run) => run[Symbol.asyncDispose]()));
    await this.#turn;
    await Promise.all([...this.#background, ...this.#removals.values()]);
    for (const segment of this.#segments) {
      for (const record of segment.records) segment.drop(record);
      await segment.close().catch(() => {});
      this.#segments.delete(segment);
    }
    this.#active = undefined;
    this.#recordCount = 0;
    await this.#home.remove();
    this.#runBytes = this.#runFileCount = 0;
    this.#stuck.clear();
  }

  get #diskBytes(): number {
    let bytes = 0;
    for (const segment of this.#segments) bytes += segment.diskBytes;
    return bytes + this.#aheadBytes + this.#runBytes;
  }

  get #fileCount(): number {
    return this.#segments.size + this.#openingFiles + this.#runFileCount;
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(() => {
      if (this.#disposed) throw new DisposedError('spill folder');
      return work();
    });
    this.#turn = result.catch((cause: unknown) => {
      const code = codeOf(cause);
      if (code === 'PLIMSOLL_SPILL_IO' || code === 'PLIMSOLL_SPILL_NO_SPACE') this.#counts.failures++;
      if (code === 'PLIMSOLL_SPILL_QUOTA') this.#counts.refused++;
    });
    return result;
  }

  /** Until so many bytes may be written, or `PLIMSOLL_SPILL_QUOTA`. */
  async #makeRoomFor(bytes: number): Promise<void> {
    if (bytes > this.#usableBytes) {
      throw new SpillQuotaError(`${bytes} bytes do not fit into a spill folder of ${this.maxBytes} (${this.dir})`);
    }
    while (this.#diskBytes + bytes > this.#usableBytes || this.#needsFile(bytes)) {
      if (!(await this.#makeRoom())) throw new SpillQuotaError(`no room for ${bytes} bytes in ${this.#inUse()}`);
    }
  }

  async #append(record: StoredRecord, pieces: readonly Uint8Array[]): Promise<void> {
    let appended: Promise<void>;
    // Runs take room meanwhile.
    this.#aheadBytes += record.diskBytes;
    try {
      const segment = await this.#openSegment(record.diskBytes);
      appended = segment.append(record, pieces, this.#header);
    } finally {
      this.#aheadBytes -= record.diskBytes;
    }
    await appended;
  }

  #inUse(): string {
    return `${this.dir}: ${this.#diskBytes} of ${this.maxBytes} bytes and ${this.#fileCount} of ${this.#maxFiles} files are in use`;
  }

  #hasRoom(segment: SpillSegment | undefined, bytes: number): boolean {
    return segment !== undefined && !segment.sealed && segment.size + bytes <= this.#segmentBytes;
  }

  /** One file is kept for compaction. */
  #needsFile(bytes: number): boolean {
    return !this.#hasRoom(this.#active, bytes) && this.#fileCount >= this.#maxFiles - 1;
  }

  async #openSegment(bytes: number): Promise<SpillSegment> {
    const active = this.#active;
    if (active !== undefined && this.#hasRoom(active, bytes)) return active;
    if (active !== undefined) {
      active.sealed = true;
      this.#active = undefined;
      // What it failed to take may have been all that it had.
      if (active.records.size === 0) this.#doom(active);
      else if (this.#isMostlyDead(active)) this.#compactLater();
    }
    if (this.#fileCount >= this.#maxFiles) {
      throw new SpillQuotaError(`${this.#maxFiles} files are in use in ${this.dir}`);
    }
    const path = this.#home.path(`segment-${this.#nextFile++}`);
    this.#openingFiles++;
    try {
      const segment = new SpillSegment(path, await this.#fs.open(path, 'wx+', 0o600));
      this.#segments.add(segment);
      this.#active = segment;
      return segment;
    } catch (cause) {
      await this.#fs.unlink(path).catch(() => {});
      throw spillError('make', path, cause);
    } finally {
      this.#openingFiles--;
    }
  }

  #isMostlyDead(segment: SpillSegment): boolean {
    return segment.sealed && !segment.doomed && segment.liveBytes < segment.diskBytes * MOSTLY_DEAD;
  }

  /** Waits for files that are being removed, or else compacts the segment with the least in it that has enough dead. False when nothing helps. */
  async #makeRoom(): Promise<boolean> {
    const before = this.#diskBytes;
    const helped = () => this.#diskBytes < before;
    for (const segment of this.#segments) this.#maybeRemove(segment);
    await Promise.all([...this.#removals.values(), ...[...this.#stuck].map((file) => this.#removeStuck(file))]);
    if (helped()) return true;
    let best: SpillSegment | undefined;
    for (const segment of this.#segments) {
      if (segment.doomed || segment.liveBytes > segment.diskBytes * STILL_WORTH) continue;
      if (best === undefined || segment.liveBytes < best.liveBytes) best = segment;
    }
    // It is copied into a new one and both are there for a moment.
    if (best === undefined || this.#diskBytes + best.liveBytes > this.maxBytes) return false;
    await this.#compact(best);
    await Promise.all(this.#removals.values());
    return helped();
  }

  #compactLater(): void {
    if (this.#compactionWaits || this.#disposed) return;
    this.#compactionWaits = true;
    const work = this.#inTurn(async () => {
      this.#compactionWaits = false;
      for (const segment of [...this.#segments]) {
        if (!this.#isMostlyDead(segment) || this.#diskBytes + segment.liveBytes > this.maxBytes) continue;
        await this.#compact(segment);
      }
    });
    this.#inBackground(work);
  }

  /** What fails stays where it is, whole. */
  async #compact(segment: SpillSegment): Promise<void> {
    segment.sealed = true;
    if (this.#active === segment) this.#active = undefined;
    this.#copyBuffer ??= new Uint8Array(COPY_BYTES);
    this.#compactions++;
    segment.readers++;
    // Runs take room meanwhile.
    let ahead = segment.liveBytes;
    this.#aheadBytes += ahead;
    try {
      for (const record of [...segment.records]) {
        if (record.segment !== segment) continue;
        const target = await this.#openSegment(record.diskBytes);
        const adopted = target.adopt(record, segment, this.#copyBuffer);
        ahead -= record.diskBytes;
        this.#aheadBytes -= record.diskBytes;
        await adopted;
        this.#compactedBytes += record.diskBytes;
        // It was deleted while it was copied.
        if (target.records.size === 0) this.#doom(target);
      }
    } finally {
      this.#aheadBytes -= ahead;
      segment.readers--;
      if (segment.records.size === 0) this.#doom(segment);
    }
  }

  #doom(segment: SpillSegment): void {
    segment.doomed = segment.sealed = true;
    if (this.#active === segment) this.#active = undefined;
    this.#maybeRemove(segment);
  }

  /** Not while it is read. One that could not be unlinked still counts, and is tried again when room is needed. */
  #maybeRemove(segment: SpillSegment): void {
    if (!segment.doomed || segment.readers > 0 || !this.#segments.has(segment) || this.#removals.has(segment)) return;
    const removal = this.#remove(segment).finally(() => this.#removals.delete(segment));
    this.#removals.set(segment, removal);
  }

  async #remove(segment: SpillSegment): Promise<void> {
    await segment.close().catch(() => {});
    try {
      await this.#fs.unlink(segment.path);
    } catch (cause) {
      this.#counts.failures++;
      // Where somebody else has cleaned up, it is gone all the same.
      if (codeOf(cause) !== 'ENOENT') return;
    }
    this.#segments.delete(segment);
  }

  async #removeStuck(file: RunFile): Promise<void> {
    this.#stuck.delete(file);
    await file.removeAgain();
  }

  #roomForRuns(): FolderRoom {
    const tryTake = (bytes: number, files: number) => {
      const isFull = this.#diskBytes + bytes > this.#usableBytes;
      if (isFull || (files > 0 && this.#fileCount + files > this.#maxFiles - 1)) return false;
      this.#runBytes += bytes;
      this.#runFileCount += files;
      return true;
    };
    return {
      dir: this.dir,
      fs: this.#fs,
      clock: this.#clock,
      nextNumber: () => this.#nextFile++,
      path: (name) => this.#home.path(name),
      tryTake,
      take: (bytes, files) =>
        this.#inTurn(async () => {
          while (!tryTake(bytes, files)) {
            if (bytes > this.#usableBytes || !(await this.#makeRoom())) return false;
          }
          return true;
        }),
      give: (bytes, files) => {
        this.#runBytes -= bytes;
        this.#runFileCount -= files;
      },
      keepStuck: (file) => void this.#stuck.add(file),
      note: (what) => void this.#counts[what]++,
      inUse: () => this.#inUse(),
    };
  }

  #inBackground(work: Promise<unknown>): void {
    const done: Promise<void> = work.then(
      () => void this.#background.delete(done),
      () => void this.#background.delete(done),
    );
    this.#background.add(done);
  }

  /** So that who cannot see this process sees that it lives. */
  #signLater(): void {
    this.#timer = this.#clock.after(SIGN_EVERY_MS, () => {
      if (this.#disposed) return;
      this.#inBackground(this.#home.signOwner());
      this.#signLater();
    });
  }
}

/** Also of what is no error: a signal may have any reason, `null` among them. */
const codeOf = (cause: unknown): unknown => (cause as { code?: unknown } | null | undefined)?.code;
