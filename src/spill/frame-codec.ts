/** How batches stand on the disk: as they are, or compressed. */
export const SPILL_CODECS = ['none', 'zstd', 'deflate'] as const;
export type SpillCodec = (typeof SPILL_CODECS)[number];
