import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { generateGuide } from './generate-guide.ts';

const SHARED = resolve(import.meta.dirname, '../../../../../shared/data');
const FILES = [
  'xmltv/mjh_PlutoTV_gb.xml',
  'xmltv/spxmm3r1_epg.xml',
  'fixtures/iptv-org-epg/base.guide.xml',
  'fixtures/iptv-org-epg/custom_channels.guide.xml',
  'fixtures/iptv-org-epg/guide.xml.gz',
  'fixtures/iptv-org-epg/multilang.guide.xml',
  'fixtures/iptv-org-epg/multiple_channels.guide.xml',
  'fixtures/iptv-org-epg/workers_load_guide.xml',
];

function read(file: string): string {
  const bytes = readFileSync(join(SHARED, file));
  return (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
}

interface Counted {
  readonly channels: Map<string, string>;
  readonly programmes: { id: string; text: string; key: string }[];
}

/** Counted in another way than the scanner does: the whole text, regular expressions. */
function count(text: string): Counted {
  const channels = new Map<string, string>();
  for (const [element, id] of text.matchAll(/<channel\s[^>]*?id="([^"]*)"[\s\S]*?<\/channel>/g)) {
    if (!channels.has(id!)) channels.set(id!, element);
  }
  const programmes = [...text.matchAll(/<programme\s([^>]*)>([\s\S]*?)<\/programme>/g)].map(
    ([element, tag, content]) => {
      const id = /channel="([^"]*)"/.exec(tag!)![1]!;
      const title = /<title[^>]*>([\s\S]*?)<\/title>/.exec(content!)?.[1];
      return {
        id,
        text: element,
        key: [id, /start="([^"]*)"/.exec(tag!)?.[1], /stop="([^"]*)"/.exec(tag!)?.[1], title].join('\n'),
      };
    },
  );
  return { channels, programmes };
}

describe.skipIf(!existsSync(SHARED))(`real guides (skipped when ${SHARED} is absent)`, () => {
  test.each(FILES)('%s goes through whole', async (file) => {
    const text = read(file);
    const { channels, programmes } = count(text);
    const ids = [...new Set([...channels.keys(), ...programmes.map((programme) => programme.id)])];
    const out = await generateGuide(
      ids.map((id) => ({ id })),
      [text],
      { pieces: [60_000, 77] },
    );
    const unique = new Map(programmes.map((programme) => [programme.key, programme]));
    expect(out.damage).toEqual([]);
    expect(out.channels).toBe(channels.size);
    expect(out.guides[0]!.programmesIn).toBe(programmes.length);
    expect(out.programmes).toBe(unique.size);
    expect(out.guides[0]!.duplicates).toBe(programmes.length - unique.size);
    const again = count(out.text);
    expect([...again.channels.values()]).toEqual([...channels.values()]);
    expect(again.programmes.map((programme) => programme.text)).toEqual(
      [...unique.values()].map((programme) => programme.text),
    );
  });

  test.each(FILES.slice(0, 2))('%s cut down to every third channel', async (file) => {
    const text = read(file);
    const { channels, programmes } = count(text);
    const ids = [...channels.keys()].filter((_, number) => number % 3 === 0);
    const out = await generateGuide(
      ids.map((id) => ({ id })),
      [text],
    );
    const kept = programmes.filter((programme) => ids.includes(programme.id));
    expect(kept.length).toBeGreaterThan(500);
    expect(count(out.text).programmes.map((programme) => programme.text)).toEqual(
      kept.map((programme) => programme.text),
    );
    expect(out.channels).toBe(ids.length);
  });

  test('both guides by name', async () => {
    const texts = FILES.slice(0, 2).map(read);
    const names = texts.map((text) => /<display-name>([^<]*)</.exec(text)![1]!);
    const out = await generateGuide(
      names.map((name) => ({ name: `UK: ${name} HD` })),
      texts,
    );
    const ids = texts.map((text) => /<channel[^>]*id="([^"]*)"/.exec(text)![1]!);
    const expected = texts.map(
      (text, number) => count(text).programmes.filter((programme) => programme.id === ids[number]).length,
    );
    expect(out.channels).toBe(2);
    expect(out.programmes).toBe(expected[0]! + expected[1]!);
    expect(out.programmes).toBeGreaterThan(10);
  });
});

test.skipIf(existsSync(SHARED))(
  'real guides are not looked at: the folder shared/data beside the project is absent',
  () => {},
);
