import * as fs from 'node:fs/promises';

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
  lstat(path: string): Promise<{ mtimeMs: number; uid: number; isDirectory(): boolean; isFile?(): boolean }>;
  statfs(path: string): Promise<{ type: number }>;
  readFile(path: string, encoding: 'utf8'): Promise<string>;
}

export const nodeSpillFs: SpillFs = {
  mkdir: (path, options) => fs.mkdir(path, options),
  open: async (path, flags, mode) => (await fs.open(path, flags, mode)) as unknown as SpillFile,
  readdir: (path) => fs.readdir(path),
  rename: (from, to) => fs.rename(from, to),
  unlink: (path) => fs.unlink(path),
  rm: (path, options) => fs.rm(path, options),
  lstat: (path) => fs.lstat(path),
  statfs: (path) => fs.statfs(path),
  readFile: (path, encoding) => fs.readFile(path, encoding),
};

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
