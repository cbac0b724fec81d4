/**
 * Who owns a resource, when it is cleaned up, and what is left when a process ends.
 * @module
 */
export { AsyncResourceGuard, GUARD_DEFAULTS, type GuardOptions } from './async-resource-guard.ts';
export {
  CleanupFailedError,
  CleanupTimeoutError,
  LoadBackingOffError,
  type RegistryBound,
  RegistryDrainingError,
  RegistryFullError,
} from './cleanup-errors.ts';
export { CLEANUP_REASONS, type CleanupReason, type CleanupReport } from './cleanup-line.ts';
export type { CleanupOutcome } from './cleanup-queue.ts';
export type { CleanupFailure } from './failure-list.ts';
export {
  LAZY_DEFAULTS,
  type LazyOptions,
  LazyResource,
  type LazyStats,
  type LazyUse,
  type WaitOptions,
} from './lazy-resource.ts';
export { MemoryGuard, type MemoryGuardOptions, type ReturnsTo } from './memory-guard.ts';
export {
  type Drainable,
  onShutdown,
  type ProcessLike,
  SHUTDOWN_DEFAULTS,
  type Shutdown,
  type ShutdownContext,
  type ShutdownOptions,
  type ShutdownReport,
  type ShutdownStep,
  type ShutdownStepReport,
} from './on-shutdown.ts';
export type { DrainReport, UnfinishedResource } from './registry-drain.ts';
export type { RegistryHealth } from './registry-health.ts';
export {
  CLEANUP_PRIORITIES,
  type CleanupPriority,
  REGISTRY_DEFAULTS,
  type ResourceOptions,
  type ResourceRegistryOptions,
} from './registry-options.ts';
export type { ResourceHandle, ResourceHold } from './resource-handle.ts';
export { type CleanupCall, type RegistryDrainCall, type RegistryStats, ResourceRegistry } from './resource-registry.ts';
export type { ResourceId } from './resource-slots.ts';
