import type { SpillFault } from './frame-format.ts';
import { SpillCorruptError, spillError } from './spill-errors.ts';
import { type SpillFile, type SpillFs, writeAll } from './spill-fs.ts';

/** Those who count what the files of a run take. */
export interface FileKeeper {
  readonly fs: SpillFs;
  /** A file has gone, and its bytes with it. */
  give(bytes: number, files: number): void;
  /** One that could not be removed: it still counts, and is tried again. */
  keepStuck(file: RunFile): void;
  note(what: 'failures' | 'corrupt' | 'refused'): void;
}

/** One file of a run, and what is counted for it. Written once, from the beginning on; read by several. */
export class RunFile {
  readonly path: string;
  /** Never used twice in a folder. */
  readonly number: number;
  readonly #keeper: FileKeeper;
  readonly #file: SpillFile;
  /** That it may take, and is counted for it. */
  #takenBytes: number;
  /** Calls under way: it is not closed under them. */
  #busy = 0;
  #onIdle: (() => void) | undefined;
  #removal: Promise<void> | undefined;
  #gone = false;

  private constructor(path: string, number: number, takenBytes: number, keeper: FileKeeper, file: SpillFile) {
    this.path = path;
    this.number = number;
    this.#takenBytes = takenBytes;
    this.#keeper = keeper;
    this.#file = file;
  }

  /** Makes the file. One file and `bytes` have been taken for it, and are given back when it fails. */
  static async make(path: string, number: number, bytes: number, keeper: FileKeeper): Promise<RunFile> {
    try {
      return new RunFile(path, number, bytes, keeper, await keeper.fs.open(path, 'wx+', 0o600));
    } catch (cause) {
      keeper.note('failures');
      await keeper.fs.unlink(path).catch(() => {});
      keeper.give(bytes, 1);
      throw spillError('make', path, cause);
    }
  }

  /** It is being removed, or has been. */
  get removed(): boolean {
    return this.#removal !== undefined;
  }

  /** Counts bytes that have been taken for it. */
  add(bytes: number): void {
    this.#takenBytes += bytes;
  }

  async write(pieces: readonly Uint8Array[], position: number): Promise<void> {
    await this.#run('write', () => writeAll(this.#file, pieces, position));
  }

  /** Up to `length` bytes; 0 at the end. */
  async read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.#run('read', async () => (await this.#file.read(buffer, offset, length, position)).bytesRead);
  }

  /** An error for what was found in it. */
  corrupt(offset: number, fault: SpillFault): SpillCorruptError {
    this.#keeper.note('corrupt');
    return new SpillCorruptError(this.path, offset, fault);
  }

  /** Closes it and takes it away, when nothing is done with it any more. Never rejects: one that stays is counted on. May be called again. */
  remove(): Promise<void> {
    this.#removal ??= this.#remove();
    return this.#removal;
  }

  /** Tries again. */
  async removeAgain(): Promise<void> {
    this.#removal = this.#unlink();
    await this.#removal;
  }

  async #remove(): Promise<void> {
    if (this.#busy > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    try {
      await this.#file.close();
    } catch {
      this.#keeper.note('failures');
    }
    await this.#unlink();
  }

  async #unlink(): Promise<void> {
    try {
      if (!this.#gone) await this.#keeper.fs.unlink(this.path);
    } catch (cause) {
      this.#keeper.note('failures');
      // Where somebody else has cleaned up, it is gone all the same.
      if ((cause as { code?: unknown } | null)?.code !== 'ENOENT') {
        this.#keeper.keepStuck(this);
        return;
      }
    }
    if (!this.#gone) this.#keeper.give(this.#takenBytes, 1);
    this.#gone = true;
  }

  async #run<T>(action: string, call: () => Promise<T>): Promise<T> {
    this.#busy++;
    try {
      return await call();
    } catch (cause) {
      this.#keeper.note('failures');
      throw spillError(action, this.path, cause);
    } finally {
      if (--this.#busy === 0) this.#onIdle?.();
    }
  }
}
