import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGovernor, PRESETS } from 'plimsoll';
import { afterAll, describe, expect, it } from 'vitest';
import type { PlaylistConfig } from '../../src/config/config.ts';
import { ConfigError } from '../../src/config/config-error.ts';
import { governorOptions } from '../../src/config/governor-options.ts';
import { type ConfigOverrides, loadConfig } from '../../src/config/load-config.ts';
import { PLACES } from '../../src/config/schema.ts';

const MIB = 1024 ** 2;
const folder = mkdtempSync(join(tmpdir(), 'playlist-precedence-'));
const file = join(folder, 'my.toml');
afterAll(() => rmSync(folder, { recursive: true }));

const SOURCE = '[[source]]\npath = "a.m3u"\n';

function load(toml = '', env: NodeJS.ProcessEnv = {}, overrides: ConfigOverrides = {}) {
  writeFileSync(file, `${SOURCE}${toml}`);
  return loadConfig({ file, env, overrides });
}

function problems(toml: string, env: NodeJS.ProcessEnv = {}, overrides: ConfigOverrides = {}): string[] {
  try {
    load(toml, env, overrides);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((line) => line.replaceAll(file, 'my.toml'));
  }
  return [];
}

const outside = (path: string) => join(process.cwd(), path);
const inside = (path: string) => join(folder, path);

/** A key that each of the sources can set: what it is then, from the weakest to the strongest. */
interface Row {
  readonly key: string;
  readonly of: (config: PlaylistConfig) => unknown;
  readonly byDefault: unknown;
  readonly file: readonly [toml: string, value: unknown];
  readonly plain?: readonly [env: NodeJS.ProcessEnv, value: unknown];
  readonly prefixed: readonly [value: string, as: unknown];
  readonly flag?: readonly [overrides: ConfigOverrides, value: unknown];
}

