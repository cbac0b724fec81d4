/**
 * What bytes given back cost, and what becomes of them: learned per kind of memory from what the deciding meter saw.
 *
 * A holder that drops 100 MB of small buffers has released 100 MB in the ledger, and RSS has not moved: V8 has not collected them, then the allocator keeps
 * them. So for each kind of memory a *yield* is kept: the part of what was released that a meter has seen after the reclaim, after a minor
 * collection, after a full one, and after the trim. A train releases several kinds at once and the meter sees their sum: what each
 * contributes is told apart by normalised least mean squares (Widrow and Hoff, 1960), which spreads the error over the kinds by their part in the sum.
 * What is seen beyond all that was released was garbage or slack; of that the part of the whole is kept for each step.
 *
 * Everything learned fades towards what was measured beforehand, so that a step that was in vain is tried again some day.
 */
import type { Clock } from '../clock.ts';
import { MEMORY_KINDS, type MemoryKind } from './contract.ts';
import type { MeterName } from './meters.ts';

/** The steps of giving back, in their order. */
export const PRICE_STEPS = ['reclaim', 'minor', 'full', 'trim'] as const;
export type PriceStep = (typeof PRICE_STEPS)[number];

/** Meters that see the same: what V8 has on its heap, what lies outside it, and what the whole process has in RAM (`rss`, `cgroup`). */
export const PRICE_VIEWS = ['heap', 'external', 'resident'] as const;
export type PriceView = (typeof PRICE_VIEWS)[number];

/** What was learned of one kind of memory in one view. Parts of 1. */
export interface PriceRow {
  readonly view: PriceView;
  readonly kind: MemoryKind;
  readonly seenAfterReclaim: number;
  readonly seenAfterMinor: number;
  readonly seenAfterFull: number;
  readonly seenAfterTrim: number;
  /** Time for a MiB that the meter sees, without the trim and with it; absent where none is expected to be seen. */
  readonly msPerMiB?: number;
  readonly trimmedMsPerMiB?: number;
}

/** What is known when the yield of a step is asked for. */
export interface StepFigures {
  /** What the deciding meter reads now. */
  readonly measuredBytes: number;
  /** In RAM and neither on V8's heap nor known to it as external, beyond what Node itself takes: where it is known. */
  readonly slackBytes?: number | undefined;
}

const KINDS = MEMORY_KINDS.length;
const STEPS = PRICE_STEPS.length;
const MIB = 1_048_576;

/**
 * Yields before anything was learned, by view, then kind, then step. Measured: 500 MB of 16 KB buffers, RSS 557 MB after a full collection and 51 MB
 * after the trim; of 1 MB buffers 44 MB after the collection alone, when the process had freed none as large before (glibc raises its threshold then).
 */
const PRIOR_YIELDS = [
  // The heap sees heap.
  [0, 0.3, 1, 1, 0.01, 0.01, 0.01, 0.01, 0, 0, 0.01, 0.01, 0, 0, 0.01, 0.01],
  // External sees external and wasm.
  [0, 0, 0.01, 0.01, 0, 0.2, 1, 1, 0, 0, 0.01, 0.01, 0, 0, 1, 1],
  // RAM sees all, in the end.
  [0, 0.1, 0.8, 0.9, 0, 0.1, 0.5, 0.97, 0.9, 0.9, 0.9, 0.9, 0, 0, 1, 1],
].flat();
/** The part of the whole that is garbage, by view, then step; for the trim of RAM the part of the slack. */
const PRIOR_GARBAGE = [0, 0.05, 0.2, 0, 0, 0.05, 0.2, 0, 0, 0.02, 0.15, 0.6];
/** Where the slack is not known: the part of all that is in RAM. */
const PRIOR_SLACK = 0.05;
/** Time to release a byte, by kind: caches drop references; mapped files and pages written elsewhere take longer. */
const PRIOR_RECLAIM_MS = [1e-7, 1e-7, 4e-7, 1e-7];
/** Time for a byte seen, by step. */
const PRIOR_STEP_MS = [0, 2e-7, 4e-7, 8e-8];

