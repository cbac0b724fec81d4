import * as fs from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** An open file, as far as a spill folder uses it. */
export interface SpillFile {
  writev(buffers: readonly Uint8Array[], position: number): Promise<{ bytesWritten: number }>;
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
  truncate(length: number): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The calls of `node:fs/promises` that a spill folder makes: for tests, and for whoever has a file system of their own. */
export interface SpillFs {
  mkdir(path: string, options: { mode: number; recursive?: boolean }): Promise<unknown>;
  open(path: string, flags: string, mode: number): Promise<SpillFile>;
  readdir(path: string): Promise<string[]>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  rm(path: string, options: { recursive: boolean; force: boolean }): Promise<void>;
  lstat(
    path: string,
  ): Promise<{ mtimeMs: number; uid: number; size?: number; isDirectory(): boolean; isFile?(): boolean }>;
  statfs(path: string): Promise<{ type: number }>;
  readFile(path: string, encoding: 'utf8'): Promise<string>;
}

export const nodeSpillFs: SpillFs = {
  mkdir: (path, { mode, recursive = false }) =>
    recursive ? makeFolders(resolve(path), mode) : fs.mkdir(path, { mode }),
  open: async (path, flags, mode) => (await fs.open(path, flags, mode)) as unknown as SpillFile,
  readdir: (path) => fs.readdir(path),
  rename: (from, to) => fs.rename(from, to),
  unlink: (path) => fs.unlink(path),
  rm: (path, options) => fs.rm(path, options),
  lstat: (path) => fs.lstat(path),
  statfs: (path) => fs.statfs(path),
  readFile: (path, encoding) => fs.readFile(path, encoding),
};

/** Those above it that are missing too, each tried twice at most: Node's own way tries for ever where every new folder is answered with ENOENT, as in `/proc`. */
async function makeFolders(path: string, mode: number): Promise<void> {
  try {
    await makeFolder(path, mode);
  } catch (cause) {
    const above = dirname(path);
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT' || above === path) throw cause;
    await makeFolders(above, mode);
    await makeFolder(path, mode);
  }
}

async function makeFolder(path: string, mode: number): Promise<void> {
  try {
    await fs.mkdir(path, { mode });
  } catch (cause) {
    // A root, or a folder of a file system that cannot be written to, need not answer EEXIST.
    const found = await fs.stat(path).catch(() => undefined);
    if (found?.isDirectory() !== true) throw cause;
  }
}

/** Writes all of several pieces, whatever the system takes at once. */
export async function writeAll(
  file: Pick<SpillFile, 'writev'>,
  pieces: readonly Uint8Array[],
  position: number,
): Promise<void> {
  let left = pieces.filter((piece) => piece.byteLength > 0);
  while (left.length > 0) {
    let { bytesWritten } = await file.writev(left, position);
    if (bytesWritten <= 0) throw Object.assign(new Error('nothing was written'), { code: 'EIO' });
    position += bytesWritten;
    let whole = 0;
    while (whole < left.length && bytesWritten >= left[whole]!.byteLength) bytesWritten -= left[whole++]!.byteLength;
    left = left.slice(whole);
    if (bytesWritten > 0) left[0] = left[0]!.subarray(bytesWritten);
  }
}