const ROWS: readonly Row[] = [
  {
    key: 'memory.limit',
    of: ({ memory }) => memory.limitBytes,
    byDefault: undefined,
    file: ['limit = "101MiB"', 101 * MIB],
    plain: [{ MEMORY_LIMIT_MB: '102' }, 102 * MIB],
    prefixed: ['103MiB', 103 * MIB],
    flag: [{ memoryLimit: '104MiB' }, 104 * MIB],
  },
  {
    key: 'memory.strategy',
    of: ({ memory }) => memory.strategy,
    byDefault: 'smart',
    file: ['strategy = "basic"', 'basic'],
    plain: [{ CLEANUP_AGGRESSIVE: 'true' }, 'aggressive'],
    prefixed: ['smart', 'smart'],
    flag: [{ strategy: 'basic' }, 'basic'],
  },
  {
    key: 'memory.preset',
    of: ({ memory }) => memory.preset,
    byDefault: 'balanced',
    file: ['preset = "edge"', 'edge'],
    prefixed: ['development', 'development'],
    flag: [{ preset: 'high-volume' }, 'high-volume'],
  },
  {
    key: 'memory.levels.high',
    of: ({ memory }) => memory.levels.high,
    byDefault: 0.7,
    file: ['levels = { high = 0.6 }', 0.6],
    prefixed: ['0.65', 0.65],
  },
  {
    key: 'memory.batch_size',
    of: ({ memory }) => memory.batchBytes,
    byDefault: undefined,
    file: ['batch_size = "64KiB"', 65_536],
    prefixed: ['128KiB', 131_072],
  },
  {
    key: 'memory.check_interval',
    of: ({ memory }) => memory.checkEveryMs,
    byDefault: 10,
    file: ['check_interval = "1s"', 1000],
    prefixed: ['20ms', 20],
  },
  {
    key: 'memory.cleanup_between_stages',
    of: ({ memory }) => memory.cleanupBetweenStages,
    byDefault: true,
    file: ['cleanup_between_stages = false', false],
    prefixed: ['true', true],
  },
  {
    key: 'memory.remember_runs',
    of: ({ memory }) => memory.rememberRuns,
    byDefault: false,
    file: ['remember_runs = true', true],
    prefixed: ['false', false],
  },
  {
    key: 'memory.collection_interval',
    of: ({ memory }) => memory.collectEveryMs,
    byDefault: undefined,
    file: ['collection_interval = "30s"', 30_000],
    prefixed: ['off', undefined],
  },
  {
    key: 'memory.spill_dir',
    of: ({ memory }) => memory.spill.dir,
    byDefault: inside('out/.spill'),
    file: ['spill_dir = "here"', inside('here')],
    prefixed: ['there', outside('there')],
    flag: [{ spillDir: 'elsewhere' }, outside('elsewhere')],
  },
  {
    key: 'memory.spill_quota',
    of: ({ memory }) => memory.spill.maxBytes,
    byDefault: 16 * 1024 * MIB,
    file: ['spill_quota = "1GiB"', 1024 * MIB],
    prefixed: ['2GiB', 2048 * MIB],
  },
  {
    key: 'memory.pool_preallocate',
    of: ({ memory }) => memory.preallocateBytes,
    byDefault: 0,
    file: ['pool_preallocate = "1MiB"', MIB],
    prefixed: ['0B', 0],
  },
  {
    key: 'plugins.enabled',
    of: ({ plugins }) => plugins.enabled,
    byDefault: false,
    file: ['enabled = true', true],
    prefixed: ['false', false],
    flag: [{ plugins: true }, true],
  },
  {
    key: 'plugins.dir',
    of: ({ plugins }) => plugins.dir,
    byDefault: expect.stringMatching(/plugins[/\\]dist$/),
    file: ['dir = "mine"', inside('mine')],
    prefixed: ['yours', outside('yours')],
    flag: [{ pluginDir: 'theirs' }, outside('theirs')],
  },
  {
    key: 'plugins.max_memory',
    of: ({ plugins }) => plugins.maxPluginBytes,
    byDefault: 32 * MIB,
    file: ['max_memory = "1MiB"', MIB],
    plain: [{ PLUGIN_MEMORY_LIMIT_MB: '2' }, 2 * MIB],
    prefixed: ['3MiB', 3 * MIB],
  },
  {
    key: 'plugins.max_total_memory',
    of: ({ plugins }) => plugins.maxTotalBytes,
    byDefault: 64 * MIB,
    file: ['max_total_memory = "1MiB"', MIB],
    prefixed: ['3MiB', 3 * MIB],
  },
  {
    key: 'plugins.timeout',
    of: ({ plugins }) => plugins.timeoutMs,
    byDefault: 5000,
    file: ['timeout = "1s"', 1000],
    prefixed: ['2s', 2000],
  },
  {
    key: 'plugins.max_failures',
    of: ({ plugins }) => plugins.maxFailures,
    byDefault: 3,
    file: ['max_failures = 1', 1],
    prefixed: ['2', 2],
  },
  {
    key: 'plugins.selection',
    of: ({ plugins }) => plugins.selection,
    byDefault: 'memory-efficient',
    file: ['selection = "fastest"', 'fastest'],
    prefixed: ['memory-efficient', 'memory-efficient'],
  },
  {
    key: 'plugins.native_fallback',
    of: ({ plugins }) => plugins.nativeFallback,
    byDefault: true,
    file: ['native_fallback = false', false],
    prefixed: ['true', true],
  },
  {
    key: 'plugins.isolation',
    of: ({ plugins }) => plugins.isolation,
    byDefault: 'worker',
    file: ['isolation = "process"', 'process'],
    prefixed: ['worker', 'worker'],
  },
  {
    key: 'mapping.tidy_names',
    of: ({ mapping }) => mapping.tidyNames,
    byDefault: false,
    file: ['tidy_names = true', true],
    prefixed: ['false', false],
  },
  {
    key: 'output.sort',
    of: ({ output }) => output.sort,
    byDefault: 'none',
    file: ['sort = "name"', 'name'],
    prefixed: ['group', 'group'],
    flag: [{ sort: 'none' }, 'none'],
  },
];

describe('flags win over PLIMSOLL_PLAYLIST_ variables, those over plain names, those over the file, that over defaults', () => {
  it.each(ROWS)('$key', ({ key, of, byDefault, file: [toml, inFile], plain, prefixed: [text, as], flag }) => {
    const table = `[${key.slice(0, key.indexOf('.'))}]\n${toml}`;
    const name = `PLIMSOLL_PLAYLIST_${key.replaceAll('.', '_').toUpperCase()}`;
    expect(of(load())).toEqual(byDefault);
    expect(of(load(table))).toEqual(inFile);
    if (plain !== undefined) expect(of(load(table, plain[0]))).toEqual(plain[1]);
    const env = { ...plain?.[0], [name]: text };
    expect(of(load(table, env))).toEqual(as);
    if (flag !== undefined) expect(of(load(table, env, flag[0]))).toEqual(flag[1]);
  });

  it('and every key of [memory], [plugins] and [mapping] is in this table', () => {
    const keys = [...PLACES.keys()].filter((key) => /^(memory|plugins|mapping)\./.test(key));
    const levels = ['moderate', 'critical', 'emergency'].map((level) => `memory.levels.${level}`);
    expect([...ROWS.map(({ key }) => key), ...levels]).toEqual(expect.arrayContaining(keys));
  });
});

