/**
 * What each strategy does, as plain decisions: nothing is asked, collected or trimmed in here.
 *
 * - `basic` frees what is unused: holders are asked for what is missing, then a minor collection. No full one, no trim.
 * - `aggressive` does everything: holders are asked for all they have, then a full collection and the trim, whatever has been seen meanwhile.
 * - `smart` does what pays: it aims beyond the target where use is growing, collects before it asks where garbage alone is expected to be enough, spares holders whose
 *   kind of memory the deciding meter would not see, and passes over each step that is expected to bring nothing.
 */
import { MEMORY_KINDS, type MemoryKind, type ReclaimStrategy } from './contract.ts';
import type { TrainPartName } from './journal.ts';
import type { MeterName } from './meters.ts';
import type { PriceStep, Prices, StepFigures } from './prices.ts';

/** How far ahead `smart` looks: until the train after the next. */
const HORIZON_MS = 2_000;
/** A step that is expected to bring less is not taken: in bytes, and as a part of what is missing. */
const WORTH_BYTES = 262_144;
const WORTH_SHARE = 0.05;
/** A kind of which less than this part is expected to be seen is spared. */
const WORTH_YIELD = 0.02;
/** At most so many times what is missing is asked for because not all that is released will be seen. */
const MOST_ASKED = 3;

/** How a train stands when its next part is to be decided on. */
export interface StrategyView extends StepFigures {
  readonly strategy: ReclaimStrategy;
  /** The one that is to go down. */
  readonly meter: MeterName;
  /** What it is to go down by, and has gone down by. */
  readonly targetBytes: number;
  readonly seenBytes: number;
  /** What the ledger has gone down by in this train. */
  readonly releasedBytes: number;
  readonly prices: Prices;
  /** Parts that cannot be had in this train, whatever they would bring: nothing is counted on them. */
  readonly unavailable?: ReadonlySet<TrainPartName>;
  /** Released by holders lately, and not collected yet. */
  readonly uncollectedBytes?: number;
  /** What a full collection would make the meter see by the books: V8 counts it and nobody holds it any more. */
  readonly garbageBytes?: number;
}

const ORDER: readonly TrainPartName[] = ['reclaim-now', 'reclaim', 'minor-collection', 'full-collection', 'trim'];
/** `smart` asks for less where it counts on what is coming; when that does not come it asks again, in the same train. */
const TWICE: readonly TrainPartName[] = [...ORDER, ...ORDER];
const GARBAGE_FIRST: readonly TrainPartName[] = ['full-collection', 'trim', ...ORDER];

/** Each kind of part, and the step of the prices that it is. */
export const STEP_OF: Readonly<Record<TrainPartName, PriceStep>> = {
  'reclaim-now': 'reclaim',
  reclaim: 'reclaim',
  'minor-collection': 'minor',
  'full-collection': 'full',
  trim: 'trim',
};

/** What the meter is to go down by: `smart` adds what it is expected to grow by before another train could help. */
export function aim(strategy: ReclaimStrategy, targetBytes: number, bytesPerSecond = 0): number {
  const growth = strategy === 'smart' && Number.isFinite(bytesPerSecond) ? Math.max(0, bytesPerSecond) : 0;
  return Math.max(0, targetBytes) + (growth * HORIZON_MS) / 1_000;
}

/** The parts in the order in which they are tried. */
export function partsOf(view: StrategyView): readonly TrainPartName[] {
  if (view.strategy !== 'smart' || !isCollected(view.meter)) return ORDER;
  const trimmed = seesTrim(view.meter) ? expected(view, 'trim') : 0;
  return expected(view, 'full-collection') + trimmed >= missing(view) ? GARBAGE_FIRST : TWICE;
}

/**
 * What holders are asked for, bytes in the ledger, so that the meter goes down by what is missing: more where not all that is released will be
 * seen, less by what is released and will be seen yet. `byKind` is what could be given back, in the order of `MEMORY_KINDS`.
 */
export function askBytes(view: StrategyView, byKind: ArrayLike<number>): number {
  const { targetBytes, seenBytes, releasedBytes } = view;
  if (view.strategy !== 'smart' || !isCollected(view.meter)) return targetBytes - Math.max(seenBytes, releasedBytes);
  const trimmed = seesTrim(view.meter) ? expected(view, 'trim') : 0;
  // What was released lately comes with the next collection, be it not in this train: it is not asked for once more.
  const coming = Math.max(expected(view, 'full-collection'), view.uncollectedBytes ?? 0, trimmed);
  let offered = 0;
  let seen = 0;
  for (const [k, kind] of MEMORY_KINDS.entries()) {
    offered += byKind[k]!;
    seen += byKind[k]! * view.prices.yieldOf(view.meter, kind, 'trim');
  }
  const part = offered > 0 ? seen / offered : 1;
  return Math.max(0, missing(view) - coming) / Math.max(part, 1 / MOST_ASKED);
}

/** Whether holders of that kind are left alone: `smart` does not ask for what the meter would not see. */
export function spares(strategy: ReclaimStrategy, meter: MeterName, kind: MemoryKind, prices: Prices): boolean {
  return strategy === 'smart' && prices.yieldOf(meter, kind, 'trim') < WORTH_YIELD;
}

/** Why a part is passed over; undefined when it is to be taken. */
export function whyNot(part: TrainPartName, view: StrategyView): string | undefined {
  const { strategy, meter } = view;
  if (part !== 'reclaim-now' && part !== 'reclaim') {
    if (!isCollected(meter)) return 'the ledger does not see it';
    if (part === 'trim' && !seesTrim(meter)) return `the meter ${meter} does not see it`;
  }
  if (strategy !== 'aggressive' && missing(view) <= 0) return 'the target has been reached';
  switch (strategy) {
    case 'basic':
      return part === 'full-collection' || part === 'trim' ? 'not done by basic' : undefined;
    case 'aggressive':
      return part === 'minor-collection' ? 'the full collection does it' : undefined;
    case 'smart':
      return whyNotSmart(part, view);
  }
}

/** Whether the trim is worth a thought: V8's own figures do not know of the allocator. */
export function seesTrim(meter: MeterName): boolean {
  return meter === 'rss' || meter === 'cgroup';
}

function whyNotSmart(part: TrainPartName, view: StrategyView): string | undefined {
  if (part === 'reclaim-now' || part === 'reclaim') return undefined;
  const bytes = expected(view, part);
  const isMinor = part === 'minor-collection';
  // A minor one is worth it where it spares the full one.
  if (isMinor && bytes < missing(view)) return 'not expected to be enough by itself';
  if (bytes >= Math.max(WORTH_BYTES, missing(view) * WORTH_SHARE)) return undefined;
  return `expected to bring ${Math.round(bytes / 1_024)}KiB`;
}

function isCollected(meter: MeterName): boolean {
  return meter !== 'ledger';
}

function missing({ targetBytes, seenBytes }: StrategyView): number {
  return targetBytes - seenBytes;
}

/** Bytes that the meter is expected to see by that part. */
export function expected(view: StrategyView, part: TrainPartName): number {
  if (view.unavailable?.has(part) === true) return 0;
  const learned = view.prices.expectedBytes(view.meter, STEP_OF[part], view);
  return part === 'full-collection' ? Math.max(learned, view.garbageBytes ?? 0) : learned;
}
