/**
 * Bursts of requests to an HTTP server, each of which needs 2 to 8 MiB for a while. With the governor a request waits for room, or is turned away
 * with 503; without it all of them are let in at once.
 */
import { Agent, createServer, get } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { MIB, runLoad } from './load.mjs';

const BURSTS = 6;
const BURST_MS = 250;
const WORK_MS = 150;
const MEAN_BYTES = 5 * MIB;

await runLoad(async ({ limitBytes, governor }) => {
  const burst = Math.ceil((2 * limitBytes) / MEAN_BYTES);
  const room = governor?.consumer({ name: 'requests', kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
  const server = createServer((request, response) => {
    if (governor?.shouldShed('http.accept')) return refuse(response);
    answer(Number(request.url.slice(1)), room).then(
      (sum) => response.end(String(sum)),
      () => refuse(response),
    );
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const agent = new Agent({ keepAlive: true, maxSockets: burst });
  const { port } = server.address();
  const pending = [];
  for (let i = 0; i < BURSTS * burst; i++) {
    pending.push(ask(agent, port, 2 + (i % 7)));
    if (i % burst === burst - 1) await wait(BURST_MS);
  }
  const statuses = await Promise.all(pending);
  agent.destroy();
  server.close();
  const count = (status) => statuses.filter((one) => one === status).length;
  return { asked: BURSTS * burst, done: count(200) + count(503), answered: count(200), refused: count(503) };
});

async function answer(mib, room) {
  using held = await room?.admit(mib * MIB, { timeoutMs: 3_000 });
  const body = Buffer.allocUnsafeSlow(mib * MIB).fill(mib);
  await wait(WORK_MS);
  return body[body.length - 1] + (held?.bytes ?? 0);
}

function refuse(response) {
  response.statusCode = 503;
  response.end();
}

function ask(agent, port, mib) {
  return new Promise((resolve, reject) => {
    get({ agent, port, host: '127.0.0.1', path: `/${mib}` }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode));
    }).on('error', reject);
  });
}
