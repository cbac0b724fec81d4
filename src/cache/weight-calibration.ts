/**
 * How far a guess of weights is off, by a ratio estimate from a sample (Cochran, Sampling Techniques, 1977, chapter 6): the sum of what the sampled entries hold over
 * the sum of what was guessed for them. The error is half of its 95% interval, from the residuals, with Johnson's correction for skew (1978) on its long side and Student's t
 * where the sample is small. What is so rare that the sample has none of it cannot be known: of 256, one in a hundred goes unseen one time in thirteen.
 */
import { Scale } from '../weigh.ts';

/** Samples that count: the last ones. */
const WINDOW = 256;
/** Things that are looked at in one value; of larger ones the rest is taken to be like it. */
const MAX_NODES = 512;
/** A correction is applied from so many samples on, when it is known as well as that, and only when it moves as far as that. */
const LEAST_SAMPLES = 32;
const MOST_ERROR = 0.2;
const LEAST_CHANGE = 0.1;
const Z = 1.96;

/** What sampling says of the weights that a cache books. */
export interface WeightCorrection {
  /** What entries hold over what `weigh` says: 2 where they are twice as heavy. 1 while nothing is known. */
  readonly ratio: number;
  /** Half of the 95% interval of `ratio`, as a share of it; 1 while nothing is known. */
  readonly errorShare: number;
  /** Entries it was made from, at most 256. */
  readonly sampleCount: number;
  /** What is booked for an entry over what `weigh` says: 1 unless the correction is applied. */
  readonly appliedRatio: number;
}

export interface CalibrationSettings {
  /** One of so many that are set has one entry looked at. */
  readonly sampleEvery: number;
  /** Whether what is found is also booked. */
  readonly apply: boolean;
}

/** Bytes that key and value hold, without what they share with another entry: that would stay if this one went. About 1 to 20 µs, as for `weigh`. */
export function weighBeside(value: unknown, key: unknown, beside: unknown): number {
  const scale = new Scale(MAX_NODES);
  // A text is no thing of which it could be known whether it is shared.
  if (typeof beside === 'object' && beside !== null) scale.weigh(beside);
  scale.weigh(value);
  const bytes = scale.heapBytes + scale.externalBytes;
  scale.weigh(key);
  return bytes + scale.heapBytes + scale.externalBytes;
}

/** Compares guesses of weights with what is there. 4 KiB; one addition for what is not sampled. */
export class WeightCalibration {
  readonly #sampleEvery: number;
  readonly #apply: boolean;
  readonly #guessed = new Float64Array(WINDOW);
  readonly #held = new Float64Array(WINDOW);
  #untilNext: number;
  #next = 0;
  #count = 0;
  #applied = 1;

  constructor({ sampleEvery, apply }: CalibrationSettings) {
    this.#sampleEvery = sampleEvery;
    this.#apply = apply;
    this.#untilNext = sampleEvery;
  }

  /** What `weigh` says is multiplied with it. */
  get appliedRatio(): number {
    return this.#applied;
  }

  /** Counts one that was set; true when a sample should be taken. */
  isDue(): boolean {
    if (--this.#untilNext > 0) return false;
    this.#untilNext = this.#sampleEvery;
    return true;
  }

  /** Takes in what was guessed for an entry and what it holds, bytes. Returns true when `appliedRatio` has changed because of it. */
  add(guessedBytes: number, heldBytes: number): boolean {
    if (!(guessedBytes > 0) || !(heldBytes >= 0)) return false;
    this.#guessed[this.#next] = guessedBytes;
    this.#held[this.#next] = heldBytes;
    this.#next = (this.#next + 1) % WINDOW;
    this.#count = Math.min(this.#count + 1, WINDOW);
    if (!this.#apply || this.#count < LEAST_SAMPLES) return false;
    const { ratio, errorShare } = this.correction;
    if (errorShare > MOST_ERROR || !(ratio > 0)) return false;
    if (Math.abs(ratio / this.#applied - 1) < LEAST_CHANGE) return false;
    this.#applied = ratio;
    return true;
  }

  /** A few microseconds. */
  get correction(): WeightCorrection {
    const n = this.#count;
    let guessed = 0;
    let held = 0;
    for (let i = 0; i < n; i++) {
      guessed += this.#guessed[i]!;
      held += this.#held[i]!;
    }
    const ratio = guessed > 0 ? held / guessed : 1;
    const errorShare = this.#errorShare(ratio, guessed / n);
    return { ratio, errorShare, sampleCount: n, appliedRatio: this.#applied };
  }

  #errorShare(ratio: number, meanGuess: number): number {
    const n = this.#count;
    if (n < 2 || !(ratio > 0)) return 1;
    let square = 0;
    let cube = 0;
    for (let i = 0; i < n; i++) {
      const off = this.#held[i]! - ratio * this.#guessed[i]!;
      square += off * off;
      cube += off * off * off;
    }
    const deviation = Math.sqrt(square / (n - 1));
    if (deviation === 0) return 0;
    const skew = Math.abs(cube / n / deviation ** 3);
    const t = Z + 2.4 / (n - 1);
    const longer = (skew * (1 + 2 * t * t)) / (6 * Math.sqrt(n));
    return Math.min(1, ((t + longer) * deviation) / Math.sqrt(n) / meanGuess / ratio);
  }
}
