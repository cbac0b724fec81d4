/**
 * The governor: one budget for all that holds memory in this process. It measures, keeps the books, grants or refuses, and asks for
 * memory back. It knows consumers and reclaimers, and not what they are.
 * @module
 */
export type { GovernorMode } from './budget.ts';
export {
  AdmissionQueueFullError,
  AdmissionTimeoutError,
  BudgetExceededError,
  type BudgetRefusal,
  type Holder,
  type RefusalReason,
} from './budget-errors.ts';
export {
  type AdmitOptions,
  type Consumer,
  type ConsumerOptions,
  MEMORY_KINDS,
  type MemoryKind,
  PRESSURE_LEVELS,
  type PressureLevel,
  type Reclaimer,
  type ReclaimRequest,
  type Reservation,
} from './contract.ts';
export type { FaultRow } from './faults.ts';
export { createGovernor, Governor, type LevelListener } from './governor.ts';
export { GOVERNOR_DEFAULTS, type GovernorOptions, type GovernorTuning } from './governor-options.ts';
export { deriveHeapFlags, type HeapFlags, heapFlagsFit } from './heap-flags.ts';
export type { Sample } from './history.ts';
export {
  type CgroupLimit,
  type EffectiveLimit,
  type FoundLimit,
  type LimitOptions,
  type LimitSource,
  readLimits,
} from './limits.ts';
export { METER_NAMES, type Meter, type MeterName } from './meters.ts';
export { DEFAULT_THRESHOLDS, levelRank, nextLevel, type PressureThresholds } from './pressure.ts';
export type { MeterRow } from './sampler.ts';
export type { ConsumerRow, ReclaimRow, Snapshot } from './snapshot.ts';
