import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Consumer } from 'plimsoll';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadConfig } from '../src/config/load-config.ts';
import { generate, openGovernor } from '../src/generate.ts';
import type { RunReport } from '../src/report/run-report.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'plimsoll-generate-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const write = (name: string, text: string | Buffer) => writeFileSync(join(dir, name), text);
const read = (name: string) => readFileSync(join(dir, 'out', name), 'utf8');

interface Outcome {
  readonly report: RunReport;
  /** Lines of the playlist. */
  readonly lines: readonly string[];
  /** Of each channel, in order. */
  readonly names: readonly string[];
  readonly numbers: readonly string[];
  readonly ids: readonly string[];
}

/** Runs `[[source]] path = "list.m3u"` with these further settings. */
async function run(
  settings = '',
  options: { readonly dryRun?: boolean; readonly env?: NodeJS.ProcessEnv; readonly sort?: string } = {},
): Promise<Outcome> {
  write(
    'my.toml',
    `[[source]]\nname = "s"\npath = "list*.m3u"\n${settings}\n[output]\nname = "home"\nsort = "${options.sort ?? 'none'}"\n`,
  );
  const config = loadConfig({ file: join(dir, 'my.toml'), env: options.env ?? {} });
  const signal = new AbortController().signal;
  using governor = openGovernor(config);
  const { report } = await generate(config, { governor, dryRun: options.dryRun ?? false, signal });
  const text = existsSync(join(dir, 'out', 'home.m3u8')) ? read('home.m3u8') : '';
  const lines = text.trimEnd().split('\n');
  const infos = lines.filter((line) => line.startsWith('#EXTINF'));
  const all = (pattern: RegExp) => infos.map((line) => pattern.exec(line)?.[1] ?? '');
  return { report, lines, names: all(/,([^,]*)$/), numbers: all(/tvg-chno="([^"]*)"/), ids: all(/tvg-id="([^"]*)"/) };
}

const channel = (name: string, attributes = '', url = `http://h/${name}`) =>
  `#EXTINF:-1 ${attributes},${name}\n${url}\n`;

