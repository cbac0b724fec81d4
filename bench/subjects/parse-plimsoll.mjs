// LIST [spans|strings]: `spans` sums the lengths of the fields where they stand; `strings` makes a string of each, as the others do.
import { closeSync, openSync, readSync } from 'node:fs';
import { EntryBatch, Field, ROW } from '../../apps/playlist/dist/channels/entry-batch.js';
import { M3uScanner } from '../../apps/playlist/dist/m3u/scan.js';
import { report } from './fields.mjs';

const [list, mode] = process.argv.slice(2);
const FIELDS = [Field.name, Field.url, Field.tvgId, Field.tvgName, Field.tvgLogo, Field.group];
const started = performance.now();
const file = openSync(list, 'r');
const batch = new EntryBatch(256 * 1024, 4096);
const scanner = new M3uScanner();
let channels = 0;
let withId = 0;
let characters = 0;
let length = 0;
let carried = 0;
do {
  length = readSync(file, batch.bytes, carried, batch.bytes.length - carried);
  let text = carried + length;
  for (;;) {
    const consumed = scanner.scan(batch, text, length === 0);
    touch();
    batch.bytes.copyWithin(0, consumed, text);
    text -= consumed;
    // More is there only when the table was full.
    if (consumed === 0 || batch.count < batch.capacity) break;
  }
  carried = text;
} while (length > 0);
closeSync(file);
report(started, channels, withId, characters);

function touch() {
  const { bytes, table, count } = batch;
  channels += count;
  for (let row = 0; row < count; row++) {
    const base = row * ROW;
    if (table[base + 2 * Field.tvgId + 1] > table[base + 2 * Field.tvgId]) withId++;
    for (const field of FIELDS) {
      const start = table[base + 2 * field];
      if (start < 0) continue;
      const end = table[base + 2 * field + 1];
      characters += mode === 'strings' ? bytes.utf8Slice(start, end).length : end - start;
    }
  }
}
