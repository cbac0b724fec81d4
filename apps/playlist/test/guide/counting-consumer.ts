import type { Consumer, Reservation } from 'plimsoll';

/** A consumer that grants everything up to `maxBytes` and counts what is held. */
export function countingConsumer(maxBytes = Infinity): Consumer & { heldBytes: number; peakBytes: number } {
  const consumer = {
    name: 'test',
    kind: 'external' as const,
    maxBytes,
    heldBytes: 0,
    peakBytes: 0,
    reserve(bytes: number): Reservation {
      const reservation = {
        bytes: 0,
        consumer: consumer as Consumer,
        grow(more: number): void {
          if (consumer.heldBytes + more > maxBytes) throw new Error('over budget');
          this.bytes += more;
          consumer.heldBytes += more;
          consumer.peakBytes = Math.max(consumer.peakBytes, consumer.heldBytes);
        },
        tryGrow(more: number): boolean {
          if (consumer.heldBytes + more > maxBytes) return false;
          this.grow(more);
          return true;
        },
        shrink(less: number): void {
          if (less > this.bytes) throw new RangeError('shrinks more than it holds');
          this.bytes -= less;
          consumer.heldBytes -= less;
        },
        resize(bytes: number): void {
          if (bytes > this.bytes) this.grow(bytes - this.bytes);
          else this.shrink(this.bytes - bytes);
        },
        transfer(): void {
          throw new Error('not in these tests');
        },
        [Symbol.dispose](): void {
          this.shrink(this.bytes);
        },
      };
      reservation.grow(bytes);
      return reservation;
    },
    tryReserve(bytes: number): Reservation | undefined {
      return consumer.heldBytes + bytes > maxBytes ? undefined : consumer.reserve(bytes);
    },
    admit(bytes: number): Promise<Reservation> {
      return Promise.resolve(consumer.reserve(bytes));
    },
    nonReclaimable: () => ({ [Symbol.dispose]() {} }),
    track(): never {
      throw new Error('a guide reserves what it needs');
    },
    [Symbol.dispose](): void {},
  };
  return consumer;
}
