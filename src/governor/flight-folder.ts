import { linkSync, lstatSync, mkdirSync, opendirSync, renameSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';

const DUMP = /^plimsoll-flight-(\d+)-(\d+)\.json$/;
const LEFTOVER = /^plimsoll-flight-\d+(?:-[\da-z-]+)?\.tmp$/;
const REPORT = /^plimsoll-report-\d+\.json$/;
/** Numbers that others have taken meanwhile are passed over, so many of them. */
const MOST_TAKEN = 1_000;
/** Looked at in one go: a folder with more is cleaned a part at a time. */
const LOOKED_AT = 10_000;

interface Found {
  readonly path: string;
  readonly modifiedMs: number;
}

/**
 * Makes a folder and those above it that are missing, one by one: Node's recursive `mkdir` tries for ever where a folder can be neither made nor
 * found to be missing (in `/proc`).
 */
export function makeFolder(folder: string): void {
  try {
    mkdirSync(folder);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    const above = dirname(folder);
    if (code !== 'ENOENT' || above === folder || isThere(above)) throw cause;
    makeFolder(above);
    mkdirSync(folder);
  }
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** The number of the last dump that a process of this id has written: a container's main process has the same id after each start. */
export function highestDumpNumber(folder: string, pid: number): number {
  let highest = 0;
  for (const name of names(folder)) {
    const found = DUMP.exec(name);
    if (found !== null && Number(found[1]) === pid) highest = Math.max(highest, Number(found[2]));
  }
  return highest;
}

export function dumpPath(folder: string, pid: number, number: number): string {
  return join(folder, `plimsoll-flight-${pid}-${number}.json`);
}

/**
 * Gives a finished file the first name from `number` on that is free, and returns its number: another governor of the same process (a worker's, a library's)
 * may write to the same folder. Where a file cannot have two names it is renamed after a look: then two at the same moment may still meet.
 */
export function nameDump(temporary: string, folder: string, pid: number, number: number): number {
  for (let last = number + MOST_TAKEN; number < last; number++) {
    const path = dumpPath(folder, pid, number);
    try {
      linkSync(temporary, path);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST' || isThere(path)) continue;
      renameSync(temporary, path);
      return number;
    }
    removeFile(temporary);
    return number;
  }
  throw new Error(`no name is free for a dump: ${MOST_TAKEN} are taken`);
}

export function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // There is none, or what stops it stops the next attempt too and is told there.
  }
}

/** Removes all but the newest `keep` dumps, as many reports of Node, and as many leftovers of processes that were killed while writing. */
export function removeOldDumps(folder: string, keep: number): void {
  const dumps: Found[] = [];
  const reports: Found[] = [];
  const leftovers: Found[] = [];
  for (const name of names(folder)) {
    if (DUMP.test(name)) note(dumps, join(folder, name));
    else if (REPORT.test(name)) note(reports, join(folder, name));
    else if (LEFTOVER.test(name)) note(leftovers, join(folder, name));
  }
  for (const kind of [dumps, reports, leftovers]) removeOldest(kind, keep);
}

function* names(folder: string): Generator<string> {
  const entries = opendirSync(folder);
  try {
    for (let left = LOOKED_AT; left > 0; left--) {
      const entry = entries.readSync();
      if (entry === null) return;
      yield entry.name;
    }
  } finally {
    entries.closeSync();
  }
}

function note(found: Found[], path: string): void {
  try {
    found.push({ path, modifiedMs: lstatSync(path).mtimeMs });
  } catch {
    // Another process has removed it.
  }
}

function removeOldest(found: Found[], keep: number): void {
  if (found.length <= keep) return;
  // Of two that are equally old, the one with the lower number goes.
  found.sort((a, b) => b.modifiedMs - a.modifiedMs || b.path.length - a.path.length || (a.path < b.path ? 1 : -1));
  for (const { path } of found.slice(keep)) {
    try {
      unlinkSync(path);
    } catch {
      // Another process has removed it, or it may not be removed: there is nothing better to do.
    }
  }
}
