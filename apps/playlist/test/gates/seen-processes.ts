/** Other processes, as `/proc` shows them. Linux only. */
import { readdirSync, readFileSync } from 'node:fs';

/** A pid alone may be somebody else's by now. */
export interface ProcessId {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly startedAt: string;
}

/** All below that process, the children's children included. */
export function childrenOf(pid: number): ProcessId[] {
  const byParent = Map.groupBy(
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        const fields = statOf(Number(name));
        return fields === undefined ? [] : [{ pid: Number(name), parent: Number(fields[1]), startedAt: fields[19]! }];
      }),
    ({ parent }) => parent,
  );
  const below = (parent: number): ProcessId[] =>
    (byParent.get(parent) ?? []).flatMap((child) => [
      { pid: child.pid, startedAt: child.startedAt },
      ...below(child.pid),
    ]);
  return below(pid);
}

/** False, too, when it is dead and only waits to be reaped. */
export function isRunning({ pid, startedAt }: ProcessId): boolean {
  const fields = statOf(pid);
  return fields !== undefined && fields[19] === startedAt && fields[0] !== 'Z' && fields[0] !== 'X';
}

/** By a signal; true also when there is nothing left to stop. */
export function isStopped(pid: number): boolean {
  const state = statOf(pid)?.[0];
  return state === undefined || state === 'T' || state === 'Z' || state === 'X';
}

export function threadNames(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8').trim(),
    );
  } catch {
    return [];
  }
}

/** The fields behind the name: state, parent, ... start time (20th). Undefined when there is no such process. */
function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
