import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ownerFate, ownerMark } from '../spill/index.ts';

const PREFIX = 'plimsoll-run-';

/** Makes a private folder for what is looked at during one run, with the mark of this process in its name. Throws what the system throws. */
export function makeRunFolder(parent: string = tmpdir()): string {
  return mkdtempSync(join(parent, `${PREFIX}${ownerMark()}-`));
}

/** Never throws: what cannot be removed stays, and the next run tries again. */
export function removeRunFolder(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // The program may have changed whose it is; that is no reason to end otherwise than it did.
  }
}

/** Removes folders of this user's runs that were killed. Of one whose owner cannot be seen from here, as in another container, nothing is known: it stays. Never rejects. */
export async function sweepRunFolders(parent: string = tmpdir()): Promise<void> {
  for (const name of namesIn(parent)) {
    if (!name.startsWith(PREFIX) || (await ownerFate(name, parent)) !== 'dead') continue;
    const folder = join(parent, name);
    if (isOwn(folder)) removeRunFolder(folder);
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isOwn(folder: string): boolean {
  try {
    const found = lstatSync(folder);
    return found.isDirectory() && found.uid === (process.getuid?.() ?? found.uid);
  } catch {
    // It is gone, or its folder can be listed and not entered.
    return false;
  }
}
