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

interface ListedEntry {
  /** URL and name: what makes a duplicate. */
  readonly key: string;
  /** `tvg-chno` as it stands, '' without one. */
  readonly number: string;
}

/** The entries of a list, line by line, without anything of the application; `undefined` for a bad one. */
function* lineByLine(text: string): Generator<ListedEntry | undefined> {
  let extinf: string | undefined;
  for (const raw of text.replace(/^\uFEFF/, '').split(/\r?\n/)) {
    const line = raw.trim();
    if (/^#EXTINF:/i.test(line)) {
      if (extinf !== undefined) yield undefined;
      extinf = line;
    } else if (line !== '' && !line.startsWith('#')) {
      if (extinf === undefined) yield undefined;
      else {
        const name = (NAME.exec(extinf)?.[1] ?? extinf.slice(extinf.indexOf(',') + 1)).trim();
        yield { key: `${line}\n${name}`, number: /\stvg-chno="([^"]*)"/i.exec(extinf)?.[1] ?? '' };
      }
      extinf = undefined;
    }
  }
  if (extinf !== undefined) yield undefined;
}

const listEntries = (text: string): ListedEntry[] => [...lineByLine(text)].filter((entry) => entry !== undefined);

export function countList(text: string, seen: Set<string>): ListCount {
  const count: ListCount = { entries: 0, distinct: 0, bad: 0 };
  for (const entry of lineByLine(text)) {
    if (entry === undefined) {
      count.bad++;
      continue;
    }
    count.entries++;
    if (!seen.has(entry.key)) count.distinct++;
    seen.add(entry.key);
  }
  return count;
}

const listsIn = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.m3u8?$/.test(file))
    .sort()
    .map((file) => join(dir, file));

/**
 * The number that each channel of a list must get, by URL and name, worked out with a set: numbers that stand in the list are placed in its
 * order, a taken one moves up to the next free; a label with a digit (`22.1`, `CS363`) stays with the first who has it; then the rest take
 * the lowest free from 1.
 */
function expectedNumbers(text: string): Map<string, string> {
  const numbers = new Map<string, string>();
  const labels = new Set<string>();
  const taken = new Set<number>();
  const place = (key: string, number: number): void => {
    while (taken.has(number)) number++;
    taken.add(number);
    numbers.set(key, `${number}`);
  };
  const inOrder = new Map<string, string>();
  for (const { key, number } of listEntries(text)) if (!inOrder.has(key)) inOrder.set(key, number);
  for (const [key, number] of inOrder) if (/^\d+$/.test(number) && Number(number) > 0) place(key, Number(number));
  for (const [key, number] of inOrder) {
    if (numbers.has(key) || !/[1-9]/.test(number) || labels.has(number)) continue;
    labels.add(number);
    numbers.set(key, number);
  }
  for (const key of inOrder.keys()) if (!numbers.has(key)) place(key, 1);
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
  const text = readFileSync(file, 'utf8');
  const expected = expectedNumbers(text);
  const run = await runApp({ dir, lists: [file], settings: '' });
  demand(run.exitCode === 0, `${basename(file)}: exit ${run.exitCode ?? run.signal}: ${run.stderr.slice(-500)}`);
  const found = new Map(listEntries(readFileSync(run.playlistPath, 'utf8')).map(({ key, number }) => [key, number]));
  const wrong = [...expected].filter(([key, number]) => found.get(key) !== number);
  const first = wrong[0];
  demand(
    first === undefined && found.size === expected.size,
    `${basename(file)}: ${wrong.length} of ${expected.size} channels have another number than expected: ` +
      `${first?.[0].replace('\n', ' ')} has ${found.get(first?.[0] ?? '')}, not ${first?.[1]}`,
  );
  const stated = listEntries(text).filter(({ number }) => number !== '');
  const whole = stated.filter(({ number }) => /^\d+$/.test(number));
  const written = new Set(found.values());
  const lost = stated.filter(({ number }) => /[1-9]/.test(number) && !written.has(number));
  demand(
    lost.length === 0,
    `${basename(file)}: ${lost.length} numbers are in the list and not in the playlist: ${lost[0]?.number}`,
  );
  return `numbers of ${basename(file)}: ${stated.length} stated (${whole.length} whole), all written, ${found.size} channels as expected`;
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
  patient: true,
  async run(say) {
    const data = realDataDir();
    if (data === undefined) throw new GateSkipped('../shared/data is absent');
    // A folder for each run: the application remembers what a source held, and does not believe one that has shrunk to half.
    const dir = freshDir('real-data');
    try {
      const figures: string[] = [];
      const lists = join(data, 'm3u');
      for (const name of readdirSync(lists).sort())
        figures.push(await checkLists(join(dir, name), name, listsIn(join(lists, name))));
      say(figures.join(', '));
      figures.push(await checkNumbers(join(dir, 'numbers'), join(lists, 'freetv', 'playlist.m3u8')));
      const guides = readdirSync(join(data, 'xmltv'))
        .filter((file) => file.endsWith('.xml'))
        .sort();
      for (const file of guides)
        figures.push(await checkGuide(freshDir(`real-data/${file}`), join(data, 'xmltv', file)));
      return figures.join(', ');
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
};
