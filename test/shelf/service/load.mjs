/**
 * The load: `node load.mjs SETTINGS`, where SETTINGS is JSON: `{ port, rows, seed, connections, phases: [{ seconds, rate }] }`. Requests come at `rate` a
 * second whether or not those before were answered, over at most `connections`; what finds none free counts as `unsent`. One line of JSON a second,
 * and at the end one with a summary of each phase. Times are of requests that were served, from sending to the last byte.
 */
import { Agent, request } from 'node:http';
import { createHistogram } from 'node:perf_hooks';

const { port, rows, seed = 1, connections, phases } = JSON.parse(process.argv[2]);
const TIMEOUT_MS = 10_000;
const TICK_MS = 2;

/** Mulberry32: the same requests in the same order for everybody. */
let state = seed >>> 0;
function random() {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = state;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}

const agent = new Agent({ keepAlive: true, maxSockets: connections, maxFreeSockets: connections });
const order = JSON.stringify({
  customer: 'somebody',
  lines: Array.from({ length: 100 }, (_, i) => ({
    item: i,
    title: `Item ${i}`,
    count: (i % 5) + 1,
    price: i / 10,
    note: 'as last time',
  })),
});

/** Few are asked for often, many seldom: the more is asked, the more of them have been seen once. */
const anyId = () => 1 + Math.floor(rows * random() ** 2);

function next() {
  const dice = random();
  if (dice < 0.001) return { method: 'GET', path: '/report' };
  if (dice < 0.1) return { method: 'POST', path: '/orders' };
  return { method: 'GET', path: dice < 0.3 ? `/picture/${anyId()}` : `/item/${anyId()}` };
}

const empty = () => ({ served: 0, shed: 0, failed: 0, unsent: 0, reports: 0 });
let second = empty();
let phase = { ...empty(), causes: {} };
let times = createHistogram();
let inFlight = 0;

function count(what) {
  second[what]++;
  phase[what]++;
}

function send() {
  const { method, path } = next();
  const into = phase;
  const intoTimes = times;
  const sentAt = process.hrtime.bigint();
  inFlight++;
  let done = false;
  const end = (what, cause) => {
    if (done) return;
    done = true;
    inFlight--;
    second[what]++;
    into[what]++;
    if (cause !== undefined) into.causes[cause] = (into.causes[cause] ?? 0) + 1;
    if (what === 'served') {
      intoTimes.record(process.hrtime.bigint() - sentAt || 1n);
      if (path === '/report') into.reports++;
    }
  };
  const headers = method === 'POST' ? { 'content-type': 'application/json', 'content-length': order.length } : {};
  const sent = request({ agent, host: '127.0.0.1', port, method, path, headers, timeout: TIMEOUT_MS }, (response) => {
    const { statusCode } = response;
    response.on('data', () => {});
    response.on('end', () =>
      end(
        statusCode < 400 ? 'served' : statusCode === 503 ? 'shed' : 'failed',
        statusCode < 400 || statusCode === 503 ? undefined : String(statusCode),
      ),
    );
    response.on('error', (error) => end('failed', error.code));
    response.on('close', () => end('failed', 'cut'));
  });
  sent.on('timeout', () => sent.destroy(Object.assign(new Error('no answer'), { code: 'TIMEOUT' })));
  sent.on('error', (error) => end('failed', error.code ?? error.message));
  sent.end(method === 'POST' ? order : undefined);
}

async function run({ seconds, rate }) {
  const startedAt = performance.now();
  let issued = 0;
  for (;;) {
    const elapsed = performance.now() - startedAt;
    if (elapsed >= seconds * 1000) return;
    const due = Math.floor((elapsed * rate) / 1000);
    for (; issued < due; issued++) {
      if (inFlight < connections) send();
      else count('unsent');
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
}

const ms = (ns) => Math.round(ns / 1e4) / 100;
let tick = 0;
const perSecond = setInterval(() => {
  process.stdout.write(`${JSON.stringify({ second: ++tick, ...second })}\n`);
  second = empty();
}, 1000);
const summaries = [];
for (const settings of phases) {
  phase = { ...empty(), causes: {} };
  times = createHistogram();
  await run(settings);
  summaries.push({ settings, counts: phase, times });
}
// What is under way may still be answered.
const until = performance.now() + 2_000;
while (inFlight > 0 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
clearInterval(perSecond);
const phasesDone = summaries.map(({ settings, counts, times: t }) => ({
  ...settings,
  ...counts,
  p50Ms: ms(t.percentile(50)),
  p99Ms: ms(t.percentile(99)),
  mostMs: ms(t.max),
}));
process.stdout.write(`${JSON.stringify({ phases: phasesDone })}\n`, () => process.exit(0));
