import { closeSync, openSync, readSync } from 'node:fs';
import type { CgroupLimit } from './limits.ts';
import type { Meter } from './meters.ts';

const STAT_BYTES = 16_384;
const MOST_LEVELS = 8;
/** What of a limit kernel memory can take up for the meter of version 1. */
const MOST_KERNEL_SHARE = 0.25;

/**
 * What the kernel charges to the control groups of this process, each against its own limit, without what it takes back by itself. The
 * fullest group counts: `read` gives its bytes, `limitBytes` its limit, `groupFolder` its folder. It need not be the one with the smallest
 * limit: a group further out holds other processes too, and the kernel kills when any of them is full.
 *
 * Page cache: both file lists are taken out, the active one too: a file that is read twice moves to the active list and is still only a copy of what
 * is on disk; the kernel drops it before it kills. (Taking only the inactive list out, as the "working set" of container
 * monitors does, calls a job that streams a file twice full.) Left in: anonymous memory, shared memory and tmpfs (they are on the
 * anonymous lists), and pages of files that are mapped, such as the program itself, which would be read back at once. The groups may hold
 * other processes: they count, because the kernel counts them.
 *
 * Kernel memory: names and inodes of files that were looked at (slabs) pile up to the limit and are dropped before anybody is killed. 1.5 million
 * names looked up in a group of 160 MiB were 135 MiB of it; while 130 MiB of buffers were filled they went down to 6. Version 2 says what of it can be
 * taken back (`slab_reclaimable`), and that is taken out. Version 1 does not: there kernel memory counts up to a quarter of the limit. What
 * serves processes stays below that beside what they hold themselves: 2.8 KiB a socket, which costs a server of Node some 10 KiB more in its own
 * memory, 0.2 KiB an open file, 110 KiB a child. A group that is full of bare sockets or of page tables is seen too low there.
 *
 * About 12 µs a level, no garbage. Two descriptors a level, in version 1 three, stay open until it is disposed. At most 8 levels are read, those with the smallest limits; a
 * group is left out when one around it has no larger limit, because it can never be the fuller one. A level whose files vanish is dropped.
 */
export class CgroupMeter implements Meter, Disposable {
  readonly name = 'cgroup';
  /** The smallest limit it watches, whichever group is fullest. */
  readonly leastLimitBytes: number;
  readonly #buffer = Buffer.allocUnsafeSlow(STAT_BYTES);
  readonly #levels: Level[] = [];
  #fullest: Level;
  #lost: unknown;