/** Weight of the newest measurement. */
const NEWEST = 0.3;
/** After so long half of what was learned is forgotten, and half of what was released taken to be in use again by others. */
const LEARNED_HALVES_MS = 300_000;
const RELEASED_HALVES_MS = 60_000;
const FADE_EVERY_MS = 1_000;
/** After a step that took it away, half of the usual garbage is taken to be there again after so long. */
const GARBAGE_GROWS_MS = 1_000;
/** Less is noise. */
const WORTH_BYTES = 65_536;

/** Bytes released, by view and kind, and seen, by view. */
class Released {
  readonly bytes = new Float64Array(PRICE_VIEWS.length * KINDS);
  readonly seen = new Float64Array(PRICE_VIEWS.length);

  of(view: number): number {
    let bytes = 0;
    for (let k = 0; k < KINDS; k++) bytes += this.bytes[view * KINDS + k]!;
    return bytes;
  }

  clear(view: number): void {
    this.bytes.fill(0, view * KINDS, (view + 1) * KINDS);
    this.seen[view] = 0;
  }
}

export class Prices {
  readonly #clock: Clock;
  readonly #yields = Float64Array.from(PRIOR_YIELDS);
  readonly #garbage = Float64Array.from(PRIOR_GARBAGE);
  readonly #reclaimMs = Float64Array.from(PRIOR_RECLAIM_MS);
  readonly #stepMs = new Float64Array(PRICE_VIEWS.length * STEPS);
  /** Released since the last full collection and since the last trim, by view and kind; and what the view's meter has seen of it. */
  readonly #sinceFull = new Released();
  readonly #sinceTrim = new Released();
  /** When a step last ran, in any view: what it finds has to gather again. */
  readonly #ranAt = new Float64Array(STEPS).fill(Number.NEGATIVE_INFINITY);
  #fadedAt: number;

  /** About 2 KiB; later at most some bytes a second. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#fadedAt = clock.now();
    for (let i = 0; i < this.#stepMs.length; i++) this.#stepMs[i] = PRIOR_STEP_MS[i % STEPS]!;
  }

  /** The part of what is released of a kind that `meter` will have seen after `step`. 1 for the ledger. */
  yieldOf(meter: MeterName, kind: MemoryKind, step: PriceStep): number {
    const view = viewOf(meter);
    if (view < 0) return 1;
    this.#fade();
    return this.#yields[cell(view, MEMORY_KINDS.indexOf(kind), PRICE_STEPS.indexOf(step))]!;
  }

  /**
   * Expected ms for a byte of that kind that `meter` really sees, by collections alone or with the trim. `Infinity` where it is not
   * expected to see any. For the ledger only the release counts.
   */
  msPerByte(meter: MeterName, kind: MemoryKind, trimmed: boolean): number {
    const view = viewOf(meter);
    const releaseMs = this.#reclaimMs[MEMORY_KINDS.indexOf(kind)]!;
    if (view < 0) return releaseMs;
    const seen = this.yieldOf(meter, kind, trimmed ? 'trim' : 'full');
    if (seen < 0.001) return Number.POSITIVE_INFINITY;
    const stepMs = this.#stepMs[view * STEPS + 2]! + (trimmed ? this.#stepMs[view * STEPS + 3]! : 0);
    return releaseMs / seen + stepMs;
  }

  /** Bytes that `step` is expected to make `meter` see: of what was released and it has not seen yet, and of garbage or slack. 0 for the ledger. */
  expectedBytes(meter: MeterName, step: PriceStep, figures: StepFigures): number {
    const view = viewOf(meter);
    if (view < 0) return 0;
    this.#fade();
    const at = PRICE_STEPS.indexOf(step);
    const { bytes, seen } = this.#before(step);
    let released = -seen[view]!;
    for (let k = 0; k < KINDS; k++) released += bytes[view * KINDS + k]! * this.#yields[cell(view, k, at)]!;
    return Math.max(0, released) + this.#garbage[view * STEPS + at]! * this.#gathered(at) * baseOf(step, figures);
  }

