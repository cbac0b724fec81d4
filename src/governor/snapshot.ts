import type { CircuitState } from '../circuit-breaker.ts';
import {
  type HolderReport,
  MEMORY_KINDS,
  type MemoryKind,
  type PressureLevel,
  type ReclaimStrategy,
} from './contract.ts';
import type { DriftRow } from './drift.ts';
import type { FaultRow, Faults } from './faults.ts';
import type { GovernorMode } from './governor-mode.ts';
import type { GovernorParts } from './governor-parts.ts';
import { holderRow } from './holder-row.ts';
import type { Ledger } from './ledger.ts';
import type { LimitSource } from './limits.ts';
import type { ShedRow } from './load-shed.ts';
import type { MeterName } from './meters.ts';
import type { PressureThresholds } from './pressure.ts';
import type { PriceRow } from './prices.ts';
import type { PsiReading } from './psi.ts';
import type { Reclaimers } from './reclaimers.ts';
import type { DecidingTrendRow, MeterRow } from './sampler.ts';
import type { ScopeRow } from './scopes.ts';

/** One consumer. Rows stand oldest first; `parent` is the name of the one above, absent at the top. */
export interface ConsumerRow {
  readonly name: string;
  readonly kind: MemoryKind;
  readonly parent?: string;
  /** With its children; `ownBytes` without them. */
  readonly heldBytes: number;
  readonly peakBytes: number;
  readonly ownBytes: number;
  /** Absent: up to the line. */
  readonly maxBytes?: number;
  readonly importance: number;
  readonly reclaimableBytes: number;
  readonly refusals: number;
  /** What came of asking it to give back; absent when it cannot. */
  readonly reclaim?: ReclaimRow;
  /** What the holder says of itself: what it counts, how it does. Absent for one that says nothing. */
  readonly holder?: HolderReport;
}

export interface ReclaimRow {
  readonly calls: number;
  readonly claimedBytes: number;
  readonly releasedBytes: number;
  readonly faults: number;
  readonly overruns: number;
}

/** The one picture of memory that every screen and exporter reads. Plain data: JSON and back gives the same. */
export interface Snapshot {
  /** Milliseconds since 1970. */
  readonly takenAt: number;
  readonly mode: GovernorMode;
  readonly strategy: ReclaimStrategy;
  /** False once a fault inside has switched action off: `faults` says which. */
  readonly acting: boolean;
  readonly limitBytes: number;
  readonly limitFrom: LimitSource;
  readonly level: PressureLevel;
  /** Where levels begin and end, as shares of a meter's limit. */
  readonly thresholds: PressureThresholds;
  readonly decidingMeter: MeterName;
  readonly meters: readonly MeterRow[];
  /** Where the deciding meter is going; absent while no meter can be read. */
  readonly trend?: DecidingTrendRow;
  /** Reserved minus observed, by kind: what holders hold and did not say is below 0. */
  readonly drift: readonly DriftRow[];
  /** How much was waited for memory; absent where the kernel does not tell. */
  readonly psi?: PsiReading;
  /** Held by all consumers, the runtime included, and what is left under the limit. */
  readonly reservedBytes: number;
  readonly peakReservedBytes: number;
  readonly availableBytes: number;
  readonly byKind: Readonly<Record<MemoryKind, number>>;
  readonly consumers: readonly ConsumerRow[];
  /** The sixteen open scopes that hold most, and how many are open and were aborted in all. */
  readonly scopes: readonly ScopeRow[];
  readonly scopeCount: number;
  readonly scopeAborts: number;
  readonly waiting: number;
  readonly refusals: number;
  readonly breaker: { readonly state: CircuitState; readonly openings: number };
  readonly shed: readonly ShedRow[];
  /** What watching cost; `share` is the part of a core since the start. */
  readonly samples: { readonly count: number; readonly spentMs: number; readonly share: number };
  /** What was given back: trains, and how much the ledger and the deciding meters went down by them. */
  readonly trains: {
    readonly count: number;
    readonly spentMs: number;
    readonly releasedBytes: number;
    readonly seenBytes: number;
    readonly running: boolean;
  };
  /** What giving back costs, and how much of it the meters see, as learned by kind of memory. */
  readonly prices: readonly PriceRow[];
  readonly collections: { readonly count: number; readonly spentMs: number };
  readonly trims: { readonly count: number; readonly spentMs: number };
  /** Parts of the governor that failed; empty when all is well. */
  readonly faults: readonly FaultRow[];
  /** What stands between this process and its limit, such as a heap limit of V8 that does not fit it. */
  readonly warnings: readonly string[];
}

