import type { GovernorMode } from './budget.ts';
import { MEMORY_KINDS, type MemoryKind, type PressureLevel } from './contract.ts';
import type { FaultRow } from './faults.ts';
import type { Ledger } from './ledger.ts';
import type { LimitSource } from './limits.ts';
import type { MeterName } from './meters.ts';
import type { Reclaimers } from './reclaimers.ts';
import type { MeterRow } from './sampler.ts';

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
  readonly limitBytes: number;
  readonly limitFrom: LimitSource;
  readonly level: PressureLevel;
  readonly decidingMeter: MeterName;
  readonly meters: readonly MeterRow[];
  /** Held by all consumers, the runtime included, and what is left under the limit. */
  readonly reservedBytes: number;
  readonly peakReservedBytes: number;
  readonly availableBytes: number;
  readonly byKind: Readonly<Record<MemoryKind, number>>;
  readonly consumers: readonly ConsumerRow[];
  readonly waiting: number;
  readonly refusals: number;
  /** What watching cost. */
  readonly samples: { readonly count: number; readonly spentMs: number };
  readonly collections: { readonly count: number; readonly spentMs: number };
  /** Parts of the governor that failed; empty when all is well. */
  readonly faults: readonly FaultRow[];
  /** What stands between this process and its limit, such as a heap limit of V8 that does not fit it. */
  readonly warnings: readonly string[];
}

/** Bytes by kind. */
export function kindRow(ledger: Ledger): Record<MemoryKind, number> {
  const row: Record<MemoryKind, number> = { heap: 0, external: 0, mapped: 0, wasm: 0 };
  for (const [index, kind] of MEMORY_KINDS.entries()) row[kind] = ledger.byKind[index]!;
  return row;
}

/** All consumers, oldest first. Each that can give back is asked how much. */
export function consumerRows(ledger: Ledger, reclaimers: Reclaimers): ConsumerRow[] {
  return [...ledger.accounts].map((account) => {
    const { name, kind, parent, total, peak, own, maxBytes, importance, refusals, reclaims } = account;
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
    };
  });
}

function reclaimRow({ calls, claimedBytes, releasedBytes, faults, overruns }: ReclaimRow): ReclaimRow {
  return { calls, claimedBytes, releasedBytes, faults, overruns };
}
