import { checkOneOf, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import type { SpillFolder } from '../spill/index.ts';
import { bestCompression, COMPRESSIONS, type Compression, type ValueCodec } from './value-codec.ts';

/** Where entries go that the governor asks for: held weakly, or as compressed bytes. */
export const SECOND_TIERS = ['weak', 'compressed'] as const;
export type SecondTier = (typeof SECOND_TIERS)[number];

/** Where an entry is. */
export type Tier = 'strong' | SecondTier | 'disk';

/** Tiers below the strong one. Off unless asked for. */
export interface TierOptions<V> {
  /** `weak`: objects stay as long as somebody else holds them. `compressed`: texts, buffers, and what `codec` knows. Required. */
  readonly second: SecondTier;
  /** Entries that may stand below the strong tier, 1 up. Required: each takes about 480 bytes of the heap, on disk too; 240 where it is held weakly. */
  readonly maxEntries: number;
  /** Bytes of compressed values in memory, 1 up. Required with `compressed`. */
  readonly maxBytes?: number;
  /** For values that are no text and no buffer. What it throws means "not kept". */
  readonly codec?: ValueCodec<V>;
  /** Smaller values are not compressed, bytes. Default 512. */
  readonly minEntryBytes?: number;
  /** Larger ones neither: compressing takes 3 to 10 ms a MiB, and the process waits for it. Default 1,048,576. */
  readonly maxEntryBytes?: number;
  /** Default `zstd` where this Node has it, else `deflate`. */
  readonly compression?: Compression;
  /** Where compressed values go from `critical` on, and when there are more than `maxBytes`. It may serve several caches; whoever opened it disposes it. Default none. */
  readonly spill?: SpillFolder;
  /** Bytes of this cache's in the spill folder, 1 up. Required with `spill`. */
  readonly maxSpillBytes?: number;
}

export const TIER_DEFAULTS = { minEntryBytes: 512, maxEntryBytes: 1_048_576 } as const;

/** Options with defaults filled in. */
export interface TierSettings<V> {
  readonly second: SecondTier;
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly codec: ValueCodec<V> | undefined;
  readonly minEntryBytes: number;
  readonly maxEntryBytes: number;
  readonly compression: Compression;
  readonly spill: SpillFolder | undefined;
  readonly maxSpillBytes: number;
}

const OPTIONS = [
  'second',
  'maxEntries',
  'maxBytes',
  'codec',
  'minEntryBytes',
  'maxEntryBytes',
  'compression',
  'spill',
  'maxSpillBytes',
] as const;

/** Fills in the defaults of sound options, throws `RangeError` for others. */
export function resolveTierOptions<V>(given: TierOptions<V>): TierSettings<V> {
  const options = copyOptions('tiers', given, OPTIONS, 'an object with options of tiers');
  const second = checkOneOf('second', options.second, SECOND_TIERS);
  const { maxBytes, codec, compression, spill, maxSpillBytes } = options;
  const isPacked = second === 'compressed';
  if (codec !== undefined && (typeof codec.encode !== 'function' || typeof codec.decode !== 'function')) {
    throw invalidOption('codec', 'an object with `encode` and `decode`', codec);
  }
  if (spill !== undefined && !isPacked) throw invalidOption('spill', 'given only with `compressed`', second);
  if (spill !== undefined && typeof spill.put !== 'function') throw invalidOption('spill', 'a SpillFolder', spill);
  const minEntryBytes = checkWhole('minEntryBytes', options.minEntryBytes ?? TIER_DEFAULTS.minEntryBytes, 0);
  return {
    second,
    maxEntries: checkWhole('maxEntries', options.maxEntries, 1),
    maxBytes: isPacked ? checkWhole('maxBytes', maxBytes, 1) : 0,
    codec,
    minEntryBytes,
    maxEntryBytes: checkWhole('maxEntryBytes', options.maxEntryBytes ?? TIER_DEFAULTS.maxEntryBytes, minEntryBytes),
    compression: compression === undefined ? bestCompression() : checkOneOf('compression', compression, COMPRESSIONS),
    spill,
    maxSpillBytes: spill === undefined ? 0 : checkWhole('maxSpillBytes', maxSpillBytes, 1),
  };
}
