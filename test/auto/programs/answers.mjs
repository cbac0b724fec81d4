// Asks its own server, holds what was asked for, and ends with a code of its own.
import { once } from 'node:events';
import { createServer } from 'node:http';

const held = [];
const server = createServer((request, response) => {
  for (let left = Number(process.env.HOLD_MIB ?? 0); left > 0; left--) held.push(Buffer.alloc(2 ** 20, 1));
  response.end(`answer to ${request.url}`);
}).listen(0, '127.0.0.1');
await once(server, 'listening');
for (const path of ['/a', '/b', '/c']) {
  const response = await fetch(`http://127.0.0.1:${server.address().port}${path}`);
  console.log(response.status, await response.text());
  await new Promise((resolve) => setTimeout(resolve, Number(process.env.PAUSE_MS ?? 30)));
}
server.close();
process.exitCode = 3;
