import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/config/config-error.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { OLDER_TABLES, type OlderTable } from '../../src/config/older-tables.ts';

const MIB = 1024 ** 2;
const folder = mkdtempSync(join(tmpdir(), 'playlist-older-'));
const file = join(folder, 'my.toml');
afterAll(() => rmSync(folder, { recursive: true }));

const SOURCE = '\n[[source]]\npath = "a.m3u"\n';

function load(toml: string, env: NodeJS.ProcessEnv = {}) {
  writeFileSync(file, toml + SOURCE);
  const config = loadConfig({ file, env });
  return { ...config, warnings: config.warnings.map((line) => line.replaceAll(file, 'my.toml')) };
}

function problems(toml: string): string[] {
  try {
    load(toml);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((line) => line.replaceAll(file, 'my.toml'));
  }
  return [];
}

const MIGRATE = 'my.toml: `plimsoll-playlist migrate-config my.toml` prints it in the new form';

describe('a file with tables of m3u-proxy', () => {
  it('is read with a warning for each key that says the new one', () => {
    const config = load(`
      [proxy_memory]
      max_memory_mb = 512
      batch_size = 1000
      memory_check_interval = 100
      warning_threshold = 0.8
      strategy_preset = "aggressive"
      [wasm_plugins]
      enabled = true
      plugin_directory = "plugins"
      max_memory_per_plugin = 128
      timeout_seconds = 30
      max_plugin_failures = 5
      enable_hot_reload = true
    `);
    expect(config.memory).toMatchObject({
      limitBytes: 512 * MIB,
      batchBytes: 250 * 1024,
      strategy: 'aggressive',
      levels: { moderate: 0.5, high: 0.8, critical: 0.85, emergency: 0.95 },
      checkEveryMs: 10,
    });
    expect(config.plugins).toMatchObject({
      enabled: true,
      dir: join(folder, 'plugins'),
      maxPluginBytes: 128 * MIB,
      maxTotalBytes: 128 * MIB,
      timeoutMs: 30_000,
      maxFailures: 5,
    });
    expect(config.warnings).toEqual([
      'my.toml: proxy_memory.max_memory_mb: read as [memory] limit = "512MiB"',
      'my.toml: proxy_memory.strategy_preset: read as [memory] strategy = "aggressive"',
      'my.toml: proxy_memory.batch_size: read as [memory] batch_size = "250KiB" (batches are counted in bytes, 256 to a channel)',
      'my.toml: proxy_memory.warning_threshold: read as [memory.levels] high = 0.8',
      'my.toml: proxy_memory.memory_check_interval: left out: it counts channels; here time passes between two looks, [memory] check_interval',
      'my.toml: wasm_plugins.enabled: read as [plugins] enabled = true (plugins made for m3u-proxy have another interface and do not run here)',
      'my.toml: wasm_plugins.plugin_directory: read as [plugins] dir = "plugins"',
      'my.toml: wasm_plugins.max_memory_per_plugin: read as [plugins] max_memory = "128MiB"',
      'my.toml: wasm_plugins.timeout_seconds: read as [plugins] timeout = "30s"',
      'my.toml: wasm_plugins.max_plugin_failures: read as [plugins] max_failures = 5',
      'my.toml: wasm_plugins.enable_hot_reload: left out: plugins are read at the start',
      MIGRATE,
    ]);
  });

  it.each([
    ['proxy_generation.memory', 'proxy_generation.wasm_plugins'],
    ['proxy_memory', 'wasm_strategies'],
  ])('is read under its other names, too: %s and %s', (memory, plugins) => {
    const config = load(`
      [${memory}]
      max_memory_mb = 256
      strategy_preset = "custom"
      [${memory}.memory_strategy]
      warning_strategy = "continue_with_warning"
      exceeded_strategy = "temp_file_spill"
      chunk_size = 2000
      temp_dir = "/var/tmp/spill"
      attempt_gc = true
      [${plugins}]
      max_memory_per_plugin_mb = 16
      [${plugins}.fallbacks]
      enable_fallbacks = false
      fallback_timeout_ms = 5000
      [${plugins}.security]
      allow_network_access = false
    `);
    expect(config.memory).toMatchObject({
      limitBytes: 256 * MIB,
      strategy: 'aggressive',
      batchBytes: 500 * 1024,
      spill: { dir: '/var/tmp/spill' },
    });
    expect(config.plugins).toMatchObject({ maxPluginBytes: 16 * MIB, nativeFallback: false });
    expect(config.warnings).toContain(
      `my.toml: ${memory}.memory_strategy.warning_strategy: left out: ${memory}.memory_strategy.exceeded_strategy says [memory] strategy, and holds`,
    );
    expect(config.warnings).toContain(
      `my.toml: ${plugins}.security: left out: a plugin never sees files or the network`,
    );
  });

  it.each([
    ['default', 'basic'],
    ['conservative', 'smart'],
    ['aggressive', 'aggressive'],
    ['temp_file_based', 'aggressive'],
  ])('takes strategy_preset %s for %s', (preset, strategy) => {
    expect(load(`proxy_memory.strategy_preset = "${preset}"`).memory.strategy).toBe(strategy);
  });

  it.each([
    [0.3, { moderate: 0.21, high: 0.3, critical: 0.85, emergency: 0.95 }],
    [0.5, { moderate: 0.35, high: 0.5, critical: 0.85, emergency: 0.95 }],
    [0.85, { moderate: 0.5, high: 0.85, critical: 0.9, emergency: 0.95 }],
    [0.96, { moderate: 0.5, high: 0.96, critical: 0.9733, emergency: 0.9867 }],
  ])('takes a warning_threshold of %d for the beginning of `high`, and moves the levels beside it', (share, levels) => {
    expect(load(`[proxy_memory]\nwarning_threshold = ${share}`).memory.levels).toEqual(levels);
  });

  it('keeps every level in order for every threshold', () => {
    for (let percent = 0; percent <= 100; percent++) {
      const { moderate, high, critical, emergency } = load(`[proxy_memory]\nwarning_threshold = ${percent / 100}`)
        .memory.levels;
      expect(moderate < high && high < critical && critical < emergency).toBe(true);
    }
  });

  it('gives way to what stands in the new form, to variables and to flags', () => {
    const toml = '[proxy_memory]\nmax_memory_mb = 512\n[memory]\nlimit = "100MiB"';
    expect(load(toml).memory.limitBytes).toBe(100 * MIB);
    expect(load(toml).warnings[0]).toBe(
      'my.toml: proxy_memory.max_memory_mb: left out: the file says [memory] limit, and holds',
    );
    expect(load(toml, { MEMORY_LIMIT_MB: '200' }).memory.limitBytes).toBe(200 * MIB);
  });

  it('says which key is not known, and which table has no counterpart', () => {
    const { warnings } = load(
      '[proxy_memory]\nmax_memry_mb = 3\nzzz = 1\n[database]\nurl = "postgres://me:hunter2@h/db"',
    );
    expect(warnings).toEqual([
      'my.toml: proxy_memory.max_memry_mb: not known, left out. Did you mean `max_memory_mb`?',
      'my.toml: proxy_memory.zzz: not known, left out',
      'my.toml: database: left out: there is no database: lists, rules and filters stand in this file',
      MIGRATE,
    ]);
  });

  it.each([
    [
      '[proxy_memory]\nmax_memory_mb = "lots"',
      'my.toml: proxy_memory.max_memory_mb: Expected a whole number of mebibytes, got `lots`',
    ],
    [
      '[proxy_memory]\nmax_memory_mb = 8',
      'my.toml: proxy_memory.max_memory_mb: Expected a value from 32MiB to 1024TiB, got `8MiB`',
    ],
    [
      '[proxy_memory]\nwarning_threshold = 80',
      'my.toml: proxy_memory.warning_threshold: Expected a share like `0.8`, got `80` (number)',
    ],
    [
      '[proxy_memory]\nstrategy_preset = "yolo"',
      'my.toml: proxy_memory.strategy_preset: Expected "default", "conservative", "aggressive", "temp_file_based" or "custom", got `yolo`',
    ],
    [
      '[wasm_plugins]\nmax_memory_per_plugin = "64 pages"',
      'my.toml: wasm_plugins.max_memory_per_plugin: Expected a size like `32MiB`, got `64 pages`',
    ],
    ['wasm_plugins = 3', 'my.toml: wasm_plugins: Expected a table, got `3` (number)'],
    ['[wasm_plugins]\nfallbacks = true', 'my.toml: wasm_plugins.fallbacks: Expected a table, got `true` (boolean)'],
  ])('refuses what cannot be read, in the words of the file: %j', (toml, line) => {
    expect(problems(toml)).toEqual([line]);
  });

  it('says of variables of m3u-proxy that they are not read', () => {
    expect(load('', { M3U_PROXY_WEB__PORT: '1' }).warnings).toEqual([
      'environment: M3U_PROXY_WEB__PORT is a variable of m3u-proxy and not read: see PLIMSOLL_PLAYLIST_<TABLE>_<KEY>',
    ]);
    expect(load('', { M3U_PROXY_WEB__PORT: '1', M3U_PROXY_WEB__HOST: 'h' }).warnings).toEqual([
      expect.stringContaining('M3U_PROXY_WEB__PORT and 1 more are variables'),
    ]);
  });

  it('says where lists are named when there are none', () => {
    writeFileSync(file, '[proxy_memory]\nmax_memory_mb = 512');
    expect(() => loadConfig({ file, env: {} })).toThrow(
      /source: is required\. m3u-proxy keeps the lists in its database, here the file names them/,
    );
  });

  it('shares no name of a table with the current form', () => {
    expect(Object.keys(OLDER_TABLES)).not.toEqual(
      expect.arrayContaining([
        expect.stringMatching(
          /^(memory|plugins|mapping|source|guide|rule|filter|numbering|matching|output|serve|cache)$/,
        ),
      ]),
    );
  });

  it('has a warning or a problem for whatever stands in any of its tables', () => {
    const visit = (table: OlderTable, path: string[]) => {
      for (const [name, entry] of Object.entries(table)) {
        const here = [...path, name];
        if (typeof entry === 'object' && typeof entry.read !== 'function') visit(entry as OlderTable, here);
        for (const value of ['1', '"x"', 'true', '0.5', '{ a = 1 }', '[1]', '1979-05-27']) {
          const toml = `${here.join('.')} = ${value}`;
          let lines: readonly string[] = problems(toml);
          if (lines.length === 0) lines = load(toml).warnings;
          expect(lines.some((line) => line.includes(here.join('.')))).toBe(true);
        }
      }
    };
    visit(OLDER_TABLES, []);
  });
});
