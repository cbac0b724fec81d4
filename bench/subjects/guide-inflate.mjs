// GUIDE.gz: inflating alone.
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';

const started = performance.now();
let bytes = 0;
for await (const chunk of createReadStream(process.argv[2], { highWaterMark: 1 << 18 }).pipe(
  createGunzip({ chunkSize: 1 << 18 }),
)) {
  bytes += chunk.length;
}
console.log(JSON.stringify({ elapsedMs: performance.now() - started, bytes }));
