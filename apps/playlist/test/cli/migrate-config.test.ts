import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'playlist-migrate-cli-'));
const main = join(import.meta.dirname, '../../src/main.ts');
afterAll(() => rmSync(folder, { recursive: true }));

function migrate(toml: string | undefined) {
  const file = join(folder, 'old.toml');
  if (toml !== undefined) writeFileSync(file, toml);
  const args = ['--conditions=source', main, 'migrate-config', toml === undefined ? join(folder, 'none.toml') : file];
  return spawnSync(process.execPath, args, { encoding: 'utf8' });
}

describe('plimsoll-playlist migrate-config', () => {
  it('prints the file alone on standard output, warnings on the other, and leaves with 0', () => {
    const { stdout, stderr, status } = migrate('[proxy_memory]\nmax_memory_mb = 64\n\n[[source]]\npath = "a.m3u"\n');
    expect(stdout).toBe('[memory]\nlimit = "64MiB"\n\n[[source]]\npath = "a.m3u"\n');
    expect(stderr).toMatch(/^warning: .*proxy_memory\.max_memory_mb: read as \[memory\] limit = "64MiB"\n$/);
    expect(status).toBe(0);
  });

  it('leaves with 1 when lists have to be added by hand, and with 2 for a mistake, with nothing printed', () => {
    expect(migrate('[proxy_memory]\nmax_memory_mb = 64\n').status).toBe(1);
    expect(migrate('[proxy_memory]\nmax_memory_mb = "x"\n')).toMatchObject({ status: 2, stdout: '' });
    expect(migrate(undefined)).toMatchObject({ status: 2, stdout: '' });
  });
});
