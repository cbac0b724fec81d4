// A server with an lru-cache of buffers bounded by count: `node served-cache.mjs MAX BYTES [--governed]`. A buffer has between a quarter and seven quarters of
// BYTES, by its id. Prints its port.
import { createServer } from 'node:http';
import { LRUCache } from 'lru-cache';

const [max, bytes] = process.argv.slice(2, 4).map(Number);
const cache = new LRUCache({ max });

if (process.argv.includes('--governed')) {
  const { createGovernor } = await import('plimsoll');
  const { adopt } = await import('plimsoll/adopt');
  adopt(createGovernor({ mode: 'on' }), cache, { name: 'buffers' });
}

const sizeOf = (id) => Math.round(bytes * (0.25 + 1.5 * (((id * 2_654_435_761) >>> 0) / 2 ** 32)));

const server = createServer((request, response) => {
  if (request.url === '/state') return response.end(JSON.stringify(state()));
  const id = Number(request.url.slice(1));
  let found = cache.get(id);
  if (found === undefined) cache.set(id, (found = Buffer.allocUnsafeSlow(sizeOf(id)).fill(id)));
  response.end(found);
}).listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));

/** What is in the cache now. */
function state() {
  let held = 0;
  for (const buffer of cache.values()) held += buffer.length;
  return { entryCount: cache.size, heldBytes: held };
}

process.on('SIGTERM', () => process.exit(0));
