/** The private folder of one owner below a parent that may be shared, and what becomes of folders whose owner is dead. */
import { randomBytes } from 'node:crypto';
import { basename, join } from 'node:path';
import { memoryBackedName } from '../memory-backed.ts';
import { isLocalDisk } from './local-disk.ts';
import { SpillMemoryBackedError, spillError } from './spill-errors.ts';
import { type SpillFs, writeAll } from './spill-fs.ts';
import { currentOwner, nameOfOwner, ownerInName, ownerState, parseOwner, type SpillOwner } from './spill-owner.ts';

const PREFIX = 'plimsoll-spill-';
const OWNER_FILE = 'owner.json';
/** One that is longer was not written here. */
const LONGEST_OWNER_BYTES = 4_096;
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
    const dir = join(parentDir, `${PREFIX}${nameOfOwner(currentOwner())}-${randomBytes(6).toString('hex')}`);
    try {
      await fs.mkdir(parentDir, { mode: 0o700, recursive: true });
      const type = await diskType(parentDir, allowMemoryBacked, fs);
      await fs.mkdir(dir, { mode: 0o700 });
      try {
        const home = new SpillHome(dir, await removeLeftovers(parentDir, dir, isLocalDisk(type), fs), fs);
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

/** What sort of file system it is; 0 when it is allowed to be any and does not say. */
async function diskType(dir: string, allowMemoryBacked: boolean, fs: SpillFs): Promise<number> {
  const asked = fs.statfs(dir).then(({ type }) => type);
  if (allowMemoryBacked) return asked.catch(() => 0);
  const kind = memoryBackedName(await asked);
  if (kind !== undefined) throw new SpillMemoryBackedError(dir, kind);
  return asked;
}

/** This process and its folder, whose time is one that the same file system gave. */
interface Self extends SpillOwner {
  readonly uid: number;
  readonly mtimeMs: number;
  /** Nobody else can have files there now. */
  readonly isLocal: boolean;
}

/** Folders of this user's whose owner is dead. What cannot be removed is no reason not to start. */
async function removeLeftovers(parentDir: string, own: string, isLocal: boolean, fs: SpillFs): Promise<number> {
  let removed = 0;
  const names = await fs.readdir(parentDir).catch(() => []);
  const dirs = names.filter((name) => name.startsWith(PREFIX)).map((name) => join(parentDir, name));
  const others = dirs.filter((dir) => dir !== own);
  const found = others.length > 0 ? await fs.lstat(own).catch(() => undefined) : undefined;
  if (found === undefined) return 0;
  const self: Self = { ...currentOwner(), uid: found.uid, mtimeMs: found.mtimeMs, isLocal };
  for (const dir of others) {
    try {
      if (!(await isLeftover(dir, self, fs))) continue;
      await fs.rm(dir, { recursive: true, force: true });
      removed++;
    } catch {
      // It goes at this moment, or may not be touched.
    }
  }
  return removed;
}

async function isLeftover(dir: string, self: Self, fs: SpillFs): Promise<boolean> {
  const found = await fs.lstat(dir);
  if (!found.isDirectory() || found.uid !== self.uid) return false;
  const ownerFile = join(dir, OWNER_FILE);
  const signed = await fs.lstat(ownerFile).catch(() => undefined);
  // Whatever else stands there under that name may be without end.
  const isFile = signed !== undefined && signed.isFile?.() !== false && (signed.size ?? 0) <= LONGEST_OWNER_BYTES;
  const written = isFile ? parseOwner(await fs.readFile(ownerFile, 'utf8').catch(() => '')) : undefined;
  // One that was killed before it had signed has its name: enough where nobody but this machine's processes can have made it.
  const owner = written ?? (signed === undefined && self.isLocal ? ownerInName(basename(dir)) : undefined);
  const state = owner === undefined ? 'unknown' : ownerState(owner, self, self.isLocal);
  if (state !== 'unknown') return state === 'dead';
  return self.mtimeMs - Math.max(found.mtimeMs, signed?.mtimeMs ?? 0) > ABANDONED_MS;
}