/** Reads the parts, and changes none of them. */
export function takeSnapshot(
  parts: GovernorParts,
  own: Pick<Snapshot, 'takenAt' | 'mode' | 'strategy' | 'thresholds'>,
  warnings: readonly string[],
): Snapshot {
  const { ledger, line, sampler, reclaimers, collector, allocator, scopes, breaker } = parts;
  const { whole } = ledger;
  const trend = sampler.trendRow();
  const psi = line.psi?.read();
  return {
    ...own,
    acting: parts.responder.acting,
    limitBytes: line.limit.bytes,
    limitFrom: line.limit.from,
    level: sampler.level,
    decidingMeter: sampler.deciding.meter,
    meters: sampler.rows(),
    ...(trend === undefined ? {} : { trend }),
    drift: parts.drift.rows(),
    ...(psi === undefined ? {} : { psi: { ...psi } }),
    reservedBytes: whole.total,
    peakReservedBytes: whole.peak,
    availableBytes: whole.room,
    byKind: kindRow(ledger),
    consumers: consumerRows(ledger, reclaimers, parts.faults),
    scopes: scopes.rows(),
    scopeCount: scopes.count,
    scopeAborts: scopes.aborts,
    waiting: parts.admission.waiting,
    refusals: parts.budget.refusals,
    breaker: { state: breaker.state, openings: breaker.openings },
    shed: parts.shed.rows(),
    samples: { count: sampler.count, spentMs: sampler.spentMs, share: sampler.share },
    trains: trainRow(parts),
    prices: parts.prices.rows(),
    collections: { count: collector.count, spentMs: collector.spentMs },
    trims: { count: allocator.count, spentMs: allocator.spentMs },
    faults: parts.faults.rows(),
    warnings,
  };
}

function trainRow({ journal, train }: GovernorParts): Snapshot['trains'] {
  const { count, spentMs, releasedBytes, seenBytes } = journal;
  return { count, spentMs, releasedBytes, seenBytes, running: train.running };
}

/** Bytes by kind. */
export function kindRow(ledger: Ledger): Record<MemoryKind, number> {
  const row: Record<MemoryKind, number> = { heap: 0, external: 0, mapped: 0, wasm: 0 };
  for (const [index, kind] of MEMORY_KINDS.entries()) row[kind] = ledger.kindBytes(index);
  return row;
}

/** All consumers, oldest first. Each that can give back is asked how much, and how it does. */
export function consumerRows(ledger: Ledger, reclaimers: Reclaimers, faults: Faults): ConsumerRow[] {
  return [...ledger.accounts].map((account) => {
    const { name, kind, parent, total, peak, own, maxBytes, importance, refusals, reclaims, report } = account;
    const holder = report === undefined ? undefined : holderRow(name, report, faults);
    return {
      name,
      kind,
      ...(parent === undefined || parent === ledger.whole ? {} : { parent: parent.name }),
      heldBytes: total,
      peakBytes: peak,
      ownBytes: own,
      ...(Number.isFinite(maxBytes) ? { maxBytes } : {}),
      importance,
      reclaimableBytes: reclaimers.reclaimableBytes(account),
      refusals,
      ...(reclaims === undefined ? {} : { reclaim: reclaimRow(reclaims) }),
      ...(holder === undefined ? {} : { holder }),
    };
  });
}

function reclaimRow({ calls, claimedBytes, releasedBytes, faults, overruns }: ReclaimRow): ReclaimRow {
  return { calls, claimedBytes, releasedBytes, faults, overruns };
}