describe('the main job', () => {
  it('leaves a spill folder that was there before, and none that it made', async () => {
    write('list.m3u', `#EXTM3U\n${channel('A')}`);
    mkdirSync(join(dir, 'mine'));
    for (const name of ['mine', 'made']) await run(`[memory]\nspill_dir = "${name}"`);
    expect(readdirSync(dir).sort()).toEqual(['list.m3u', 'mine', 'my.toml', 'out']);
    expect(readdirSync(join(dir, 'mine'))).toEqual([]);
  });

  it('a spill folder that cannot be made is one line that names the option and what to do, and a mistake of the configuration', async () => {
    write('list.m3u', `#EXTM3U\n${channel('A')}`);
    write('file', '');
    for (const [named, why] of [
      ['/proc/nowhere', 'the system lets no folder be made in /proc'],
      ['file/below', 'a part of'],
    ] as const) {
      if (named.startsWith('/proc') && process.platform !== 'linux') continue;
      const outcome = run(`[memory]\nspill_dir = "${named}"`);
      await expect(outcome).rejects.toMatchObject({ code: 'PLIMSOLL_PLAYLIST_CONFIG' });
      const { message } = (await outcome.catch((error: Error) => error)) as Error;
      expect(message).toMatch(
        /^\[memory\] spill_dir \(--spill-dir\): no folder can be made or written to at .*: name a folder on a disk that this user may write to$/,
      );
      expect(message).toContain(why);
      expect(message).not.toContain('\n');
    }
  });

  it('makes buffers ahead, uses them, and gives them back: the same comes out', async () => {
    const names = Array.from({ length: 3000 }, (_, i) => channel(`Channel ${i}`, `group-title="${'g'.repeat(200)}"`));
    write('list.m3u', `#EXTM3U\n${names.join('')}`);
    const { lines } = await run();
    for (const ahead of ['256KiB', '768KiB', '4MiB']) {
      write(
        'ahead.toml',
        `[[source]]\nname = "s"\npath = "list.m3u"\n[memory]\npool_preallocate = "${ahead}"\n[output]\nname = "ahead"\n`,
      );
      const config = loadConfig({ file: join(dir, 'ahead.toml'), env: {} });
      using governor = openGovernor(config);
      const made = vi.spyOn(governor, 'consumer');
      await generate(config, { governor, dryRun: false, signal: new AbortController().signal });
      const peaks = new Map(
        made.mock.results.map(({ value }) => [(value as Consumer).name, (value as Consumer).peakBytes]),
      );
      const aheadBytes = config.memory.preallocateBytes;
      // A pool books a little ahead.
      expect(peaks.get('file buffers')).toBeGreaterThanOrEqual(aheadBytes);
      expect(peaks.get('file buffers')).toBeLessThan(1.5 * aheadBytes);
      // Its files are written through two buffers each; what was not made ahead is theirs.
      expect(peaks.get('spool')).toBe(Math.max(0, 512 * 1024 - aheadBytes));
      expect(read('ahead.m3u8').trimEnd().split('\n')).toEqual(lines);
      expect(governor.snapshot().consumers.map(({ name }) => name)).not.toContain('file buffers');
    }
  });

  it('writes what it read, canonically, and leaves nothing else behind', async () => {
    write(
      'list.m3u',
      '\ufeff#EXTM3U url-tvg="x"\r\n#EXTINF:-1group-title=News tvg-id="a.b",One, and only\r\n#EXTVLCOPT:http-user-agent=X\r\nhttp://h/1\r\n',
    );
    const { lines, report } = await run();
    expect(lines).toEqual([
      '#EXTM3U',
      '#EXTINF:-1 tvg-id="a.b" tvg-chno="1" group-title="News",One, and only',
      '#EXTVLCOPT:http-user-agent=X',
      'http://h/1',
    ]);
    expect(report).toMatchObject({ channels: 1, skipped: 0, duplicates: 0, programmes: 0 });
    expect(readdirSync(join(dir, 'out')).filter((name) => name !== '.cache')).toEqual(['home.m3u8']);
  });

  it('runs rules, then filters each on what the one before left, and says what each did', async () => {
    write('list.m3u', channel('UK: A', 'group-title="Sport HD"') + channel('B', 'group-title="news"') + channel('C'));
    const { names, report } = await run(`
[[rule]]
when = 'group_title contains "sport" AND channel_name matches "^UK: (.+)"'
set = 'group_title = "Sports", channel_name = "$1"'
[[filter]]
exclude = 'group_title equals ""'
[[filter]]
include = 'group_title equals "sports"'`);
    expect(names).toEqual(['A']);
    expect(report.rules.map(({ count }) => count)).toEqual([1]);
    expect(report.filters.map(({ count }) => count)).toEqual([1, 1]);
  });

  it('a filter that matches nothing leaves nothing', async () => {
    write('list.m3u', channel('A') + channel('B'));
    const { report, lines } = await run(`[[filter]]\ninclude = 'channel_name equals "no such"'`);
    expect(report.channels).toBe(0);
    expect(lines).toEqual(['#EXTM3U']);
  });

  it('places explicit numbers first, moves clashes up, keeps labels, and gives the rest the lowest free from start', async () => {
    const chno = (value: string) => `tvg-chno="${value}"`;
    write(
      'list.m3u',
      channel('a') +
        channel('b', chno('5')) +
        channel('c', chno('5')) +
        channel('d', chno('6')) +
        channel('e', chno('22.1')) +
        channel('f', chno('-')) +
        channel('g', chno('22.1')) +
        channel('h', chno('4')) +
        channel('i'),
    );
    const { numbers, report } = await run('[numbering]\nstart = 3');
    expect(numbers).toEqual(['3', '5', '6', '7', '22.1', '8', '9', '4', '10']);
    expect(report.numbers).toEqual({ explicit: 4, moved: 2, labels: 1, unreadable: 2 });
  });

  it('a number that a rule sets counts as explicit', async () => {
    write('list.m3u', channel('a') + channel('b'));
    const { numbers } = await run(`[[rule]]\nwhen = 'channel_name equals "b"'\nset = 'tvg_chno = "1"'`);
    expect(numbers).toEqual(['2', '1']);
  });

  it('sorts by name as people do, and gives free numbers in that order; numbers that came go by the lists', async () => {
    write(
      'list.m3u',
      channel('Kanal 10') +
        channel('kanal 9', 'tvg-chno="2"') +
        channel('Öst') +
        channel('alpha', 'tvg-chno="2"') +
        channel('ALPHA', '', 'http://h/2'),
    );
    const { names, numbers } = await run('', { sort: 'name' });
    expect(names).toEqual(['alpha', 'ALPHA', 'kanal 9', 'Kanal 10', 'Öst']);
    expect(numbers).toEqual(['3', '1', '2', '4', '5']);
  });

  it('brings the channels of one group together, by its bytes, each group in the order of the lists', async () => {
    const inGroup = (name: string, group: string) => channel(name, `group-title="${group}"`);
    write(
      'list.m3u',
      inGroup('a', 'Sport') + channel('b') + inGroup('c', 'News') + inGroup('d', 'Sport') + inGroup('e', 'News 24'),
    );
    const { names } = await run('', { sort: 'group' });
    expect(names).toEqual(['b', 'c', 'e', 'a', 'd']);
  });

  it('drops the same URL and name once, across lists, and keeps either alone', async () => {
    write('list1.m3u', channel('a', '', 'http://h/1') + channel('a', '', 'http://h/2'));
    write('list2.m3u', channel('a', 'group-title="other"', 'http://h/1') + channel('b', '', 'http://h/1'));
    const { report, names } = await run();
    expect(names).toEqual(['a', 'a', 'b']);
    expect(report.duplicates).toBe(1);
  });

  it('skips bad entries and reports them with file and line, the first twenty in words', async () => {
    write('list.m3u', channel('good') + '#EXTINF:-1,no url\n'.repeat(30) + channel('fine'));
    const { report, names } = await run();
    expect(names).toEqual(['good', 'fine']);
    expect(report.skipped).toBe(30);
    expect(report.problems.first).toHaveLength(20);
    expect(report.problems.first[0]).toMatchObject({ file: join(dir, 'list.m3u'), line: 3 });
  });

  it('a channel whose URL a rule made blank is left out', async () => {
    write('list.m3u', channel('a') + channel('b'));
    const { names, report } = await run(`[[rule]]\nwhen = 'channel_name equals "a"'\nset = 'stream_url = ""'`);
    expect(names).toEqual(['b']);
    expect(report.skipped).toBe(1);
  });

  it('a long id is not cut, and a value that says "none" is no number', async () => {
    const id = 'é'.repeat(40_000);
    write('list.m3u', channel('a', `tvg-id="${id}" tvg-chno="-1"`) + channel('b', 'tvg-chno="0000000005"'));
    const { ids, numbers } = await run();
    expect(ids[0]).toBe(id);
    expect(numbers).toEqual(['1', '5']);
  });

  it('publishes nothing when one of the names is taken by a folder', async () => {
    write('list.m3u', channel('a', 'tvg-id="a"'));
    write('guide.xml', guide(guideChannel('a', 'A')));
    mkdirSync(join(dir, 'out', 'home.m3u8', 'x'), { recursive: true });
    await expect(run('[[guide]]\npath = "guide.xml"')).rejects.toMatchObject({
      cause: { code: 'PLIMSOLL_PLAYLIST_OUTPUT' },
    });
    expect(readdirSync(join(dir, 'out')).filter((name) => name !== '.cache')).toEqual(['home.m3u8']);
  });

  it('a dry run writes nothing and says the same', async () => {
    write('list.m3u', channel('a') + channel('a') + channel('b'));
    const dry = await run('', { dryRun: true });
    expect(readdirSync(dir).sort()).toEqual(['list.m3u', 'my.toml']);
    const wet = await run();
    expect(dry.report).toMatchObject({ channels: 2, duplicates: 1, files: [] });
    expect(wet.report).toMatchObject({ channels: 2, duplicates: 1 });
  });

  it('a rule that doubles a value without end is stopped with one line, and the old file stays', async () => {
    write('list.m3u', channel('a'));
    const { lines } = await run();
    const rule = `[[rule]]\nwhen = 'channel_name matches "(?s)^(.+)$"'\nset = 'channel_name = "$1$1$1$1$1$1$1$1"'\n`;
    await expect(run(rule.repeat(8))).rejects.toMatchObject({ cause: { code: 'PLIMSOLL_PLAYLIST_VALUE_TOO_LONG' } });
    expect(read('home.m3u8').trimEnd().split('\n')).toEqual(lines);
    expect(readdirSync(join(dir, 'out')).filter((name) => name.startsWith('.plimsoll'))).toEqual([]);
  });

  it('figures of the report add up', async () => {
    write('list.m3u', Array.from({ length: 3000 }, (_, i) => channel(`c${i}`)).join(''));
    const { report } = await run();
    const sum = report.stages.reduce((total, { elapsedMs }) => total + elapsedMs, 0);
    expect(sum).toBe(report.elapsedMs);
    expect(Math.max(...report.stages.map(({ peakRssBytes }) => peakRssBytes))).toBe(report.peakRssBytes);
    const byName = new Map(report.stages.map((stage) => [stage.name, stage]));
    for (const name of ['Source Loading', 'Data Mapping', 'Filtering', 'Numbering', 'Playlist Generation', 'Publish']) {
      expect(byName.get(name)?.unreleasedBytes, name).toBe(0);
    }
    expect(byName.get('Numbering')).toMatchObject({ itemsIn: 3000, itemsOut: 3000 });
  });
});

