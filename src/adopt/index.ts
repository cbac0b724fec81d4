/**
 * Brings what is already there under the line: caches, queues, pools and clients of others, and stores and modules that frameworks ask for. Known by their shape
 * alone: nothing of theirs is imported.
 * @module
 */
export { ByteStore, type ByteStoreOptions, type ByteStoreStats } from './byte-store.ts';
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
export type { Weight } from './stored-weight.ts';
