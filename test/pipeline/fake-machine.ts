import type { Consumer, ConsumerOptions, MemoryKind, PressureLevel, Reservation } from 'plimsoll';
import type { ConsumerSource, MemoryProbe, MemoryReading } from 'plimsoll/pipeline';

/** A machine whose clock and meters the test turns by hand, with a plain ledger. */
export class FakeMachine implements ConsumerSource, MemoryProbe {
  nowMs = 0;
  rssBytes = 50_000_000;
  level: PressureLevel = 'optimal';
  /** Of the whole machine: what nobody has reserved. Only estimates are compared with it. */
  totalBytes = Number.POSITIVE_INFINITY;
  sampleCount = 0;
  /** How often somebody asked for bytes, and which asking (from 0) is refused whatever room there is. */
  askedCount = 0;
  refuseAt = -1;
  /** As in a governor's books: what was given back is there for who asks next, and never refused. */
  regrants = false;
  #returnedBytes = 0;
  readonly consumers: FakeConsumer[] = [];

  now(): number {
    return this.nowMs;
  }

  get heldBytes(): number {
    return this.consumers.reduce((sum, consumer) => sum + (consumer.isRoot ? consumer.heldBytes : 0), 0);
  }

  get availableBytes(): number {
    return this.totalBytes - this.heldBytes;
  }

  consumer(options: ConsumerOptions): FakeConsumer {
    const consumer = new FakeConsumer(options, (bytes) => this.#refuses(bytes));
    this.consumers.push(consumer);
    return consumer;
  }

  /** Hears of every change; true for an asking that is refused. */
  #refuses(bytes: number): boolean {
    if (bytes <= 0) {
      this.#returnedBytes -= bytes;
      return false;
    }
    const isHeld = this.regrants && bytes <= this.#returnedBytes;
    this.#returnedBytes = isHeld ? this.#returnedBytes - bytes : 0;
    return this.askedCount++ === this.refuseAt && !isHeld;
  }

  sample(): MemoryReading {
    this.sampleCount++;
    return { rssBytes: this.rssBytes, ledgerBytes: this.heldBytes, level: this.level };
  }
}

export class FakeConsumer implements Consumer {
  readonly name: string;
  readonly kind: MemoryKind;
  readonly maxBytes: number;
  heldBytes = 0;
  peakBytes = 0;
  disposed = false;
  readonly #refuses: (bytes: number) => boolean;
  readonly #parent: FakeConsumer | undefined;
  readonly children: FakeConsumer[] = [];

  constructor(options: ConsumerOptions, refuses: (bytes: number) => boolean) {
    this.#refuses = refuses;
    this.#parent = options.parent as FakeConsumer | undefined;
    this.#parent?.children.push(this);
    this.name = options.name;
    this.kind = options.kind;
    this.maxBytes = options.maxBytes;
  }

  get isRoot(): boolean {
    return this.#parent === undefined;
  }

  /** What it holds counts as its parent's, too. */
  change(bytes: number): boolean {
    if (this.#refuses(bytes)) return false;
    for (let each: FakeConsumer | undefined = this; each !== undefined; each = each.#parent) {
      if (each.heldBytes + bytes > each.maxBytes) return false;
    }
    for (let each: FakeConsumer | undefined = this; each !== undefined; each = each.#parent) {
      each.heldBytes += bytes;
      each.peakBytes = Math.max(each.peakBytes, each.heldBytes);
    }
    return true;
  }

  tryReserve(bytes: number): Reservation | undefined {
    return this.change(bytes) ? new FakeReservation(this, bytes) : undefined;
  }

  reserve(bytes: number): Reservation {
    const reservation = this.tryReserve(bytes);
    if (reservation === undefined) throw new Error(`${this.name} has no room for ${bytes} bytes`);
    return reservation;
  }

  async admit(bytes: number): Promise<Reservation> {
    return this.reserve(bytes);
  }

  nonReclaimable(): Disposable {
    return { [Symbol.dispose]() {} };
  }

  track(): never {
    throw new Error('a stage reserves what it needs');
  }

  [Symbol.dispose](): void {
    for (const child of this.children) child[Symbol.dispose]();
    if (!this.disposed) this.change(-this.heldBytes);
    this.disposed = true;
  }
}

class FakeReservation implements Reservation {
  consumer: FakeConsumer;
  bytes: number;

  constructor(consumer: FakeConsumer, bytes: number) {
    this.consumer = consumer;
    this.bytes = bytes;
  }

  tryGrow(bytes: number): boolean {
    if (!this.consumer.change(bytes)) return false;
    this.bytes += bytes;
    return true;
  }

  grow(bytes: number): void {
    if (!this.tryGrow(bytes)) throw new Error(`${this.consumer.name} has no room for ${bytes} bytes`);
  }

  shrink(bytes: number): void {
    if (bytes > this.bytes) throw new RangeError('more than it holds');
    this.grow(-bytes);
  }

  resize(bytes: number): void {
    this.grow(bytes - this.bytes);
  }

  transfer(to: Consumer): void {
    const { bytes } = this;
    if (!(to as FakeConsumer).change(bytes)) throw new Error(`${to.name} has no room for ${bytes} bytes`);
    this.consumer.change(-bytes);
    this.consumer = to as FakeConsumer;
  }

  [Symbol.dispose](): void {
    if (!this.consumer.disposed) this.consumer.change(-this.bytes);
    this.bytes = 0;
  }
}
