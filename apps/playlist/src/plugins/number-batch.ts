/**
 * Channel numbers by plugin. A record to the plugin is a wish (32 bits, little endian; 0 = none), a record back is the number. Configuration at the start: the first
 * number for channels without a wish. Those with a wish come first, as the job has them anyway: after the first channel without one there are no more wishes.
 *
 * The plugin keeps its own map of the numbers taken; the host keeps its own, too, and compares. So the native stage can take over with any batch, and a wrong number
 * never gets into a playlist.
 */
import type { Batch } from 'plimsoll/pipeline';
import { type ChannelNumbers, LARGEST_NUMBER } from '../channels/channel-numbers.ts';
import { PluginAnswerError } from './plugin-answer-error.ts';

const FRAME_BYTES = 4;
const RECORD_BYTES = 4;

/** Wishes, and the numbers they get. Filled anew again and again. */
export class NumberBatch implements Batch {
  readonly wishes: Uint32Array<ArrayBuffer>;
  readonly numbers: Uint32Array<ArrayBuffer>;
  count = 0;
  /** `numbers` is filled. */
  assigned = false;
  readonly #wire: Buffer;

  /** Allocates `NumberBatch.bytesFor`: reserve it first. */
  constructor(maxRecords: number) {
    this.wishes = new Uint32Array(maxRecords);
    this.numbers = new Uint32Array(maxRecords);
    this.#wire = Buffer.allocUnsafeSlow(maxRecords * (FRAME_BYTES + RECORD_BYTES));
  }

  static bytesFor(maxRecords: number): number {
    return maxRecords * (8 + FRAME_BYTES + RECORD_BYTES);
  }

  get byteLength(): number {
    return NumberBatch.bytesFor(this.wishes.length);
  }

  get itemCount(): number {
    return this.count;
  }

  get isFull(): boolean {
    return this.count === this.wishes.length;
  }

  /** Adds a wish, 0 for none. The batch must not be full. */
  push(wish: number): void {
    if (this.isFull) throw new RangeError(`Expected at most ${this.wishes.length} wishes in a batch, got one more`);
    this.wishes[this.count++] = wish;
    this.assigned = false;
  }

  clear(): void {
    this.count = 0;
    this.assigned = false;
  }

  /** What `encodeNumbers` gives. */
  encode(): Buffer {
    const wire = this.#wire;
    for (let i = 0, at = 0; i < this.count; i++) {
      at = wire.writeUInt32LE(RECORD_BYTES, at);
      at = wire.writeUInt32LE(this.wishes[i]!, at);
    }
    return wire.subarray(0, this.count * (FRAME_BYTES + RECORD_BYTES));
  }
}

/** Gives the numbers, natively: a wish or the next free number above it, then for those without the lowest free ones from `startNumber` up. */
export class NumberAssigner {
  readonly #numbers: ChannelNumbers;
  readonly #startNumber: number;
  #next: number;
  #wishesOver = false;

  constructor(numbers: ChannelNumbers, startNumber: number) {
    this.#numbers = numbers;
    this.#startNumber = startNumber;
    this.#next = startNumber;
  }

  /** All numbers that somebody has. The map knows only those that were wished for: of the others it is enough how far they have come. */
  *given(): Generator<number, void, undefined> {
    for (let number = this.#startNumber; number < this.#next; number++) yield number;
    for (const number of this.#numbers.taken(1)) {
      if (number < this.#startNumber || number >= this.#next) yield number;
    }
  }

  /** Fills `batch.numbers`; a batch that has been assigned keeps what it has. Throws `RangeError` for a wish after a channel without one. */
  assign(batch: NumberBatch): void {
    if (batch.assigned) return;
    for (let i = 0; i < batch.count; i++) {
      const wish = batch.wishes[i]!;
      if (wish > 0 && this.#wishesOver)
        throw new RangeError(`Expected wishes before channels without one, got \`${wish}\``);
      if (wish > 0) {
        batch.numbers[i] = this.#numbers.take(wish);
      } else {
        this.#wishesOver = true;
        const number = this.#numbers.nextFree(this.#next);
        batch.numbers[i] = number;
        this.#next = number + 1;
      }
    }
    batch.assigned = true;
  }
}

/** The batch on its way to a plugin; valid until the batch is filled anew. */
export function encodeNumbers(batch: NumberBatch): Buffer {
  return batch.encode();
}

/** What the plugin is told at the start. */
export function numberingConfig(startNumber: number): Buffer {
  if (!Number.isInteger(startNumber) || startNumber < 1 || startNumber > LARGEST_NUMBER + 1)
    throw new RangeError(
      `Expected \`startNumber\` to be a whole number from 1 to ${LARGEST_NUMBER + 1}, got \`${startNumber}\``,
    );
  const config = Buffer.alloc(4);
  config.writeUInt32LE(startNumber);
  return config;
}

/**
 * Checks the plugin's numbers against the native ones. Throws `PluginAnswerError` when one differs; `batch.numbers` then are the right ones all the same, and
 * `assigner.assign(batch)`, which the native stage does next, leaves them.
 */
export function applyNumbers(batch: NumberBatch, output: Uint8Array, assigner: NumberAssigner): void {
  assigner.assign(batch);
  const expected = batch.count * (FRAME_BYTES + RECORD_BYTES);
  if (output.byteLength !== expected)
    throw new PluginAnswerError(`${output.byteLength} bytes of numbers where ${expected} were due`);
  const answer = new DataView(output.buffer, output.byteOffset, output.byteLength);
  for (let i = 0, at = 0; i < batch.count; i++, at += FRAME_BYTES + RECORD_BYTES) {
    const length = answer.getUint32(at, true);
    if (length !== RECORD_BYTES) throw new PluginAnswerError(`a number of ${length} bytes`);
    const number = answer.getUint32(at + FRAME_BYTES, true);
    if (number !== batch.numbers[i])
      throw new PluginAnswerError(`number ${number} where ${batch.numbers[i]} is the next free one`);
  }
}
