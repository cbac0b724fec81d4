import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EntryBatch } from '../../src/channels/entry-batch.ts';
import { renderHead, renderTail } from '../../src/m3u/write-entry.ts';
import type { ByteSource } from '../../src/sources/byte-source.ts';
import { utf8Source } from '../../src/sources/text-source.ts';
import { type ParsedEntry, type ParseOptions, parseText } from './parse-text.ts';

const BUILT_IN = [
  '\uFEFF#EXTM3U url-tvg="http://g/x.xml.gz"\r\n#EXTINF:-1 tvg-id="a.b" tvg-name="Ä" group-title="N; M",Name, one\r\nhttp://h/1\r\n#EXTINF:0,Two\r\n#EXTVLCOPT:x=y\r\nhttp://h/2\r\n',
  '#EXTM3U\n#EXTINF:-1group-title=\'a\' tvg-id=b c = "d",N\npipe://ffmpeg -i "x y" pipe:1\n\n  #EXTINF:10.5 tvg-name="Foo tvg-logo="l" x="",M\n  #EXTGRP:G\n  u\n#EXTINF:-1,Only\n#EXTINF:-1 tvg-name="The "Best" One",B\nv\nstray\n',
  '#EXTM3U\r#EXTINF:-1 tvg-chno="7",A\rhttp://a\r#EXTGRP:b\r#EXTINF:-1,B\rhttp://b\r',
  '#EXTM3U\n#EXTINF:-1 tvg-name="中央电视台" group-title="央视",CCTV-1 综合\nhttp://c/1\n#EXTINF:-1 group-title="卫视",湖南卫视\nhttp://c/2\n',
  '#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:9.9,\na.ts\n',
];
const PIECES = [
  ...[
    '"',
    "'",
    ',',
    '=',
    '\n',
    '\r',
    '\r\n',
    '#',
    ' ',
    '\t',
    '\0',
    '\uFEFF',
    '中',
    '\u00e9',
    '#EXTINF:',
    '#EXTINF:-1,X\n',
    '#EXTM3U\n',
    '\n\n',
  ],
  ...[
    '#EXTGRP:',
    '#EXT-X-TARGETDURATION:1\n',
    ' tvg-id="',
    ' group-title="',
    '" tvg-logo="',
    'tvg-chno=',
    '="',
    '",',
    'http://x\n',
  ],
].map((text) => Buffer.from(text));
const SEED_BYTES = 3000;
/** No input of a few KB may take longer, however busy the machine. */
const SLOWEST_MS = 2000;

/** Small generator of T. Ettinger's mulberry32 family: the same inputs for the same seed on every machine. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function seeds(): Buffer[] {
  const found = BUILT_IN.map((text) => Buffer.from(text));
  const data = join(import.meta.dirname, '../../../../../shared/data');
  if (!existsSync(data)) return found;
  for (const file of globSync('{m3u,fixtures}/**/*.m3u*', { cwd: data }).sort()) {
    const bytes = readFileSync(join(data, file)).subarray(0, SEED_BYTES);
    found.push(Buffer.from(bytes.subarray(0, bytes.lastIndexOf(10) + 1)));
  }
  return found;
}

/** One to three changes; `firstAt` is the first byte that differs from the original. */
function mutate(
  original: Buffer,
  all: readonly Buffer[],
  random: (below: number) => number,
): { bytes: Buffer; firstAt: number } {
  let bytes = original;
  let firstAt = original.length;
  for (let times = 1 + random(3); times > 0; times--) {
    const at = random(bytes.length + 1);
    const end = Math.min(bytes.length, at + random(random(4) === 0 ? 400 : 12));
    const before = bytes.subarray(0, at);
    const after = bytes.subarray(end);
    const kind = random(7);
    let middle: Buffer = PIECES[random(PIECES.length)]!;
    if (kind === 0) middle = Buffer.from([random(256)]);
    else if (kind === 1) middle = Buffer.alloc(0);
    else if (kind === 2) middle = Buffer.from(Array.from({ length: 1 + random(20) }, () => random(256)));
    else if (kind === 3) middle = Buffer.concat([bytes.subarray(at, end), bytes.subarray(at, end)]);
    else if (kind === 4) middle = all[random(all.length)]!.subarray(random(200), 200 + random(600));
    const keep = kind > 4 ? bytes.subarray(at) : after;
    bytes = Buffer.concat([before, middle, keep]);
    if (random(20) === 0) bytes = bytes.subarray(0, at);
    firstAt = Math.min(firstAt, at);
  }
  return { bytes, firstAt };
}

