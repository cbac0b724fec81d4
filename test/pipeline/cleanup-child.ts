/**
 * Free blocks, a memo in use and as much that is dropped, then one cleanup by the strategy that the command line names, `none` for none. Prints each step, and goes on from it when it is sent a
 * line.
 */
import { once } from 'node:events';
import { createGovernor } from 'plimsoll';
import { formatCleanupSummary, formatCleanupTable, MemoryCleanupCoordinator } from 'plimsoll/pipeline';

const MIB = 1_048_576;
/** So large that they are never part of the allocator's own heap: what is freed is gone from RSS without a trim. */
const BLOCK_BYTES = 40 * MIB;
const COUNT = 2;
const strategy = process.argv[2] as 'basic' | 'aggressive' | 'smart' | 'none';

const governor = createGovernor({ limitBytes: 2_048 * MIB, mode: 'on' });
const block = () => Buffer.alloc(BLOCK_BYTES, 1);
const free = Array.from({ length: COUNT }, block);
const memo = Array.from({ length: COUNT }, block);
// Of what is dropped one is there before: so what is dropped is more than use has grown by.
const dropped = [block()];
const cleanup = new MemoryCleanupCoordinator({ governor, historyCount: 1 });
cleanup.register({
  name: 'free blocks',
  kind: 'external',
  // Asked last: it takes the kernel tens of milliseconds where all processors are busy, and those behind it might have no time left.
  importance: 1,
  estimate: () => free.length * BLOCK_BYTES,
  clean(_, { targetBytes }) {
    const going = free.splice(0, Math.ceil(targetBytes / BLOCK_BYTES));
    // Not left to a collection: their memory goes at once.
    for (const { buffer } of going) buffer.transfer(0);
    return { bytes: going.length * BLOCK_BYTES, items: going.length };
  },
});
cleanup.register({
  name: 'memo',
  kind: 'external',
  estimate: () => memo.length * BLOCK_BYTES,
  clean(how, { targetBytes }) {
    const going = how === 'basic' ? [] : memo.splice(0, Math.ceil(targetBytes / BLOCK_BYTES));
    return { bytes: going.length * BLOCK_BYTES, items: going.length };
  },
});
dropped.push(block(), block());
// Old enough for a minor collection to leave them.
for (let i = 0; i < 3; i++) globalThis.gc?.({ type: 'minor' });

console.log('held');
await once(process.stdin, 'data');
const cpu = process.cpuUsage();
// Only here, and only for those that collect: V8 has no time to do so by itself.
if (strategy === 'smart' || strategy === 'aggressive') dropped.length = 0;
if (strategy !== 'none') await cleanup.cleanup({ strategy });
const { user, system } = process.cpuUsage(cpu);
const [operation] = cleanup.history();
const { parts = [] } = governor.journal().find(({ number }) => number === operation?.train) ?? {};
const taken = parts.map(({ part, elapsedMs }) => ({ part, elapsedMs }));
const text = `${formatCleanupSummary(cleanup.report())}\n${formatCleanupTable(cleanup.report())}`;
const left = { free: free.length, memo: memo.length };
console.log(`done ${JSON.stringify({ operation, taken, text, left, cpuMs: (user + system) / 1_000 })}`);
await once(process.stdin, 'data');
// Held up to here.
free.length = memo.length = dropped.length = 0;
governor[Symbol.dispose]();
process.stdin.destroy();
