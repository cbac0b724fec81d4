import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MisbehavingServer } from '../sources/misbehaving-server.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');
const LIST = '#EXTM3U\n#EXTINF:-1,a\nhttp://h/a\n';
const folder = mkdtempSync(join(tmpdir(), 'playlist-dry-run-'));
const temp = join(folder, 'temp');
const server = new MisbehavingServer();

beforeAll(async () => {
  await server.start();
  mkdirSync(temp);
  writeFileSync(join(folder, 'my.toml'), `[[source]]\nurl = "${server.origin}/list.m3u"\n[output]\ndir = "out"\n`);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function start(...flags: string[]) {
  const args = ['--conditions=source', '--no-warnings', MAIN, '--quiet', '--config', join(folder, 'my.toml'), ...flags];
  return spawn(process.execPath, args, {
    env: { ...process.env, TMPDIR: temp },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

async function killedInTheMiddle(): Promise<void> {
  const asked = new Promise<void>((resolve) => {
    server.answers = [
      (_, response) => {
        response.writeHead(200, { 'content-length': LIST.length + 1 });
        response.write(LIST, () => resolve());
      },
    ];
  });
  const child = start('--dry-run');
  await asked;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

it.each([
  ['another dry run', ['--dry-run']],
  ['a run', []],
])(
  'hole: what a dry run downloaded when it was killed stays in the temporary folder, whatever starts next: %s',
  async (_, flags) => {
    await killedInTheMiddle();
    expect(readdirSync(temp)).toHaveLength(1);
    expect(readdirSync(temp, { recursive: true }).join(' ')).toMatch(/^\.plimsoll-.*\/download-\w+/);
    server.answers = [(_request, response) => void response.end(LIST)];
    const [exitCode] = await once(start(...flags), 'exit');
    expect(exitCode).toBe(0);
    expect(readdirSync(temp)).toEqual([]);
  },
);
