import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { ManualClock } from 'plimsoll';
import { nodeSpillFs, SpillFolder } from 'plimsoll/spill';
import { describe, expect, it } from 'vitest';
import { memoryBackedName } from '../../src/memory-backed.ts';
import { currentOwner, nameOfOwner, ownerState, parseOwner } from '../../src/spill/spill-owner.ts';
import { tempParents } from './temp-parent.ts';

const MIB = 1_048_576;
const DAY = 86_400_000;
const CHILD = join(import.meta.dirname, 'spill-child.ts');
const parent = tempParents();
const open = (dir: string, more: object = {}) =>
  SpillFolder.open(dir, { maxBytes: MIB, allowMemoryBacked: true, ...more });

/** A process that has a spill folder in `dir`, and lives until it is killed. */
async function spawnOwner(dir: string) {
  const child = spawn(process.execPath, ['--conditions=source', '--no-warnings', CHILD, dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [data] = (await once(child.stdout, 'data')) as [Buffer];
  return {
    folder: String(data).trim(),
    async kill() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

function plant(dir: string, name: string, owner: unknown, ageMs = 0): string {
  const folder = join(dir, name);
  mkdirSync(folder, { mode: 0o700 });
  if (owner !== undefined) writeFileSync(join(folder, 'owner.json'), JSON.stringify(owner));
  writeFileSync(join(folder, 'segment-1'), 'left');
  const then = (Date.now() - ageMs) / 1_000;
  if (owner !== undefined) utimesSync(join(folder, 'owner.json'), then, then);
  utimesSync(folder, then, then);
  return folder;
}

describe('folders of others', () => {
  it('of a living owner are never touched, of a dead one they go at the next start', async () => {
    const dir = parent();
    const owner = await spawnOwner(dir);
    {
      await using folder = await open(dir);
      expect(folder.stats.leftoversRemoved).toBe(0);
      expect(readdirSync(owner.folder).sort()).toEqual(['owner.json', 'run-2', 'run-3', 'segment-1']);
    }
    await owner.kill();
    expect(existsSync(owner.folder)).toBe(true);
    await using folder = await open(dir);
    expect(folder.stats.leftoversRemoved).toBe(1);
    expect(readdirSync(dir)).toHaveLength(1);
  });

  it('whose pid is used again by another process are known to be dead', async () => {
    const dir = parent();
    const self = currentOwner();
    const mine = plant(dir, 'plimsoll-spill-1-mine', self);
    const older = plant(dir, 'plimsoll-spill-1-older', { ...self, startedAt: `${self.startedAt}0` });
    await using _folder = await open(dir);
    expect(existsSync(mine)).toBe(true);
    expect(existsSync(older)).toBe(process.platform !== 'linux');
  });

  it('that are left from before a power loss or a restart go at once on a disk of this machine alone, and not on a shared one', async () => {
    const dir = parent();
    const self = currentOwner();
    const before = { ...self, bootId: 'the one before', pidNamespace: 'pid:[1]' };
    const left = plant(dir, 'plimsoll-spill-left', before);
    const unsigned = plant(dir, 'plimsoll-spill-unsigned', undefined);
    const withType = (type: number) => ({ fs: { ...nodeSpillFs, statfs: async () => ({ type }) } });
    for (const shared of [0x6969, 0xff534d42, 0x65735546, 0]) {
      await using folder = await open(dir, withType(shared));
      expect(folder.stats.leftoversRemoved).toBe(0);
    }
    if (process.platform !== 'linux' || self.bootId === '') return;
    await using folder = await open(dir, withType(0xef53));
    expect(folder.stats.leftoversRemoved).toBe(1);
    expect([existsSync(left), existsSync(unsigned)]).toEqual([false, true]);
  });

  it('whose owner is out of sight, or was never written down, go when nobody signed for a day', async () => {
    const dir = parent();
    const elsewhere = { ...currentOwner(), pid: 2 ** 30, pidNamespace: 'pid:[1]' };
    const kept = [
      plant(dir, 'plimsoll-spill-a', elsewhere, DAY - 60_000),
      plant(dir, 'plimsoll-spill-b', undefined, DAY - 60_000),
      plant(dir, 'plimsoll-spill-c', { pid: -5 }, 0),
      plant(dir, 'somebody-elses', undefined, 9 * DAY),
    ];
    const gone = [
      plant(dir, 'plimsoll-spill-d', elsewhere, DAY + 60_000),
      plant(dir, 'plimsoll-spill-e', undefined, DAY + 60_000),
    ];
    writeFileSync(join(dir, 'plimsoll-spill-file'), 'no folder');
    await using _folder = await open(dir);
    for (const folder of kept) expect(existsSync(folder), folder).toBe(true);
    for (const folder of gone) expect(existsSync(folder), folder).toBe(false);
    expect(existsSync(join(dir, 'plimsoll-spill-file'))).toBe(true);
  });

  it.skipIf(process.platform !== 'linux')(
    'whose owner was killed before it signed go at the next start, by their name, where only this machine has the disk',
    async () => {
      const [, startedAt, namespace, boot] = nameOfOwner(currentOwner()).split('-');
      const names = {
        alive: `plimsoll-spill-${process.pid}-${startedAt}-${namespace}-${boot}-0a`,
        dead: `plimsoll-spill-${2 ** 30}-77-${namespace}-${boot}-0b`,
        reused: `plimsoll-spill-${process.pid}-77-${namespace}-${boot}-0c`,
        elsewhere: `plimsoll-spill-${2 ** 30}-77-1-${boot}-0d`,
        before: `plimsoll-spill-${process.pid}-${startedAt}-${namespace}-${'0f'.repeat(16)}-0e`,
      };
      const left = async (type: number): Promise<string[]> => {
        const dir = parent();
        for (const name of Object.values(names)) plant(dir, name, undefined);
        const fs = { ...nodeSpillFs, statfs: async () => ({ type }) };
        await using folder = await open(dir, { fs });
        return readdirSync(dir).filter((name) => join(dir, name) !== folder.dir);
      };
      expect(await left(0xef53)).toEqual([names.alive, names.elsewhere].sort());
      expect(await left(0x6969)).toEqual(Object.values(names).sort());
    },
  );

  it.skipIf(!existsSync('/dev/zero'))(
    'whose owner file is a link to something without end are left alone',
    async () => {
      const dir = parent();
      const odd = plant(dir, 'plimsoll-spill-odd', undefined);
      symlinkSync('/dev/zero', join(odd, 'owner.json'));
      await using folder = await open(dir);
      expect(folder.stats.leftoversRemoved).toBe(0);
      expect(existsSync(odd)).toBe(true);
    },
  );

  it('whose owner file is far longer than any is are left alone, and not read', async () => {
    const dir = parent();
    const odd = plant(dir, 'plimsoll-spill-odd', { ...currentOwner(), pid: 2 ** 22 + 1, startedAt: '1' });
    truncateSync(join(odd, 'owner.json'), 2 ** 29);
    const read: string[] = [];
    const readFile: typeof nodeSpillFs.readFile = async (path) => {
      read.push(path);
      return '';
    };
    await using folder = await open(dir, { fs: { ...nodeSpillFs, readFile } });
    expect(read).toEqual([]);
    expect(folder.stats.leftoversRemoved).toBe(0);
  });

  it('that cannot be removed or read are no reason not to start', async () => {
    const dir = parent();
    plant(dir, 'plimsoll-spill-dead', { ...currentOwner(), pid: 2 ** 22 + 1, startedAt: '1' });
    let stuck = true;
    const rm: typeof nodeSpillFs.rm = async (path, options) => {
      if (stuck) throw Object.assign(new Error('no'), { code: 'EACCES' });
      await nodeSpillFs.rm(path, options);
    };
    const folder = await open(dir, { fs: { ...nodeSpillFs, rm } });
    expect(folder.stats.leftoversRemoved).toBe(0);
    // Its own that cannot be removed is an error, and another try removes it.
    await expect(folder[Symbol.asyncDispose]()).rejects.toMatchObject({ code: 'PLIMSOLL_SPILL_IO' });
    stuck = false;
    await folder[Symbol.asyncDispose]();
    expect(readdirSync(dir)).toEqual(['plimsoll-spill-dead']);
  });
});

describe('an owner', () => {
  it('signs every hour, so that who cannot see it sees that it lives', async () => {
    const dir = parent();
    const clock = new ManualClock();
    await using folder = await open(dir, { clock });
    const file = join(folder.dir, 'owner.json');
    utimesSync(file, 1, 1);
    clock.advance(3_600_000);
    await folder.put(Buffer.from('x'));
    for (let i = 0; i < 10_000 && statSync(file).mtimeMs < 10_000; i++) await folder.put(Buffer.from('x'));
    expect(Date.now() - statSync(file).mtimeMs).toBeLessThan(60_000);
    expect(clock.pending).toBe(1);
    await folder[Symbol.asyncDispose]();
    expect(clock.pending).toBe(0);
  });

  it('is read back as it was written, and nothing else is taken for one', () => {
    const self = currentOwner();
    expect(parseOwner(JSON.stringify(self))).toEqual(self);
    expect(ownerState(self)).toBe('alive');
    for (const text of ['', '{', '[]', 'null', '{"pid":1}', JSON.stringify({ ...self, pid: 0 })]) {
      expect(parseOwner(text)).toBeUndefined();
    }
    expect(ownerState({ ...self, bootId: 'another' })).toBe('unknown');
    expect(ownerState({ ...self, bootId: 'another' }, { ...self, bootId: 'this' }, true)).toBe('dead');
    expect(ownerState({ ...self, bootId: '' }, { ...self, bootId: 'this' }, true)).toBe('unknown');
  });
});

describe('file systems in memory', () => {
  it('are known by their number', () => {
    expect(memoryBackedName(0x01021994, 'linux')).toBe('tmpfs');
    expect(memoryBackedName(0x858458f6, 'linux')).toBe('ramfs');
    expect(memoryBackedName(-2_054_924_042n, 'linux')).toBe('ramfs');
    expect(memoryBackedName(0xef53, 'linux')).toBeUndefined();
    expect(memoryBackedName(0x01021994, 'darwin')).toBeUndefined();
  });

  it('are refused unless that is asked for, and nothing is left there', async () => {
    const dir = parent();
    const fs = { ...nodeSpillFs, statfs: async () => ({ type: 0x01021994 }) };
    const refused = SpillFolder.open(dir, { maxBytes: MIB, fs });
    if (process.platform === 'linux') {
      await expect(refused).rejects.toMatchObject({ code: 'PLIMSOLL_SPILL_MEMORY_BACKED' });
      await expect(refused).rejects.toThrow('is on tmpfs, which is memory');
    }
    expect(readdirSync(dir)).toEqual([]);
    await using folder = await open(dir, { fs });
    expect(readFileSync(join(folder.dir, 'owner.json'), 'utf8')).toContain(String(process.pid));
  });

  it('are found for what they are on this machine', async (context) => {
    if (!existsSync('/dev/shm')) context.skip('there is no /dev/shm here');
    await expect(SpillFolder.open('/dev/shm', { maxBytes: MIB })).rejects.toMatchObject({
      code: 'PLIMSOLL_SPILL_MEMORY_BACKED',
    });
  });
});

describe('a parent that cannot be written to', () => {
  it('is an error with a code', async (context) => {
    if (process.getuid?.() === 0) context.skip('root may write everywhere');
    const dir = parent();
    chmodSync(dir, 0o500);
    await expect(open(dir)).rejects.toMatchObject({ code: 'PLIMSOLL_SPILL_IO', recovery: 'circuit-break' });
  });

  it('is an error with a code when it is a file', async () => {
    const dir = parent();
    writeFileSync(join(dir, 'file'), '');
    await expect(open(join(dir, 'file'))).rejects.toMatchObject({ code: 'PLIMSOLL_SPILL_IO' });
  });
});
