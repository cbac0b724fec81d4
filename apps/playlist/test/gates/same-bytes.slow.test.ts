import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { generateM3u } from '../../src/sample/generate-m3u.ts';
import { generateXmltv } from '../../src/sample/generate-xmltv.ts';
import { freshDir } from './fixtures.ts';
import { runApp } from './run-app.ts';

const CHANNELS = 10_000;
/** What the job needs is near this one: there the governor has something to do. */
const LITTLE = '72MiB';
const MUCH = '256MiB';
const dir = freshDir('same-bytes');
const list = join(dir, 'list.m3u');
const guide = join(dir, 'guide.xml');
afterAll(() => rmSync(dir, { recursive: true, force: true }));

beforeAll(async () => {
  await generateM3u({ path: list, channels: CHANNELS });
  await generateXmltv({ path: guide, bytes: 8_000_000, repeatEvery: 9, playlist: { channels: CHANNELS } });
});

async function hashes(mode: string, limit: string): Promise<{ readonly playlist: string; readonly guide: string }> {
  const run = await runApp({
    dir: join(dir, `${mode}-${limit}`),
    lists: [list],
    guides: [guide],
    flags: ['--memory-limit', limit],
    env: { PLIMSOLL: mode },
  });
  expect(run.exitCode, run.stderr).toBe(0);
  const hash = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
  return { playlist: hash(run.playlistPath), guide: hash(run.guidePath) };
}

/** Many more are the gate `same-bytes-modes`. */
it('the output is the same bytes with the governor on and observing in little memory, and off in much', async () => {
  const expected = await hashes('off', MUCH);
  const others = [
    ['on', LITTLE],
    ['observe', LITTLE],
  ] as const;
  for (const [mode, limit] of others) expect(await hashes(mode, limit), `${mode}, ${limit}`).toEqual(expected);
}, 120_000);
