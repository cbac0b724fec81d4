/**
 * What the parts of one run share: its bounds, its counts, and the way to the folder's. Bytes are counted here and in the folder before they are written, and until their file is gone: neither bound is
 * passed at any moment.
 */
import type { Clock } from '../clock.ts';
import { spillEvents } from '../events.ts';
import type { BufferMemory } from './buffer-memory.ts';
import type { FrameCodec } from './frame-codec.ts';
import type { FileKeeper, RunFile } from './run-file.ts';

/** What a folder gives its runs: room, within its own bounds. */
export interface FolderRoom extends FileKeeper {
  readonly dir: string;
  readonly clock: Clock;
  /** Never the same twice. */
  nextNumber(): number;
  path(name: string): string;
  /** Counts bytes and files. False, and nothing is counted, when there is no room for them now. */
  tryTake(bytes: number, files: number): boolean;
  /** The same, after having made room where that can be done. */
  take(bytes: number, files: number): Promise<boolean>;
  /** How full it is, in words. */
  inUse(): string;
}

export interface RunBounds {
  readonly name: string;
  readonly maxBytes: number;
  readonly maxFiles: number;
  readonly maxBatchBytes: number;
  readonly bufferBytes: number;
}

const TELL_EVERY_MS = 100;

export class RunContext implements FileKeeper {
  readonly bounds: RunBounds;
  readonly codec: FrameCodec;
  readonly memory: BufferMemory;
  readonly folder: FolderRoom;
  readonly counts = {
    filesMade: 0,
    batchesWritten: 0,
    batchesRead: 0,
    rawBytes: 0,
    rawBytesRead: 0,
    refused: 0,
    failures: 0,
    corrupt: 0,
  };
  /** Writers and segments that have a file. */
  readonly members = new Set<AsyncDisposable>();
  diskBytes = 0;
  peakDiskBytes = 0;
  fileCount = 0;
  disposed = false;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(folder: FolderRoom, bounds: RunBounds, codec: FrameCodec, memory: BufferMemory) {
    this.folder = folder;
    this.bounds = bounds;
    this.codec = codec;
    this.memory = memory;
  }

  get fs(): FileKeeper['fs'] {
    return this.folder.fs;
  }

  /** Counts bytes and files here and in the folder. False, and nothing is counted, when there is no room at once. */
  tryTake(bytes: number, files: number): boolean {
    if (!this.#fits(bytes, files) || !this.folder.tryTake(bytes, files)) return false;
    this.#add(bytes, files);
    return true;
  }

  /** The same, after room was made in the folder where that can be done. False is a refusal. */
  async take(bytes: number, files: number): Promise<boolean> {
    if (this.tryTake(bytes, files)) return true;
    if (!this.#fits(bytes, files)) return this.#refuse();
    this.#add(bytes, files);
    try {
      if (await this.folder.take(bytes, files)) return true;
    } catch (cause) {
      this.#add(-bytes, -files);
      throw cause;
    }
    this.#add(-bytes, -files);
    return this.#refuse();
  }

  give(bytes: number, files: number): void {
    this.#add(-bytes, -files);
    this.folder.give(bytes, files);
  }

  /** Why there is no room for so many bytes. */
  refusal(bytes: number): string {
    const { name, maxBytes, maxFiles } = this.bounds;
    return `no room for ${bytes} bytes in run ${name}: ${this.diskBytes} of ${maxBytes} bytes and ${this.fileCount} of ${maxFiles} files are in use; in ${this.folder.inUse()}`;
  }

  keepStuck(file: RunFile): void {
    this.folder.keepStuck(file);
  }

  note(what: 'failures' | 'corrupt' | 'refused'): void {
    this.counts[what]++;
    this.folder.note(what);
  }

  /** A batch made smaller: `freeChunk` it. Undefined where it is written as it is: there is no codec, it does not pay, or there is no memory for it. */
  async shrink(pieces: readonly Uint8Array[], bytes: number): Promise<Buffer | undefined> {
    if (this.codec.name === 'none' || bytes === 0) return undefined;
    const together = pieces.length === 1 ? 0 : bytes;
    using held = this.memory.tryTake(this.codec.shrinkBytes(bytes) + together);
    if (held === undefined) return undefined;
    return this.codec.shrink(together === 0 ? pieces[0]! : Buffer.concat(pieces, bytes));
  }

  noteWritten(rawBytes: number): void {
    this.counts.batchesWritten++;
    this.counts.rawBytes += rawBytes;
    this.tell();
  }

  noteRead(rawBytes: number): void {
    this.counts.batchesRead++;
    this.counts.rawBytesRead += rawBytes;
    this.tell();
  }

  /** Publishes how far it is, at most ten times a second, and at the end. */
  tell(ended = false): void {
    if (!spillEvents.heard) return;
    const now = this.folder.clock.now();
    if (!ended && now - this.#toldAt < TELL_EVERY_MS) return;
    this.#toldAt = now;
    const { name, maxBytes } = this.bounds;
    const { batchesWritten, batchesRead, rawBytes, rawBytesRead, filesMade } = this.counts;
    spillEvents.publish({
      run: name,
      dir: this.folder.dir,
      diskBytes: this.diskBytes,
      maxBytes,
      fileCount: this.fileCount,
      filesMade,
      batchesWritten,
      rawBytes,
      batchesRead,
      rawBytesRead,
      ended,
    });
  }

  #fits(bytes: number, files: number): boolean {
    const { maxBytes, maxFiles } = this.bounds;
    return this.diskBytes + bytes <= maxBytes && (files === 0 || this.fileCount + files <= maxFiles);
  }

  #add(bytes: number, files: number): void {
    this.diskBytes += bytes;
    this.fileCount += files;
    if (this.diskBytes > this.peakDiskBytes) this.peakDiskBytes = this.diskBytes;
  }

  #refuse(): false {
    this.note('refused');
    return false;
  }
}
