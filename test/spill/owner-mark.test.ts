import { existsSync, statfsSync } from 'node:fs';
import { ownerFate, ownerMark } from 'plimsoll/spill';
import { describe, expect, it } from 'vitest';
import { isLocalDisk } from '../../src/spill/local-disk.ts';
import { tempParents } from './temp-parent.ts';

const parent = tempParents();
const SHARED = '/dev/shm';
const OTHER_BOOT = '0123456789abcdef0123456789abcdef';

describe.skipIf(process.platform !== 'linux')('the owner in a name', () => {
  const [pid, startedAt, namespace, boot] = ownerMark().split('-');
  const fate = (mark: string, dir = parent()) => ownerFate(`.work-at-home-${mark}-7`, dir);

  it('is this process, and nothing in it needs escaping', async () => {
    expect(ownerMark()).toMatch(/^\d+-\d+-\d+-[0-9a-f]{32}$/);
    expect(pid).toBe(String(process.pid));
    expect(await fate(ownerMark())).toBe('alive');
    expect(await ownerFate(ownerMark(), parent())).toBe('alive');
    expect(await ownerFate(`${ownerMark()}.part`, parent())).toBe('alive');
  });

  it('is dead when its pid is gone, or is that of a process that began at another time', async () => {
    expect(await fate(`${2 ** 30}-${startedAt}-${namespace}-${boot}`)).toBe('dead');
    expect(await fate(`${pid}-1-${namespace}-${boot}`)).toBe('dead');
    expect(await fate(`${pid}-x-${namespace}-${boot}`)).toBe('alive');
  });

  it('hole: after a restart another process has pid and start time of one that was killed, and passes for it', async () => {
    const mark = `${pid}-${startedAt}-${namespace}-${OTHER_BOOT}`;
    const dir = parent();
    expect(await fate(mark, dir)).toBe(isLocalDisk(statfsSync(dir).type) ? 'dead' : 'unknown');
  });

  it.skipIf(!existsSync(SHARED))(
    'hole: a living process of another machine that shares the disk passes for dead',
    async () => {
      expect(await fate(`${2 ** 30}-${startedAt}-${namespace}-${OTHER_BOOT}`, SHARED)).toBe('unknown');
    },
  );

  it('is not known in another container, and where a name does not say it', async () => {
    expect(await fate(`${2 ** 30}-${startedAt}-1-${boot}`)).toBe('unknown');
    expect(await fate(`${2 ** 30}-${startedAt}-x-${boot}`)).toBe('unknown');
    for (const name of ['notes', `work-${pid}-${startedAt}-${namespace}-7`, `x${ownerMark()}`, `${ownerMark()}0`])
      expect(await ownerFate(name, parent()), name).toBeUndefined();
  });

  it('is the last one where there are several', async () => {
    expect(await fate(`${2 ** 30}-1-${namespace}-${boot}-${ownerMark()}`)).toBe('alive');
    expect(await fate(`${ownerMark()}-${2 ** 30}-1-${namespace}-${boot}`)).toBe('dead');
  });
});
