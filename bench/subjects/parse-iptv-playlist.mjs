import { readFileSync } from 'node:fs';
import { parseM3U } from '../rivals/node_modules/@iptv/playlist/dist/playlist.js';
import { report } from './fields.mjs';

const started = performance.now();
const { channels } = parseM3U(readFileSync(process.argv[2], 'utf8'));
let characters = 0;
let withId = 0;
for (const item of channels) {
  if (item.tvgId) withId++;
  for (const field of [item.name, item.url, item.tvgId, item.tvgName, item.tvgLogo, item.groupTitle])
    characters += field?.length ?? 0;
}
report(started, channels.length, withId, characters);
