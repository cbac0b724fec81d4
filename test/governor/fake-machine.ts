import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A folder that looks like a machine to whoever reads `/proc` and `/sys` under a root. Disposing removes it. */
export class FakeMachine implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'plimsoll-machine-'));

  /** Files by path below the root. 1 GiB of RAM unless said. */
  constructor(files: Readonly<Record<string, string>>) {
    this.write({ 'proc/meminfo': 'MemTotal:        1048576 kB\nMemFree:          524288 kB\n', ...files });
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.root, path)), { recursive: true });
      writeFileSync(join(this.root, path), text);
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** A line of the table of mounts for the unified hierarchy; `base` is what of it is mounted. */
export const mountV2 = (point: string, base = '/') =>
  `30 23 0:26 ${base} ${point} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n`;

/** The same for the memory controller of version 1. */
export const mountV1 = (point: string, base = '/') =>
  `36 32 0:31 ${base} ${point} rw,nosuid shared:16 - cgroup cgroup rw,memory\n`;
