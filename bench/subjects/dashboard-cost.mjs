// What a dashboard takes in a process that serves already: printed as one line of JSON. Argument: how many streams are read.
import { createServer, get } from 'node:http';

const collect = () => {
  for (let n = 0; n < 4; n++) globalThis.gc();
};
const figures = () => {
  collect();
  const { rss, heapUsed } = process.memoryUsage();
  return { rss, heapUsed };
};
const streams = Number(process.argv[2]);
const MiB = 2 ** 20;
const POINTS = 900;

const { createGovernor } = await import('plimsoll');
createServer(() => {})
  .listen(0, '127.0.0.1')
  .unref();
const governor = createGovernor({ limitBytes: 512 * MiB, terminationLog: false });
for (let n = 0; n < 19; n++) {
  const report = () => ({ type: 'cache', health: 'ok', counts: { hits: 100, misses: 20, entries: 30 } });
  governor.consumer({ name: `consumer ${n}`, kind: 'external', maxBytes: MiB, report }).reserve(1_000);
}
const bare = figures();
await import('plimsoll/observe');
const observed = figures();
const { Dashboard } = await import('plimsoll/dashboard');
const { ObservationFeed, pointOf } = await import('plimsoll/observe');
const feed = new ObservationFeed({ source: governor, maxPoints: 900, everyMs: 0 });
const dashboard = new Dashboard({ governor, feed });
const { port } = await dashboard.listen({ port: 0 });
const made = figures();
const look = feed.look();
for (let n = 1; n < POINTS; n++) feed.look();
const before = figures();
const points = Array.from({ length: POINTS }, () => pointOf(look));
const kept = figures();
let read = 0;
for (let n = 0; n < streams; n++) {
  get({ host: '127.0.0.1', port, path: '/api/stream', agent: false }, (response) => {
    response.on('data', (chunk) => (read += chunk.length));
  });
}
while (dashboard.stats.streams < streams) await new Promise(setImmediate);
const LOOKS = 200;
const { user, system } = process.cpuUsage();
for (let n = 0; n < LOOKS; n++) {
  feed.look();
  await new Promise(setImmediate);
}
const spent = process.cpuUsage({ user, system });
console.log(
  JSON.stringify({
    observeRss: observed.rss - bare.rss,
    ownRss: made.rss - observed.rss,
    heap: made.heapUsed - bare.heapUsed,
    point: (kept.heapUsed - before.heapUsed) / points.length,
    lookChars: JSON.stringify(look).length,
    lookUs: (spent.user + spent.system) / LOOKS,
    skipped: dashboard.stats.skipped,
    read,
  }),
);
process.exit(0);
