import { type Clock, systemClock } from '../clock.ts';
import { checkGovernor, type Governor } from '../governor/index.ts';
import { checkName, checkOneOf, checkWhole, copyOptions, invalidOption, withoutUndefined } from '../invalid-option.ts';
import type { SpillFolder } from '../spill/index.ts';
import { PAGE_BYTES } from './abi-contract.ts';
import type { Plugin } from './plugin-contract.ts';

export interface PluginHostOptions {
  /** Of the consumers in the ledger: 1 to 40 characters. Default `plugins`. */
  readonly name?: string;
  /** Linear memory of all instances of one plugin together, bytes, a page of 65,536 at least. Required. A plugin with a larger `max_heap` gets that much if its `min_heap` is not larger. */
  readonly maxPluginBytes: number;
  /** Linear memory of all instances together, bytes, `maxPluginBytes` at least. Required. */
  readonly maxTotalBytes: number;
  /** Instances at a time, each of which has a worker, 1 up. Default 8. */
  readonly maxInstances?: number;
  /** The most that one call may take, ms, 1 up. Default 10,000. */
  readonly timeoutMs?: number;
  /** So many failures of a plugin and it is off, 1 up. Default 3. */
  readonly maxFailures?: number;
  /** The most that one call may put out, bytes. Default 8 MiB. */
  readonly maxOutputBytes?: number;
  /** Where plugins may spill; without one they are told that there is none. Dispose it after the host. */
  readonly spill?: SpillFolder;
  /** What one instance may have on the disk, bytes. Required with `spill`. */
  readonly maxSpillBytes?: number;
  /** `worker`: a thread for each instance. `process`: a process for each. Default `worker`. */
  readonly isolation?: 'worker' | 'process';
  /** Workers in which nothing has run that are kept ready, from the first `open` on, while there is room for them. 0 up, default 1. */
  readonly warmInstances?: number;
  /** Books before starting, gives back warm workers when asked. Default none: then the bounds above are what is left. */
  readonly governor?: Governor;
  readonly clock?: Clock;
  /** What plugins log: level 0 (debug) to 3 (error), one line without control characters. What it throws is passed over. */
  readonly onLog?: (plugin: Plugin, level: number, line: string) => void;
  /** Called before a worker is started; what it throws is as if it could not be. For tests of what comes then. */
  readonly beforeStart?: () => void;
}

export const PLUGIN_HOST_DEFAULTS = {
  name: 'plugins',
  maxInstances: 8,
  timeoutMs: 10_000,
  maxFailures: 3,
  maxOutputBytes: 8_388_608,
  isolation: 'worker',
  warmInstances: 1,
} as const;

const OPTIONS = [
  'name',
  'maxPluginBytes',
  'maxTotalBytes',
  'maxInstances',
  'timeoutMs',
  'maxFailures',
  'maxOutputBytes',
  'spill',
  'maxSpillBytes',
  'isolation',
  'warmInstances',
  'governor',
  'clock',
  'onLog',
  'beforeStart',
] as const;
const LONGEST_NAME = 40;
const LONGEST_TIMEOUT_MS = 86_400_000;

export interface CheckedHostOptions extends Required<Omit<PluginHostOptions, Optional>> {
  readonly spill: SpillFolder | undefined;
  readonly governor: Governor | undefined;
  readonly onLog: PluginHostOptions['onLog'];
  readonly beforeStart: PluginHostOptions['beforeStart'];
}
type Optional = 'spill' | 'governor' | 'onLog' | 'beforeStart';

/** Passes a copy of sound options through with defaults, throws `RangeError` for others. */
export function checkPluginHostOptions(given: PluginHostOptions): CheckedHostOptions {
  const copy = withoutUndefined(copyOptions('PluginHost', given, OPTIONS));
  const { spill, governor, onLog, beforeStart, clock = systemClock, ...options } = { ...PLUGIN_HOST_DEFAULTS, ...copy };
  if (governor !== undefined) checkGovernor(governor);
  if (typeof clock?.after !== 'function') throw invalidOption('clock', 'a clock', clock);
  if (onLog !== undefined && typeof onLog !== 'function') throw invalidOption('onLog', 'a function', onLog);
  if (beforeStart !== undefined && typeof beforeStart !== 'function') {
    throw invalidOption('beforeStart', 'a function', beforeStart);
  }
  if (spill !== undefined && typeof spill?.put !== 'function') throw invalidOption('spill', 'a `SpillFolder`', spill);
  if (spill !== undefined && options.maxSpillBytes === undefined) {
    throw invalidOption('maxSpillBytes', 'given with `spill`', undefined);
  }
  checkWhole('maxPluginBytes', options.maxPluginBytes, PAGE_BYTES);
  checkWhole('maxTotalBytes', options.maxTotalBytes, PAGE_BYTES);
  if (options.maxTotalBytes < options.maxPluginBytes) {
    const expected = `at least \`maxPluginBytes\` (${options.maxPluginBytes})`;
    throw invalidOption('maxTotalBytes', expected, options.maxTotalBytes);
  }
  return {
    name: checkName(options.name, 'name', LONGEST_NAME),
    maxPluginBytes: options.maxPluginBytes,
    maxTotalBytes: options.maxTotalBytes,
    maxInstances: checkWhole('maxInstances', options.maxInstances, 1),
    timeoutMs: checkWhole('timeoutMs', options.timeoutMs, 1, LONGEST_TIMEOUT_MS),
    maxFailures: checkWhole('maxFailures', options.maxFailures, 1),
    maxOutputBytes: checkWhole('maxOutputBytes', options.maxOutputBytes, 1, 2 ** 31),
    maxSpillBytes: checkWhole('maxSpillBytes', options.maxSpillBytes ?? 0, 0),
    isolation: checkOneOf('isolation', options.isolation, ['worker', 'process']),
    warmInstances: checkWhole('warmInstances', options.warmInstances, 0),
    spill,
    governor,
    clock,
    onLog,
    beforeStart,
  };
}