describe('plain names of variables', () => {
  it('warn when the longer name says something else, and not when it says the same', () => {
    const { memory, warnings } = load('', { MEMORY_LIMIT_MB: '100', PLIMSOLL_PLAYLIST_MEMORY_LIMIT: '200MiB' });
    expect(memory.limitBytes).toBe(200 * MIB);
    expect(warnings).toEqual([
      'environment: MEMORY_LIMIT_MB and PLIMSOLL_PLAYLIST_MEMORY_LIMIT both set [memory] limit differently: PLIMSOLL_PLAYLIST_MEMORY_LIMIT holds, unset the other',
    ]);
    expect(load('', { MEMORY_LIMIT_MB: '100', PLIMSOLL_PLAYLIST_MEMORY_LIMIT: '102400KiB' }).warnings).toEqual([]);
    expect(load('', { CLEANUP_AGGRESSIVE: '1', PLIMSOLL_PLAYLIST_MEMORY_STRATEGY: 'basic' }).warnings).toHaveLength(1);
  });

  it('and what Kubernetes sets for a service of this name are no mistakes', () => {
    const links = {
      PLIMSOLL_PLAYLIST_SERVICE_HOST: '10.0.0.1',
      PLIMSOLL_PLAYLIST_SERVICE_PORT: '80',
      PLIMSOLL_PLAYLIST_SERVICE_PORT_HTTP: '80',
      PLIMSOLL_PLAYLIST_PORT: 'tcp://10.0.0.1:80',
      PLIMSOLL_PLAYLIST_PORT_80_TCP: 'tcp://10.0.0.1:80',
      PLIMSOLL_PLAYLIST_PORT_80_TCP_PROTO: 'tcp',
      PLIMSOLL_PLAYLIST_PORT_80_TCP_ADDR: '10.0.0.1',
    };
    expect(load('', links)).toEqual(load());
    expect(problems('', { PLIMSOLL_PLAYLIST_SERVICE_HOSTS: 'x' })).toHaveLength(1);
  });

  it('are mebibytes and switches; false and empty say nothing', () => {
    expect(load('', { MEMORY_LIMIT_MB: ' 100.5 ' }).memory.limitBytes).toBe(100.5 * MIB);
    expect(load('', { MEMORY_LIMIT_MB: '' }).memory.limitBytes).toBeUndefined();
    for (const no of ['false', '0', 'FALSE', 'off', ''])
      expect(load('[memory]\nstrategy = "basic"', { CLEANUP_AGGRESSIVE: no }).memory.strategy).toBe('basic');
    for (const yes of ['true', '1', 'True'])
      expect(load('[memory]\nstrategy = "basic"', { CLEANUP_AGGRESSIVE: yes }).memory.strategy).toBe('aggressive');
  });

  it.each([
    [
      { MEMORY_LIMIT_MB: '512MiB' },
      'environment: MEMORY_LIMIT_MB: Expected a number of mebibytes like `256`, got `512MiB`',
    ],
    [{ MEMORY_LIMIT_MB: '-1' }, 'environment: MEMORY_LIMIT_MB: Expected a number of mebibytes like `256`, got `-1`'],
    [{ MEMORY_LIMIT_MB: '8' }, 'environment: MEMORY_LIMIT_MB: Expected a value from 32MiB to 1024TiB, got `8MiB`'],
    [
      { CLEANUP_AGGRESSIVE: 'maybe' },
      'environment: CLEANUP_AGGRESSIVE: Expected `true`, `false`, `1` or `0`, got `maybe`',
    ],
    [
      { PLUGIN_MEMORY_LIMIT_MB: 'x\ny' },
      'environment: PLUGIN_MEMORY_LIMIT_MB: Expected a number of mebibytes like `32`, got `x y`',
    ],
  ])('are named in their mistakes: %j', (env, line) => {
    expect(problems('', env)).toEqual([line]);
  });
});