  /** Opens two files of each group's folder. Throws when no group has them. */
  constructor(limits: CgroupLimit | readonly CgroupLimit[]) {
    for (const limit of [limits].flat().sort((a, b) => a.bytes - b.bytes || a.folder.length - b.folder.length)) {
      if (this.#levels.length >= MOST_LEVELS) break;
      if (this.#levels.some(({ folder }) => limit.folder.startsWith(`${folder}/`))) continue;
      try {
        this.#levels.push(new Level(limit));
      } catch (cause) {
        this.#lost = cause;
      }
    }
    const [first] = this.#levels;
    if (first === undefined) throw this.#lost ?? new RangeError('no control group was given');
    this.#fullest = first;
    this.leastLimitBytes = first.limitBytes;
  }

  /** Of the group that was fullest at the last reading. */
  get limitBytes(): number {
    return this.#fullest.limitBytes;
  }

  get groupFolder(): string {
    return this.#fullest.folder;
  }

  /** How many groups are read. */
  get levelCount(): number {
    return this.#levels.length;
  }

  /** Throws when no group can be read any more. */
  read(): number {
    let most = -1;
    let mostRatio = -1;
    for (let i = this.#levels.length - 1; i >= 0; i--) {
      const level = this.#levels[i]!;
      const bytes = this.#readLevel(level, i);
      const ratio = bytes / level.limitBytes;
      if (bytes < 0 || ratio < mostRatio) continue;
      most = bytes;
      mostRatio = ratio;
      this.#fullest = level;
    }
    if (most < 0) throw this.#lost ?? new Error('the meter of the control group has been disposed');
    return most;
  }

  [Symbol.dispose](): void {
    for (const level of this.#levels) level[Symbol.dispose]();
    this.#levels.length = 0;
    this.#lost = undefined;
  }

  /** -1 when it cannot be read; then it is dropped. */
  #readLevel(level: Level, index: number): number {
    try {
      return level.read(this.#buffer);
    } catch (cause) {
      this.#lost = cause;
      level[Symbol.dispose]();
      this.#levels.splice(index, 1);
      return -1;
    }
  }
}

/** One group: its files, and the rows of `memory.stat` that count. */
class Level implements Disposable {
  readonly folder: string;
  readonly limitBytes: number;
  readonly #usage: number;
  readonly #stat: number;
  /** Of version 1, where the kernel keeps that account. */
  readonly #kernel: number | undefined;
  readonly #inactive: Buffer;
  readonly #active: Buffer;
  readonly #mapped: Buffer;
  readonly #shared: Buffer;
  readonly #slabs = Buffer.from('slab_reclaimable ');

  constructor({ version, folder, bytes }: CgroupLimit) {
    const v2 = version === 2;
    const prefix = v2 ? '' : 'total_';
    this.folder = folder;
    this.limitBytes = bytes;
    this.#inactive = Buffer.from(`${prefix}inactive_file `);
    this.#active = Buffer.from(`${prefix}active_file `);
    this.#mapped = Buffer.from(v2 ? 'file_mapped ' : 'total_mapped_file ');
    this.#shared = Buffer.from(`${prefix}shmem `);
    this.#usage = openSync(`${folder}/${v2 ? 'memory.current' : 'memory.usage_in_bytes'}`, 'r');
    try {
      this.#stat = openSync(`${folder}/memory.stat`, 'r');
    } catch (cause) {
      closeSync(this.#usage);
      throw cause;
    }
    this.#kernel = v2 ? undefined : openIfThere(`${folder}/memory.kmem.usage_in_bytes`);
  }

  read(buffer: Buffer): number {
    const used = readDigits(buffer, 0, readSync(this.#usage, buffer, 0, STAT_BYTES, 0));
    if (used < 0) throw new Error(`the memory use of the control group cannot be read (${this.folder})`);
    // Next to the other: names are freed by the thousand in between.
    const excess = this.#excessKernelBytes(buffer);
    const length = readSync(this.#stat, buffer, 0, STAT_BYTES, 0);
    const files = rowBytes(buffer, length, this.#inactive) + rowBytes(buffer, length, this.#active);
    // Shared memory that is mapped is among the mapped, and on the lists of what is no file.
    const mapped = Math.max(0, rowBytes(buffer, length, this.#mapped) - rowBytes(buffer, length, this.#shared));
    const cached = Math.max(0, files - mapped);
    // Version 1 has no such row.
    const slabs = rowBytes(buffer, length, this.#slabs) + excess;
    return Math.max(0, used - cached - slabs);
  }

  #excessKernelBytes(buffer: Buffer): number {
    if (this.#kernel === undefined) return 0;
    const bytes = readDigits(buffer, 0, readSync(this.#kernel, buffer, 0, STAT_BYTES, 0));
    return Math.max(0, bytes - this.limitBytes * MOST_KERNEL_SHARE);
  }

  /** Called once. Never throws: somebody may have closed what is not theirs. */
  [Symbol.dispose](): void {
    for (const descriptor of [this.#usage, this.#stat, this.#kernel]) {
      if (descriptor === undefined) continue;
      try {
        closeSync(descriptor);
      } catch {
        // It is closed: that is all that was wanted.
      }
    }
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch {
    return undefined;
  }
}

/** The number on the line that begins with `key`, 0 when there is none. */
function rowBytes(buffer: Buffer, length: number, key: Buffer): number {
  for (let at = 0; at < length; ) {
    let i = 0;
    while (i < key.length && buffer[at + i] === key[i]) i++;
    if (i === key.length) return Math.max(0, readDigits(buffer, at + i, length));
    const end = buffer.indexOf(10, at);
    if (end < 0 || end >= length) return 0;
    at = end + 1;
  }
  return 0;
}

/** -1 when no digit stands there. */
function readDigits(buffer: Buffer, at: number, end: number): number {
  let value = -1;
  for (; at < end; at++) {
    const digit = buffer[at]! - 48;
    if (digit < 0 || digit > 9) break;
    value = Math.max(0, value) * 10 + digit;
  }
  return value;
}
