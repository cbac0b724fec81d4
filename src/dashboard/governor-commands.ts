import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, systemClock } from '../clock.ts';
import { PlimsollError } from '../errors.ts';
import { checkGovernor, type Governor, type ReclaimStrategy, type TrainReport } from '../governor/index.ts';
import { checkName, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import type { CommandPort } from '../observe/index.ts';

export interface GovernorCommandOptions {
  readonly governor: Governor;
  /** Where heap snapshots are written; it must be there. Default: none, and then there are no heap snapshots. */
  readonly snapshotFolder?: string;
  /** Heap snapshots in the folder; with so many there, no further one is made until somebody takes one away. 1 up. Default 4. */
  readonly maxSnapshots?: number;
  readonly clock?: Clock;
}

const OPTIONS = ['governor', 'snapshotFolder', 'maxSnapshots', 'clock'] as const;
const DEFAULT_SNAPSHOTS = 4;
const LONGEST_PATH = 4_096;
const SNAPSHOT = /^plimsoll-\d+-\d+\.heapsnapshot$/;

/**
 * What a screen may have a governor do. A collection is a train that asks no holder: the governor makes it, and it stands in its journal. Each rejects with
 * `PLIMSOLL_COMMAND_REFUSED` where it cannot be done, a heap snapshot also with `PLIMSOLL_NO_ROOM_FOR_SNAPSHOT` and `PLIMSOLL_SNAPSHOT_FAILED`.
 */
export function governorCommands(options: GovernorCommandOptions): CommandPort {
  const { governor, snapshotFolder, maxSnapshots, clock } = checkCommandOptions(options);
  return {
    async collect() {
      const before = usedBytes(governor);
      const report = await runCollection(governor);
      const durationMs = report.elapsedMs;
      return { durationMs, freedBytes: Math.max(0, before - usedBytes(governor)) };
    },
    async reclaim(strategy: ReclaimStrategy) {
      refuseWhereOff(governor);
      const { claimedBytes, releasedBytes, seenBytes, elapsedMs } = await governor.reclaim({ strategy });
      return { claimedBytes, releasedBytes, seenBytes, durationMs: elapsedMs };
    },
    async heapSnapshot() {
      if (snapshotFolder === undefined) throw refused('no folder for heap snapshots was given (`snapshotFolder`)');
      const kept = readdirSync(snapshotFolder).filter((name) => SNAPSHOT.test(name)).length;
      if (kept >= maxSnapshots) {
        throw refused(`there are ${kept} heap snapshots in ${snapshotFolder} already: take some away`);
      }
      const path = join(snapshotFolder, `plimsoll-${process.pid}-${Math.round(clock.wall())}.heapsnapshot`);
      return { path, bytes: governor.writeHeapSnapshot(path) };
    },
  };
}

/** A train within a consumer that holds nothing: nobody is asked, what is left are the collection and the trim. */
async function runCollection(governor: Governor): Promise<TrainReport> {
  refuseWhereOff(governor);
  using nobody = governor.consumer({ name: 'dashboard', kind: 'external', maxBytes: 1 });
  const report = await governor.reclaim({ strategy: 'aggressive', within: nobody });
  const made = report.parts.some(({ part, skipped }) => part.endsWith('-collection') && skipped === undefined);
  if (!made) throw refused('the governor made no collection: it is told to make none');
  return report;
}

function refuseWhereOff({ mode }: Governor): void {
  if (mode !== 'on') throw refused(`the governor acts in mode \`on\` only; it is \`${mode}\``);
}

/** V8's heap and what it knows of outside, now. */
function usedBytes(governor: Governor): number {
  governor.sample();
  const { meters } = governor.snapshot();
  return meters.reduce((sum, { name, bytes }) => (name === 'heap' || name === 'external' ? sum + bytes : sum), 0);
}

function refused(why: string): PlimsollError {
  return new PlimsollError(why, { code: 'PLIMSOLL_COMMAND_REFUSED', recovery: 'fallback' });
}

function checkCommandOptions(given: GovernorCommandOptions) {
  const options = copyOptions('governorCommands', given, OPTIONS);
  const { governor, snapshotFolder, maxSnapshots = DEFAULT_SNAPSHOTS, clock = systemClock } = options;
  checkGovernor(governor);
  if (snapshotFolder !== undefined) checkName(snapshotFolder, 'snapshotFolder', LONGEST_PATH);
  if (typeof clock?.wall !== 'function') throw invalidOption('clock', 'a clock', clock);
  return { governor, snapshotFolder, clock, maxSnapshots: checkWhole('maxSnapshots', maxSnapshots, 1) };
}
