import { DEFAULT_THRESHOLDS, levelRank, type Snapshot } from '../governor/index.ts';

const CRITICAL = levelRank('critical');

/**
 * Whether the machine, and not only the books, is at `critical` or above: books that are full are a cache that does its work. Exact while a meter other
 * than the ledger decides; while the ledger does, the others are held against the default threshold, as a snapshot does not tell the one that was set.
 */
export function isMachineCritical({ level, decidingMeter, meters }: Snapshot): boolean {
  if (levelRank(level) < CRITICAL) return false;
  if (decidingMeter !== 'ledger') return true;
  const charge = meters.find(({ name, off }) => name === 'cgroup' && !off);
  return meters.some(({ name, off, ratio, limitBytes }) => {
    if (off || name === 'ledger' || ratio < DEFAULT_THRESHOLDS.critical) return false;
    // RSS has no say beside what the kernel charges against a limit as small.
    return name !== 'rss' || charge === undefined || charge.limitBytes > limitBytes;
  });
}