  /** Notes that a holder of that kind released bytes in the ledger, and how long it took. What it claims is of no interest. */
  noteReclaim(kind: MemoryKind, releasedBytes: number, elapsedMs: number): void {
    if (!(releasedBytes > 0)) return;
    this.#fade();
    const k = MEMORY_KINDS.indexOf(kind);
    for (let view = 0; view < PRICE_VIEWS.length; view++) {
      this.#sinceFull.bytes[view * KINDS + k]! += releasedBytes;
      this.#sinceTrim.bytes[view * KINDS + k]! += releasedBytes;
    }
    if (releasedBytes < WORTH_BYTES) return;
    this.#reclaimMs[k]! += NEWEST * ((elapsedMs > 0 ? elapsedMs : 0) / releasedBytes - this.#reclaimMs[k]!);
  }

  /**
   * Notes what `meter` saw of one step: `seenBytes` is how far it went down while the step ran, `elapsedMs` how long that took, `before` what was
   * known before it.
   */
  noteStep(meter: MeterName, step: PriceStep, seenBytes: number, elapsedMs: number, before: StepFigures): void {
    const view = viewOf(meter);
    if (view < 0) return;
    this.#fade();
    // What is no number is nothing: it would stay for ever.
    const seen = seenBytes > 0 ? seenBytes : 0;
    const tookMs = elapsedMs > 0 ? elapsedMs : 0;
    this.#sinceFull.seen[view]! += seen;
    this.#sinceTrim.seen[view]! += seen;
    const at = PRICE_STEPS.indexOf(step);
    const since = this.#before(step);
    const released = since.of(view);
    const seenInAll = since.seen[view]!;
    if (released >= WORTH_BYTES) this.#learnYields(view, at, since, released, Math.min(1, seenInAll / released));
    const beyond = Math.min(seen, Math.max(0, seenInAll - released));
    const base = baseOf(step, before);
    const i = view * STEPS + at;
    // Nothing released, or more seen than that: the rest was lying about. Right after another it says little.
    const weight = NEWEST * this.#gathered(at);
    if (step !== 'reclaim' && base > 0 && (beyond > 0 || released < WORTH_BYTES)) {
      this.#garbage[i]! += weight * (Math.min(1, beyond / base) - this.#garbage[i]!);
    }
    this.#ranAt[at] = this.#clock.now();
    if (step === 'full') this.#ranAt[1] = this.#ranAt[at]!;
    if (seen >= WORTH_BYTES) this.#stepMs[i]! += NEWEST * (tookMs / seen - this.#stepMs[i]!);
    this.#settle(step);
  }

  /** What has been learned, for the snapshot. */
  rows(): PriceRow[] {
    const rows: PriceRow[] = [];
    for (const view of PRICE_VIEWS) {
      const meter = view === 'resident' ? 'rss' : view;
      for (const kind of MEMORY_KINDS) {
        const plain = this.msPerByte(meter, kind, false) * MIB;
        const trimmed = this.msPerByte(meter, kind, true) * MIB;
        rows.push({
          view,
          kind,
          seenAfterReclaim: this.yieldOf(meter, kind, 'reclaim'),
          seenAfterMinor: this.yieldOf(meter, kind, 'minor'),
          seenAfterFull: this.yieldOf(meter, kind, 'full'),
          seenAfterTrim: this.yieldOf(meter, kind, 'trim'),
          ...(Number.isFinite(plain) ? { msPerMiB: plain } : {}),
          ...(Number.isFinite(trimmed) ? { trimmedMsPerMiB: trimmed } : {}),
        });
      }
    }
    return rows;
  }

