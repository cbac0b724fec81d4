import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Field } from '../../src/channels/entry-batch.ts';
import { renderHead, renderTail } from '../../src/m3u/write-entry.ts';
import type { ByteSource } from '../../src/sources/byte-source.ts';
import { utf8Source } from '../../src/sources/text-source.ts';
import { type ParsedEntry, parseText } from './parse-text.ts';

const DATA = join(import.meta.dirname, '../../../../../shared/data');
const PRESENT = existsSync(DATA);
if (!PRESENT) console.warn('skipped: real playlists, because ../shared/data is absent');

const lists = (pattern: string): string[] => globSync(pattern, { cwd: DATA }).sort();

/** Entries by another way than ours: line by line with regular expressions, which are right for lists as tidy as these. */
function byRegExp(text: string): Record<string, string | undefined>[] {
  const entries: Record<string, string | undefined>[] = [];
  let open: string | undefined;
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (line.startsWith('#EXTINF:')) open = line;
    else if (line !== '' && !line.startsWith('#') && open !== undefined) {
      const attributes = /^#EXTINF:[-\d.]*((?: [\w-]+="[^"]*")*)/i.exec(open)!;
      const value = (key: string): string | undefined => new RegExp(` ${key}="([^"]*)"`, 'i').exec(attributes[1]!)?.[1];
      entries.push({
        name: open.slice(attributes[0].length).replace(/^\s*,/, '').trim(),
        tvgId: value('tvg-id'),
        tvgName: value('tvg-name'),
        tvgLogo: value('tvg-logo'),
        tvgChno: value('tvg-chno'),
        group: value('group-title'),
        url: line,
      });
      open = undefined;
    }
  }
  return entries;
}

function byScanner(entries: readonly ParsedEntry[]): Record<string, string | undefined>[] {
  return entries.map(({ fields, fromExtgrp }) => ({
    name: fields[Field.name],
    tvgId: fields[Field.tvgId],
    tvgName: fields[Field.tvgName],
    tvgLogo: fields[Field.tvgLogo],
    tvgChno: fields[Field.tvgChno],
    group: fromExtgrp ? undefined : fields[Field.group],
    url: fields[Field.url],
  }));
}

const countLines = (text: string, pattern: RegExp): number =>
  text.split('\n').filter((line) => pattern.test(line)).length;

