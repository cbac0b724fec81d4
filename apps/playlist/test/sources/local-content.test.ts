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
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
afterEach(() => rmSync(folder, { recursive: true }));

function open(pattern: string, dryRun = false): Promise<SourceContent> {
  const config = {
    name: 'home',
    origin: { kind: 'path', pattern: join(folder, pattern) },
    timeoutMs: 1000,
    retryCount: 0,
    maxBytes: 1e9,
    headers: {},
  } as const;
  return openSource(config, 'playlist', {
    cacheDir: join(folder, 'cache'),
    shrinkLimit: 0.5,
    dryRun,
    clock: new ManualClock(),
    signal: AbortSignal.timeout(60_000),
    warn: (line) => warnings.push(line),
  });
}

function put(name: string, text: string): void {
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
    for (const name of ['b', 'a', 'c']) put(`lists/${name}.m3u`, `${name};`);
    put('lists/x.txt', 'no');
    await using content = await open('lists/*.m3u');
    expect(await text(content)).toBe('a;b;c;');
    expect(content.parts.map((part) => part.label)).toEqual(
      ['a', 'b', 'c'].map((name) => join(folder, `lists/${name}.m3u`)),
    );
    expect(content.stale).toBe(false);
  });

  it('may have brackets in a real name', async () => {
    put('lists/[x].m3u', 'x');
    expect(await text(await open('lists/[x].m3u'))).toBe('x');
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
    ['replaced by something small', () => put('lists/a.m3u', 'x'.repeat(49))],
  ];
  it.each(damages)('keep their last good content when %s', async (_, damage) => {
    for (const pattern of ['lists/a.m3u', 'lists/*.m3u']) {
      const good = 'good '.repeat(20);
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
    }
  });

  it('take new content that is as large as half the old', async () => {
    put('lists/a.m3u', 'x'.repeat(100));
    await (await open('lists/a.m3u')).keep();
    put('lists/a.m3u', 'y'.repeat(50));
    const content = await open('lists/a.m3u');
    expect(await text(content)).toBe('y'.repeat(50));
    await content.keep();
    expect(warnings).toEqual([]);
    // One state and one copy are all that stays.
    expect(readdirSync(join(folder, 'cache'))).toHaveLength(2);
  });

  it('do not miss a file that was taken from among others', async () => {
    put('lists/a.m3u', 'a');
    put('lists/b.m3u', 'b');
    await (await open('lists/*.m3u')).keep();
    rmSync(join(folder, 'lists/a.m3u'));
    const content = await open('lists/*.m3u');
    expect(await text(content)).toBe('b');
    expect(warnings).toEqual([]);
  });

  it('are not remembered in a dry run, nor when they changed under the run', async () => {
    put('lists/a.m3u', 'a');
    await (await open('lists/a.m3u', true)).keep();
    expect(readdirSync(folder)).toEqual(['lists']);
    const content = await open('lists/a.m3u');
    utimesSync(join(folder, 'lists/a.m3u'), 1, 1);
    await content.keep();
    rmSync(join(folder, 'lists/a.m3u'));
    await expect(open('lists/a.m3u')).rejects.toMatchObject({ fault: 'missing' });
  });

  it('keep the cache to its owner and outlive a broken state file', async () => {
    put('lists/a.m3u', 'a');
    await (await open('lists/a.m3u')).keep();
    const cache = join(folder, 'cache');
    expect(statSync(cache).mode & 0o777).toBe(0o700);
    const state = readdirSync(cache).find((name) => name.endsWith('.json'))!;
    for (const broken of ['', '{', '[]', '{"version":1,"files":[{"name":"x","sizeBytes":1,"copy":"../../x"}]}']) {
      writeFileSync(join(cache, state), broken);
      expect(await text(await open('lists/a.m3u'))).toBe('a');
    }
  });
});
