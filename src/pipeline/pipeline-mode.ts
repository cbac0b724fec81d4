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

/** The mode of a stage at a level: the strictest that the level calls for and the stage can do. */
export function modeAt(level: PressureLevel, can: StageCapabilities): PipelineMode {
  const rank = PRESSURE_LEVELS.indexOf(level);
  if (rank >= 4 && can.spilling === true) return 'spill';
  if (rank >= 3 && can.compression === true) return 'compressed';
  if (rank >= 2 && can.streaming === true) return 'streaming';
  return 'plain';
}
