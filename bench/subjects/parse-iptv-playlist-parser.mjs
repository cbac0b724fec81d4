import { readFileSync } from 'node:fs';
import parser from '../rivals/node_modules/iptv-playlist-parser/src/index.js';
import { report } from './fields.mjs';

const started = performance.now();
const { items } = parser.parse(readFileSync(process.argv[2], 'utf8'));
let characters = 0;
let withId = 0;
for (const item of items) {
  if (item.tvg.id) withId++;
  characters +=
    item.name.length +
    item.url.length +
    item.tvg.id.length +
    item.tvg.name.length +
    item.tvg.logo.length +
    item.group.title.length;
}
report(started, items.length, withId, characters);
