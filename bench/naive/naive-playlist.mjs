// What is written first: the whole list in a string, an object for each channel. node naive-playlist.mjs LIST OUT
import { readFileSync, writeFileSync } from 'node:fs';

const [list, out] = process.argv.slice(2);
const lines = readFileSync(list, 'utf8').split(/\r?\n/);
const channels = [];
let entry;
for (const line of lines) {
  if (/^#EXTINF/i.test(line)) {
    entry = { name: line.slice(line.lastIndexOf(',') + 1), attributes: {}, url: '' };
    for (const [, key, value] of line.matchAll(/([\w-]+)="([^"]*)"/g)) entry.attributes[key] = value;
  } else if (entry && line && !line.startsWith('#')) {
    entry.url = line;
    channels.push(entry);
    entry = undefined;
  }
}
const seen = new Set();
const kept = channels.filter((channel) => {
  const key = JSON.stringify([channel.name, channel.url]);
  return !seen.has(key) && seen.add(key);
});
const text = kept.map((channel) => {
  const attributes = Object.entries(channel.attributes).map(([key, value]) => ` ${key}="${value}"`);
  return `#EXTINF:-1${attributes.join('')},${channel.name}\n${channel.url}`;
});
writeFileSync(out, `#EXTM3U\n${text.join('\n')}\n`);
console.log(`${kept.length} channels`);
