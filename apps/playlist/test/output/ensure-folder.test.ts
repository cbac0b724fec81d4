import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureFolder } from '../../src/output/ensure-folder.ts';
import { Workspace } from '../../src/output/workspace.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'playlist-folder-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('a folder', () => {
  it('is made with those above it, once or again, by several at a time', async () => {
    const path = join(folder, 'a/b/c/d');
    await Promise.all([1, 2, 3].map(() => ensureFolder(path, 0o700)));
    await ensureFolder(path, 0o700);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, 'a')).mode & 0o777).toBe(0o700);
    await ensureFolder('/');
    symlinkSync(path, join(folder, 'link'));
    await ensureFolder(join(folder, 'link/e'));
    expect(existsSync(join(path, 'e'))).toBe(true);
  });

  it('is refused where a file or a broken link is in the way', async () => {
    writeFileSync(join(folder, 'file'), '');
    for (const path of ['file', 'file/x', 'file/x/y'])
      await expect(ensureFolder(join(folder, path))).rejects.toMatchObject({ code: 'ENOTDIR' });
    symlinkSync(join(folder, 'nowhere'), join(folder, 'broken'));
    await expect(ensureFolder(join(folder, 'broken'))).rejects.toMatchObject({ code: 'EEXIST' });
  });

  it.runIf(process.platform === 'linux')('is refused, and not tried for ever, where none can be made', async () => {
    await expect(ensureFolder('/proc/nope/x')).rejects.toThrow(/^the system lets no folder be made in \/proc$/);
    await expect(Workspace.open('/proc/nope', 'home')).rejects.toThrow(
      /^cannot write \/proc\/nope: the system lets no folder be made in \/proc\. /,
    );
  });
});
