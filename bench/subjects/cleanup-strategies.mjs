// Cleanups by one strategy, several in one process, of a memo half of which is not in use and of as much that was dropped. Prints each: time by part, and bytes.
import { setTimeout as wait } from 'node:timers/promises';
import { createGovernor } from 'plimsoll';
import { MemoryCleanupCoordinator } from 'plimsoll/pipeline';

const [load, strategy, times] = [process.argv[2], process.argv[3], Number(process.argv[4])];
const MIB = 1_048_576;
const LOADS = {
  buffers: { kind: 'external', count: 4_096, bytes: 16_384, make: (i) => Buffer.alloc(16_384, i) },
  objects: {
    kind: 'heap',
    count: 50_000,
    bytes: 200,
    make: (i) => ({ id: i, name: `name ${i}`, tags: [i, i + 1, i + 2] }),
  },
};
const { kind, count, bytes, make } = LOADS[load];

/** Of this thread alone: what others do on the machine meanwhile does not count. */
const cpuMs = () => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
};
let collectCpuMs = 0;
const governor = createGovernor({
  limitBytes: 4_096 * MIB,
  // As the governor's own does it, and timed.
  collect(type) {
    const before = cpuMs();
    if (type === 'full') gc({ type: 'major', flavor: 'last-resort' });
    gc({ type: 'minor' });
    collectCpuMs += cpuMs() - before;
  },
});
const memo = new Map();
let unused = [];
const cleanup = new MemoryCleanupCoordinator({ governor, strategy, historyCount: 64 });
cleanup.register({
  name: 'memo',
  kind,
  estimate: () => memo.size * bytes,
  clean(how, { targetBytes }) {
    const most = Math.ceil(targetBytes / bytes);
    let items = 0;
    for (const key of unused) {
      if (items === most) break;
      if (memo.delete(key)) items++;
    }
    unused = unused.slice(items);
    if (how !== 'basic') {
      for (const key of memo.keys()) {
        if (items === most) break;
        memo.delete(key);
        items++;
      }
    }
    return { bytes: items * bytes, items };
  },
});

/** What was dropped lies between what is kept, and is old enough for a minor collection to leave it. */
function fill() {
  const dropped = [];
  for (let i = 0; i < count; i++) {
    memo.set(i, make(i));
    dropped.push(make(-i));
  }
  unused = Array.from({ length: count / 2 }, (_, i) => i * 2);
  gc({ type: 'minor' });
  gc({ type: 'minor' });
}

const rows = [];
for (let i = 0; i < times; i++) {
  fill();
  await wait(20);
  const collectBefore = collectCpuMs;
  const before = cpuMs();
  const operation = await cleanup.cleanup();
  const spentMs = cpuMs() - before - (collectCpuMs - collectBefore);
  const { parts } = governor.journal().find(({ number }) => number === operation.train);
  const msOf = (...names) =>
    parts.filter(({ part }) => names.includes(part)).reduce((sum, part) => sum + part.elapsedMs, 0);
  const collectMs = msOf('minor-collection', 'full-collection');
  const trimMs = msOf('trim');
  const cleanMs = operation.cleaned.reduce((sum, { elapsedMs }) => sum + elapsedMs, 0);
  const { elapsedMs, freedBytes, claimedBytes, items } = operation;
  rows.push({ elapsedMs, spentMs, cleanMs, collectMs, trimMs, freedBytes, claimedBytes, items });
}

/** One behind the other, with nothing to clean: what measuring, books and train take when their code is warm. */
memo.clear();
unused = [];
for (let i = 0; i < 50; i++) await cleanup.cleanup({ strategy: 'basic' });
const spentBefore = cpuMs() - collectCpuMs;
for (let i = 0; i < 100; i++) await cleanup.cleanup({ strategy: 'basic' });
const bareMs = (cpuMs() - collectCpuMs - spentBefore) / 100;

/** Asked with nothing due, and a stage that left nothing. */
const asks = 2_000_000;
let started = performance.now();
for (let i = 0; i < asks; i++) cleanup.whileRunning('stage');
const askNs = ((performance.now() - started) * 1e6) / asks;
const idle = new MemoryCleanupCoordinator({ governor, growthBytes: 2 ** 40 });
const took = [];
for (let i = 0; i < 2_000; i++) {
  started = performance.now();
  await idle.stageEnded('stage');
  took.push((performance.now() - started) * 1e6);
}
// The middle one: now and then use has grown, and there is something to clean.
const idleNs = took.toSorted((x, y) => x - y)[took.length >> 1];

console.log(JSON.stringify({ rows, bareMs, askNs, idleNs, spared: idle.report().spared }));
governor[Symbol.dispose]();
