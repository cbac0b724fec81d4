/**
 * Keeps values by key within a number of bytes or entries, and gives them back when the governor asks.
 * @module
 */

export { Cache } from './cache.ts';
export {
  CACHE_DEFAULTS,
  CACHE_POLICIES,
  type CacheOptions,
  type CachePolicyName,
  type CacheTuning,
  type Weigher,
} from './cache-options.ts';
export type { CacheStats } from './cache-stats.ts';
export {
  type CalibrateOptions,
  ENTRY_DEFAULTS,
  type EntryOptions,
  type EntryTuning,
  type LoadOptions,
  type SetOptions,
} from './entry-options.ts';
export type { EvictionPolicy, EvictionPolicyFactory, EvictionView } from './eviction-policy.ts';
export { LoadsFullError, LoadTimeoutError } from './load-errors.ts';
export type { Loader, LoadHelp, LoadStats } from './load-table.ts';
export type { RemovalListener, RemovalReason } from './removal-queue.ts';
export { SECOND_TIERS, type SecondTier, TIER_DEFAULTS, type Tier, type TierOptions } from './tier-options.ts';
export type { TierStats } from './tier-stats.ts';
export { COMPRESSIONS, type Compression, type ValueCodec } from './value-codec.ts';
export type { WeightCorrection } from './weight-calibration.ts';
