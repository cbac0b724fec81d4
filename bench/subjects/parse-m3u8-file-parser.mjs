import { readFileSync } from 'node:fs';
import Parser from '../rivals/node_modules/m3u8-file-parser/index.js';
import { report } from './fields.mjs';

const started = performance.now();
const parser = new Parser();
parser.read(readFileSync(process.argv[2], 'utf8'));
const { segments } = parser.getResult();
let characters = 0;
let withId = 0;
for (const item of segments) {
  const inf = item.inf ?? {};
  if (inf.tvgId) withId++;
  for (const field of [inf.title, item.url, inf.tvgId, inf.tvgName, inf.tvgLogo, inf.groupTitle])
    characters += field?.length ?? 0;
}
report(started, segments.length, withId, characters);
