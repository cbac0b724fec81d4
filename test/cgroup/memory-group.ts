/** A kernel memory group of our own, in cgroup v1 or v2, made below the root of the mount and removed again. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const V1_ROOT = '/sys/fs/cgroup/memory';
const V2_ROOT = '/sys/fs/cgroup';
const REMOVE_TRIES = 100;

export interface MemoryGroup {
  readonly version: 1 | 2;
  /** A process is put into the group by writing its id here. */
  readonly procsPath: string;
  /** Ids of the processes inside. */
  pids(): number[];
  /** Bytes charged now, page cache included. */
  usageBytes(): number;
  /** The most ever charged: reaches the limit whenever enough file pages pass through. */
  peakBytes(): number;
  /** Memory of the processes themselves, page cache left out. */
  anonymousBytes(): number;
  /** How often the kernel killed a process of the group for want of memory. */
  oomKills(): number;
  /** Waits until the processes are gone, then removes the group. */
  remove(): Promise<void>;
}

let counter = 0;

/** Makes a group that may charge `limitBytes` and not swap, or says in a sentence why that cannot be done here. */
export function makeMemoryGroup(limitBytes: number): MemoryGroup | string {
  const name = `plimsoll-test-${process.pid}-${counter++}`;
  const v1 = existsSync(join(V1_ROOT, 'memory.limit_in_bytes'));
  if (!v1 && !existsSync(join(V2_ROOT, 'cgroup.controllers'))) return 'there is no memory cgroup on this machine';
  const folder = join(v1 ? V1_ROOT : V2_ROOT, name);
  try {
    if (!v1) writeFileSync(join(V2_ROOT, 'cgroup.subtree_control'), '+memory');
    mkdirSync(folder);
  } catch (error) {
    return `this user may not make a memory cgroup (${(error as NodeJS.ErrnoException).code})`;
  }
  try {
    if (v1) limitV1(folder, limitBytes);
    else limitV2(folder, limitBytes);
  } catch (error) {
    rmdirSync(folder);
    return `the limit of a memory cgroup cannot be set (${(error as NodeJS.ErrnoException).code})`;
  }
  return openGroup(folder, v1 ? 1 : 2);
}

/** Why tests in real limits cannot run here, `undefined` when they can. Makes a group once, to see. */
export async function whyNoLimits(): Promise<string | undefined> {
  const group = makeMemoryGroup(1 << 26);
  if (typeof group === 'string') return group;
  await group.remove();
  return undefined;
}

function limitV1(folder: string, limitBytes: number): void {
  writeFileSync(join(folder, 'memory.limit_in_bytes'), String(limitBytes));
  const withSwap = join(folder, 'memory.memsw.limit_in_bytes');
  if (existsSync(withSwap)) writeFileSync(withSwap, String(limitBytes));
}

function limitV2(folder: string, limitBytes: number): void {
  writeFileSync(join(folder, 'memory.max'), String(limitBytes));
  const swap = join(folder, 'memory.swap.max');
  if (existsSync(swap)) writeFileSync(swap, '0');
}

function openGroup(folder: string, version: 1 | 2): MemoryGroup {
  const text = (file: string): string => readFileSync(join(folder, file), 'utf8');
  const row = (file: string, key: string): number => {
    const match = new RegExp(`^${key} (\\d+)$`, 'm').exec(text(file));
    return match === null ? 0 : Number(match[1]);
  };
  const pids = (): number[] => text('cgroup.procs').split('\n').filter(Boolean).map(Number);
  return {
    version,
    procsPath: join(folder, 'cgroup.procs'),
    pids,
    usageBytes: () => Number(text(version === 1 ? 'memory.usage_in_bytes' : 'memory.current')),
    peakBytes: () => {
      const file = version === 1 ? 'memory.max_usage_in_bytes' : 'memory.peak';
      // memory.peak came with Linux 5.19.
      return existsSync(join(folder, file)) ? Number(text(file)) : Number.NaN;
    },
    anonymousBytes: () => row('memory.stat', version === 1 ? 'total_rss' : 'anon'),
    oomKills: () => row(version === 1 ? 'memory.oom_control' : 'memory.events', 'oom_kill'),
    remove: async () => {
      for (let left = REMOVE_TRIES; ; left--) {
        try {
          rmdirSync(folder);
          return;
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
          if (left === 0) throw error;
          for (const pid of pids()) {
            try {
              process.kill(pid, 'SIGKILL');
            } catch {
              // Gone in the meantime.
            }
          }
          await wait(20);
        }
      }
    },
  };
}
