import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { definePlugin, loadPlugins } from 'plimsoll/wasm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { guest } from './wat.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'plugins-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function manifest(name: string, more: Readonly<Record<string, string>> = {}): string {
  const keys = {
    name: `"${name}"`,
    version: '"1.0.0"',
    abi: '1',
    wasm: `"${name}.wasm"`,
    stages: '["filtering"]',
    max_heap: '"1MiB"',
    ...more,
  };
  return Object.entries(keys)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('');
}

async function add(name: string, more?: Readonly<Record<string, string>>, module?: Uint8Array): Promise<void> {
  writeFileSync(join(dir, `${name}.toml`), manifest(name, more));
  writeFileSync(join(dir, `${name}.wasm`), module ?? (await guest()));
}

describe('a folder of plugins', () => {
  it.skipIf(process.platform === 'win32')(
    'hole: a name of a file that turns what stands behind it around',
    async () => {
      writeFileSync(join(dir, 'a\u202elmot.toml'), 'x = 1');
      const { problems } = await loadPlugins(dir);
      expect(problems).toEqual([`${join(dir, 'a lmot.toml')}: has control characters in its name`]);
    },
  );

  it.skipIf(process.platform === 'win32')(
    'hole: a name of a file that writes lines of its own into what is said',
    async () => {
      writeFileSync(join(dir, 'a\u001b[2J\nerror: all is lost.toml'), 'x = 1');
      const { plugins, problems } = await loadPlugins(dir);
      expect(plugins).toEqual([]);
      expect(problems).toEqual([`${join(dir, 'a [2J error: all is lost.toml')}: has control characters in its name`]);
    },
  );

  it('one bad plugin is a line, not the end', async () => {
    await add('b-good');
    await add('a-good');
    await add('c-bad', { max_heap: '"1M"' });
    await add('d-bad', {}, Buffer.from('garbage'));
    await add(
      'e-bad',
      {},
      await guest({ imports: '(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))' }),
    );
    writeFileSync(join(dir, 'f-bad.toml'), manifest('f-bad'));
    writeFileSync(join(dir, 'notes.txt'), 'not a manifest');
    const { plugins, problems } = await loadPlugins(dir);
    expect(plugins.map(({ manifest: { name } }) => name)).toEqual(['a-good', 'b-good']);
    expect(plugins[0]).toMatchObject({ file: join(dir, 'a-good.toml'), moduleBytes: (await guest()).byteLength });
    expect(problems).toEqual([
      `${join(dir, 'c-bad.toml')}: \`max_heap\`: is to be a size like \`16MiB\`, 4GiB at most, not \`1M\``,
      `${join(dir, 'd-bad.toml')}: plugin d-bad: its module is no WebAssembly module of version 1`,
      `${join(dir, 'e-bad.toml')}: plugin e-bad: its module imports \`wasi_snapshot_preview1.proc_exit\` (function), which the host does not give`,
      `${join(dir, 'f-bad.toml')}: \`wasm\`: f-bad.wasm cannot be read: ENOENT`,
    ]);
  });

  it('of two with one name the first is taken', async () => {
    await add('a');
    writeFileSync(join(dir, 'b.toml'), manifest('a'));
    const { plugins, problems } = await loadPlugins(dir);
    expect(plugins.length).toBe(1);
    expect(problems).toEqual([`${join(dir, 'b.toml')}: \`name\`: a is the name of ${join(dir, 'a.toml')} too`]);
  });

  it('a link leads nowhere outside the folder', async () => {
    mkdirSync(join(dir, 'in'));
    await add('outside');
    writeFileSync(join(dir, 'in', 'link.toml'), manifest('link'));
    symlinkSync(join(dir, 'outside.wasm'), join(dir, 'in', 'link.wasm'));
    symlinkSync(join(dir, 'outside.toml'), join(dir, 'in', 'other.toml'));
    const { plugins, problems } = await loadPlugins(join(dir, 'in'));
    expect(plugins).toEqual([]);
    expect(problems).toEqual([
      `${join(dir, 'in', 'link.toml')}: \`wasm\`: link.wasm is not in the folder of the plugins`,
      `${join(dir, 'in', 'other.toml')}: is not in the folder of the plugins`,
    ]);
  });

  it('what is too large, or no file, is not read', async () => {
    await add('a-large');
    truncateSync(join(dir, 'a-large.wasm'), 5_000_000);
    writeFileSync(join(dir, 'b-large.toml'), `# ${'x'.repeat(70_000)}`);
    mkdirSync(join(dir, 'c-folder.toml'));
    expect((await loadPlugins(dir)).problems).toEqual([
      `${join(dir, 'a-large.toml')}: \`wasm\`: a-large.wasm has 5000000 bytes, and 4194304 are the most`,
      `${join(dir, 'b-large.toml')}: has 70002 bytes, and 65536 are the most`,
      `${join(dir, 'c-folder.toml')}: is no file`,
    ]);
  });

  it('a folder that is not there, or is none, is an error with a code, that names it and says what to do', async () => {
    const missing = join(dir, 'nowhere');
    await expect(loadPlugins(missing)).rejects.toMatchObject({
      code: 'PLIMSOLL_PLUGIN_MANIFEST',
      file: missing,
      message: `${missing}: cannot be read (ENOENT): name a folder that has the plugins' \`.toml\` files`,
      cause: { code: 'ENOENT' },
    });
    const file = join(dir, 'file');
    writeFileSync(file, '');
    await expect(loadPlugins(file)).rejects.toMatchObject({
      code: 'PLIMSOLL_PLUGIN_MANIFEST',
      message: expect.stringContaining(`${file}: cannot be read (ENOTDIR)`),
    });
  });

  it('without smol-toml there is an error with a code, that says what to install', async () => {
    await add('a');
    const program = join(import.meta.dirname, 'programs', 'without-toml.mjs');
    const run = spawnSync(process.execPath, ['--conditions=source', program, dir], { encoding: 'utf8' });
    const line = /^PLIMSOLL_PLUGIN_TOML: .*npm install smol-toml$/;
    expect(run.stdout.trim().split('\n'), run.stderr).toEqual([
      expect.stringMatching(line),
      expect.stringMatching(line),
    ]);
  });

  it('definePlugin refuses what a manifest would', async () => {
    const bytes = await guest();
    await expect(definePlugin({ name: 'A', stages: ['x'], maxHeapBytes: 65_536 }, bytes)).rejects.toThrow(/`name`/);
    await expect(definePlugin({ name: 'a', stages: ['x'], maxHeapBytes: 1 }, bytes)).rejects.toThrow(/`max_heap`/);
    await expect(definePlugin({ name: 'a', stages: [], maxHeapBytes: 65_536 }, bytes)).rejects.toMatchObject({
      code: 'PLIMSOLL_PLUGIN_MANIFEST',
    });
  });
});
