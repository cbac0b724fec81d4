/** The private folder of one owner below a parent that may be shared, and what becomes of folders whose owner is dead. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { memoryBackedName } from './memory-backed.ts';
import { SpillMemoryBackedError, spillError } from './spill-errors.ts';
import type { SpillFs } from './spill-fs.ts';
import { currentOwner, ownerState, parseOwner } from './spill-owner.ts';

const PREFIX = 'plimsoll-spill-';
const OWNER_FILE = 'owner.json';
/** A folder of whose owner nothing can be known goes when it was left alone for so long. */
const ABANDONED_MS = 24 * 3_600_000;

export interface SpillHomeOptions {
  readonly parentDir: string;
  readonly allowMemoryBacked: boolean;
  readonly fs: SpillFs;
}

/** A folder of mode 0700 with a file that says whose it is. */
export class SpillHome {
  readonly dir: string;
  /** Folders of dead owners that were removed on the way. */
  readonly leftoversRemoved: number;
  readonly #fs: SpillFs;

  private constructor(dir: string, leftoversRemoved: number, fs: SpillFs) {
    this.dir = dir;
    this.leftoversRemoved = leftoversRemoved;
    this.#fs = fs;
  }

  /** Makes the folder, in `parentDir`, which is made when it is missing. When it fails, nothing is left of it. */
  static async make({ parentDir, allowMemoryBacked, fs }: SpillHomeOptions): Promise<SpillHome> {
    const dir = join(parentDir, `${PREFIX}${process.pid}-${randomBytes(6).toString('hex')}`);
    try {
      await fs.mkdir(parentDir, { mode: 0o700, recursive: true });
      if (!allowMemoryBacked) await demandDisk(parentDir, fs);
      await fs.mkdir(dir, { mode: 0o700 });
      try {
        const home = new SpillHome(dir, await removeLeftovers(parentDir, dir, fs), fs);
        await home.signOwner();
        return home;
      } catch (cause) {
        await fs.rm(dir, { recursive: true, force: true }).catch(() => {});
        throw cause;
      }
    } catch (cause) {
      throw spillError('make', dir, cause);
    }
  }

  path(file: string): string {
    return join(this.dir, file);
  }

  /** Writes, or writes anew, whose the folder is: whole or not at all. */
  async signOwner(): Promise<void> {
    const half = this.path(`${OWNER_FILE}.new`);
    const file = await this.#fs.open(half, 'w', 0o600);
    try {
      await writeAll(file, [Buffer.from(JSON.stringify(currentOwner()))], 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#fs.rename(half, this.path(OWNER_FILE));
  }

  /** Throws with a code when it cannot be removed; it may be tried again. */
  async remove(): Promise<void> {
    try {
      await this.#fs.rm(this.dir, { recursive: true, force: true });
    } catch (cause) {
      throw spillError('remove', this.dir, cause);
    }
  }
}

/** Writes all of several pieces, whatever the system takes at once. */
export async function writeAll(
  file: { writev(buffers: readonly Uint8Array[], position: number): Promise<{ bytesWritten: number }> },
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

async function demandDisk(dir: string, fs: SpillFs): Promise<void> {
  const kind = memoryBackedName((await fs.statfs(dir)).type);
  if (kind !== undefined) throw new SpillMemoryBackedError(dir, kind);
}

/** Folders of this user's whose owner is dead. What cannot be removed is no reason not to start. */
async function removeLeftovers(parentDir: string, own: string, fs: SpillFs): Promise<number> {
  let removed = 0;
  const names = await fs.readdir(parentDir).catch(() => []);
  for (const name of names) {
    const dir = join(parentDir, name);
    if (!name.startsWith(PREFIX) || dir === own) continue;
    try {
      if (!(await isLeftover(dir, own, fs))) continue;
      await fs.rm(dir, { recursive: true, force: true });
      removed++;
    } catch {
      // It goes at this moment, or may not be touched.
    }
  }
  return removed;
}

async function isLeftover(dir: string, own: string, fs: SpillFs): Promise<boolean> {
  // Times are compared with one that the same file system gave.
  const [found, mine] = [await fs.lstat(dir), await fs.lstat(own)];
  if (!found.isDirectory() || found.uid !== mine.uid) return false;
  const ownerFile = join(dir, OWNER_FILE);
  const signed = await fs.lstat(ownerFile).catch(() => undefined);
  // Whatever else stands there under that name may be without end.
  const isFile = signed !== undefined && signed.isFile?.() !== false;
  const owner = isFile ? parseOwner(await fs.readFile(ownerFile, 'utf8').catch(() => '')) : undefined;
  const state = owner === undefined ? 'unknown' : ownerState(owner);
  if (state !== 'unknown') return state === 'dead';
  return mine.mtimeMs - Math.max(found.mtimeMs, signed?.mtimeMs ?? 0) > ABANDONED_MS;
}
