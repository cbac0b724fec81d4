import { closeSync, openSync } from 'node:fs';
import { formatBytes } from '../bytes.ts';
import { describeCause } from '../describe-cause.ts';
import type { FlightDump } from '../governor/index.ts';
import { isFeedHeader, type MemoryReport, readFeedLine } from '../observe/index.ts';
import { type HeapProfileSummary, readHeapProfile } from './heap-profile.ts';
import { readBounded } from './read-bounded.ts';
import { RunRecorder } from './run-recorder.ts';
import type { RunReport } from './run-report.ts';
import { readTermination, type TerminationRecord } from './termination-record.ts';
import { UsageError } from './usage-error.ts';

/** What a process left behind, by its kind. */
export type MemoryRecord =
  | { readonly kind: 'run' | 'feed'; readonly data: RunReport }
  | { readonly kind: 'flight recording'; readonly data: FlightDump }
  | { readonly kind: 'termination log'; readonly data: TerminationRecord }
  | { readonly kind: 'profile'; readonly data: MemoryReport }
  | { readonly kind: 'heap profile'; readonly data: HeapProfileSummary };

const MOST_BYTES = 256 * 1_048_576;
const STDIN = 0;
const KINDS = 'a run, a flight recording, a termination log, a profile, a heap profile or a feed';

/** Reads a record from a file, or from standard input for `-`. Throws `PLIMSOLL_USAGE` in one line for what cannot be read or is none. */
export function readRecord(path: string): MemoryRecord {
  const name = path === '-' ? 'standard input' : path;
  const record = recognise(readText(path, name));
  if (record === undefined) throw new UsageError(`${name} is none of what can be shown: ${KINDS}`);
  return record;
}

function readText(path: string, name: string): string {
  let file: number | undefined;
  try {
    file = path === '-' ? STDIN : openSync(path, 'r');
    const bytes = readBounded(file, MOST_BYTES);
    if (bytes === undefined) throw new UsageError(`${name} is too large: more than ${formatBytes(MOST_BYTES)}`);
    return bytes.toString('utf8');
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    throw new UsageError(`cannot read ${name}: ${describeCause(cause).replace(/, \w+( '.*')?$/, '')}`, cause);
  } finally {
    if (file !== undefined && file !== STDIN) closeSync(file);
  }
}

/** By what is in it. Undefined for what is none. Pure. */
export function recognise(text: string): MemoryRecord | undefined {
  const termination = readTermination(text);
  if (termination !== undefined) return { kind: 'termination log', data: termination };
  const value = parse(text);
  if (value === undefined) return readFeed(text);
  if (typeof value !== 'object' || value === null) return undefined;
  const { version, kind, processes, command, checkpoints, total, peak, samples, why, trains, largest } =
    value as Record<string, unknown>;
  if ((kind === 'run' || kind === 'feed') && version === 1 && Array.isArray(processes) && Array.isArray(command)) {
    return { kind, data: value as RunReport };
  }
  // What `plimsoll report --json` wrote of those that are none of JSON.
  if (kind === 'termination-log') return { kind: 'termination log', data: value as TerminationRecord };
  if (kind === 'heap-profile') return { kind: 'heap profile', data: value as HeapProfileSummary };
  if (version === 1 && typeof why === 'string' && [samples, trains, largest].every(Array.isArray)) {
    return { kind: 'flight recording', data: value as FlightDump };
  }
  if (version === 1 && Array.isArray(checkpoints) && [total, peak].every((each) => typeof each === 'object')) {
    return { kind: 'profile', data: value as MemoryReport };
  }
  const heapProfile = readHeapProfile(value);
  return heapProfile === undefined ? readFeed(text) : { kind: 'heap profile', data: heapProfile };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The lines of a feed, summed up as those of a run. */
function readFeed(text: string): MemoryRecord | undefined {
  const [first = '', ...rest] = text.split('\n');
  const header = readFeedLine(first);
  if (header === undefined || !isFeedHeader(header)) return undefined;
  const recorder = new RunRecorder(header.pid);
  recorder.note(header);
  for (const line of rest) {
    const read = readFeedLine(line);
    if (read !== undefined) recorder.note(read);
  }
  const report = recorder.report();
  const data: RunReport = {
    kind: 'feed',
    version: 1,
    command: [header.program],
    startedAt: header.startedAt,
    elapsedMs: report?.elapsedMs ?? 0,
    heapFlags: [],
    processes: report === undefined ? [] : [report],
  };
  return { kind: 'feed', data };
}
