// GUIDE LIST: one pass of saxes in pieces, kept programmes counted and nothing written: less than the job asks for.
import { createReadStream, readFileSync } from 'node:fs';
import saxes from '../rivals/node_modules/saxes/saxes.js';

const [guide, list] = process.argv.slice(2);
const wanted = new Set(Array.from(readFileSync(list, 'utf8').matchAll(/tvg-id="([^"]+)"/g), (match) => match[1]));
const started = performance.now();
const parser = new saxes.SaxesParser();
let programmes = 0;
let kept = 0;
parser.on('opentag', (tag) => {
  if (tag.name !== 'programme') return;
  programmes++;
  if (wanted.has(tag.attributes.channel)) kept++;
});
for await (const chunk of createReadStream(guide, { encoding: 'utf8', highWaterMark: 1 << 18 })) parser.write(chunk);
parser.close();
console.log(JSON.stringify({ elapsedMs: performance.now() - started, programmes, kept }));
