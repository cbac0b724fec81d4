import { rmSync, statfsSync } from 'node:fs';
import { dropFixture, freshDir, listFixture } from '../../apps/playlist/test/gates/fixtures.ts';
import { type SortedRun, sortedFigures, sortInLimit } from '../../apps/playlist/test/gates/million-sorted.ts';
import { demand } from '../gates/gate.ts';

const FEW = 1_000_000;
const MANY = 10_000_000;
const MOST_GROWTH = 1.2;
/** Measured: 10 GB with the list. */
const FREE_DISK_BYTES = 25e9;
const ALL_BY_WAY_OF_THE_DISK = { PLIMSOLL_FORCE_SPILL: '1' };

/**
 * The job of the gate `million-sorted` with everything spilled, at 1,000,000 and at 10,000,000 channels, in the same limit: the peak may grow by a fifth at most. Throws
 * `GateFailure` for what does not hold; resolves to the figures, in a line.
 */
export async function soakSorted(say: (line: string) => void): Promise<string> {
  const dir = freshDir('soak-sorted');
  const { bavail, bsize } = statfsSync(dir);
  rmSync(dir, { recursive: true });
  demand(bavail * bsize >= FREE_DISK_BYTES, `it needs ${FREE_DISK_BYTES / 1e9} GB of free disk`);
  const few = await sortSpilling(FEW, say);
  const list = await listFixture(MANY);
  try {
    const many = await sortSpilling(MANY, say);
    const growth = (of: (run: SortedRun) => number): number => of(many) / of(few);
    const charged = growth(({ anonymousPeakBytes }) => anonymousPeakBytes);
    const resident = growth(({ rssPeakBytes }) => rssPeakBytes);
    const figures =
      `ten times the channels: ${charged.toFixed(2)} times what is charged without page cache, ${resident.toFixed(2)} times the VmHWM (at most ${MOST_GROWTH}), ` +
      `${growth(({ diskPeakBytes }) => diskPeakBytes).toFixed(1)} times the disk, ${growth(({ elapsedMs }) => elapsedMs).toFixed(1)} times the time`;
    demand(charged <= MOST_GROWTH && resident <= MOST_GROWTH, figures);
    return figures;
  } finally {
    dropFixture(list);
  }
}

async function sortSpilling(channels: number, say: (line: string) => void): Promise<SortedRun> {
  const run = await sortInLimit(channels, ALL_BY_WAY_OF_THE_DISK);
  say(sortedFigures(run));
  return run;
}
