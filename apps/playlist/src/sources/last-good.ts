import { createHash, randomBytes } from 'node:crypto';
import { constants, readFileSync } from 'node:fs';
import { copyFile, type FileHandle, link, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ownerFate, ownerMark } from 'plimsoll/spill';
import { ensureFolder } from '../output/ensure-folder.ts';
import { SourceError } from './source-error.ts';

const MAX_STATE_BYTES = 4 * 1024 ** 2;
const MAX_COPY_BYTES = 64 * 1024 ** 2;

/** What is remembered of one file or URL that was read without fault. */
export interface GoodFile {
  /** The path, or the URL's masked form. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** Name inside the cache folder, undefined when no copy could be had cheaply. */
  readonly copy: string | undefined;
  /** Entries that were counted in it, 0 when nobody counted. */
  readonly entryCount: number;
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
}

/**
 * The last good content of one source: a small state file and, beside it, copies. The folder is the owner's alone (0700): content
 * may hold credentials. Every change is a rename, so a crash leaves the old state or the new one; copies nobody
 * refers to are removed by a later `save`, also of another run: who reads one holds it open. A state file that cannot be read counts as absent.
 */
export class LastGood {
  readonly dir: string;
  readonly #key: string;
  #files: readonly GoodFile[] | undefined;

  /** `identity` tells sources apart (pattern, URL, account); it is kept only as a hash. */
  constructor(cacheDir: string, identity: string) {
    this.dir = cacheDir;
    this.#key = createHash('sha256').update(identity).digest('hex').slice(0, 20);
  }

  /** Where the state is: what a user deletes to have new content accepted. */
  get stateFile(): string {
    return join(this.dir, `${this.#key}.json`);
  }

  get files(): readonly GoodFile[] {
    this.#files ??= readState(this.stateFile);
    return this.#files;
  }

  find(name: string): GoodFile | undefined {
    return this.files.find((file) => file.name === name);
  }

  /** A path for a new file in the cache: `<key>-<random>` with `.part` while it is being written. Errors: `SourceError` `cache`. */
  async reserve(): Promise<{ readonly copy: string; readonly partPath: string }> {
    try {
      await ensureFolder(this.dir, 0o700);
    } catch (cause) {
      const why = (cause as Error).message;
      throw new SourceError(`the cache ${this.dir}`, `cannot be made (${why}): set [cache] dir to another place`, {
        fault: 'cache',
        cause,
      });
    }
    const copy = `${this.#key}-${RUN}-${(copyCount++).toString(36)}-${Date.now().toString(36)}`;
    return { copy, partPath: join(this.dir, `${copy}.part`) };
  }

  pathOf(file: GoodFile): string | undefined {
    return file.copy === undefined ? undefined : join(this.dir, file.copy);
  }

  /** The copy, held open by the caller from now on; undefined when it is gone or not whole. */
  async open(file: GoodFile): Promise<FileHandle | undefined> {
    const path = this.pathOf(file);
    const handle = path === undefined ? undefined : await open(path, 'r').catch(() => undefined);
    const found = await handle?.stat().catch(() => undefined);
    if (found?.isFile() && found.size === file.sizeBytes) return handle;
    await handle?.close();
    return undefined;
  }

  /**
   * Takes a copy of a local file where that is cheap: a clone that shares its blocks (Btrfs, XFS, ZFS), else a copy up to
   * 64 MiB, else a hard link, which survives the file's removal and replacement but not a rewrite in place. Undefined
   * when none of these is possible.
   */
  async copyOf(path: string, sizeBytes: number): Promise<string | undefined> {
    const { copy, partPath } = await this.reserve();
    const ways = [
      () => copyFile(path, partPath, constants.COPYFILE_FICLONE_FORCE),
      ...(sizeBytes <= MAX_COPY_BYTES ? [() => copyFile(path, partPath)] : [() => link(path, partPath)]),
    ];
    for (const way of ways) {
      try {
        await way();
        await rename(partPath, join(this.dir, copy));
        return copy;
      } catch {
        await rm(partPath, { force: true });
      }
    }
    return undefined;
  }

  /** Makes `files` the last good content and removes copies that are no longer referred to. When it fails, the old one stands, and copies that only `files` refers to are gone. */
  async save(files: readonly GoodFile[]): Promise<void> {
    try {
      await this.#write(files);
    } catch (error) {
      const old = new Set(this.files.map((file) => file.copy));
      for (const file of files) {
        const path = old.has(file.copy) ? undefined : this.pathOf(file);
        if (path !== undefined) await rm(path, { force: true }).catch(() => {});
      }
      throw error;
    }
    this.#files = files;
    const kept = new Set(files.map((file) => file.copy));
    for (const entry of await readdir(this.dir)) {
      if (entry.startsWith(`${this.#key}-`) && !kept.has(entry) && !(await isAnothers(this.dir, entry)))
        await rm(join(this.dir, entry), { force: true });
    }
  }

  async #write(files: readonly GoodFile[]): Promise<void> {
    const { partPath } = await this.reserve();
    try {
      await writeSynced(partPath, JSON.stringify({ version: 1, files }));
      await rename(partPath, this.stateFile);
    } catch (error) {
      await rm(partPath, { force: true }).catch(() => {});
      throw error;
    }
  }
}

let copyCount = 0;
/** Tells runs apart, whoever shares the cache, and says whose a copy is. */
const RUN = `${ownerMark()}-${randomBytes(6).toString('hex')}`;
const ABANDONED_MS = 24 * 3_600_000;
const UNSAVED_MS = 60_000;

/**
 * True for what another run is about to refer to: a part that was written within a day, a copy that got its name within a minute; nothing
 * of a run that is known to be dead.
 */
async function isAnothers(dir: string, entry: string): Promise<boolean> {
  if (entry.includes(`-${RUN}-`)) return false;
  if ((await ownerFate(entry, dir)) === 'dead') return false;
  try {
    const { mtimeMs, ctimeMs } = await stat(join(dir, entry));
    return entry.endsWith('.part') ? Date.now() - mtimeMs < ABANDONED_MS : Date.now() - ctimeMs < UNSAVED_MS;
  } catch {
    return false;
  }
}

async function writeSynced(path: string, text: string): Promise<void> {
  await using file = await open(path, 'w', 0o600);
  await file.writeFile(text);
  await file.sync();
}

function readState(path: string): readonly GoodFile[] {
  try {
    const text = readFileSync(path, 'utf8');
    const state =
      text.length > MAX_STATE_BYTES ? undefined : (JSON.parse(text) as { version?: unknown; files?: unknown });
    if (state?.version !== 1 || !Array.isArray(state.files)) return [];
    return (state.files as GoodFile[]).filter(
      (file) =>
        typeof file?.name === 'string' &&
        Number.isFinite(file.sizeBytes) &&
        (file.copy === undefined || (typeof file.copy === 'string' && /^[\w-]+$/.test(file.copy))),
    );
  } catch {
    return [];
  }
}
