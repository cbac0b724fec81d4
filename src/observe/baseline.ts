import { readFileSync } from 'node:fs';
import { describeCause } from '../describe-cause.ts';
import { PlimsollError } from '../errors.ts';
import { checkName } from '../invalid-option.ts';
import type { Interval } from './confidence.ts';
import type { MemoryMeasurement } from './measure-memory.ts';
import { writeWhole } from './write-whole.ts';

const FORMAT = 'plimsoll-baseline';
const VERSION = 1;
const LONGEST_PATH = 4_096;
const INTERVALS = ['timeMs', 'allocatedBytes', 'retainedBytes'] as const;

/** What was measured once, by name, to compare with. Version of Node and machine stand in it, because figures of others are no measure. */
export interface Baseline {
  readonly format: typeof FORMAT;
  readonly version: typeof VERSION;
  /** Such as `v24.1.0 linux x64`. */
  readonly runtime: string;
  readonly results: Readonly<Record<string, MemoryMeasurement>>;
}

/** Writes a baseline, as a whole or not at all. `PLIMSOLL_BASELINE` when the disk refuses. */
export function writeBaseline(path: string, results: Readonly<Record<string, MemoryMeasurement>>): Baseline {
  checkName(path, 'path', LONGEST_PATH);
  const { version, platform, arch } = process;
  const baseline: Baseline = { format: FORMAT, version: VERSION, runtime: `${version} ${platform} ${arch}`, results };
  try {
    writeWhole(path, `${JSON.stringify(baseline, undefined, 2)}\n`);
  } catch (cause) {
    throw unusable(path, `cannot be written: ${describeCause(cause)}`, cause);
  }
  return baseline;
}

/** Reads one. `PLIMSOLL_BASELINE` for a file that cannot be read, is something else, of another version, or has figures that are none. */
export function readBaseline(path: string): Baseline {
  checkName(path, 'path', LONGEST_PATH);
  let found: Partial<Baseline> | null;
  try {
    found = JSON.parse(readFileSync(path, 'utf8')) as Partial<Baseline> | null;
  } catch (cause) {
    throw unusable(path, `cannot be read: ${describeCause(cause)}`, cause);
  }
  if (found?.format !== FORMAT) throw unusable(path, 'is no baseline');
  if (found.version !== VERSION) throw unusable(path, `is of version ${String(found.version)}, not ${VERSION}`);
  const { results } = found;
  if (typeof results !== 'object' || results === null) throw unusable(path, 'has no results');
  for (const [name, result] of Object.entries(results)) {
    const isSound =
      typeof result === 'object' &&
      result !== null &&
      INTERVALS.every((of) => (of !== 'timeMs' && result[of] === undefined) || isInterval(result[of]));
    if (!isSound) throw unusable(path, `has figures for \`${name}\` that are none`);
  }
  return found as Baseline;
}

function isInterval(given: Interval | undefined): boolean {
  const { mean, low, high, deviation, count } = given ?? {};
  const areNumbers = [mean, low, high, deviation].every(Number.isFinite);
  return areNumbers && deviation! >= 0 && Number.isSafeInteger(count) && count! >= 2;
}

function unusable(path: string, why: string, cause?: unknown): PlimsollError {
  return new PlimsollError(`the baseline ${path} ${why}`, { code: 'PLIMSOLL_BASELINE', recovery: 'fail', cause });
}
