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
export type { EvictionPolicy, EvictionPolicyFactory, EvictionView } from './eviction-policy.ts';
export type { RemovalListener, RemovalReason } from './removal-queue.ts';
