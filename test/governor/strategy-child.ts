/**
 * A cache of small buffers and as much that was dropped before, then one train of the strategy that the command line names. Prints each step, and
 * holds still behind it.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { getHeapStatistics } from 'node:v8';
import { systemClock as clock } from '../../src/clock.ts';
import { Allocator } from '../../src/governor/allocator.ts';
import { Collector } from '../../src/governor/collector.ts';
import { RECLAIM_STRATEGIES } from '../../src/governor/contract.ts';
import { Faults } from '../../src/governor/faults.ts';
import { Journal } from '../../src/governor/journal.ts';
import { Ledger } from '../../src/governor/ledger.ts';
import { Prices } from '../../src/governor/prices.ts';
import { Reclaimers } from '../../src/governor/reclaimers.ts';
import { Train } from '../../src/governor/train.ts';

const MIB = 1_048_576;
const PIECE_BYTES = 16_384;

const strategy = RECLAIM_STRATEGIES.find((one) => one === process.argv[2])!;
const faults = new Faults();
const ledger = new Ledger(1_024 * MIB, 16);
const prices = new Prices(clock);
const reclaimers = new Reclaimers({ ledger, clock, faults, prices, reclaimNowBudgetMs: 5, reclaimDeadlineMs: 2_000 });
const elsewhere = () => getHeapStatistics().used_heap_size + getHeapStatistics().external_memory;
const atTheStart = process.memoryUsage.rss() - elsewhere();
const train = new Train({
  ledger,
  reclaimers,
  collector: new Collector({ clock, faults }),
  allocator: new Allocator({ clock, faults }),
  prices,
  journal: new Journal(),
  clock,
  faults,
  measure: () => process.memoryUsage.rss(),
  decidingMeter: () => 'rss',
  usedBytes: elsewhere,
  slackBytes: () => Math.max(0, process.memoryUsage.rss() - elsewhere() - atTheStart),
  detailed: true,
});

const pieces: Buffer[] = [];
const dropped: Buffer[] = [];
// One after the other, as they come: what is dropped lies between what is kept.
for (let i = 0; i < (100 * MIB) / PIECE_BYTES; i++) {
  pieces.push(Buffer.alloc(PIECE_BYTES, 1));
  dropped.push(Buffer.alloc(PIECE_BYTES, 2));
}
const cache = ledger.open({
  name: 'cache',
  kind: 'external',
  maxBytes: Number.POSITIVE_INFINITY,
  reclaimer: {
    reclaimableBytes: () => pieces.length * PIECE_BYTES,
    reclaimNow({ targetBytes }) {
      const count = Math.min(pieces.length, Math.ceil(targetBytes / PIECE_BYTES));
      pieces.length -= count;
      ledger.release(cache, count * PIECE_BYTES);
      return count * PIECE_BYTES;
    },
  },
});
ledger.charge(cache, pieces.length * PIECE_BYTES);
dropped.length = 0;

console.log('held');
await wait(150);
const cpu = process.cpuUsage();
const report = await train.run({ why: 'asked', targetBytes: 60 * MIB, level: 'high', strategy });
const { user, system } = process.cpuUsage(cpu);
const cpuMs = (user + system) / 1_000;
const { elapsedMs, seenBytes, releasedBytes, parts } = report;
console.log(
  `done ${JSON.stringify({ elapsedMs, cpuMs, seenBytes, releasedBytes, parts, cached: cache.own, faults: faults.rows() })}`,
);
await wait(150);
