import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';

/** Makes parents for spill folders, and removes them after each test. Where the system's own is memory they are made beside the tests. */
export function tempParents(): () => string {
  const made: string[] = [];
  afterEach(() => {
    for (const dir of made.splice(0)) rmSync(dir, { recursive: true, force: true });
  });
  return () => {
    const dir = mkdtempSync(join(process.env.PLIMSOLL_TEST_DISK ?? tmpdir(), 'spill-parent-'));
    made.push(dir);
    return dir;
  };
}
