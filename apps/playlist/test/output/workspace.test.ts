import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ownerMark } from 'plimsoll/spill';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Workspace } from '../../src/output/workspace.ts';

let out: string;
beforeEach(async () => {
  out = await mkdtemp(join(tmpdir(), 'plimsoll-workspace-'));
});
afterEach(() => rm(out, { recursive: true, force: true }));

describe('workspace', () => {
  it('is private, publishes by rename, and is gone afterwards', async () => {
    await writeFile(join(out, 'home.m3u8'), 'old');
    {
      await using workspace = await Workspace.open(out, 'home');
      expect((await stat(workspace.dir)).mode & 0o777).toBe(0o700);
      await writeFile(workspace.path('list'), 'new');
      expect(await readFile(join(out, 'home.m3u8'), 'utf8')).toBe('old');
      expect(await workspace.publish([{ file: 'list', as: 'home.m3u8' }])).toEqual([join(out, 'home.m3u8')]);
    }
    expect(await readFile(join(out, 'home.m3u8'), 'utf8')).toBe('new');
    expect(await readdir(out)).toEqual(['home.m3u8']);
  });

  it('clears what a killed run left, and only that', async () => {
    const dead = spawn(process.execPath, ['-e', '0']);
    await new Promise((resolve) => dead.once('exit', resolve));
    const [, , namespace, boot] = ownerMark().split('-');
    const orphan = join(out, `.plimsoll-home-${dead.pid}-12345-${namespace}-${boot}-0`);
    const reused = join(out, `.plimsoll-home-${process.pid}-1-${namespace}-${boot}-0`);
    const foreign = join(out, '.plimsoll-notes');
    const otherContainer = join(out, `.plimsoll-home-${dead.pid}-12345-77-${boot}-0`);
    const longGone = join(out, `.plimsoll-home-${dead.pid}-12345-77-${boot}-1`);
    for (const dir of [orphan, reused, foreign, otherContainer, longGone]) await mkdir(dir);
    await utimes(longGone, 1, 1);
    await using living = await Workspace.open(out, 'home');
    await using next = await Workspace.open(out, 'home');
    expect(existsSync(orphan)).toBe(false);
    if (process.platform === 'linux') expect(existsSync(reused)).toBe(false);
    expect(existsSync(foreign)).toBe(true);
    expect(existsSync(otherContainer)).toBe(true);
    expect(existsSync(longGone)).toBe(false);
    expect(existsSync(living.dir)).toBe(true);
    expect(next.dir).not.toBe(living.dir);
  });

  it.skipIf(!existsSync('/dev/shm') || process.platform !== 'linux')(
    'hole: the folder of a living run on another machine is taken for that of a dead one of this machine',
    async () => {
      const shared = await mkdtemp('/dev/shm/plimsoll-workspace-');
      const [, , namespace] = ownerMark().split('-');
      const dir = join(shared, `.plimsoll-home-${2 ** 30}-12345-${namespace}-${'ab'.repeat(16)}-0`);
      try {
        await mkdir(dir);
        await using _ = await Workspace.open(shared, 'home');
        expect(existsSync(dir)).toBe(true);
      } finally {
        await rm(shared, { recursive: true });
      }
    },
  );

  it('says in one line where it may not write', async () => {
    await writeFile(join(out, 'file'), '');
    await expect(Workspace.open(join(out, 'file'), 'home')).rejects.toMatchObject({ code: 'PLIMSOLL_PLAYLIST_OUTPUT' });
  });
});
