import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { ManualClock } from 'plimsoll';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSource } from '../../src/sources/open-source.ts';
import type { SourceContent } from '../../src/sources/source-content.ts';

let folder: string;
let warnings: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'playlist-local-'));
  mkdirSync(join(folder, 'lists'));
  warnings = [];
});
afterEach(async () => {
  for (const content of opened.splice(0)) await content[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const opened: SourceContent[] = [];
async function open(
  pattern: string,
  dryRun = false,
  kind: 'playlist' | 'guide' = 'playlist',
  signal = AbortSignal.timeout(60_000),
): Promise<SourceContent> {
  const config = {
    name: 'home',
    origin: { kind: 'path', pattern: join(folder, pattern) },
    timeoutMs: 1000,
    retryCount: 0,
    maxBytes: 1e9,
    headers: {},
  } as const;
  const content = await openSource(config, kind, {
    cacheDir: join(folder, 'cache'),
    shrinkLimit: 0.5,
    dryRun,
    tempDir: folder,
    clock: new ManualClock(),
    signal,
    warn: (line) => warnings.push(line),
  });
  opened.push(content);
  return content;
}

/** A list of exactly so many bytes, 40 at least. */
const list = (size: number, tag = 'x') => `#EXTM3U\n#EXTINF:-1,a\nhttp://${tag}/`.padEnd(size, tag);

function put(name: string, text: string | Buffer): void {
  writeFileSync(join(folder, name), text);
}

async function text(content: SourceContent): Promise<string> {
  let all = '';
  const target = Buffer.alloc(1000);
  for (const part of content.parts) {
    await using source = await part.open();
    for (let got = 0; (got = await source.read(target, 0, 1000)) > 0; ) all += target.toString('utf8', 0, got);
  }
  return all;
}

describe('local sources', () => {
  it('are all files a pattern fits, in order', async () => {
    for (const name of ['b', 'a', 'c']) put(`lists/${name}.m3u`, list(40, name));
    put('lists/x.txt', 'no');
    await using content = await open('lists/*.m3u');
    expect(await text(content)).toBe(['a', 'b', 'c'].map((name) => list(40, name)).join(''));
    expect(content.parts.map((part) => part.label)).toEqual(
      ['a', 'b', 'c'].map((name) => join(folder, `lists/${name}.m3u`)),
    );
    expect(content.stale).toBe(false);
  });

  it('may have brackets in a real name', async () => {
    put('lists/[x].m3u', list(40));
    expect(await text(await open('lists/[x].m3u'))).toBe(list(40));
  });

  it('fail with one line when there is nothing', async () => {
    await expect(open('lists/none.m3u')).rejects.toMatchObject({
      fault: 'missing',
      message: expect.stringMatching(/^source home: no file at .*none\.m3u$/),
    });
    await expect(open('lists/*.m3u')).rejects.toMatchObject({ fault: 'missing' });
    put('lists/empty.m3u', '');
    await expect(open('lists/empty.m3u')).rejects.toMatchObject({ fault: 'empty' });
  });

  const damages: [string, () => void][] = [
    ['gone', () => rmSync(join(folder, 'lists/a.m3u'))],
    ['moved away', () => renameSync(join(folder, 'lists/a.m3u'), join(folder, 'lists/b'))],
    ['empty', () => truncateSync(join(folder, 'lists/a.m3u'), 0)],
    ['shrunk in place', () => truncateSync(join(folder, 'lists/a.m3u'), 40)],
    ['turned into a web page', () => put('lists/a.m3u', `<!DOCTYPE html><p>${'#EXTINF:0,a\nhttp://b\n'.repeat(30)}`)],
    ['turned into something else', () => put('lists/a.m3u', 'hello '.repeat(50))],
    ['without channels', () => put('lists/a.m3u', `#EXTM3U\n${'#EXTINF:0,a\n'.repeat(20_000)}`)],
    [
      'one stream in pieces',
      () => put('lists/a.m3u', '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n1.ts\n'.repeat(9)),
    ],
    [
      'a folder',
      () => {
        rmSync(join(folder, 'lists/a.m3u'));
        mkdirSync(join(folder, 'lists/a.m3u'));
      },
    ],
    ['damaged from the start', () => put('lists/a.m3u', gzipSync(list(999)).subarray(0, 20))],
    ['replaced by something small', () => put('lists/a.m3u', list(49))],
  ];
  it.each(damages)('keep their last good content when %s', async (_, damage) => {
    for (const pattern of ['lists/a.m3u', 'lists/*.m3u']) {
      const good = list(100, 'good');
      put('lists/a.m3u', good);
      await (await open(pattern)).keep();
      warnings = [];
      damage();
      // Twice: the last good content stays good after a run that used it.
      for (let i = 0; i < 2; i++) {
        await using content = await open(pattern);
        expect(await text(content)).toBe(good);
        expect(content.stale).toBe(true);
        await content.keep();
      }
      expect(warnings).toHaveLength(2);
      expect(warnings[0]).toMatch(
        /source home: .*a\.m3u .*last good content is used\. To accept it as it is, delete .*\.json$/,
      );
      rmSync(join(folder, 'cache'), { recursive: true });
      rmSync(join(folder, 'lists/a.m3u'), { recursive: true, force: true });
    }
  });

  it('take new content that is as large as half the old', async () => {
    put('lists/a.m3u', list(100));
    await (await open('lists/a.m3u')).keep();
    put('lists/a.m3u', list(50, 'y'));
    const content = await open('lists/a.m3u');
    expect(await text(content)).toBe(list(50, 'y'));
    await content.keep();
    expect(warnings).toEqual([]);
    // One state and one copy are all that stays.
    expect(readdirSync(join(folder, 'cache'))).toHaveLength(2);
  });

  it('do not miss a file that was taken from among others', async () => {
    put('lists/a.m3u', list(40, 'a'));
    put('lists/b.m3u', list(40, 'b'));
    await (await open('lists/*.m3u')).keep();
    rmSync(join(folder, 'lists/a.m3u'));
    const content = await open('lists/*.m3u');
    expect(await text(content)).toBe(list(40, 'b'));
    expect(warnings).toEqual([]);
  });

  it('are not remembered in a dry run, nor when they changed under the run', async () => {
    put('lists/a.m3u', list(40, 'a'));
    await (await open('lists/a.m3u', true)).keep();
    expect(readdirSync(folder)).toEqual(['lists']);
    const content = await open('lists/a.m3u');
    utimesSync(join(folder, 'lists/a.m3u'), 1, 1);
    await content.keep();
    rmSync(join(folder, 'lists/a.m3u'));
    await expect(open('lists/a.m3u')).rejects.toMatchObject({ fault: 'missing' });
  });

  it('keep the cache to its owner and outlive a broken state file', async () => {
    put('lists/a.m3u', list(40, 'a'));
    await (await open('lists/a.m3u')).keep();
    const cache = join(folder, 'cache');
    expect(statSync(cache).mode & 0o777).toBe(0o700);
    const state = readdirSync(cache).find((name) => name.endsWith('.json'))!;
    for (const broken of ['', '{', '[]', '{"version":1,"files":[{"name":"x","sizeBytes":1,"copy":"../../x"}]}']) {
      writeFileSync(join(cache, state), broken);
      expect(await text(await open('lists/a.m3u'))).toBe(list(40, 'a'));
    }
  });

  it('keep a last good guide, and take one with channels only when there is no better', async () => {
    const guide = (body: string) => `<?xml version="1.0"?>\n<tv>${'<channel id="a"/>'.repeat(20_000)}${body}</tv>`;
    put('lists/g.xml', guide(''));
    await (await open('lists/g.xml', false, 'guide')).keep();
    expect(warnings).toEqual([expect.stringMatching(/^guide home: .*g\.xml has no programmes$/)]);
    const good = guide('<programme channel="a"/>');
    put('lists/g.xml', good);
    await (await open('lists/g.xml', false, 'guide')).keep();
    for (const bad of [guide(''), `<html>${good}`, list(good.length)]) {
      put('lists/g.xml', bad);
      const content = await open('lists/g.xml', false, 'guide');
      expect(await text(content)).toBe(good);
      await content.keep();
    }
  });

  it('do not let what gave nothing block what is good', async () => {
    put('lists/a.m3u', `<!DOCTYPE html>${' '.repeat(5000)}`);
    await expect(open('lists/a.m3u')).rejects.toThrow(
      /^source home: [^\n]*a\.m3u is a web page instead of a playlist$/,
    );
    put('lists/b.m3u', list(40));
    await (await open('lists/*.m3u')).keep();
    expect(warnings.at(-1)).toMatch(/^source home: .*a\.m3u is a web page instead of a playlist: it is left out$/);
    put('lists/a.m3u', list(50));
    expect(await text(await open('lists/*.m3u'))).toBe(list(50) + list(40));
  });

  it('are read from a copy that another run removes', async () => {
    put('lists/a.m3u', list(100));
    await (await open('lists/a.m3u')).keep();
    rmSync(join(folder, 'lists/a.m3u'));
    const content = await open('lists/a.m3u');
    rmSync(join(folder, 'cache'), { recursive: true });
    for (let i = 0; i < 2; i++) expect(await text(content)).toBe(list(100));
  });

  it('say what to write instead of a folder', async () => {
    await expect(open('lists')).rejects.toThrow(
      /^source home: [^\n]*lists is a folder: name a file in it, or a pattern such as [^\n]*lists[/\\]\*\.m3u$/,
    );
  });

  it('do not fail because nothing can be remembered', async () => {
    put('lists/a.m3u', list(100));
    put('cache', 'a file');
    await (await open('lists/a.m3u')).keep();
    expect(warnings).toEqual([expect.stringMatching(/^source home: cannot be kept as last good content: [^\n]*$/)]);
  });
});

describe.runIf(process.platform !== 'win32')('a named pipe', () => {
  const make = () => execFileSync('mkfifo', [join(folder, 'lists/p.m3u')]);

  it('is read as it is written, and nothing of it is remembered', async () => {
    make();
    const content = await open('lists/p.m3u');
    const long = list(300_000);
    const writing = writeFile(join(folder, 'lists/p.m3u'), gzipSync(long, { level: 0 }));
    expect((await text(content)) === long).toBe(true);
    await writing;
    await content.keep();
    expect(readdirSync(join(folder, 'cache'))).toHaveLength(1);
  });

  it('on which nobody writes is left when the run is interrupted', async () => {
    make();
    const controller = new AbortController();
    const content = await open('lists/p.m3u', false, 'playlist', controller.signal);
    const reading = text(content);
    setImmediate(() => controller.abort('SIGTERM'));
    await expect(reading).rejects.toBe('SIGTERM');
  });
});
