import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSource } from '../../src/sources/open-source.ts';
import type { SourceContent } from '../../src/sources/source-content.ts';
import { type Answer, ImpatientClock, MisbehavingServer } from './misbehaving-server.ts';

let folder: string;
let server: MisbehavingServer;
let warnings: string[];
const opened: SourceContent[] = [];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'playlist-cache-'));
  server = await new MisbehavingServer().start();
  warnings = [];
});
afterEach(async () => {
  for (const content of opened.splice(0)) await content[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

async function open(cacheDir = join(folder, 'cache')): Promise<SourceContent> {
  const origin = { kind: 'url', url: `${server.origin}/list.m3u` } as const;
  const config = { name: 'far', origin, timeoutMs: 7777, retryCount: 0, maxBytes: 1e8, headers: {} };
  const content = await openSource(config, 'playlist', {
    cacheDir,
    shrinkLimit: 0.5,
    dryRun: false,
    tempDir: folder,
    clock: new ImpatientClock(7777),
    signal: new AbortController().signal,
    warn: (line) => warnings.push(line),
  });
  opened.push(content);
  return content;
}

async function text(content: SourceContent): Promise<string> {
  await using source = await content.parts[0]!.open();
  const target = Buffer.alloc(100_000);
  return target.toString('utf8', 0, await source.read(target, 0, target.length));
}

const list = (count: number) =>
  `#EXTM3U\n${Array.from({ length: count }, (_, i) => `#EXTINF:-1,x ${i}\nhttp://s.example/${i}\n`).join('')}`;
const GOOD = list(100);
const send =
  (body: string, headers: Record<string, string> = {}): Answer =>
  (_, response) =>
    response.writeHead(200, headers).end(body);
const status =
  (code: number): Answer =>
  (_, response) =>
    response.writeHead(code).end();

describe('a cache that others use', () => {
  const empty = () => {
    for (const name of readdirSync(join(folder, 'cache'))) rmSync(join(folder, 'cache', name));
  };

  it('may lose its copies under a run: fresh, unchanged or stale', async () => {
    server.answers = [send(GOOD, { etag: '"v1"' }), status(304), status(404)];
    const contents = [await open(), await open(), await open()];
    empty();
    for (const content of contents) for (let i = 0; i < 2; i++) expect(await text(content)).toBe(GOOD);
    expect(contents.map((content) => content.stale)).toEqual([false, false, true]);
  });

  it('may hold one URL that a configuration names twice', async () => {
    server.answers = [send(GOOD), send(list(99))];
    const [first, second] = [await open(), await open()];
    for (let i = 0; i < 2; i++) {
      expect(await text(first)).toBe(GOOD);
      expect(await text(second)).toBe(list(99));
    }
    expect(readdirSync(join(folder, 'cache'))).toHaveLength(2);
  });

  it('may lose the last good copy while it is asked for', async () => {
    server.answers = [
      send(GOOD, { etag: '"v1"' }),
      (request, response) => {
        empty();
        status(304)(request, response);
      },
    ];
    await open();
    expect(await text(await open())).toBe(GOOD);
  });

  it('lets another run finish what it has begun', async () => {
    server.answers = [send(GOOD)];
    await open();
    const cache = join(folder, 'cache');
    const key = readdirSync(cache)
      .find((name) => name.endsWith('.json'))!
      .slice(0, -5);
    const others = [`${key}-other-0-0.part`, `${key}-${process.pid.toString(36)}-0-0.part`, `${key}-other-0-1`];
    for (const name of others) writeFileSync(join(cache, name), 'x');
    await open();
    expect(readdirSync(cache)).toEqual(expect.arrayContaining(others));
    utimesSync(join(cache, others[0]!), 1, 1);
    await open();
    expect(readdirSync(cache)).not.toContain(others[0]);
  });

  it.runIf(process.platform === 'linux')('is rid at once of what a killed run had begun', async () => {
    server.answers = [send(GOOD)];
    await open();
    const cache = join(folder, 'cache');
    const mine = readdirSync(cache).find((name) => !name.endsWith('.json'))!;
    // Of a process that had this one's pid before it.
    const [part, copy] = [`${mine}x.part`, `${mine}x`].map((name) =>
      name.replace(/-(\d+)-\d+-(\d+-[0-9a-f]+)-[0-9a-f]{12}-/, '-$1-77-$2-000000000000-'),
    );
    for (const name of [part!, copy!]) writeFileSync(join(cache, name), 'x');
    expect(readdirSync(cache)).toHaveLength(4);
    await open();
    expect(readdirSync(cache)).toHaveLength(2);
  });

  it('may have no room for the state: the content is used and a line says so', async () => {
    server.answers = [send(GOOD)];
    await open();
    const cache = join(folder, 'cache');
    const state = readdirSync(cache).find((name) => name.endsWith('.json'))!;
    rmSync(join(cache, state));
    mkdirSync(join(cache, state));
    expect(await text(await open())).toBe(GOOD);
    expect(warnings).toEqual([expect.stringMatching(/^source far: is used, but cannot be kept as last good[^\n]*$/)]);
  });
});

describe('a cache that cannot be made', () => {
  it('is one clear line', async () => {
    server.answers = [send(GOOD)];
    writeFileSync(join(folder, 'file'), '');
    await expect(open(join(folder, 'file'))).rejects.toMatchObject({
      fault: 'cache',
      message: expect.stringMatching(
        /^the cache [^\n]*file: cannot be made \(a part of [^\n]* is a file, not a folder\): set \[cache\] dir to/,
      ),
    });
  });

  it.runIf(process.platform === 'linux')('does not keep the run for ever', async () => {
    server.answers = [send(GOOD)];
    await expect(open('/proc/nope')).rejects.toThrow(/^the cache \/proc\/nope: cannot be made \(/);
  });
});
