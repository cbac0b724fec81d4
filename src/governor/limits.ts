/**
 * How much memory this process may have: the smallest of what was configured, what its control groups allow and what the machine has.
 *
 * Reads under a root path, so that a fake machine is a folder. Nothing here throws because of what it finds: a file that is
 * absent or unreadable says nothing, and the machine's RAM is always known.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join, posix } from 'node:path';
import { checkNumber, checkWhole } from '../invalid-option.ts';

export type LimitSource = 'configured' | 'cgroup-v2' | 'cgroup-v1' | 'machine';

/** One limit that was found. */
export interface FoundLimit {
  readonly bytes: number;
  readonly from: LimitSource;
  /** The file in which it stands. */
  readonly path?: string;
}

/** A control group that limits this process, its own or one above it, and the smallest limit that is set there. */
export interface CgroupLimit {
  readonly version: 1 | 2;
  /** Its folder. */
  readonly folder: string;
  readonly bytes: number;
}

/** The limit that holds: the smallest, times the share; where that is the machine's RAM, a part of it. */
export interface EffectiveLimit extends FoundLimit {
  /** Everything found, smallest first, as it stands there: before `share` and `machineShare`. */
  readonly all: readonly FoundLimit[];
  readonly share: number;
  /** The first of `cgroups`. Absent where no control group limits this process. */
  readonly cgroup?: CgroupLimit;
  /** Every group with a limit on the path from the root to this process, one entry each, smallest limit first, of equal ones the outer. */
  readonly cgroups: readonly CgroupLimit[];
}

export interface LimitOptions {
  /** Whole number of bytes from 1 up. Default: none. */
  readonly limitBytes?: number | undefined;
  /** The part of the smallest limit that is this process's, where several share a container: above 0 and up to 1. Default 1. */
  readonly share?: number | undefined;
  /**
   * The part of the machine's RAM that is taken for the limit where nothing smaller is found: the rest is the kernel's and everybody else's.
   * Above 0 and up to 1. Default 0.75.
   */
  readonly machineShare?: number | undefined;
  /** The folder that holds `proc` and `sys`. Default `/`. */
  readonly root?: string | undefined;
}

/** Version 1 says "unlimited" with the largest multiple of a page that fits; anything from here up is taken for it. */
const UNLIMITED = 2 ** 60;

export const LIMIT_DEFAULTS = { share: 1, machineShare: 0.75 } as const;

/**
 * Reads all limits anew: a dozen small files, about 0.3 ms. Throws `RangeError` for unsound options only.
 *
 * Total RAM is never the limit: a process that fills it is killed before it gets there. What is free at the moment (`MemAvailable`) is not
 * the limit either: it moves with every neighbour and with this process itself, and heap flags, caps and shares are derived from the limit once.
 * That the machine runs short is seen as pressure (`Psi`) and said in the capability report.
 */
export function readLimits(options: LimitOptions = {}): EffectiveLimit {
  const { root = '/', limitBytes } = options;
  const share = checkNumber('share', options.share ?? LIMIT_DEFAULTS.share, 0, 1);
  const machineShare = checkNumber('machineShare', options.machineShare ?? LIMIT_DEFAULTS.machineShare, 0, 1);
  const all: FoundLimit[] = [];
  if (limitBytes !== undefined) all.push({ bytes: checkWhole('limitBytes', limitBytes, 1), from: 'configured' });
  const groups = new Map<string, CgroupLimit>();
  for (const { path, ...found } of cgroupLimits(root)) {
    all.push({ bytes: found.bytes, from: found.version === 2 ? 'cgroup-v2' : 'cgroup-v1', path });
    const known = groups.get(found.folder);
    if (known === undefined || found.bytes < known.bytes) groups.set(found.folder, found);
  }
  all.push(machineLimit(root));
  all.sort((a, b) => a.bytes - b.bytes);
  const smallest = all[0]!;
  const part = smallest.from === 'machine' ? share * machineShare : share;
  // A folder further out has the shorter path. Of two that are equal it stands first: it is charged for more.
  const byLimit = (a: CgroupLimit, b: CgroupLimit) => a.bytes - b.bytes || a.folder.length - b.folder.length;
  const cgroups = [...groups.values()].sort(byLimit);
  const effective = { ...smallest, bytes: Math.max(1, Math.floor(smallest.bytes * part)), all, share, cgroups };
  return cgroups[0] === undefined ? effective : { ...effective, cgroup: cgroups[0] };
}

