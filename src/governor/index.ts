/**
 * The governor: one budget for all that holds memory in this process. It measures, keeps the books, grants or refuses, and asks for
 * memory back. It knows consumers and reclaimers, and not what they are.
 * @module
 */

export {
  AdmissionQueueFullError,
  AdmissionTimeoutError,
  BudgetExceededError,
  type BudgetRefusal,
  DeadlockError,
  HoldAndWaitError,
  type Holder,
  type RefusalReason,
  ScopeAbortedError,
  TooManyScopesError,
} from './budget-errors.ts';
export type {
  AllocatorFound,
  AllocatorName,
  Capabilities,
  Capability,
  CgroupCapability,
  PsiCapability,
} from './capabilities.ts';
export { type CapabilityOptions, readCapabilities } from './capabilities.ts';
export { CgroupMeter } from './cgroup-meter.ts';
export { checkGovernor } from './check-governor.ts';
export type { CollectFunction, CollectionType } from './collector.ts';
export {
  type AdmitOptions,
  type Consumer,
  type ConsumerOptions,
  HOLDER_HEALTHS,
  type HolderHealth,
  type HolderReport,
  MEMORY_KINDS,
  type MemoryKind,
  PRESSURE_LEVELS,
  type PressureLevel,
  RECLAIM_STRATEGIES,
  type Reclaimer,
  type ReclaimRequest,
  type ReclaimStrategy,
  type Reservation,
  type Scope,
  type ScopeOptions,
  type Tracked,
} from './contract.ts';
export type { DriftKind, DriftRow } from './drift.ts';
export type { BreakerOptions } from './emergency-breaker.ts';
export type { FaultRow } from './faults.ts';
export type { FlightConsumer, FlightDump, FlightScope } from './flight-dump.ts';
export { createGovernor, Governor, type LevelListener, type ReclaimCallOptions } from './governor.ts';
export type { GovernorMode } from './governor-mode.ts';
export {
  type DieFastOptions,
  type FlightRecorderOptions,
  GOVERNOR_DEFAULTS,
  type GovernorOptions,
  type GovernorTuning,
} from './governor-options.ts';
export { deriveHeapFlags, type HeapBounds, type HeapFlags, heapFlagsFit, readHeapBounds } from './heap-flags.ts';
export type { Sample } from './history.ts';
export { HolderBook, type HolderBookOptions, type HolderGovernor } from './holder-book.ts';
export type { TrainPart, TrainPartName, TrainReason, TrainReport } from './journal.ts';
export { type KernelSettings, readKernelSettings } from './kernel-settings.ts';
export {
  type CgroupLimit,
  type EffectiveLimit,
  type FoundLimit,
  type LimitOptions,
  type LimitSource,
  type MachineMemory,
  readLimits,
  readMachineMemory,
  readOomKills,
} from './limits.ts';
export type { ShedRow, ShedRule } from './load-shed.ts';
export {
  METER_NAMES,
  type Meter,
  type MeterName,
  type ProcessFigures,
  readPeakRssBytes,
  readProcessFigures,
} from './meters.ts';
export { PRESET_NAMES, PRESETS, type PresetName } from './presets.ts';
export { DEFAULT_THRESHOLDS, levelRank, nextLevel, type PressureThresholds } from './pressure.ts';
export type { PriceRow, PriceView } from './prices.ts';
export {
  ensureProcessGovernor,
  lendProcessGovernor,
  processGovernor,
  setProcessGovernor,
} from './process-governor.ts';
export { Psi, type PsiOptions, type PsiReading } from './psi.ts';
export { isGovernorRefusal } from './refusal-codes.ts';
export type { DecidingTrendRow, MeterRow } from './sampler.ts';
export type { ScaledRange } from './scaled-range.ts';
export type { ScopeRow } from './scopes.ts';
export type { ConsumerRow, ReclaimRow, Snapshot } from './snapshot.ts';
export type { TriggerAction, TriggerCondition, TriggerEvent } from './triggers.ts';
