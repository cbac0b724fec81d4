import type { PipelineMode } from '../pipeline/index.ts';

const MODES: Readonly<Record<PipelineMode, true>> = { plain: true, streaming: true, compressed: true, spill: true };

/**
 * The modes of a pipeline, in its own order. Written down here, and held to the pipeline's by the compiler: its door for a list of four words would load that room and the disk's with it,
 * 10 MB in every process that is only looked at.
 */
export const KNOWN_MODES = Object.keys(MODES) as readonly PipelineMode[];
