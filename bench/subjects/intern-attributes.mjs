// One way of getting strings for the attributes of real playlists: ns a string, first time through and again, and what stays of them. Arguments: folder, way.
// Run with --expose-gc. Prints one line of JSON, per attribute.
import { Buffer } from 'node:buffer';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { StringInterner } from 'plimsoll/intern';

const REPEATS = 5;
const ATTRIBUTES = ['group-title', 'tvg-language', 'tvg-country', 'tvg-id', 'tvg-name', 'tvg-logo', 'name'];
const [folder, way] = process.argv.slice(2);

const decoder = new TextDecoder();

class Bare {
  fromBytes(bytes, start, end) {
    return decoder.decode(bytes.subarray(start, end));
  }
}

class DecoderAndMap {
  #known = new Map();

  fromBytes(bytes, start, end) {
    return this.fromText(decoder.decode(bytes.subarray(start, end)));
  }

  fromText(text) {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    this.#known.set(text, text);
    return text;
  }
}

class BufferAndMap extends DecoderAndMap {
  fromBytes(bytes, start, end) {
    return this.fromText(bytes.toString('utf8', start, end));
  }
}

class Interner {
  #interner = new StringInterner();

  fromBytes(bytes, start, end) {
    return this.#interner.internBytes(bytes, start, end);
  }

  fromText(text) {
    return this.#interner.intern(text);
  }
}

const WAYS = { bare: Bare, 'decoder+map': DecoderAndMap, 'buffer+map': BufferAndMap, interner: Interner };

function readPlaylists() {
  const paths = readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter((path) => /\.m3u8?$/.test(path) && statSync(path).isFile());
  return Buffer.concat(paths.sort().flatMap((path) => [readFileSync(path), Buffer.from('\n')]));
}

/** Start and end of each value, in order, by attribute. */
function findSpans(bytes) {
  const spans = Object.fromEntries([...ATTRIBUTES, 'all'].map((name) => [name, []]));
  const add = (name, start, end) => {
    if (spans[name] === undefined) return;
    spans[name].push(start, end);
    spans.all.push(start, end);
  };
  for (let from = 0; from < bytes.length; ) {
    let to = bytes.indexOf(10, from);
    if (to < 0) to = bytes.length;
    const line = bytes.toString('latin1', from, to).trimEnd();
    if (line.startsWith('#EXTINF:')) {
      for (const match of line.matchAll(/([a-z-]+)="([^"]*)"/g)) {
        const start = from + match.index + match[1].length + 2;
        add(match[1], start, start + match[2].length);
      }
      const comma = line.lastIndexOf(',');
      if (comma >= 0) add('name', from + comma + 1, from + line.length);
    }
    from = to + 1;
  }
  return Object.fromEntries(Object.entries(spans).map(([name, list]) => [name, Int32Array.from(list)]));
}

function passBytes(container, bytes, spans) {
  let length = 0;
  for (let i = 0; i < spans.length; i += 2) length += container.fromBytes(bytes, spans[i], spans[i + 1]).length;
  return length;
}

function passTexts(container, texts) {
  let length = 0;
  for (let i = 0; i < texts.length; i++) length += container.fromText(texts[i]).length;
  return length;
}

function time(pass) {
  const first = [];
  const again = [];
  for (let i = 0; i < REPEATS; i++) {
    const container = new WAYS[way]();
    const input = pass.prepare?.();
    const started = performance.now();
    pass.run(container, input);
    const between = performance.now();
    pass.run(container, input);
    first.push(between - started);
    again.push(performance.now() - between);
  }
  // The least: others are at work on the machine.
  return { firstNs: (Math.min(...first) * 1e6) / pass.count, againNs: (Math.min(...again) * 1e6) / pass.count };
}

function used() {
  for (let i = 0; i < 4; i++) gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function retained(bytes, spans) {
  const keep = new Array(spans.length / 2).fill('');
  const before = used();
  const container = new WAYS[way]();
  for (let i = 0; i < spans.length; i += 2) keep[i / 2] = container.fromBytes(bytes, spans[i], spans[i + 1]);
  const after = used();
  const unique = new Set(keep);
  return {
    retainedBytes: after - before,
    count: keep.length,
    unique: unique.size,
    textBytes: textBytes(keep),
    uniqueTextBytes: textBytes(unique),
    kept: container !== undefined,
  };
}

/** What V8 takes for strings of their own; of those of one character or none it has one for all. */
function textBytes(texts) {
  let sum = 0;
  for (const text of texts) {
    const units = /[^\0-\xff]/.test(text) ? 2 * text.length : text.length;
    if (text.length > 1) sum += Math.ceil((16 + units) / 8) * 8;
  }
  return sum;
}

const bytes = readPlaylists();
const spans = findSpans(bytes);
const fresh = (each) =>
  Array.from({ length: each.length / 2 }, (_, i) => bytes.toString('utf8', each[2 * i], each[2 * i + 1]));
// Code and feedback are there before anything is timed.
for (let i = 0; i < 3; i++) passBytes(new WAYS[way](), bytes, spans.all);
const figures = {};
for (const [name, each] of Object.entries(spans)) {
  const count = each.length / 2;
  const byBytes = time({ count, run: (container) => passBytes(container, bytes, each) });
  const byTexts =
    way === 'bare'
      ? undefined
      : time({ count, prepare: () => fresh(each), run: (container, texts) => passTexts(container, texts) });
  // The second time: the first one makes code and feedback too.
  retained(bytes, each);
  figures[name] = { ...retained(bytes, each), byBytes, byTexts };
}
console.log(JSON.stringify(figures));
