/**
 * Whose files are: a pid alone does not say it, for pids are used again, and containers have the same ones. So the start time and the pid namespace stand beside it.
 */
import { readFileSync, readlinkSync } from 'node:fs';

/** This process, as part of a file's name: pid, start time and pid namespace, with `-` between them. */
export function ownerMark(): string {
  return `${process.pid}-${startTime(process.pid) ?? 'x'}-${NAMESPACE}`;
}

/** What became of the owner whose mark it is: `unknown` when it is, or was, in another container. */
export function ownerFate(mark: string): 'alive' | 'dead' | 'unknown' {
  const [pid, startedAt, namespace] = mark.split('-');
  if (namespace !== NAMESPACE) return 'unknown';
  return isAlive(Number(pid), startedAt!) ? 'alive' : 'dead';
}

const NAMESPACE = pidNamespace();

function isAlive(pid: number, startedAt: string): boolean {
  const now = startTime(pid);
  if (now !== undefined) return startedAt === 'x' || now === startedAt;
  if (process.platform === 'linux') return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Start time of a living process in clock ticks since boot (Linux: field 22 of `/proc/<pid>/stat`); undefined when there is none, or when it
 * is dead and only waits to be reaped.
 */
function startTime(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** Containers may share an output folder and have the same pids. */
function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
  } catch {
    return '0';
  }
}
