import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { ensureSample, SAMPLE_CHANNELS } from '../../src/sample/ensure-sample.ts';
import { generateM3u } from '../../src/sample/generate-m3u.ts';
import { generateXmltv } from '../../src/sample/generate-xmltv.ts';

const dir = mkdtempSync(join(tmpdir(), 'plimsoll-sample-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const hash = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

/** Counts a list line by line, knowing nothing of how it was made. */
function countList(text: string) {
  const urls = new Map<string, number>();
  let pending: string | undefined;
  let bad = 0;
  let entries = 0;
  for (const line of text.split(/\r?\n/)) {
    if (/^#extinf/i.test(line)) {
      entries++;
      if (pending !== undefined) bad++;
      pending = line;
    } else if (line !== '' && !line.startsWith('#')) {
      if (pending === undefined) {
        entries++;
        bad++;
      } else urls.set(line, (urls.get(line) ?? 0) + 1);
      pending = undefined;
    }
  }
  if (pending !== undefined) bad++;
  const duplicates = [...urls.values()].reduce((sum, times) => sum + times - 1, 0);
  const outside = [...urls.keys()].filter((url) => !url.startsWith('http')).length;
  return { entries, bad, duplicates, distinct: urls.size, outside };
}

describe('generateM3u', () => {
  it('writes exactly what it says', async () => {
    const path = join(dir, 'counts.m3u');
    const made = await generateM3u({
      path,
      channels: 5000,
      seed: 3,
      duplicates: 90,
      bad: 37,
      unwantedGroup: 55,
      unwantedUrl: 44,
    });
    const text = readFileSync(path, 'utf8');
    expect(countList(text)).toEqual({
      entries: made.entries,
      bad: 37,
      duplicates: 90,
      distinct: 5000 + 55 + 44,
      outside: 44,
    });
    expect(text.match(/group-title="[^"]*xxx[^"]*"/gi)?.length).toBe(55);
    expect(made.entries).toBe(5000 + 90 + 37 + 55 + 44);
    expect(made.bytes).toBe(statSync(path).size);
    expect(JSON.parse(readFileSync(`${path}.expected.json`, 'utf8'))).toEqual(made);
    expect(made.bytes / made.entries).toBeGreaterThan(225);
    expect(made.bytes / made.entries).toBeLessThan(255);
  });

  it('is as dirty as it should be', async () => {
    const path = join(dir, 'dirty.m3u');
    await generateM3u({ path, channels: 5000, seed: 4 });
    const text = readFileSync(path, 'utf8');
    for (const dirt of [
      /^#EXTGRP:/m,
      /^#EXTVLCOPT/m,
      /^#KODIPROP/m,
      /\r\n/,
      /[^\r]\n/,
      /tvg-id=""/,
      /tvg-chno="/,
      /-1tvg-/,
      /png tvg-|png group-/,
      /, the Evening/,
      /[а-я]/,
    ]) {
      expect(text).toMatch(dirt);
    }
  });

  it('gives the same bytes for the same seed and others for another', async () => {
    const make = async (seed: number, file: string) => {
      await generateM3u({ path: join(dir, file), channels: 500, seed });
      return hash(join(dir, file));
    };
    const first = await make(1, 'a.m3u');
    expect(await make(1, 'b.m3u')).toBe(first);
    expect(await make(2, 'c.m3u')).not.toBe(first);
  });
});

describe('generateXmltv', () => {
  it('writes exactly what it says, in order of time within a channel', async () => {
    const list = join(dir, 'for-guide.m3u');
    await generateM3u({ path: list, channels: 4000, seed: 5 });
    const path = join(dir, 'guide.xml');
    const made = await generateXmltv({
      path,
      bytes: 6_000_000,
      channelCount: 300,
      seed: 6,
      playlist: { channels: 4000, seed: 5 },
    });
    const text = readFileSync(path, 'utf8').replaceAll(/<!--[\s\S]*?-->/g, '');
    const ids = new Set(Array.from(readFileSync(list, 'utf8').matchAll(/tvg-id="([^"]+)"/g), (match) => match[1]!));
    const channels = Array.from(text.matchAll(/<channel id="([^"]+)"/g), (match) => match[1]!);
    expect(channels.length).toBe(300);
    expect(new Set(channels).size).toBe(300);
    expect(channels.filter((id) => ids.has(id)).length).toBe(made.channelsById);
    expect(made.channelsById + made.channelsByName).toBe(120);
    const last = new Map<string, string>();
    let programmes = 0;
    let byId = 0;
    for (const [tag] of text.matchAll(/<programme [^>]*>/g)) {
      const id = /channel=["']([^"']+)/.exec(tag)![1]!;
      const start = /start="([^"]+)/.exec(tag)![1]!;
      programmes++;
      if (ids.has(id)) byId++;
      expect(start > (last.get(id) ?? '')).toBe(true);
      last.set(id, start);
    }
    expect(programmes).toBe(made.programmes);
    expect(byId).toBe(made.programmesById);
    expect([...last.keys()].every((id) => channels.includes(id))).toBe(true);
    expect(Math.abs(made.bytes - 6_000_000)).toBeLessThan(2000);
  });

  it('packs the same bytes', async () => {
    const make = async (file: string) => {
      await generateXmltv({ path: join(dir, file), bytes: 200_000, seed: 7 });
      return readFileSync(join(dir, file));
    };
    const plain = await make('p.xml');
    expect(gunzipSync(await make('p.xml.gz')).equals(plain)).toBe(true);
    expect(zstdDecompressSync(await make('p.xml.zst')).equals(plain)).toBe(true);
  });
});

describe('ensureSample', () => {
  it('is made once, and anew when a file was cut short', async () => {
    const seen: string[] = [];
    const first = await ensureSample(({ file }) => seen.push(file), dir);
    expect(first.generated).toBe(true);
    expect(new Set(seen)).toEqual(new Set(['city.m3u', 'islands.m3u.gz', 'guide.xml']));
    expect(first.lists.reduce((sum, list) => sum + list.channels, 0)).toBe(SAMPLE_CHANNELS);
    expect(SAMPLE_CHANNELS).toBe(39_161);
    const guide = join(dir, '.generated', 'guide.xml');
    const whole = hash(guide);
    expect((await ensureSample(undefined, dir)).generated).toBe(false);
    truncateSync(guide, 1000);
    expect((await ensureSample(undefined, dir)).generated).toBe(true);
    expect(hash(guide)).toBe(whole);
    expect(first.guide.path).toBe(guide);
    expect(readdirSync(join(dir, '.generated')).sort()).toEqual([
      'city.m3u',
      'guide.xml',
      'islands.m3u.gz',
      'manifest.json',
    ]);
  });

  it('takes away what a killed process left, and makes them anew', async () => {
    const other = join(dir, 'other');
    mkdirSync(join(other, '.generated', 'new-999999999'), { recursive: true });
    expect((await ensureSample(undefined, other)).generated).toBe(true);
    expect(readdirSync(join(other, '.generated')).some((name) => name.startsWith('new-'))).toBe(false);
  });
});
