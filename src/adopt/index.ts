/**
 * Brings what is already there under the line: caches, queues, pools and clients of others, and stores and modules that frameworks ask for. Known by their shape
 * alone: nothing of theirs is imported.
 * @module
 */
export { type WeighOptions, type Weight, weigh } from '../weigh.ts';
export { type AdoptableCache, type AdoptOptions, adopt, type KnownCache } from './adopt.ts';
export { type AdoptConcurrencyOptions, adoptConcurrency } from './adopt-concurrency.ts';
export type { AdoptedCache, AdoptedCacheStats } from './adopted-cache.ts';
export { type BodyBudgetOptions, BodyTooLargeError } from './body-budget.ts';
export { ByteStore, type ByteStoreOptions, type ByteStoreStats } from './byte-store.ts';
export type { GateOptions } from './concurrency-gate.ts';
export type { ConcurrencyTarget, SettableConcurrency } from './concurrency-target.ts';
export type { WeighFunction } from './entry-weigher.ts';
export { type FollowedLevel, type FollowLevelOptions, followLevel, LEVEL_SHARES } from './follow-level.ts';
export { type GovernedFetch, type GovernedFetchOptions, governedFetch } from './governed-fetch.ts';
export { type GovernedPool, type GovernedPoolOptions, governedPool, type PgPoolLike } from './governed-pool.ts';
export { type GovernedRun, type GovernedRunOptions, governedRun, type RunnablePool } from './governed-run.ts';
export { KeyvStore, type KeyvStoreEntry, keyvStore } from './keyv-store.ts';
export {
  PLIMSOLL,
  type PlimsollDynamicModule,
  PlimsollModule,
  type PlimsollModuleOptions,
  type PlimsollProvider,
} from './nest-module.ts';
export {
  type NextCacheControl,
  type NextCacheEntry,
  type NextCacheHandler,
  type NextCacheHandlerClass,
  type NextCacheOptions,
  nextCacheHandler,
} from './next-cache-handler.ts';
export { type NextUseCacheEntry, type NextUseCacheHandler, nextUseCacheHandler } from './next-use-cache-handler.ts';
export { type PgPoolSizeOptions, pgPoolSize } from './pg-pool-size.ts';
export type { CacheSource } from './source-driver.ts';
export { type GovernedDispatch, governedDispatch, type UndiciDispatch } from './undici-interceptor.ts';
