import type { Snapshot } from '../governor/index.ts';
import { invalidOption } from '../invalid-option.ts';

/** Whoever gives the one picture of memory: a `Governor` does, and so does anything that plays one back. */
export interface SnapshotSource {
  snapshot(): Snapshot;
}

/** Passes a source, or none, through. */
export function checkSource(source: SnapshotSource | undefined): SnapshotSource | undefined {
  if (source === undefined || typeof source?.snapshot === 'function') return source;
  throw invalidOption('source', 'something with `snapshot()`, such as a governor', source);
}