describe.skipIf(!PRESENT)('real lists', () => {
  test.each([
    ['m3u/freetv/*.m3u8', 2059],
    ['m3u/iptv-org-2021-06/*.m3u', 11_475],
    ['m3u/kodinerds/*.m3u', 2073],
  ])('%s: %i entries, none bad, every field as a regular expression finds it', (pattern, total) => {
    let found = 0;
    for (const file of lists(pattern)) {
      const bytes = readFileSync(join(DATA, file));
      const text = bytes.toString('utf8');
      const { entries, problems } = parseText(bytes, { batchBytes: 64 * 1024, rows: 100, chunkBytes: 10_000 });
      expect(problems, file).toEqual([]);
      expect(entries.length, file).toBe(countLines(text, /^#EXTINF/));
      expect(byScanner(entries), file).toEqual(byRegExp(text));
      expect(
        entries.some((entry) => entry.untidy),
        file,
      ).toBe(false);
      found += entries.length;
    }
    expect(found).toBe(total);
  });

  test('Free-TV has 1,500 channel numbers and a long header', () => {
    const { entries, headers } = parseText(readFileSync(join(DATA, 'm3u/freetv/playlist.m3u8')));
    expect(entries.filter((entry) => entry.fields[Field.tvgChno] !== undefined)).toHaveLength(1500);
    expect(headers).toHaveLength(1);
    expect(headers[0]?.length).toBeGreaterThan(6000);
    expect(entries.some((entry) => entry.fields[Field.url] === '[NO PUBLIC STREAM]')).toBe(true);
  });

  test('# lines stay: 88 EXTVLCOPT of iptv-org, 40 KODIPROP of kodinerds', () => {
    const kept = (pattern: string, tag: string): number =>
      lists(pattern)
        .flatMap((file) => parseText(readFileSync(join(DATA, file))).entries)
        .reduce((sum, { before, after }) => sum + (before + after).split(tag).length - 1, 0);
    const standing = (pattern: string, tag: RegExp): number =>
      lists(pattern).reduce((sum, file) => sum + countLines(readFileSync(join(DATA, file), 'utf8'), tag), 0);
    expect(kept('m3u/iptv-org-2021-06/*.m3u', '#EXTVLCOPT')).toBe(
      standing('m3u/iptv-org-2021-06/*.m3u', /^#EXTVLCOPT/),
    );
    expect(kept('m3u/kodinerds/*.m3u', '#KODIPROP')).toBe(standing('m3u/kodinerds/*.m3u', /^#KODIPROP/));
  });

  test('fixtures of other parsers: indented lines, headers twice, options, stray lines', () => {
    const of = (name: string) => parseText(readFileSync(join(DATA, 'fixtures', name)));
    const counts = Object.fromEntries(
      lists('fixtures/{freearhey-iptv-playlist-parser/input,iptvnator}/*.m3u').map((file) => {
        const { entries, problems } = parseText(readFileSync(join(DATA, file)));
        const text = readFileSync(join(DATA, file), 'utf8');
        const extinf = countLines(text, /^\s*#EXTINF/);
        expect(entries.length + problems.filter(({ kind }) => kind === 'extinf-without-url').length, file).toBe(extinf);
        return [file.split('/').at(-1), `${entries.length} + ${problems.length}`];
      }),
    );
    expect(counts).toMatchObject({
      'base.m3u': '6 + 1',
      'comment.m3u': '1 + 1',
      'duplicate.m3u': '2 + 0',
      'test.m3u': '3 + 1',
    });
    const base = of('freearhey-iptv-playlist-parser/input/base.m3u').entries[0];
    expect(base?.fields.slice(0, 3)).toEqual(['Channel 1 (Tested)', 'Music', 'CH1']);
    expect(base?.after.split('\n')).toHaveLength(4);
    const pipe = of('freearhey-iptv-playlist-parser/input/pipe.m3u').entries[0];
    expect(pipe?.fields[Field.url]).toMatch(/^http:\/\/192\.54\.104\.122.*like Gecko&Referer=http/);
  });

  test('written and read again they are the same', () => {
    const out = Buffer.alloc(1 << 20);
    for (const file of lists('{m3u,fixtures}/**/*.m3u*')) {
      const written: Buffer[] = [Buffer.from('#EXTM3U\n')];
      const first = parseText(readFileSync(join(DATA, file)), {
        onBatch: (batch) => {
          for (let row = 0; row < batch.count; row++) {
            written.push(Buffer.from(out.subarray(0, renderTail(batch, row, out, renderHead(batch, row, out, 0)))));
          }
        },
      });
      const again = parseText(Buffer.concat(written));
      expect(again.problems, file).toEqual([]);
      const without = (entries: readonly ParsedEntry[]) =>
        byScanner(entries).map((entry) => ({ ...entry, tvgId: '', tvgChno: '' }));
      expect(without(again.entries), file).toEqual(without(first.entries));
    }
  });

  test('in UTF-16 and in GBK they have the same fields', async () => {
    const table = gbkTable();
    // Some names are in scripts that GBK has no letters for.
    const text = Array.from(readFileSync(join(DATA, 'm3u/iptv-org-2021-06/cn.m3u'), 'utf8'), (character) =>
      character < '\x80' || table.has(character) ? character : '?',
    ).join('');
    const gbk = Array.from(text, (character) => table.get(character) ?? Buffer.from(character));
    const expected = byScanner(parseText(text).entries);
    expect(expected.length).toBeGreaterThan(600);
    for (const encoded of [
      Buffer.from(text, 'utf16le'),
      Buffer.from(`\uFEFF${text}`, 'utf16le').swap16(),
      Buffer.concat(gbk),
    ]) {
      expect(byScanner(parseText(await decoded(encoded)).entries)).toEqual(expected);
    }
  });
});

/** GBK's two-byte characters, turned round from the platform's decoder. */
function gbkTable(): Map<string, Buffer> {
  const table = new Map<string, Buffer>();
  const decoder = new TextDecoder('gb18030');
  for (let lead = 0x81; lead < 0xff; lead++) {
    for (let trail = 0x40; trail < 0xff; trail++) {
      const pair = Buffer.from([lead, trail]);
      const character = decoder.decode(pair);
      if (character.length === 1 && character !== '\uFFFD') table.set(character, pair);
    }
  }
  return table;
}

async function decoded(bytes: Buffer): Promise<Buffer> {
  let at = 0;
  const source: ByteSource = {
    label: 'list',
    sizeBytes: bytes.length,
    async read(target, offset, length) {
      const count = bytes.copy(target, offset, at, at + Math.min(length, 10_000));
      at += count;
      return count;
    },
    async [Symbol.asyncDispose]() {},
  };
  await using text = utf8Source(source);
  const out = Buffer.alloc(bytes.length * 2);
  let length = 0;
  for (let count = 1; count > 0; length += count) count = await text.read(out, length, out.length - length);
  return out.subarray(0, length);
}