/** Writes each entry of a batch, and reads one of them back: it must fit its bound and be the same channel. */
function checkWriting(batch: EntryBatch, out: Buffer): void {
  for (let row = 0; row < batch.count; row++) {
    const tail = renderTail(batch, row, out, renderHead(batch, row, out, 0));
    if (tail < 0) throw new Error(`row ${row} does not fit in ${out.length} bytes`);
    if (row > 2) continue;
    const again = parseText(Buffer.concat([Buffer.from('#EXTM3U\n'), out.subarray(0, tail)]), { rows: 2 });
    if (again.entries.length !== 1 || again.problems.length > 0) {
      throw new Error(`row ${row} does not read back: ${JSON.stringify(out.toString('utf8', 0, tail))}`);
    }
  }
}

function wholeBefore(entries: readonly ParsedEntry[], end: number): string {
  return JSON.stringify(entries.filter((entry) => entry.endsAt + 2 <= end));
}

/** The text of `bytes` as the application would read it, in pieces of `chunkBytes`. */
async function decoded(bytes: Buffer, chunkBytes: number): Promise<Buffer> {
  let at = 0;
  const source: ByteSource = {
    label: 'fuzz',
    sizeBytes: bytes.length,
    async read(target, offset, length) {
      const count = bytes.copy(target, offset, at, at + Math.min(length, chunkBytes));
      at += count;
      return count;
    },
    async [Symbol.asyncDispose]() {},
  };
  await using text = utf8Source(source);
  const parts: Buffer[] = [];
  for (;;) {
    const target = Buffer.allocUnsafe(1000);
    const count = await text.read(target, 0, target.length);
    if (count === 0) return Buffer.concat(parts);
    parts.push(target.subarray(0, count));
  }
}

/**
 * Parses `count` mutated playlists. Throws, naming seed and round, when one crashes or hangs the scanner, when a well-formed entry before
 * the first changed byte is lost or altered, or when an entry that was found cannot be written and read back. Every sixteenth goes through
 * the decoder first.
 */
export async function fuzzM3u(count: number, seed: number): Promise<void> {
  const originals = seeds();
  const random = randomFrom(seed);
  const out = Buffer.alloc(64 * 1024);
  for (let round = 0; round < count; round++) {
    const original = originals[random(originals.length)]!;
    let { bytes, firstAt } = mutate(original, originals, random);
    const options: ParseOptions = {
      batchBytes: random(3) === 0 ? 128 + random(1000) : 8192,
      rows: 1 + random(40),
      chunkBytes: 1 + random(random(2) === 0 ? 50 : 8192),
    };
    const started = performance.now();
    try {
      // Where decoding moves bytes, positions no longer compare: the mark at the beginning is the only such thing before the damage.
      const mark = original[0] === 0xef ? 3 : 0;
      let whole = original;
      if (round % 16 === 0 && original[mark] === 35) {
        bytes = await decoded(bytes, options.chunkBytes!);
        whole = original.subarray(mark);
        firstAt = firstAt < mark + 2 ? 0 : firstAt - mark;
      }
      const found = parseText(bytes, { ...options, onBatch: (batch) => checkWriting(batch, out) });
      const expected = wholeBefore(parseText(whole, options).entries, firstAt);
      if (wholeBefore(found.entries, firstAt) !== expected) throw new Error(`an entry before byte ${firstAt} was lost`);
    } catch (error) {
      const text = JSON.stringify(bytes.toString('latin1'));
      throw new Error(`fuzzM3u seed ${seed} round ${round}: ${(error as Error).message}\n${text}`, { cause: error });
    }
    const took = performance.now() - started;
    if (took > SLOWEST_MS) throw new Error(`fuzzM3u seed ${seed} round ${round}: took ${took.toFixed(0)} ms`);
  }
}