const programme = (id: string, start: string, title: string) =>
  `  <programme start="${start} +0000" stop="20260102000000 +0000" channel="${id}"><title>${title}</title></programme>\n`;
const guideChannel = (id: string, name: string) =>
  `  <channel id="${id}"><display-name>${name}</display-name></channel>\n`;
const guide = (body: string) => `<?xml version="1.0"?>\n<tv>\n${body}</tv>\n`;

describe('the guide', () => {
  it('keeps the channels of the playlist only, byte for byte, each programme once, and points the playlist at it', async () => {
    write('list.m3u', channel('One', 'tvg-id="one.uk"') + channel('Two HD', '') + channel('Alone', 'tvg-id="alone"'));
    const kept = [programme('one.uk', '20260101000000', 'A &amp; B'), programme('two.uk', '20260101000000', 'T')];
    const body =
      guideChannel('one.uk', '1') +
      guideChannel('two.uk', 'Two') +
      guideChannel('three.uk', 'Three') +
      kept[0]! +
      kept[0]! +
      programme('three.uk', '20260101000000', 'no') +
      kept[1]!;
    write('guide.xml', guide(body));
    const { report, ids, lines } = await run('[[guide]]\npath = "guide.xml"');
    expect(lines[0]).toBe('#EXTM3U x-tvg-url="home.xmltv" url-tvg="home.xmltv"');
    expect(ids).toEqual(['one.uk', 'two.uk', 'alone']);
    const xml = read('home.xmltv');
    for (const element of kept) expect(xml).toContain(element.trim());
    expect(xml.match(/<programme/g)).toHaveLength(2);
    expect(xml).not.toContain('three');
    expect(report).toMatchObject({
      programmes: 2,
      matching: { byId: 1, byName: 1, unmatched: 1, firstUnmatched: ['Alone'] },
    });
    expect(read('home.unmatched.txt')).toBe('Alone\talone\n');
  });

  it('the first guide that has a channel wins; aliases bring names together', async () => {
    write('list.m3u', channel('One', 'tvg-id="one"') + channel('Das Erste', ''));
    write('aliases.toml', '"Das Erste" = "ard.de"\n');
    write('a.xml', guide(guideChannel('one', 'One') + programme('one', '20260101000000', 'from a')));
    write(
      'b.xml',
      guide(
        guideChannel('one', 'One') +
          guideChannel('ard.de', 'ARD') +
          programme('one', '20260101000000', 'from b') +
          programme('ard.de', '20260101000000', 'Tagesschau'),
      ),
    );
    const { ids, report } = await run(
      '[[guide]]\npath = "a.xml"\n[[guide]]\npath = "b.xml"\n[matching]\naliases = "aliases.toml"',
    );
    expect(ids).toEqual(['one', 'ard.de']);
    expect(read('home.xmltv')).toContain('from a');
    expect(read('home.xmltv')).not.toContain('from b');
    expect(read('home.xmltv')).toContain('Tagesschau');
    expect(report.matching).toMatchObject({ byId: 1, byAlias: 1, unmatched: 0 });
  });

  it('an id that a rule changed is rewritten in the guide', async () => {
    write('list.m3u', channel('One', 'tvg-id="old"'));
    write('guide.xml', guide(guideChannel('old', 'One') + programme('old', '20260101000000', 'T')));
    const { ids } = await run(`[[guide]]\npath = "guide.xml"\n[[rule]]\nset = 'tvg_id = "new & own"'`);
    expect(ids).toEqual(['new & own']);
    const xml = read('home.xmltv');
    expect(xml).toContain('<channel id="new &amp; own">');
    expect(xml).toContain('channel="new &amp; own"');
    expect(xml).not.toContain('"old"');
  });

  it('rules and filters on programmes see the channel they belong to', async () => {
    write(
      'list.m3u',
      channel('One', 'tvg-id="one" group-title="Sport"') + channel('Two', 'tvg-id="two" group-title="Film"'),
    );
    const body = ['one', 'two']
      .map(
        (id) =>
          guideChannel(id, id) + programme(id, '20260101000000', 'Live') + programme(id, '20260101010000', 'Late'),
      )
      .join('');
    write('guide.xml', guide(body));
    const { report } = await run(`
[[guide]]
path = "guide.xml"
[[rule]]
when = 'group_title equals "sport" AND programme_title equals "live"'
set = 'programme_category = "Sports"'
[[filter]]
exclude = 'channel_name equals "two" AND programme_title equals "late"'`);
    const xml = read('home.xmltv');
    expect(xml.match(/<programme/g)).toHaveLength(3);
    expect(xml.match(/<category>Sports<\/category>/g)).toHaveLength(1);
    expect(report.rules).toMatchObject([{ count: 1, of: 'programmes' }]);
    expect(report.filters).toMatchObject([{ count: 1, of: 'programmes' }]);
  });

  it('such rules see the right channel when the guides had to be indexed twice, and the id it adopted', async () => {
    const list = ['A', 'B', 'C'].map((name) => channel(name, `tvg-id="${name}" group-title="g${name}"`));
    write('list.m3u', list.join('') + channel('Das Erste', ''));
    const one = (id: string) => guideChannel(id, id) + programme(id, '20260101000000', 'T');
    write(
      'g1.xml',
      guide(one('A') + one('C') + guideChannel('ard.de', 'Das Erste') + programme('ard.de', '20260101000000', 'T')),
    );
    write('g2.xml', guide(one('B')));
    const rule = (when: string, title: string) => `[[rule]]\nwhen = '${when}'\nset = 'programme_title = "${title}"'\n`;
    const rules = ['A', 'B', 'C'].map((name) => rule(`group_title equals "g${name}"`, `of ${name}`)).join('');
    await run(
      `[[guide]]\npath = "g1.xml"\n[[guide]]\npath = "g2.xml"\n${rules}${rule('tvg_id equals "ard.de"', 'of ARD')}`,
    );
    const titles = [...read('home.xmltv').matchAll(/channel="([^"]+)"><title>([^<]*)/g)].map(
      ([, id, title]) => `${id} ${title}`,
    );
    expect(titles.sort()).toEqual(['A of A', 'B of B', 'C of C', 'ard.de of ARD']);
  });

  it('a guide whose channels come late is indexed whole, and nothing is lost', async () => {
    write('list.m3u', channel('One', 'tvg-id="one"') + channel('Late', ''));
    const late = programme('late.uk', '20260101000000', 'L') + guideChannel('late.uk', 'Late');
    write('guide.xml', guide(guideChannel('one', 'One') + programme('one', '20260101000000', 'T') + late));
    const { ids, report } = await run('[[guide]]\npath = "guide.xml"');
    expect(ids).toEqual(['one', 'late.uk']);
    expect(report.programmes).toBe(2);
  });

  it('damage is reported with its offset; what came before is kept, or the run refused', async () => {
    write('list.m3u', channel('One', 'tvg-id="one"'));
    const before = `<?xml version="1.0"?>\n<tv>\n${guideChannel('one', 'One')}${programme('one', '20260101000000', 'T')}`;
    write('guide.xml', `${before}  <programme start="2026010`);
    const { report } = await run('[[guide]]\npath = "guide.xml"');
    expect(report.programmes).toBe(1);
    expect(report.guides[0]?.damage[0]?.byteOffset).toBe(before.length + 2);
    await expect(run('[[guide]]\npath = "guide.xml"\non_damage = "refuse"')).rejects.toThrow();
    expect(read('home.xmltv')).toContain('<title>T</title>');
  });
});

