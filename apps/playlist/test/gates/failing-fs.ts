/**
 * Lets the nth call of the file system fail, of one kind and below given folders, in this process. The functions that `node:fs` and `node:fs/promises` export, and the methods of open
 * files, are put behind a counter: whoever imported them before calls them by it, too. Works loaded by `--import` as well, with the fault in `JOB_FAULT`; the file
 * `tellIn` then says at the end how many calls failed.
 */
import fs from 'node:fs';
import promises, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { devNull } from 'node:os';
import { sep } from 'node:path';

export const FILE_CALLS = ['open', 'read', 'write', 'fsync', 'rename'] as const;
export type FileCall = (typeof FILE_CALLS)[number];

export interface FileFault {
  readonly call: FileCall;
  /** The number of the call that fails, from 1. */
  readonly nth: number;
  readonly code: 'EIO' | 'ENOSPC';
  /** All calls from then on fail, as on a disk that is full. */
  readonly forGood: boolean;
}

export interface Watch {
  /** Only what is below one of them counts. */
  readonly folders: readonly string[];
  /** Not counted all the same: for what is read before the job begins. */
  readonly except?: RegExp;
  /** None: calls are only counted. */
  readonly fault?: FileFault;
}

type AnyFunction = (this: unknown, ...args: unknown[]) => unknown;
type Functions = Record<string, AnyFunction>;

const ERRNO = { EIO: -5, ENOSPC: -28 };
const SAID = { EIO: 'i/o error', ENOSPC: 'no space left on device' };

/** By name, the kinds of call it is. A copy and a whole file in one call are all that they do. */
const OF_PATHS: Readonly<Record<string, readonly FileCall[]>> = {
  open: ['open'],
  rename: ['rename'],
  link: ['rename'],
  copyFile: ['open', 'read', 'write'],
  readFile: ['open', 'read'],
  writeFile: ['open', 'write'],
};
const OF_HANDLES: Readonly<Record<string, FileCall>> = {
  read: 'read',
  readv: 'read',
  readFile: 'read',
  write: 'write',
  writev: 'write',
  writeFile: 'write',
  appendFile: 'write',
  sync: 'fsync',
  datasync: 'fsync',
};
const OF_NUMBERS: Readonly<Record<string, FileCall>> = { readSync: 'read', writeSync: 'write', fsyncSync: 'fsync' };

/** Disposed, everything is as it was. One at a time. */
export class FailingFs implements Disposable {
  readonly counts: Record<FileCall, number> = { open: 0, read: 0, write: 0, fsync: 0, rename: 0 };
  /** How many calls failed. */
  failed = 0;
  readonly #watch: Watch;
  readonly #files = new WeakSet<object>();
  readonly #numbers = new Set<number>();
  readonly #undo: (() => void)[] = [];

  private constructor(watch: Watch) {
    this.#watch = watch;
  }

  static async install(watch: Watch): Promise<FailingFs> {
    const failing = new FailingFs(watch);
    const any = await promises.open(devNull, 'r');
    const handles = Object.getPrototypeOf(any) as Functions;
    await any.close();
    failing.#patchPaths(promises as unknown as Functions, '', true);
    failing.#patchPaths(fs as unknown as Functions, 'Sync', false);
    for (const [name, call] of Object.entries(OF_HANDLES)) failing.#patchHandles(handles, name, call);
    for (const [name, call] of Object.entries(OF_NUMBERS)) failing.#patchNumbers(name, call);
    syncBuiltinESMExports();
    return failing;
  }

  [Symbol.dispose](): void {
    for (const undo of this.#undo.reverse()) undo();
    this.#undo.length = 0;
    syncBuiltinESMExports();
  }

  #patch(on: Functions, name: string, made: (original: AnyFunction) => AnyFunction): void {
    const original = on[name]!;
    on[name] = made(original);
    this.#undo.push(() => {
      on[name] = original;
    });
  }

  #patchPaths(on: Functions, suffix: string, isAsync: boolean): void {
    const failing = this;
    for (const [name, calls] of Object.entries(OF_PATHS)) {
      this.#patch(
        on,
        `${name}${suffix}`,
        (original) =>
          function (...args) {
            const path = args.find((arg) => typeof arg === 'string' && failing.#isWatched(arg));
            if (path === undefined) return original.apply(this, args);
            const error = calls
              .map((call) => failing.#next(call, name, String(path)))
              .find((each) => each !== undefined);
            if (error === undefined) return failing.#opened(original.apply(this, args));
            if (isAsync) return Promise.reject(error);
            throw error;
          },
      );
    }
  }

  #patchHandles(on: Functions, name: string, call: FileCall): void {
    const failing = this;
    this.#patch(
      on,
      name,
      (original) =>
        function (...args) {
          const error = failing.#files.has(this as object) ? failing.#next(call, name) : undefined;
          return error === undefined ? original.apply(this, args) : Promise.reject(error);
        },
    );
  }

  #patchNumbers(name: string, call: FileCall): void {
    const failing = this;
    this.#patch(
      fs as unknown as Functions,
      name,
      (original) =>
        function (...args) {
          const error = failing.#numbers.has(args[0] as number) ? failing.#next(call, name) : undefined;
          if (error !== undefined) throw error;
          return original.apply(this, args);
        },
    );
  }

  /** Notes what came of `open`. */
  #opened(result: unknown): unknown {
    if (typeof result === 'number') this.#numbers.add(result);
    if (!(result instanceof Promise)) return result;
    return result.then((file: unknown) => {
      const fd = (file as Partial<FileHandle> | undefined)?.fd;
      if (fd === undefined) return file;
      this.#files.add(file as object);
      this.#numbers.add(fd);
      return file;
    });
  }

  #isWatched(path: string): boolean {
    const { folders, except } = this.#watch;
    return folders.some((folder) => path.startsWith(folder + sep)) && except?.test(path) !== true;
  }

  #next(call: FileCall, syscall: string, path?: string): Error | undefined {
    const count = ++this.counts[call];
    const { fault } = this.#watch;
    if (fault?.call !== call || count < fault.nth || (count > fault.nth && !fault.forGood)) return undefined;
    this.failed++;
    const { code } = fault;
    const error = new Error(`${code}: ${SAID[code]}, ${syscall}${path === undefined ? '' : ` '${path}'`}`);
    return Object.assign(error, { code, errno: ERRNO[code], syscall, ...(path !== undefined && { path }) });
  }
}

if (process.env.JOB_FAULT !== undefined) {
  const { folders, except, fault, tellIn } = JSON.parse(process.env.JOB_FAULT) as {
    readonly folders: readonly string[];
    readonly except: string;
    readonly fault: FileFault;
    readonly tellIn: string;
  };
  const failing = await FailingFs.install({ folders, except: new RegExp(except), fault });
  process.once('exit', () => {
    failing[Symbol.dispose]();
    fs.writeFileSync(tellIn, String(failing.failed));
  });
}
