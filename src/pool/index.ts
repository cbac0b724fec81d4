/**
 * Things that are used again: objects, buffers, connections. Each is borrowed as a lease and given back by disposing it.
 * @module
 */
export {
  type BufferDropReason,
  type BufferLeaseOptions,
  BufferPool,
  type BufferPoolStats,
} from './buffer-pool.ts';
export { BUFFER_POOL_DEFAULTS, type BufferPoolOptions } from './buffer-pool-options.ts';
export { CONNECTION_ENDS, type ConnectionEnd } from './connection-counts.ts';
export {
  ConnectionLostError,
  ManagerTimeoutError,
  PoolClosedError,
  PoolDeadlockError,
  PoolQueueFullError,
  type PoolState,
  PoolTimeoutError,
} from './connection-errors.ts';
export type { ConnectionLease } from './connection-lease.ts';
export type { ConnectionManager, CreateCall, ManagerCall } from './connection-manager.ts';
export { type AcquireOptions, ConnectionPool, type PoolDrainReport } from './connection-pool.ts';
export {
  CONNECTION_POOL_DEFAULTS,
  type ConnectionPoolOptions,
  type ConnectionPoolTuning,
} from './connection-pool-options.ts';
export type { ConnectionPoolStats } from './connection-report.ts';
export type { WaitTimeStats } from './connection-wait-times.ts';
export { Lease } from './lease.ts';
export type { HookFailures, ObjectLifecycle } from './object-hooks.ts';
export { type ObjectDropReason, ObjectPool, type ObjectPoolStats } from './object-pool.ts';
export { OBJECT_POOL_DEFAULTS, type ObjectPoolOptions } from './object-pool-options.ts';
export {
  CreateFailedError,
  DoubleReleaseError,
  ForeignObjectError,
  PoolExhaustedError,
  type PoolExhaustion,
} from './pool-errors.ts';
export type { BufferClassStats } from './size-class.ts';
