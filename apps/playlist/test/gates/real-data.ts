import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { demand, demandEqual, type Gate, GateSkipped } from '../../../../test/gates/gate.ts';
import { freshDir, realDataDir } from './fixtures.ts';
import { runApp } from './run-app.ts';

/** What a list holds, counted line by line without anything of the application. */
export interface ListCount {
  entries: number;
  /** Of `entries`, by URL and name. */
  distinct: number;
  bad: number;
}

/** The name after the comma that follows the last attribute, found with a regular expression. */
const NAME = /^#EXTINF:[^,"]*?(?:[\s\d](?:[\w-]+\s*=\s*(?:"[^"]*"|[^\s",]*)\s*)*)?,(.*)$/i;

export function countList(text: string, seen: Set<string>): ListCount {
  const count: ListCount = { entries: 0, distinct: 0, bad: 0 };
  let name: string | undefined;
  for (const raw of text.replace(/^\uFEFF/, '').split(/\r?\n/)) {
    const line = raw.trim();
    if (/^#EXTINF:/i.test(line)) {
      if (name !== undefined) count.bad++;
      name = (NAME.exec(line)?.[1] ?? line.slice(line.indexOf(',') + 1)).trim();
    } else if (line !== '' && !line.startsWith('#')) {
      if (name === undefined) count.bad++;
      else {
        count.entries++;
        const key = `${line}\n${name}`;
        if (!seen.has(key)) count.distinct++;
        seen.add(key);
      }
      name = undefined;
    }
  }
  if (name !== undefined) count.bad++;
  return count;
}

const listsIn = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.m3u8?$/.test(file))
    .sort()
    .map((file) => join(dir, file));

/** Number by URL and name, for the entries that have a number of their own and come first with it. */
function firstNumbers(text: string): Map<string, string> {
  const numbers = new Map<string, string>();
  const taken = new Set<string>();
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  for (let i = 0; i + 1 < lines.length; i++) {
    const number = /^#EXTINF:.*?tvg-chno="(\d+)"/.exec(lines[i]!)?.[1];
    if (number === undefined || taken.has(number)) continue;
    let next = i + 1;
    while (lines[next]?.startsWith('#')) next++;
    taken.add(number);
    numbers.set(`${lines[next]}\n${lines[i]!.slice(lines[i]!.lastIndexOf('",') + 2).trim()}`, number);
  }
  return numbers;
}

async function checkLists(dir: string, name: string, files: readonly string[]): Promise<string> {
  const seen = new Set<string>();
  const expected = { channels: 0, duplicates: 0, skipped: 0 };
  for (const file of files) {
    const count = countList(readFileSync(file, 'utf8'), seen);
    expected.channels += count.distinct;
    expected.duplicates += count.entries - count.distinct;
    expected.skipped += count.bad;
  }
  const run = await runApp({ dir, lists: files, settings: '' });
  demand(run.exitCode === 0, `${name}: exit ${run.exitCode ?? run.signal}: ${run.stderr.slice(-500)}`);
  demandEqual(`${name}, report`, { ...run.report }, expected);
  const again = countList(readFileSync(run.playlistPath, 'utf8'), new Set());
  demandEqual(
    `${name}, written file`,
    { ...again },
    { entries: expected.channels, distinct: expected.channels, bad: 0 },
  );
  return `${name} ${expected.channels}`;
}

async function checkNumbers(dir: string, file: string): Promise<string> {
  const wanted = firstNumbers(readFileSync(file, 'utf8'));
  const run = await runApp({ dir, lists: [file], settings: '' });
  const found = firstNumbers(readFileSync(run.playlistPath, 'utf8'));
  const lost = [...wanted].filter(([key, number]) => found.get(key) !== number);
  demand(
    lost.length === 0,
    `${basename(file)}: ${lost.length} of ${wanted.size} channel numbers changed, first ${lost[0]?.[0]}`,
  );
  return `${wanted.size} channel numbers kept`;
}

/** Every second channel of the guide is put into a list; the guide that comes out must be those channels' elements, byte for byte. */
async function checkGuide(dir: string, file: string): Promise<string> {
  const xml = readFileSync(file, 'utf8').replaceAll(/<!--[\s\S]*?-->/g, '');
  const ids = Array.from(xml.matchAll(/<channel\b[^>]*?\bid="([^"]*)"/g), (match) => match[1]!);
  const wanted = new Set(ids.filter((_, i) => i % 2 === 0));
  const list = join(dir, 'of-guide.m3u');
  const plain = (id: string): string => id.replaceAll('&amp;', '&').replaceAll('&quot;', "'");
  const entries = [...wanted].map(
    (id, i) => `#EXTINF:-1 tvg-id="${plain(id)}",Of the guide ${i}\nhttp://host.example/${i}\n`,
  );
  writeFileSync(list, `#EXTM3U\n${entries.join('')}`);
  const kept = xml
    .match(/<programme\b[\s\S]*?<\/programme>/g)!
    .filter((element) => wanted.has(/\bchannel="([^"]*)"/.exec(element)![1]!));
  const distinct = new Set(kept);
  const run = await runApp({ dir, lists: [list], guides: [file], settings: '' });
  demand(run.exitCode === 0, `${basename(file)}: exit ${run.exitCode ?? run.signal}: ${run.stderr.slice(-500)}`);
  const out = readFileSync(run.guidePath, 'utf8');
  const written = out.match(/<programme\b[\s\S]*?<\/programme>/g) ?? [];
  demandEqual(
    basename(file),
    { programmes: run.report?.programmes, written: written.length },
    {
      programmes: distinct.size,
      written: distinct.size,
    },
  );
  const foreign = written.filter((element) => !distinct.has(element));
  demand(
    foreign.length === 0,
    `${basename(file)}: ${foreign.length} elements are not those of the source, first ${foreign[0]?.slice(0, 200)}`,
  );
  return `${basename(file)} ${written.length} programmes`;
}

export const realDataGate: Gate = {
  name: 'real-data',
  promise:
    'real playlists and guides go through the command line with the counts made independently; channel numbers survive',
  async run(say) {
    const data = realDataDir();
    if (data === undefined) throw new GateSkipped('../shared/data is absent');
    const dir = freshDir('real-data');
    try {
      const figures: string[] = [];
      const lists = join(data, 'm3u');
      for (const name of readdirSync(lists).sort())
        figures.push(await checkLists(dir, name, listsIn(join(lists, name))));
      say(figures.join(', '));
      figures.push(await checkNumbers(dir, join(lists, 'freetv', 'playlist.m3u8')));
      const guides = readdirSync(join(data, 'xmltv'))
        .filter((file) => file.endsWith('.xml'))
        .sort();
      for (const file of guides) figures.push(await checkGuide(dir, join(data, 'xmltv', file)));
      return figures.join(', ');
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
};
