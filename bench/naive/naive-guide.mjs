// What is written first: the whole guide in a string, an object for each programme. node naive-guide.mjs LIST GUIDE OUT
import { readFileSync, writeFileSync } from 'node:fs';

const [list, guide, out] = process.argv.slice(2);
const wanted = new Set(Array.from(readFileSync(list, 'utf8').matchAll(/tvg-id="([^"]+)"/g), (match) => match[1]));
const xml = readFileSync(guide, 'utf8');
const channels = Array.from(xml.matchAll(/<channel id="([^"]+)"[\s\S]*?<\/channel>/g), ([text, id]) => ({ id, text }));
const programmes = Array.from(xml.matchAll(/<programme [\s\S]*?<\/programme>/g), ([text]) => ({
  id: /channel=["']([^"']+)/.exec(text)?.[1],
  start: /start="([^"]+)/.exec(text)?.[1],
  title: /<title[^>]*>([^<]*)/.exec(text)?.[1],
  text,
}));
const kept = [...channels, ...programmes].filter((element) => wanted.has(element.id));
writeFileSync(
  out,
  `<?xml version="1.0" encoding="UTF-8"?>\n<tv>\n${kept.map((element) => element.text).join('\n')}\n</tv>\n`,
);
console.log(`${kept.length} elements`);
