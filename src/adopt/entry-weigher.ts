import type { Clock } from '../clock.ts';
import type { FailOpen } from '../fail-open.ts';
import { Scale, type Weight } from '../weigh.ts';
import type { Entry } from './cache-driver.ts';

/** Weighs an entry for the user: bytes, or bytes apart by where they are. */
export type WeighFunction = (value: unknown, key: unknown) => number | Weight;

const MAX_NODES = 512;
/** Of one that goes: there is little time. */
const DROPPED_NODES = 64;
const WEIGH_MS = 1;

/** Weighs entries of a cache: value, key, and what the cache takes for one; or as the user has it. */
export class EntryWeigher {
  readonly #weigh: WeighFunction | undefined;
  readonly #entryBytes: number;
  readonly #clock: Clock;
  readonly #failOpen: FailOpen;
  /** Of a key, lately. */
  #keyBytes = 0;

  constructor(options: {
    readonly weigh: WeighFunction | undefined;
    readonly entryBytes: number;
    readonly clock: Clock;
    readonly failOpen: FailOpen;
  }) {
    this.#weigh = options.weigh;
    this.#entryBytes = options.entryBytes;
    this.#clock = options.clock;
    this.#failOpen = options.failOpen;
  }

  /** One that went. Without a key as if it had the usual one; undefined when the user weighs by the key and there is none. */
  weighDropped(value: unknown, key: unknown): Weight | undefined {
    const scale = new Scale(DROPPED_NODES);
    if (key !== undefined) return this.weigh(key, value, scale);
    if (this.#weigh !== undefined) return undefined;
    const { heapBytes, externalBytes } = this.weigh(undefined, value, scale);
    return { heapBytes: heapBytes + this.#keyBytes, externalBytes };
  }

  weigh(key: unknown, value: unknown, scale: Scale = new Scale(MAX_NODES)): Weight {
    if (this.#weigh !== undefined) {
      const given = this.#failOpen.run(() => soundWeight(this.#weigh!(value, key), value), undefined);
      if (given !== undefined) return given;
    }
    // A proxy may throw while it is looked at.
    return this.#failOpen.run(
      () => {
        scale.weigh(value);
        const { heapBytes, externalBytes } = scale;
        scale.weigh(key);
        if (key !== undefined) this.#keyBytes += (scale.heapBytes - this.#keyBytes) / 16;
        return {
          heapBytes: this.#entryBytes + heapBytes + scale.heapBytes,
          externalBytes: externalBytes + scale.externalBytes,
        };
      },
      { heapBytes: this.#entryBytes, externalBytes: 0 },
    );
  }

  /**
   * Weighs entries, in about 1 ms: fewer when that does not do. What all of them refer to is charged to none: it would stay if one went, and count once for each in
   * the estimate.
   */
  weighAll(entries: readonly Entry[]): Weight[] {
    const [first, second] = entries;
    if (first === undefined) return [];
    if (second === undefined || this.#weigh !== undefined) return this.#inTime(entries, () => undefined);
    const beside = (entry: Entry) => {
      const scale = new Scale(MAX_NODES);
      this.weigh(entry[0], entry[1], scale);
      return scale;
    };
    const besideFirst = beside(first);
    const besideSecond = beside(second);
    return this.#inTime(entries, (entry) => (entry === first ? besideSecond : besideFirst));
  }

  #inTime(entries: readonly Entry[], scaleFor: (entry: Entry) => Scale | undefined): Weight[] {
    const weights: Weight[] = [];
    const startedAt = this.#clock.now();
    for (const entry of entries) {
      weights.push(this.weigh(entry[0], entry[1], scaleFor(entry)));
      if (this.#clock.now() - startedAt > WEIGH_MS) break;
    }
    return weights;
  }
}

/** A number is of the kind that the value itself is. */
function soundWeight(given: number | Weight, value: unknown): Weight {
  const isExternal = ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
  const weight =
    typeof given === 'number'
      ? { heapBytes: isExternal ? 0 : given, externalBytes: isExternal ? given : 0 }
      : { heapBytes: given.heapBytes, externalBytes: given.externalBytes };
  for (const bytes of [weight.heapBytes, weight.externalBytes]) {
    if (!(typeof bytes === 'number' && bytes >= 0 && bytes <= Number.MAX_SAFE_INTEGER)) {
      throw new TypeError(`weigh gave ${String(bytes)}: a number of bytes from 0 up is needed`);
    }
  }
  return weight;
}
