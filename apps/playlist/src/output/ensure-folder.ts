import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/**
 * Makes a folder and those above it that are missing, all with `mode`. For maintainers: not `mkdir` with `recursive`, which in a place that
 * answers ENOENT to every new folder (`/proc`) tries for ever in a thread that nothing can stop. Here each folder is tried twice at most. Rejects
 * with an error whose `code` is the system's (`ENOTDIR` where a file is in the way) and whose message says where it failed.
 */
export async function ensureFolder(path: string, mode = 0o777): Promise<void> {
  const missing: string[] = [];
  let folder = resolve(path);
  while (!(await make(folder, mode))) {
    missing.push(folder);
    folder = dirname(folder);
  }
  for (const child of missing.reverse()) {
    if (!(await make(child, mode))) throw failure('ENOENT', `the system lets no folder be made in ${dirname(child)}`);
  }
}

/** False when the folder above is missing. */
async function make(folder: string, mode: number): Promise<boolean> {
  try {
    await mkdir(folder, { mode });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && dirname(folder) !== folder) return false;
    // A root, or a folder of a read-only file system, need not answer EEXIST.
    const found = await stat(folder).catch(() => undefined);
    if (found?.isDirectory()) return true;
    if (found !== undefined || code === 'ENOTDIR')
      throw failure('ENOTDIR', `a part of ${folder} is a file, not a folder`);
    throw error;
  }
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