function machineLimit(root: string): FoundLimit {
  const path = join(root, 'proc/meminfo');
  const bytes = kibRow(readText(path), 'MemTotal');
  return bytes === undefined ? { bytes: totalmem(), from: 'machine' } : { bytes, from: 'machine', path };
}

/** What the kernel estimates it could give to programs now without swapping, bytes; undefined where it does not say. About 0.05 ms. */
export function readAvailableBytes(root: string): number | undefined {
  return kibRow(readText(join(root, 'proc/meminfo')), 'MemAvailable');
}

/** What there is of RAM and swap. */
export interface MachineMemory {
  readonly totalBytes: number;
  /** What the kernel estimates it could give now without swapping. Absent where it does not say. */
  readonly availableBytes?: number;
  readonly swapBytes?: number;
}

/** Of the whole machine, whatever limits this process. About 0.05 ms. */
export function readMachineMemory(root = '/'): MachineMemory {
  const text = readText(join(root, 'proc/meminfo'));
  const [availableBytes, swapBytes] = [kibRow(text, 'MemAvailable'), kibRow(text, 'SwapTotal')];
  return {
    totalBytes: kibRow(text, 'MemTotal') ?? totalmem(),
    ...(availableBytes === undefined ? {} : { availableBytes }),
    ...(swapBytes === undefined ? {} : { swapBytes }),
  };
}

/** Bytes of a row like `MemTotal:  1024 kB`. */
function kibRow(text: string | undefined, key: string): number | undefined {
  const kib = new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(text ?? '')?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

/** Who else is charged to a control group. */
export interface GroupProcesses {
  /** All processes in the group and below it, this one included. */
  readonly count: number;
  /** Of the others, those that take up room: over 16 MiB of RSS, or of a size that cannot be seen. Launchers and shells are not among them. */
  readonly heavyOthers: number;
}

const HEAVY_BYTES = 16 * 1_048_576;
/** A slice of a whole machine may hold thousands: what is looked at is bounded. */
const MOST_FOLDERS = 64;
const MOST_WEIGHED = 64;

/**
 * Counts the processes of a group and of up to 64 groups below it, and weighs the first 64; undefined when they cannot be read. About 0.05 ms
 * a process: ask once.
 */
export function readGroupProcesses(root: string, folder: string): GroupProcesses | undefined {
  const ids: string[] = [];
  const folders = [folder];
  for (let i = 0; i < folders.length && i < MOST_FOLDERS; i++) {
    const text = readText(join(folders[i]!, 'cgroup.procs'));
    if (text === undefined && i === 0) return undefined;
    ids.push(...(text ?? '').split('\n').filter(Boolean));
    folders.push(...subfolders(folders[i]!).slice(0, MOST_FOLDERS));
  }
  const own = String(process.pid);
  const others = ids.filter((id) => id !== own).slice(0, MOST_WEIGHED);
  const heavy = others.filter((id) => {
    const status = readText(join(root, `proc/${id}/status`));
    return status === undefined || (kibRow(status, 'VmRSS') ?? 0) > HEAVY_BYTES;
  });
  return { count: ids.length, heavyOthers: heavy.length };
}

function subfolders(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name));
  } catch {
    return [];
  }
}

/**
 * How often the kernel has killed a process for want of memory in a control group, or below it where it counts that; undefined where it does not count (version 1 before
 * Linux 4.13) or it cannot be read. Source: `memory.events` in Documentation/admin-guide/cgroup-v2.rst, `memory.oom_control` of version 1.
 */
export function readOomKills({ version, folder }: Pick<CgroupLimit, 'version' | 'folder'>): number | undefined {
  const text = readText(join(folder, version === 2 ? 'memory.events' : 'memory.oom_control'));
  const count = /^oom_kill (\d+)$/m.exec(text ?? '')?.[1];
  return count === undefined ? undefined : Number(count);
}

