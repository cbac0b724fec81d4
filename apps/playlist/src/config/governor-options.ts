import type { GovernorOptions } from 'plimsoll';
import type { MemoryConfig } from './config.ts';

/** What `[memory]` says to the governor: limit, preset, strategy and levels. For `createGovernor`. */
export function governorOptions({ limitBytes, preset, strategy, levels }: MemoryConfig): GovernorOptions {
  return { preset, strategy, thresholds: levels, ...(limitBytes !== undefined && { limitBytes }) };
}