  /** What a step can bring to light: the trim also what collections before it left. */
  #before(step: PriceStep): Released {
    return step === 'trim' ? this.#sinceTrim : this.#sinceFull;
  }

  /** How much of the usual garbage there is again, as a part of 1. */
  #gathered(at: number): number {
    const elapsedMs = this.#clock.now() - this.#ranAt[at]!;
    return elapsedMs >= 0 ? 1 - 0.5 ** (elapsedMs / GARBAGE_GROWS_MS) : 1;
  }

  #learnYields(view: number, at: number, { bytes }: Released, released: number, seen: number): void {
    let predicted = 0;
    let squares = 0;
    for (let k = 0; k < KINDS; k++) {
      const weight = bytes[view * KINDS + k]! / released;
      predicted += weight * this.#yields[cell(view, k, at)]!;
      squares += weight * weight;
    }
    for (let k = 0; k < KINDS; k++) {
      const weight = bytes[view * KINDS + k]! / released;
      if (weight === 0) continue;
      const i = cell(view, k, at);
      const learned = this.#yields[i]! + (NEWEST * (seen - predicted) * weight) / squares;
      this.#yields[i] = Math.min(1, Math.max(0, learned));
      // A later step does not take back what an earlier one made visible.
      for (let step = 0; step < STEPS; step++) {
        const j = cell(view, k, step);
        if (step < at) this.#yields[j] = Math.min(this.#yields[j]!, this.#yields[i]!);
        else this.#yields[j] = Math.max(this.#yields[j]!, this.#yields[i]!);
      }
    }
  }

  /** After its last step nothing more is to be expected of what was released: for V8's own figures that is the full collection. */
  #settle(step: PriceStep): void {
    if (step !== 'full' && step !== 'trim') return;
    for (let view = 0; view < PRICE_VIEWS.length; view++) {
      this.#sinceFull.clear(view);
      if (step === 'trim' || view < 2) this.#sinceTrim.clear(view);
    }
  }

  #fade(): void {
    const now = this.#clock.now();
    const elapsedMs = now - this.#fadedAt;
    if (elapsedMs >= 0 && elapsedMs < FADE_EVERY_MS) return;
    this.#fadedAt = now;
    if (elapsedMs < 0) return;
    const ofLearned = 0.5 ** (elapsedMs / LEARNED_HALVES_MS);
    const ofReleased = 0.5 ** (elapsedMs / RELEASED_HALVES_MS);
    for (let i = 0; i < this.#yields.length; i++) {
      this.#yields[i] = PRIOR_YIELDS[i]! + (this.#yields[i]! - PRIOR_YIELDS[i]!) * ofLearned;
    }
    for (let i = 0; i < this.#garbage.length; i++) {
      this.#garbage[i] = PRIOR_GARBAGE[i]! + (this.#garbage[i]! - PRIOR_GARBAGE[i]!) * ofLearned;
    }
    // What was freed and not given back to the system is used again by others meanwhile.
    for (const { bytes, seen } of [this.#sinceFull, this.#sinceTrim]) {
      for (let i = 0; i < bytes.length; i++) bytes[i]! *= ofReleased;
      for (let i = 0; i < seen.length; i++) seen[i]! *= ofReleased;
    }
  }
}

/** -1 for the ledger, which sees everything at once. */
function viewOf(meter: MeterName): number {
  if (meter === 'ledger') return -1;
  return meter === 'heap' ? 0 : meter === 'external' ? 1 : 2;
}

function cell(view: number, kind: number, step: number): number {
  return (view * KINDS + kind) * STEPS + step;
}

/** What the part of garbage is a part of. */
function baseOf(step: PriceStep, { measuredBytes, slackBytes }: StepFigures): number {
  if (step !== 'trim') return measuredBytes;
  return slackBytes ?? measuredBytes * (PRIOR_SLACK / PRIOR_GARBAGE[PRIOR_GARBAGE.length - 1]!);
}