interface Mount {
  readonly version: 1 | 2;
  /** What of the hierarchy is mounted. */
  readonly base: string;
  /** Where. */
  readonly point: string;
}

function* cgroupLimits(root: string): Generator<CgroupLimit & { readonly path: string }> {
  const groups = readText(join(root, 'proc/self/cgroup')) ?? '';
  for (const mount of cgroupMounts(root)) {
    const group = groupPath(groups, mount.version);
    if (group === undefined) continue;
    for (const folder of groupFolders(root, mount, group)) {
      for (const { file, bytes } of folderLimits(folder, mount.version)) {
        if (bytes > 0 && bytes < UNLIMITED) yield { version: mount.version, folder, bytes, path: join(folder, file) };
      }
    }
  }
}

/** Where the hierarchies that may limit memory are mounted; the usual places when the table of mounts cannot be read. */
function cgroupMounts(root: string): Mount[] {
  const table = readText(join(root, 'proc/self/mountinfo'));
  if (table === undefined) {
    return [
      { version: 2, base: '/', point: '/sys/fs/cgroup' },
      { version: 1, base: '/', point: '/sys/fs/cgroup/memory' },
    ];
  }
  const mounts: Mount[] = [];
  for (const line of table.split('\n')) {
    const [before, after] = line.split(' - ');
    if (before === undefined || after === undefined) continue;
    const [, , , base, point] = before.split(' ');
    const [type, , superOptions] = after.split(' ');
    if (base === undefined || point === undefined) continue;
    if (type === 'cgroup2') mounts.push({ version: 2, base: plainPath(base), point: plainPath(point) });
    else if (type === 'cgroup' && superOptions?.split(',').includes('memory')) {
      mounts.push({ version: 1, base: plainPath(base), point: plainPath(point) });
    }
  }
  return mounts;
}

/** The path of this process's group in a hierarchy. */
function groupPath(groups: string, version: 1 | 2): string | undefined {
  for (const line of groups.split('\n')) {
    const [, controllers, ...path] = line.split(':');
    if (controllers === undefined || path.length === 0) continue;
    const isIt = version === 2 ? controllers === '' : controllers.split(',').includes('memory');
    if (isIt) return path.join(':');
  }
  return undefined;
}

/**
 * The folders of the group and of all above it, as far as they are mounted. Inside a container the path may be told from outside (a bind
 * mount of the group alone) or lead out of the namespace (`/../..`): then what is mounted is all there is to see.
 */
function groupFolders(root: string, mount: Mount, group: string): string[] {
  const point = join(root, mount.point);
  let below: string | undefined;
  if (mount.base === '/') below = group;
  else if (group === mount.base || group.startsWith(`${mount.base}/`)) below = group.slice(mount.base.length);
  if (below === undefined || below.split('/').includes('..')) below = '';
  const folders: string[] = [];
  for (let path = posix.join('/', below); ; path = posix.dirname(path)) {
    folders.push(path === '/' ? point : join(point, path));
    if (path === '/') return folders;
  }
}

function folderLimits(folder: string, version: 1 | 2): { file: string; bytes: number }[] {
  if (version === 2) {
    // Reaching `memory.high` does not kill; it slows the process down to a crawl, which is no better.
    return ['memory.max', 'memory.high'].map((file) => ({ file, bytes: readNumber(join(folder, file)) }));
  }
  const stat = readText(join(folder, 'memory.stat')) ?? '';
  const hierarchical = /^hierarchical_memory_limit (\d+)$/m.exec(stat)?.[1];
  return [
    { file: 'memory.limit_in_bytes', bytes: readNumber(join(folder, 'memory.limit_in_bytes')) },
    // Tells of limits above what is mounted.
    { file: 'memory.stat', bytes: hierarchical === undefined ? Number.NaN : Number(hierarchical) },
  ];
}

/** NaN for `max`, for what is no number and for what cannot be read. */
function readNumber(path: string): number {
  const text = readText(path)?.trim();
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : Number.NaN;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The table of mounts writes spaces and the like as `\040`. */
function plainPath(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
