/**
 * Whose a spill folder is. A pid alone does not say it: pids are used again, and containers have the same ones. So the owner's start time, its pid namespace and
 * the boot stand beside it. An owner of another boot is dead where the disk is one that no other machine can have. What cannot be known (another container, another machine on a shared disk, an owner file that cannot be read) is
 * judged by age: a living owner writes its file anew every hour.
 */
import { readFileSync, readlinkSync } from 'node:fs';

export interface SpillOwner {
  readonly pid: number;
  /** Clock ticks since boot (Linux: field 22 of `/proc/<pid>/stat`); '' where there is none. */
  readonly startedAt: string;
  readonly pidNamespace: string;
  readonly bootId: string;
}

/** This process. */
export function currentOwner(): SpillOwner {
  const { pid } = process;
  return { pid, startedAt: startTime(pid) ?? '', pidNamespace: pidNamespace(), bootId: bootId() };
}

/** An owner as it was written; undefined for anything else. */
export function parseOwner(text: string): SpillOwner | undefined {
  try {
    const { pid, startedAt, pidNamespace, bootId } = JSON.parse(text) as Record<string, unknown>;
    const isText = [startedAt, pidNamespace, bootId].every((each) => typeof each === 'string');
    if (!isText || !Number.isSafeInteger(pid) || Number(pid) < 1) return undefined;
    return { pid, startedAt, pidNamespace, bootId } as SpillOwner;
  } catch {
    return undefined;
  }
}

const NOT_KNOWN = 'x';
const IN_A_NAME = /(?<![^-])(\d+)-(\d+|x)-(\d+|x)-([0-9a-f]{32}|x)(?![^-.])/g;

/** As part of a name: there from the first moment on, before an owner file is. */
export function nameOfOwner({ pid, startedAt, pidNamespace, bootId }: SpillOwner): string {
  const namespace = /\d+/.exec(pidNamespace)?.[0];
  const boot = bootId.replaceAll('-', '');
  return [pid, startedAt || NOT_KNOWN, namespace ?? NOT_KNOWN, /^[0-9a-f]{32}$/.test(boot) ? boot : NOT_KNOWN].join(
    '-',
  );
}

/** The owner in a name, the last where there are several; undefined when there is none. */
export function ownerInName(name: string): SpillOwner | undefined {
  const found = [...name.matchAll(IN_A_NAME)].at(-1);
  if (found === undefined) return undefined;
  const [, pid, startedAt, namespace, boot] = found.map((each) => (each === NOT_KNOWN ? '' : each));
  return {
    pid: Number(pid),
    startedAt: startedAt!,
    pidNamespace: namespace === '' ? '' : `pid:[${namespace}]`,
    bootId: boot!.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
  };
}

/**
 * Whether that process lives. `unknown` when it is, or was, out of sight from here. `isLocal` says that nobody but this machine can have the folder's disk now: then an owner of another boot has ended with it, by power loss
 * or restart, whoever it was.
 */
export function ownerState(
  owner: SpillOwner,
  self: SpillOwner = currentOwner(),
  isLocal = false,
): 'alive' | 'dead' | 'unknown' {
  const isOtherBoot = owner.bootId !== self.bootId && owner.bootId !== '' && self.bootId !== '';
  if (isOtherBoot && isLocal) return 'dead';
  if (owner.pidNamespace !== self.pidNamespace || owner.bootId !== self.bootId) return 'unknown';
  const now = startTime(owner.pid);
  if (now !== undefined) return owner.startedAt === '' || owner.startedAt === now ? 'alive' : 'dead';
  if (process.platform === 'linux') return 'dead';
  try {
    process.kill(owner.pid, 0);
    return 'alive';
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM' ? 'alive' : 'dead';
  }
}

/** Undefined when there is no such process, or it is dead and only waits to be reaped. */
function startTime(pid: number): string | undefined {
  const text = read(`/proc/${pid}/stat`);
  // The name before it may have brackets and spaces in it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

function bootId(): string {
  return read('/proc/sys/kernel/random/boot_id').trim();
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
