import { readFileSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { OutputError } from './output-error.ts';

const PREFIX = '.plimsoll-';

/**
 * The private folder of one run inside the output folder (0700), so that finished files reach their place by a rename. It is removed when
 * the run ends, in whatever way; after SIGKILL or a power cut, by the next run that opens a workspace there. The folder's name bears
 * its owner's pid and start time: a living owner's folder is never touched, and a new process with an old pid is not mistaken for it.
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
      await mkdir(outputDir, { recursive: true });
      await removeOrphans(outputDir);
      const dir = join(outputDir, `${PREFIX}${name}-${process.pid}-${startTime(process.pid) ?? 'x'}-${runCount++}`);
      await mkdir(dir, { mode: 0o700 });
      return new Workspace(outputDir, dir);
    } catch (cause) {
      throw new OutputError(outputDir, cause);
    }
  }

  path(file: string): string {
    return join(this.dir, file);
  }

  /** Moves a finished, synced file into the output folder: a reader sees the old one or the new one, never a part. */
  async publish(file: string, as: string): Promise<string> {
    const target = join(this.outputDir, as);
    try {
      await rename(this.path(file), target);
      await syncFolder(this.outputDir);
    } catch (cause) {
      throw new OutputError(target, cause);
    }
    return target;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.dir, { recursive: true, force: true });
  }
}

let runCount = 0;

async function removeOrphans(outputDir: string): Promise<void> {
  for (const entry of await readdir(outputDir, { withFileTypes: true })) {
    if (!entry.isDirectory() || !entry.name.startsWith(PREFIX)) continue;
    const owner = /-(\d+)-(\d+|x)-\d+$/.exec(entry.name);
    if (owner === null || isAlive(Number(owner[1]), owner[2]!)) continue;
    await rm(join(outputDir, entry.name), { recursive: true, force: true });
  }
}

function isAlive(pid: number, startedAt: string): boolean {
  const now = startTime(pid);
  if (now !== undefined) return startedAt === 'x' || now === startedAt;
  if (process.platform === 'linux') return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Start time of a process in clock ticks since boot (Linux: field 22 of `/proc/<pid>/stat`), undefined when there is none to read. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
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
