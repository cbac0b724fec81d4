import { link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ownerFate, ownerMark } from 'plimsoll/spill';
import { ensureFolder } from './ensure-folder.ts';
import { OutputError } from './output-error.ts';

const PREFIX = '.plimsoll-';

/**
 * The private folder of one run inside the output folder (0700), so that finished files reach their place by a rename. It is removed when
 * the run ends, in whatever way; after SIGKILL or a power cut, by the next run that opens a workspace there. The folder's name bears
 * its owner (`ownerMark`): a living owner's folder is never touched, and a new process with an old pid is not mistaken for it. Of an owner in another container, or perhaps on
 * another machine, nothing can be known: its folder goes when nothing was written there for a day.
 */
export class Workspace implements AsyncDisposable {
  readonly outputDir: string;
  readonly dir: string;

  private constructor(outputDir: string, dir: string) {
    this.outputDir = outputDir;
    this.dir = dir;
  }

  /** Creates `outputDir` when missing, clears what dead runs left there, and makes this run's folder. */
  static async open(outputDir: string, name: string): Promise<Workspace> {
    try {
      await ensureFolder(outputDir);
      await removeOrphans(outputDir);
      const dir = join(outputDir, `${PREFIX}${name}-${ownerMark()}-${runCount++}`);
      await mkdir(dir, { mode: 0o700 });
      return new Workspace(outputDir, dir);
    } catch (cause) {
      throw new OutputError(outputDir, cause);
    }
  }

  path(file: string): string {
    return join(this.dir, file);
  }

  /** Throws `OutputError` when the name is taken by a folder: to be asked before the first of several files is published. */
  async checkTarget(as: string): Promise<void> {
    const target = join(this.outputDir, as);
    const found = await stat(target).catch(() => undefined);
    if (found?.isDirectory()) throw new OutputError(target, Object.assign(new Error('folder'), { code: 'EISDIR' }));
  }

  /**
   * Moves finished, synced files into the output folder, in this order: a reader sees the old one or the new one, never a part. When one cannot be moved those
   * before it go back, so that what is there belongs together.
   */
  async publish(files: readonly { readonly file: string; readonly as: string }[]): Promise<string[]> {
    const published: string[] = [];
    for (const { file, as } of files) {
      const target = join(this.outputDir, as);
      try {
        await this.#keepOld(target, published.length);
        await rename(this.path(file), target);
        published.push(target);
        await syncFolder(this.outputDir);
      } catch (cause) {
        for (const [index, each] of published.entries()) await this.#putBack(each, index);
        throw new OutputError(target, cause);
      }
    }
    return published;
  }

  /** A second name for what is there. */
  async #keepOld(target: string, index: number): Promise<void> {
    try {
      await link(target, this.path(`old.${index}`));
    } catch {
      // There is none, or this file system has one name for each file: then it cannot go back.
    }
  }

  async #putBack(target: string, index: number): Promise<void> {
    try {
      const old = this.path(`old.${index}`);
      if (await stat(old).catch(() => undefined)) await rename(old, target);
    } catch {
      // The new one stays, whole.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.dir, { recursive: true, force: true });
  }
}

let runCount = 0;
const ABANDONED_MS = 24 * 3_600_000;

/** Removes the folders of runs that were killed; in the system's folder for temporary files those of dry runs. Never rejects. */
export async function removeOrphans(outputDir: string): Promise<void> {
  for (const entry of await readdir(outputDir, { withFileTypes: true }).catch(() => [])) {
    if (!entry.isDirectory() || !entry.name.startsWith(PREFIX)) continue;
    const fate = await ownerFate(entry.name, outputDir);
    if (fate === undefined) continue;
    const dir = join(outputDir, entry.name);
    if (fate === 'alive' || (fate === 'unknown' && (await wasWrittenLately(dir)))) continue;
    // Somebody else's that may not be removed is no reason not to run.
    await rm(dir, { recursive: true, force: true }).catch(() => {});
  }
}

async function wasWrittenLately(dir: string): Promise<boolean> {
  try {
    const paths = [dir, ...(await readdir(dir)).map((file) => join(dir, file))];
    const times = await Promise.all(paths.map(async (path) => (await stat(path)).mtimeMs));
    return Date.now() - Math.max(...times) < ABANDONED_MS;
  } catch {
    // It changes at this moment, or may not be read.
    return true;
  }
}

/** A rename is only safe from a power cut once the folder itself is on the disk. Some file systems refuse; then nothing better can be done. */
async function syncFolder(dir: string): Promise<void> {
  try {
    await using folder = await open(dir, 'r');
    await folder.sync();
  } catch {
    // Not supported here (Windows, some network file systems).
  }
}
