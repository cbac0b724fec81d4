/**
 * One process of the gate `lifetime-drain`: registers, drains on the real clock, and prints what came of each as JSON. Of each hundred one fails and one hangs; the
 * others do not wait, wait for a promise, or for a timer.
 */
import { ResourceRegistry } from 'plimsoll/lifetime';

const [count = 100_000, timeoutMs = 50] = process.argv.slice(2).map(Number);
const BYTES = 1_000;
const PRIORITIES = ['low', 'normal', 'high', 'critical'] as const;

/** By number of the resource: how often its disposer was called, how often it ended well, how often it was reported. */
const calls = new Uint8Array(count);
const ends = new Uint8Array(count);
const reports = new Uint8Array(count);
let firstCallAt = 0;
let lastPriority = 3;
let outOfOrder = 0;
let longestPauseMs = 0;

const manner = (i: number): 'fails' | 'hangs' | 'waits' | 'turns' | 'ends' =>
  i % 100 === 13 ? 'fails' : i % 100 === 57 ? 'hangs' : i % 100 < 3 ? 'waits' : i % 2 === 0 ? 'turns' : 'ends';

function dispose(i: number): unknown {
  if (firstCallAt === 0) firstCallAt = performance.now();
  if (calls[i] === 0 && i % 4 > lastPriority) outOfOrder++;
  if (calls[i] === 0) lastPriority = i % 4;
  calls[i]!++;
  switch (manner(i)) {
    case 'fails':
      if (i % 200 === 13) throw new Error(`resource ${i} cannot be closed`);
      return Promise.reject(new Error(`resource ${i} cannot be closed`));
    case 'hangs':
      return new Promise(() => {});
    case 'waits':
      return new Promise<void>((resolve) => setTimeout(resolve, 1)).then(() => void ends[i]!++);
    case 'turns':
      return Promise.resolve().then(() => void ends[i]!++);
    default:
      ends[i]!++;
      return undefined;
  }
}

const registry = new ResourceRegistry({
  name: 'gate',
  maxCount: count,
  maxBytes: count * BYTES,
  concurrency: 64,
  timeoutMs,
  maxAttempts: 3,
  backOffMs: 5,
  // Nobody is to overtake by waiting: the order is looked at.
  agingMs: 1_000_000,
  maxFailures: Math.ceil(count / 50),
  onCleanupFailed: ({ resource, outcome, attempts, error }) => {
    const i = Number(resource.slice('resource '.length));
    const isRight =
      outcome === 'failed'
        ? manner(i) === 'fails' && attempts === 3 && (error.cause as Error).message.includes(`${i} cannot`)
        : manner(i) === 'hangs' && attempts === 1 && error.code === 'PLIMSOLL_CLEANUP_TIMEOUT';
    if (isRight) reports[i]!++;
  },
});
for (let i = 0; i < count; i++) {
  registry.add({ name: `resource ${i}`, bytes: BYTES, priority: PRIORITIES[i % 4]!, value: i, dispose });
}

let lastTurnAt = performance.now();
const turns = setInterval(() => {
  longestPauseMs = Math.max(longestPauseMs, performance.now() - lastTurnAt);
  lastTurnAt = performance.now();
}, 5);
const startedAt = performance.now();
const drained = registry.drain({ deadlineMs: 30_000 });
const report = await drained;
clearInterval(turns);

let lost = 0;
let twice = 0;
for (let i = 0; i < count; i++) {
  const how = manner(i);
  const isFailure = how === 'fails' || how === 'hangs';
  if (ends[i] !== (isFailure ? 0 : 1) || reports[i] !== (isFailure ? 1 : 0)) lost++;
  if (calls[i] !== (how === 'fails' ? 3 : 1)) twice++;
}
const { cleaned, failed, hung, complete, elapsedMs, failures, failuresLeftOut, unfinished } = report;
console.log(
  JSON.stringify({
    count: report.count,
    cleaned,
    failed,
    hung,
    complete,
    failures: failures.length,
    failuresLeftOut,
    unfinished: unfinished.length,
    lost,
    twice,
    outOfOrder,
    left: registry.stats.count + registry.stats.leavingCount,
    firstCallMs: firstCallAt - startedAt,
    longestPauseMs,
    elapsedMs,
  }),
);
