/** A BullMQ worker whose concurrency follows the level: `node bullmq.mjs PORT`, the port of a Redis server. */
import { setTimeout as wait } from 'node:timers/promises';
import { Queue, Worker } from 'bullmq';
import Redis from 'ioredis';
import { createGovernor } from 'plimsoll';
import { adoptConcurrency } from 'plimsoll/adopt';

const MiB = 2 ** 20;
const JOBS = 150;
const CONCURRENCY = 8;

// A machine whose memory fills up and empties when it is told to.
let usedBytes = 100 * MiB;
const rss = { name: 'rss', limitBytes: 1000 * MiB, read: () => usedBytes };
const governor = createGovernor({
  limitBytes: 1000 * MiB,
  runtimeBytes: 0,
  meters: [rss],
  collect: false,
  trim: false,
});

const connection = new Redis(Number(process.argv[2]), '127.0.0.1', { maxRetriesPerRequest: null });
const queue = new Queue('thumbnails', { connection });
let running = 0;
let most = 0;
const done = new Set();
const worker = new Worker(
  'thumbnails',
  async (job) => {
    most = Math.max(most, ++running);
    await wait(40);
    running--;
    done.add(job.id);
  },
  { connection, concurrency: CONCURRENCY },
);
const failures = [];
worker.on('failed', (_, error) => failures.push(error.message));
worker.on('error', (error) => failures.push(error.message));
const adopted = adoptConcurrency(governor, worker, { name: 'thumbnails', riseMs: 50 });

/** The most that ran at once while `count` more jobs were done, once those that had begun before were. */
async function mostOf(count) {
  const settled = done.size + CONCURRENCY;
  while (done.size < settled) await wait(5);
  most = 0;
  const until = done.size + count;
  while (done.size < until) await wait(5);
  return most;
}

await queue.addBulk(Array.from({ length: JOBS }, (_, i) => ({ name: 'thumbnail', data: { i } })));
const calm = await mostOf(24);
usedBytes = 900 * MiB;
governor.sample();
const under = { level: governor.level, concurrency: worker.concurrency };
const pressed = await mostOf(12);
usedBytes = 100 * MiB;
governor.sample();
while (adopted.current < CONCURRENCY) await wait(5);
const again = await mostOf(24);
while (done.size < JOBS) await wait(5);
adopted[Symbol.dispose]();
await worker.close();
await queue.close();
connection.disconnect();
governor[Symbol.dispose]();
console.log(JSON.stringify({ calm, under, pressed, again, done: done.size, failures: failures.join() }));
