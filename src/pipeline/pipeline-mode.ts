import { PRESSURE_LEVELS, type PressureLevel } from '../governor/index.ts';

/**
 * How a stage works, the freest first: `plain` as it likes; `streaming` in smaller batches, holding no more than it must; `compressed` with what it holds
 * between batches compressed; `spill` with it on disk. Whatever the mode, what comes out is the same to the byte.
 */
export const PIPELINE_MODES = ['plain', 'streaming', 'compressed', 'spill'] as const;
export type PipelineMode = (typeof PIPELINE_MODES)[number];

/** What a stage can do besides `plain`, which all can. Default: nothing. */
export interface StageCapabilities {
  readonly streaming?: boolean;
  readonly compression?: boolean;
  readonly spilling?: boolean;
}

/** The rank of the level that calls for a mode: 0 for `optimal` to 4 for `emergency`. */
export const MODE_RANKS: Readonly<Record<PipelineMode, number>> = { plain: 0, streaming: 2, compressed: 3, spill: 4 };

/** By how much batches are smaller at each rank. */
const BATCH_PARTS = [1, 1, 2, 4, 8] as const;

/** The mode of a stage at a level: the strictest that the level calls for and the stage can do. */
export function modeAt(level: PressureLevel, can: StageCapabilities): PipelineMode {
  return modeAtRank(PRESSURE_LEVELS.indexOf(level), can);
}

/** The same by the level's rank. */
export function modeAtRank(rank: number, can: StageCapabilities): PipelineMode {
  if (rank >= MODE_RANKS.spill && can.spilling === true) return 'spill';
  if (rank >= MODE_RANKS.compressed && can.compression === true) return 'compressed';
  if (rank >= MODE_RANKS.streaming && can.streaming === true) return 'streaming';
  return 'plain';
}

/** What a batch should take at a level's rank, of `fullBytes`: all of it below `high`, then a half, a quarter, an eighth; at least 1. */
export function batchBytesAt(rank: number, fullBytes: number): number {
  return Math.max(1, Math.floor(fullBytes / BATCH_PARTS[rank]!));
}