describe('room for edits', () => {
  it('fifty rules on one field need the room of one', async () => {
    write('list.m3u', Array.from({ length: 3000 }, (_, i) => channel(`c${i}`)).join(''));
    const rules = Array.from(
      { length: 50 },
      (_, i) => `[[rule]]\nset = 'tvg_logo = "${'x'.repeat(398)}${10 + i}"'\n`,
    ).join('');
    const { report, lines } = await run(rules);
    expect(lines[1]).toContain(`${'x'.repeat(398)}59"`);
    const mapping = report.stages.find(({ name }) => name === 'Data Mapping');
    expect(mapping?.peakReservedBytes).toBeLessThan(6 * 2 ** 20);
  });
});

describe('sources that fail', () => {
  it('an empty list keeps its last good content, with a warning', async () => {
    write('list.m3u', channel('a') + channel('b'));
    await run();
    write('list.m3u', '');
    const { names, report } = await run();
    expect(names).toEqual(['a', 'b']);
    expect(report.warnings.join('\n')).toMatch(/empty/);
  });

  it('a limit that will not do ends in one line that says who holds what, and the old file stays', async () => {
    write('list.m3u', channel('a'));
    const { lines } = await run('[memory]\nbatch_size = "48MiB"');
    const main = join(import.meta.dirname, '..', 'src', 'main.ts');
    const args = ['--conditions=source', main, '--config', join(dir, 'my.toml'), '--memory-limit', '64MiB', '--quiet'];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(stderr).toMatch(/^out of memory budget: .*largest holders: .*\n$/);
    expect(status).toBe(1);
    expect(read('home.m3u8').trimEnd().split('\n')).toEqual(lines);
  });
});