describe('[memory] and [plugins]', () => {
  it.each([
    [
      '[memory]\npreset = "huge"',
      'my.toml: memory.preset: Expected "edge", "balanced", "high-volume" or "development", got `huge`',
    ],
    ['[memory]\nbatch_size = "1KiB"', 'my.toml: memory.batch_size: Expected a value from 16KiB to 64MiB, got `1KiB`'],
    ['[memory]\ncheck_interval = "soon"', 'my.toml: memory.check_interval: Expected a duration like `30s`, got `soon`'],
    [
      '[memory]\ncollection_interval = "never"',
      'my.toml: memory.collection_interval: Expected a duration like `30s`, from 100ms to 24h, or `off`, got `never`',
    ],
    ['[memory]\nlevels = { hgh = 0.7 }', 'my.toml: memory.levels.hgh: Unknown key `hgh`. Did you mean `high`?'],
    [
      '[memory.levels]\nhigh = 70',
      'my.toml: memory.levels.high: Expected a share of the limit from 0.05 to 1, got `70` (number)',
    ],
    [
      '[memory.levels]\nhigh = "70%"',
      'my.toml: memory.levels.high: Expected a share of the limit from 0.05 to 1, got `70%`',
    ],
    [
      '[memory.levels]\nhigh = 0.9',
      'my.toml: memory.levels.high: Expected a share below `critical`, which is 0.85 unless it is set, got `0.9`',
    ],
    [
      '[memory.levels]\nemergency = 0.85',
      'my.toml: memory.levels.emergency: Expected a share above `critical`, which is 0.85 unless it is set, got `0.85`',
    ],
    [
      '[memory.levels]\nmoderate = 0.7\nhigh = 0.6',
      'my.toml: memory.levels.high: Expected a share above `moderate`, which is 0.7, got `0.6`',
    ],
    ['[memory]\nspil_dir = "x"', 'my.toml: memory.spil_dir: Unknown key `spil_dir`. Did you mean `spill_dir`?'],
    [
      '[memory]\nlimit = "64MiB"\npool_preallocate = "48MiB"',
      'my.toml: memory.pool_preallocate: Expected at most half of [memory] limit',
    ],
    ['[plugins]\nmax_memory = 64', 'my.toml: plugins.max_memory: Expected a size like `32MiB`, got `64` (number)'],
    [
      '[plugins]\nmax_memory = "64MiB"\nmax_total_memory = "32MiB"',
      'my.toml: plugins.max_total_memory: Expected at least what one plugin may have (`max_memory`)',
    ],
    [
      '[plugins]\nmax_failures = 0',
      'my.toml: plugins.max_failures: Expected a whole number from 1 to 1000000, got `0` (number)',
    ],
    ['[plugins]\nenabled = "yes"', 'my.toml: plugins.enabled: Expected `true` or `false`, got `yes`'],
    ['[output]\nsort = "size"', 'my.toml: output.sort: Expected "none", "name" or "group", got `size`'],
  ])('have one line for each mistake: %j', (toml, line) => {
    expect(problems(toml)).toEqual([line]);
  });

  it('name the flag or the variable that is mistaken', () => {
    expect(problems('', {}, { strategy: 'wild' })).toEqual([
      '--strategy: Expected "basic", "aggressive" or "smart", got `wild`',
    ]);
    expect(problems('', { PLIMSOLL_PLAYLIST_MEMORY_LEVELS_CRITICAL: '0.6' })).toEqual([
      'environment: PLIMSOLL_PLAYLIST_MEMORY_LEVELS_CRITICAL: Expected a share above `high`, which is 0.7 unless it is set, got `0.6`',
    ]);
    expect(problems('', { PLIMSOLL_PLAYLIST_MEMORY_LEVELS: 'high' })).toEqual([
      expect.stringContaining('environment: Unknown variable `PLIMSOLL_PLAYLIST_MEMORY_LEVELS`'),
    ]);
  });

  it('take what a preset says for what is not given', () => {
    const edge = load('[memory]\npreset = "edge"').memory;
    expect(edge).toMatchObject({ limitBytes: PRESETS.edge.limitBytes, strategy: 'aggressive' });
    const more = load('[memory]\npreset = "edge"\nlimit = "96MiB"\nstrategy = "basic"').memory;
    expect(more).toMatchObject({ limitBytes: 96 * MIB, strategy: 'basic' });
    expect(load('[memory]\npreset = "high-volume"').memory.limitBytes).toBe(2048 * MIB);
  });

  it('have plugins off with the preset edge, unless they are asked for', () => {
    expect(load('[plugins]\ndir = "p"').plugins.enabled).toBe(true);
    const quiet = load('[memory]\npreset = "edge"\n[plugins]\ndir = "p"');
    expect(quiet.plugins.enabled).toBe(false);
    expect(quiet.warnings[0]).toMatch(/preset edge has plugins off: say \[plugins\] enabled = true/);
    expect(load('[memory]\npreset = "edge"\n[plugins]\nenabled = true').plugins.enabled).toBe(true);
    expect(load('[plugins]\ndir = "p"', {}, { plugins: false }).plugins.enabled).toBe(false);
  });

  it('make the options of a governor that has its limit, levels and strategy', () => {
    const { memory } = load(
      '[memory]\nlimit = "96MiB"\npreset = "development"\nstrategy = "basic"\nlevels = { high = 0.6 }',
    );
    const options = governorOptions(memory);
    expect(options).toEqual({
      preset: 'development',
      limitBytes: 96 * MIB,
      strategy: 'basic',
      thresholds: { moderate: 0.5, high: 0.6, critical: 0.85, emergency: 0.95 },
    });
    using governor = createGovernor({ ...options, mode: 'observe', terminationLog: false });
    expect(governor.limit.bytes).toBeLessThanOrEqual(96 * MIB);
  });

  it('make options without a limit where the machine decides', () => {
    expect('limitBytes' in governorOptions(load().memory)).toBe(false);
  });
});
