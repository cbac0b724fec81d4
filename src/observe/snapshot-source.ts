import type { Snapshot } from '../governor/index.ts';

/** Whoever gives the one picture of memory: a `Governor` does, and so does anything that plays one back. */
export interface SnapshotSource {
  snapshot(): Snapshot;
}
