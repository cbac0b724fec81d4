import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseCommandLine } from '../../src/cli.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { migrateConfig } from '../../src/config/migrate-config.ts';
import { KNOWN_KEYS } from '../../src/config/schema.ts';

const README = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
const BLOCKS = [...README.matchAll(/^```toml\n(.*?)^```/gms)].map(([, text]) => text!);
const [whole = '', older = '', newer = ''] = BLOCKS;
const ENV = { TV_USER: 'me', TV_PASSWORD: 'pw', SERVE_TOKEN: 'long enough' };
const folder = mkdtempSync(join(tmpdir(), 'playlist-readme-'));
afterAll(() => rmSync(folder, { recursive: true }));

function load(toml: string) {
  const file = join(folder, 'my.toml');
  writeFileSync(file, toml);
  return loadConfig({ file, env: ENV });
}

describe('README.md', () => {
  it('has a configuration that loads without a warning', () => {
    expect(BLOCKS).toHaveLength(3);
    expect(load(whole).warnings).toEqual([]);
  });

  it('names every key of every table in it', () => {
    for (const [table, keys] of Object.entries(KNOWN_KEYS)) {
      if (table === '') continue;
      for (const key of keys) {
        if (key === 'levels' || key === 'headers' || key === 'name') continue;
        expect(whole, `[${table}] ${key}`).toMatch(new RegExp(`^(${key}\\s*= |\\[\\[?\\w+\\.?${key})`, 'm'));
      }
    }
  });

  it('says the defaults that hold', () => {
    const bare = load('[[source]]\npath = "x"\n');
    const said = load(whole);
    for (const key of [
      'preset',
      'checkEveryMs',
      'strategy',
      'levels',
      'cleanupBetweenStages',
      'collectEveryMs',
      'preallocateBytes',
      'rememberRuns',
    ] as const)
      expect(said.memory[key], key).toEqual(bare.memory[key]);
    expect(said.memory.spill.maxBytes).toBe(bare.memory.spill.maxBytes);
    for (const key of [
      'maxPluginBytes',
      'maxTotalBytes',
      'timeoutMs',
      'maxFailures',
      'selection',
      'nativeFallback',
      'isolation',
    ] as const)
      expect(said.plugins[key], key).toEqual(bare.plugins[key]);
    expect([said.output.sort, said.cache.shrinkLimit, said.cache.dir]).toEqual([
      bare.output.sort,
      bare.cache.shrinkLimit,
      bare.cache.dir,
    ]);
  });

  it('shows what migrate-config prints', () => {
    const file = join(folder, 'config.toml');
    const source = '\n[[source]]\npath = "x"\n';
    writeFileSync(file, older + source);
    expect(migrateConfig(file).text).toBe(newer + source);
  });

  it('has every flag, and no flag that there is none of', () => {
    const help = ['generate', 'serve'].map((command) => parseCommandLine([command, '--help'], ''));
    const flags = new Set(help.flatMap((one) => (one.kind === 'print' ? (one.text.match(/--[a-z-]+/g) ?? []) : [])));
    const table = README.slice(README.indexOf('## The command line'), README.indexOf('## Serving'));
    const named = new Set([...table.matchAll(/`(--[a-z-]+)/g)].map(([, flag]) => flag!));
    for (const flag of named) expect(flags, flag).toContain(flag);
    const common = ['--help', '--host', '--port'];
    for (const flag of [...flags].filter((one) => !common.includes(one))) expect(named, flag).toContain(flag);
  });
});
