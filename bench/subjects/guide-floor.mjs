// GUIDE [write OUT]: the floor. The bytes are read and every `<programme` is found; with `write`, two fifths of them are written as well.
import { closeSync, openSync, readSync, writeSync } from 'node:fs';

const [guide, mode, out] = process.argv.slice(2);
const started = performance.now();
const file = openSync(guide, 'r');
const target = mode === 'write' ? openSync(out, 'w') : -1;
const chunk = Buffer.allocUnsafeSlow(1 << 20);
const needle = Buffer.from('<programme ');
let programmes = 0;
let carried = 0;
for (;;) {
  const length = readSync(file, chunk, carried, chunk.length - carried);
  if (length === 0) break;
  const used = carried + length;
  const text = chunk.subarray(0, used);
  let last = 0;
  for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + needle.length)) {
    programmes++;
    last = at + needle.length;
  }
  if (target >= 0) writeSync(target, chunk, 0, Math.floor(used * 0.4));
  const keepFrom = Math.max(last, used - needle.length + 1);
  chunk.copyWithin(0, keepFrom, used);
  carried = used - keepFrom;
}
closeSync(file);
if (target >= 0) closeSync(target);
console.log(JSON.stringify({ elapsedMs: performance.now() - started, programmes }));
