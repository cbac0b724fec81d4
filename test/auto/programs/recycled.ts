/** A service at `critical` that nothing mends, its time in quick motion: is it drained and ended, however it takes to being told so? */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readSettings } from '../../../src/auto/settings.ts';
import { startAuto } from '../../../src/auto/start-auto.ts';
import { MIB, setUp } from '../../governor/fake-meter.ts';

const manner = process.argv[2];
const { settings } = readSettings(process.env);
const { governor, clock, rss } = setUp({ mode: settings.mode, collect: false, trim: false });
startAuto(settings, [], { governor, clock, write: (line) => console.log(line.replace(/ in \d+ s/, ' in N s')) });

const waiting: ServerResponse[] = [];
const server = createServer((_request, response) => {
  // Whoever asks is in this process, and hears of it too late.
  response.on('finish', () => console.log('answered'));
  waiting.push(response);
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address() as AddressInfo;

if (manner === 'ends') {
  process.on('SIGTERM', () => {
    console.log('the program ends');
    process.exit(0);
  });
} else if (manner === 'signals') {
  process.on('SIGTERM', () => void process.kill(process.pid, 'SIGTERM'));
} else if (manner === 'hangs') {
  process.on('SIGTERM', () => console.log('the program takes its time'));
}

clock.advance(60_000);
rss.bytes = 90 * MIB;
governor.sample();
const answer = fetch(`http://127.0.0.1:${port}/slow`).then((response) => response.text());
while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
if (manner === 'closes') {
  waiting[0]!.end('answered');
  await answer;
  server.close();
}
if (manner === 'recovers') setTimeout(() => (rss.bytes = 10 * MIB), 100);
let turns = 0;
setInterval(() => {
  if (!server.listening) waiting[0]?.end('answered');
  // While it drains, real sockets need real time.
  clock.advance(server.listening ? 1_000 : 50);
  if (++turns === 500) process.exit(3);
}, 1);
