import type { Consumer, Reservation } from 'plimsoll';
import type { ByteSource } from './byte-source.ts';

/**
 * Reads one piece ahead: while the reader works on what it got, the disk or the inflater fills the other buffer on another core. Costs two
 * buffers, reserved from `consumer` (`PLIMSOLL_BUDGET_EXCEEDED` when there is no room), and a copy of each byte. Owns `source`; an error
 * of the source is thrown by the read that would have had its bytes.
 */
export class ReadAhead implements ByteSource {
  readonly label: string;
  readonly sizeBytes: number | undefined;
  readonly #source: ByteSource;
  readonly #reservation: Reservation;
  /** What the reader takes from, and what is being filled. */
  #ready: Buffer;
  #filling: Buffer;
  #readyAt = 0;
  #readyEnd = 0;
  #fill: Promise<number> | undefined;
  #failure: unknown;
  #disposed = false;

  constructor(source: ByteSource, pieceBytes: number, consumer: Consumer) {
    this.#reservation = consumer.reserve(2 * pieceBytes);
    this.label = source.label;
    this.sizeBytes = source.sizeBytes;
    this.#source = source;
    this.#ready = Buffer.allocUnsafeSlow(pieceBytes);
    this.#filling = Buffer.allocUnsafeSlow(pieceBytes);
    this.#startFilling();
  }

  async read(target: Buffer, offset: number, length: number): Promise<number> {
    if (this.#readyAt === this.#readyEnd) {
      const count = await this.#fill!;
      if (count === 0 || this.#disposed) return 0;
      const filled = this.#filling;
      this.#filling = this.#ready;
      this.#ready = filled;
      this.#readyAt = 0;
      this.#readyEnd = count;
      this.#startFilling();
    }
    const count = this.#ready.copy(target, offset, this.#readyAt, Math.min(this.#readyEnd, this.#readyAt + length));
    this.#readyAt += count;
    return count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    // A buffer that is being read into must not be given up; a source that waits for its reader is woken by its end.
    const ended = this.#source[Symbol.asyncDispose]();
    await this.#fill?.catch(() => {});
    await ended;
    this.#reservation[Symbol.dispose]();
  }

  #startFilling(): void {
    this.#fill = this.#fillWhole(this.#filling);
    // It may fail before the reader comes to hear of it.
    this.#fill.catch(() => {});
  }

  /** Sources give what they have; the reader wants whole pieces. What came before an error is given out first. */
  async #fillWhole(buffer: Buffer): Promise<number> {
    if (this.#failure !== undefined) throw this.#failure;
    let have = 0;
    try {
      while (have < buffer.length && !this.#disposed) {
        const count = await this.#source.read(buffer, have, buffer.length - have);
        if (count === 0) break;
        have += count;
      }
    } catch (error) {
      if (have === 0) throw error;
      this.#failure = error;
    }
    return have;
  }
}
