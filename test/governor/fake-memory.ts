import { ManualClock } from 'plimsoll';
import { Allocator } from '../../src/governor/allocator.ts';
import { Collector } from '../../src/governor/collector.ts';
import type { ConsumerOptions, Reclaimer, ReclaimRequest } from '../../src/governor/contract.ts';
import { Faults } from '../../src/governor/faults.ts';
import { Journal } from '../../src/governor/journal.ts';
import { type Account, Ledger } from '../../src/governor/ledger.ts';
import type { MeterName } from '../../src/governor/meters.ts';
import { Prices } from '../../src/governor/prices.ts';
import { Reclaimers } from '../../src/governor/reclaimers.ts';
import { Train } from '../../src/governor/train.ts';
import type { TrainOptions } from '../../src/governor/train-run.ts';
import { MIB } from './fake-meter.ts';

/**
 * Memory as V8 and glibc have it, on a clock of our own: what a holder drops is garbage until it is collected, and of that a part lies in the
 * allocator until the trim. Every step takes its time.
 */
export class FakeMemory {
  readonly clock = new ManualClock(1_000_000);
  /** Of what is released the part that the allocator keeps: 1 for small buffers, 0 for large ones. */
  keptShare = 1;
  readonly #reserved = () => this.ledger.whole.total;
  garbageBytes = 0;
  slackBytes = 0;
  /** Node's own. */
  baseBytes = 50 * MIB;
  fullMs = 10;
  minorMs = 1;
  trimMs = 5;
  readonly collections: string[] = [];
  trims = 0;
  readonly ledger = new Ledger(1_000 * MIB, 4_096);
  readonly faults = new Faults();

  rss(): number {
    return this.baseBytes + this.#reserved() + this.garbageBytes + this.slackBytes;
  }

  heap(): number {
    return MIB + this.#reserved() + this.garbageBytes;
  }

  read(meter: MeterName): number {
    return meter === 'ledger' ? this.#reserved() : meter === 'rss' || meter === 'cgroup' ? this.rss() : this.heap();
  }

  collect(type: 'minor' | 'full'): void {
    this.collections.push(type);
    this.clock.advance(type === 'full' ? this.fullMs : this.minorMs);
    // A minor collection finds a tenth.
    const bytes = type === 'full' ? this.garbageBytes : this.garbageBytes / 10;
    this.garbageBytes -= bytes;
    this.slackBytes += bytes * this.keptShare;
  }

  trim(): number {
    this.trims++;
    this.clock.advance(this.trimMs);
    this.slackBytes = 0;
    return 1;
  }
}

/** A holder that gives back what it is asked for. */
export class FakeHolder implements Reclaimer {
  readonly requests: ReclaimRequest[] = [];
  readonly memory: FakeMemory;
  account!: Account;

  constructor(memory: FakeMemory) {
    this.memory = memory;
  }

  get heldBytes(): number {
    return this.account.own;
  }

  reclaimableBytes(): number {
    return this.account.own;
  }

  reclaimNow(request: ReclaimRequest): number {
    this.requests.push(request);
    return this.release(request.targetBytes);
  }

  release(targetBytes: number): number {
    const bytes = Math.min(targetBytes, this.account.own);
    this.memory.ledger.release(this.account, bytes);
    this.memory.garbageBytes += bytes;
    return bytes;
  }
}

/** All that a train needs, over a `FakeMemory`; the meter that decides can be chosen. */
export function setUpTrain(
  extra: Partial<TrainOptions> & { meter?: MeterName; trim?: boolean; heapBytes?: number } = {},
) {
  const { meter = 'rss', trim = true, heapBytes = 50 * MIB, ...others } = extra;
  const memory = new FakeMemory();
  const { clock, ledger, faults } = memory;
  const prices = new Prices(clock);
  const reclaimers = new Reclaimers({ ledger, clock, faults, prices, reclaimNowBudgetMs: 5, reclaimDeadlineMs: 2_000 });
  const collector = new Collector({
    clock,
    faults,
    collect: (type) => memory.collect(type),
    heapBytes: () => heapBytes,
  });

  const allocator = new Allocator({ clock, faults, enabled: trim, platform: 'linux', load: () => () => memory.trim() });
  const journal = new Journal();
  const open = (bytes: number, options: Partial<ConsumerOptions> & { name: string }): Account => {
    const account = ledger.open({ kind: 'external', maxBytes: Number.POSITIVE_INFINITY, ...options });
    ledger.charge(account, bytes);
    return account;
  };
  const holder = (name: string, bytes: number, options: Partial<ConsumerOptions> = {}): FakeHolder => {
    const one = new FakeHolder(memory);
    one.account = open(bytes, { name, reclaimer: one, ...options });
    return one;
  };
  const train = new Train({
    ledger,
    reclaimers,
    collector,
    allocator,
    prices,
    journal,
    clock,
    faults,
    measure: (name) => memory.read(name),
    decidingMeter: () => meter,
    usedBytes: () => memory.heap(),
    slackBytes: () => memory.slackBytes,
    detailed: true,
    ...others,
  });
  return { memory, clock, ledger, faults, prices, reclaimers, collector, allocator, journal, train, open, holder };
}
