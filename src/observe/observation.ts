/** One look at a process, and what is kept of it for charts: plain data, the same for the page, the terminal and a file. */
import type { MeterName, PressureLevel, ReclaimStrategy, Snapshot } from '../governor/index.ts';
import type { AlertRow } from './alerts.ts';
import type { Collections } from './collections.ts';
import type { MonitorEvent } from './monitor-events.ts';

/** One look. Plain data: JSON and back gives the same. With 20 consumers 7 to 9 KB of JSON. */
export interface Observation {
  readonly version: 1;
  /** From 1 in each feed. */
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly pid: number;
  readonly snapshot: Snapshot;
  /** Since the look before. */
  readonly collections: Collections;
  /** Empty where nobody watches for alerts. */
  readonly alerts: readonly AlertRow[];
  /** Since the look before, the last 200 of them, oldest first. Empty without a monitor. */
  readonly events: readonly MonitorEvent[];
  /** Events since the look before that are not among them. */
  readonly droppedEvents: number;
}

/** What is kept of a look: about 420 bytes as JSON. Consumers and `otherBytes` make up `reservedBytes`. */
export interface ObservationPoint {
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly level: PressureLevel;
  readonly limitBytes: number;
  readonly reservedBytes: number;
  /** Bytes by meter; a meter that failed is left out. */
  readonly meters: Readonly<Partial<Record<MeterName, number>>>;
  /** The twelve that hold most, their children left out, by name. */
  readonly consumers: Readonly<Record<string, number>>;
  readonly otherBytes: number;
  /** Of the last ten seconds, how much somebody waited for memory. Absent where the kernel does not tell. */
  readonly psiPercent?: number;
  /** Since the look before: collections and their pauses, and what trains gave back by the ledger and by the deciding meter. */
  readonly collections: number;
  readonly pauseMs: number;
  readonly releasedBytes: number;
  readonly seenBytes: number;
}

/** What a screen may ask for. Observing itself changes nothing: whoever has something to command hands this in. Each rejects where it cannot be done. */
export interface CommandPort {
  /** A full collection. */
  collect(): Promise<{ readonly durationMs: number; readonly freedBytes: number }>;
  reclaim(strategy: ReclaimStrategy): Promise<{
    readonly claimedBytes: number;
    readonly releasedBytes: number;
    readonly seenBytes: number;
    readonly durationMs: number;
  }>;
  /** Writes one, where there is room for it. */
  heapSnapshot(): Promise<{ readonly path: string; readonly bytes: number }>;
}

/** Consumers that stand in a point by name. */
const MOST_CONSUMERS = 12;

/** Pure. `before` is the look before it, for what happened since; without it trains count from the start, and so they do when there were more before: that was another governor. */
export function pointOf(observation: Observation, before?: Observation): ObservationPoint {
  const { number, at, snapshot, collections } = observation;
  const { level, limitBytes, reservedBytes, psi, trains } = snapshot;
  const earlier = before?.snapshot.trains;
  const known = earlier !== undefined && earlier.count <= trains.count ? earlier : { releasedBytes: 0, seenBytes: 0 };
  const meters: Partial<Record<MeterName, number>> = {};
  for (const { name, bytes, off } of snapshot.meters) if (!off) meters[name] = bytes;
  const held = new Map<string, number>();
  let named = 0;
  const largest = snapshot.consumers
    .filter(({ ownBytes }) => ownBytes > 0)
    .sort((a, b) => b.ownBytes - a.ownBytes)
    .slice(0, MOST_CONSUMERS);
  for (const { name, ownBytes } of largest) {
    held.set(name, (held.get(name) ?? 0) + ownBytes);
    named += ownBytes;
  }
  // Properties of its own, whatever the name, `__proto__` too.
  const consumers = Object.fromEntries(held);
  return {
    ...{ number, at, level, limitBytes, reservedBytes, meters, consumers },
    otherBytes: Math.max(0, reservedBytes - named),
    ...(psi === undefined ? {} : { psiPercent: psi.someAvg10 }),
    collections: collections.count,
    pauseMs: collections.pauseMs,
    releasedBytes: trains.releasedBytes - known.releasedBytes,
    seenBytes: trains.seenBytes - known.seenBytes,
  };
}
