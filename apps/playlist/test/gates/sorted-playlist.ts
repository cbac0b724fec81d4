/** Holds a sorted playlist against the list it was made from, both read line by line, by what is written down here once more. */
import { open } from 'node:fs/promises';
import { demand, demandEqual } from '../../../../test/gates/gate.ts';

const NUMBER = /tvg-chno="(\d+)"/;

export interface Wishes {
  /** By the URL of each channel that came with a number: the one it must have. */
  readonly byUrl: Map<string, number>;
  /** All numbers of those channels. */
  readonly taken: FreeNumbers;
  /** How many of them found theirs taken. */
  readonly moved: number;
  /** All entries of the list that have a URL, duplicates too. */
  readonly entries: number;
}

/** Who comes with a number keeps it, in the order of the list, or has the next one that is free. */
export async function readWishes(listPath: string): Promise<Wishes> {
  const byUrl = new Map<string, number>();
  const taken = new FreeNumbers();
  let moved = 0;
  let entries = 0;
  await eachEntry(listPath, (line, url) => {
    entries++;
    const wish = Number(NUMBER.exec(line)?.[1] ?? 0);
    // Whoever comes again with the same URL is a duplicate: made lists have no others.
    if (wish === 0 || byUrl.has(url)) return;
    const number = taken.take(wish);
    if (number !== wish) moved++;
    // A copy: a piece of a line would keep all that was read with it.
    byUrl.set(Buffer.from(url).toString(), number);
  });
  return { byUrl, taken, moved, entries };
}

/**
 * Demands that the playlist holds `channels` channels by name, none of them twice, those of `wishes` all there and with their numbers, and the others
 * with the free numbers from 1, one after the other. Uses `wishes` up.
 */
export async function checkSortedPlaylist(path: string, channels: number, wishes: Wishes): Promise<void> {
  const { byUrl, taken } = wishes;
  const withSameName = new Set<string>();
  let count = 0;
  let lastKey = '';
  await eachEntry(path, (line, url) => {
    count++;
    const name = line.slice(line.lastIndexOf('",') + 2);
    const said = `channel ${count} of the playlist (${line.slice(-80)})`;
    const key = nameKey(name);
    demand(lastKey <= key, `${said} is out of order`);
    if (key !== lastKey) withSameName.clear();
    lastKey = key;
    const channel = `${name}\n${url}`;
    demand(!withSameName.has(channel), `${said} is there twice`);
    withSameName.add(channel);
    const wished = byUrl.get(url);
    const expected = wished ?? taken.take(1);
    if (wished !== undefined) byUrl.delete(url);
    const number = Number(NUMBER.exec(line)?.[1]);
    demand(number === expected, `${said} has the number ${number}, not ${expected}`);
  });
  demandEqual('the playlist', { count, missing: byUrl.size }, { count: channels, missing: 0 });
}

/** Entries without a URL, and URLs without an entry, are passed over. */
async function eachEntry(path: string, visit: (line: string, url: string) => void): Promise<void> {
  let entry: string | undefined;
  await using file = await open(path);
  for await (const line of file.readLines({ encoding: 'utf8' })) {
    if (/^#EXTINF:/i.test(line)) entry = line;
    else if (entry !== undefined && line !== '' && !line.startsWith('#')) {
      visit(entry, line.split('|', 1)[0]!.trim());
      entry = undefined;
    }
  }
}

/** For each number where to look for a free one from there on: itself while it is free. */
class FreeNumbers {
  #next = new Uint32Array(1 << 16);

  /** Takes the first free number from `from` on. */
  take(from: number): number {
    let number = from;
    while (this.#at(number) !== 0) number = this.#at(number);
    // All that were passed point there from now on.
    for (let at = from; at !== number; ) {
      const following = this.#next[at]!;
      this.#next[at] = number + 1;
      at = following;
    }
    this.#next[number] = number + 1;
    return number;
  }

  #at(number: number): number {
    while (number >= this.#next.length) {
      const grown = new Uint32Array(this.#next.length * 2);
      grown.set(this.#next);
      this.#next = grown;
    }
    return this.#next[number]!;
  }
}

/** What people go by: without case and accents, numbers by their value. */
function nameKey(name: string): string {
  const plain = name
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .trimStart();
  return Buffer.from(plain.replace(/\d+/g, (digits) => digits.replace(/^0+(?=\d)/, '').padStart(20, '0'))).toString(
    'latin1',
  );
}
