import { statfs } from 'node:fs/promises';
import { isLocalDisk } from './local-disk.ts';
import { currentOwner, nameOfOwner, ownerInName, ownerState } from './spill-owner.ts';

/**
 * This process, to be put into the name of a file or folder of its own, with `-` on both sides: so that the next one knows what a killed one left. Pid, start time, pid namespace and boot in
 * digits and `-`, 70 characters at most.
 * @example
 * import { ownerFate, ownerMark } from 'plimsoll/spill';
 * const dir = mkdtempSync(join(parent, `work-${ownerMark()}-`));
 * for (const name of readdirSync(parent)) if ((await ownerFate(name, parent)) === 'dead') rmSync(join(parent, name), { recursive: true });
 */
export function ownerMark(): string {
  return nameOfOwner(currentOwner());
}

/**
 * What became of the owner whose mark is in the name of something in `dir`. `dead`: killed, or of an earlier boot, where the disk is one that only this machine can have. `unknown`: in another container, or perhaps of another machine;
 * only age can tell. Undefined when there is no mark in it. Never rejects.
 */
export async function ownerFate(name: string, dir: string): Promise<'alive' | 'dead' | 'unknown' | undefined> {
  const owner = ownerInName(name);
  if (owner === undefined) return undefined;
  const isLocal = await statfs(dir).then(
    ({ type }) => isLocalDisk(type),
    () => false,
  );
  return ownerState(owner, currentOwner(), isLocal);
}
