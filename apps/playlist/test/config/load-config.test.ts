// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the placeholders are those of the configuration.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/config/config-error.ts';
import { type ConfigOverrides, loadConfig } from '../../src/config/load-config.ts';

const folder = mkdtempSync(join(tmpdir(), 'playlist-config-'));
const file = join(folder, 'my.toml');
afterAll(() => rmSync(folder, { recursive: true }));

function load(toml: string, env: NodeJS.ProcessEnv = {}, overrides: ConfigOverrides = {}) {
  writeFileSync(file, toml);
  return loadConfig({ file, env, overrides });
}

function problems(toml: string, env: NodeJS.ProcessEnv = {}, overrides: ConfigOverrides = {}): string[] {
  try {
    load(toml, env, overrides);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const line of error.problems) expect(line).not.toMatch(/[\r\n]/);
    return error.problems.map((line) => line.replace(file, 'my.toml'));
  }
  return [];
}

const SOURCE = '[[source]]\npath = "a.m3u"\n';

describe('a whole configuration', () => {
  it('is resolved to absolute paths, bytes and milliseconds', () => {
    const config = load(`
      [memory]
      limit = "256MiB"
      [[source]]
      name = "home"
      path = "lists/*.m3u"
      [[source]]
      name = "far"
      url = "https://tv.example/list.m3u"
      timeout = "5s"
      retries = 1
      max_size = "1MB"
      headers = { "User-Agent" = "x" }
      [[source]]
      name = "box"
      type = "xtream"
      host = "tv.example:8080/"
      user = "me"
      password = "pw"
      [[guide]]
      path = "/abs/guide.xml.gz"
      on_damage = "refuse"
      [[guide]]
      type = "xtream"
      source = "box"
      [[rule]]
      name = "sports"
      when = 'group_title contains "sport"'
      set = 'group_title = "\${not_a_variable} $1"'
      [[filter]]
      include = 'stream_url starts_with "https"'
      [[filter]]
      exclude = 'channel_name equals "x"'
      [numbering]
      start = 100
      [matching]
      aliases = "aliases.toml"
      by_name = false
      [output]
      dir = "out"
      name = "home"
      [serve]
      port = 9000
      schedule = "1h"
    `);
    expect(config.memory.limitBytes).toBe(256 * 1024 ** 2);
    expect(config.sources.map((source) => source.origin)).toEqual([
      { kind: 'path', pattern: join(folder, 'lists/*.m3u') },
      { kind: 'url', url: 'https://tv.example/list.m3u' },
      { kind: 'xtream', host: 'http://tv.example:8080', user: 'me', password: 'pw' },
    ]);
    expect(config.sources[1]).toMatchObject({
      timeoutMs: 5000,
      retryCount: 1,
      maxBytes: 1e6,
      headers: { 'User-Agent': 'x' },
    });
    expect(config.guides[0]).toMatchObject({
      name: 'guide 1',
      onDamage: 'refuse',
      origin: { pattern: '/abs/guide.xml.gz' },
    });
    expect(config.guides[1]!.origin).toEqual(config.sources[2]!.origin);
    expect(config.rules).toEqual([
      { label: 'rule 1 (sports)', when: 'group_title contains "sport"', set: 'group_title = "${not_a_variable} $1"' },
    ]);
    expect(config.filters.map((filter) => [filter.label, filter.mode])).toEqual([
      ['filter 1', 'include'],
      ['filter 2', 'exclude'],
    ]);
    expect(config.numbering.start).toBe(100);
    expect(config.matching).toEqual({ aliasesPath: join(folder, 'aliases.toml'), byName: false });
    expect(config.output).toMatchObject({
      playlistFile: join(folder, 'out/home.m3u8'),
      guideFile: join(folder, 'out/home.xmltv'),
    });
    expect(config.output.guideUrl).toBe('home.xmltv');
    expect(config.serve).toEqual({
      host: '127.0.0.1',
      port: 9000,
      everyMs: 3_600_000,
      token: undefined,
      dashboard: true,
      dashboardHost: undefined,
    });
    expect(JSON.parse(JSON.stringify(config))).toMatchObject({ numbering: { start: 100 } });
  });

  it('needs no more than a source', () => {
    const config = load(SOURCE);
    expect(config.memory.limitBytes).toBeUndefined();
    expect(config.sources[0]).toMatchObject({
      name: 'source 1',
      timeoutMs: 30_000,
      retryCount: 3,
      maxBytes: 2 * 1024 ** 3,
    });
    expect(config.output.dir).toBe(join(folder, 'out'));
    expect(config.serve.everyMs).toBe(6 * 3_600_000);
  });
});

describe('mistakes are one line each, with the place and what to do', () => {
  const cases: [toml: string, line: string][] = [
    [`${SOURCE}timeout = "soon"`, 'my.toml: source[1].timeout: Expected a duration like `30s`, got `soon`'],
    [`${SOURCE}timeout = 30`, 'my.toml: source[1].timeout: Expected a duration like `30s`, got `30` (number)'],
    [`${SOURCE}timeout = "3h"`, 'my.toml: source[1].timeout: Expected a value from 10ms to 1h, got `3h`'],
    [`${SOURCE}max_size = "12 parsecs"`, 'my.toml: source[1].max_size: Expected a size like `2GiB`, got `12 parsecs`'],
    [`${SOURCE}pth = "x"`, 'my.toml: source[1].pth: Unknown key `pth`. Did you mean `path`?'],
    [`${SOURCE}[memroy]\nlimit = "1GiB"`, 'my.toml: memroy: Unknown key `memroy`. Did you mean `memory`?'],
    [`${SOURCE}[memory]\nlimit = "lots"`, 'my.toml: memory.limit: Expected a size like `256MiB`, got `lots`'],
    [`${SOURCE}[memory]\nlimit = 256`, 'my.toml: memory.limit: Expected a size like `256MiB`, got `256` (number)'],
    [
      `${SOURCE}[numbering]\nstart = "one"`,
      'my.toml: numbering.start: Expected a whole number from 1 to 1000000000, got `one`',
    ],
    [
      `${SOURCE}[numbering]\nstart = 0`,
      'my.toml: numbering.start: Expected a whole number from 1 to 1000000000, got `0` (number)',
    ],
    [`${SOURCE}[matching]\nby_name = "yes"`, 'my.toml: matching.by_name: Expected `true` or `false`, got `yes`'],
    [`${SOURCE}[[rule]]\nwhen = "x"`, 'my.toml: rule[1].set: is required'],
    [`${SOURCE}[[filter]]\n`, 'my.toml: filter[1]: Expected either `include` or `exclude`'],
    [
      `${SOURCE}[[guide]]\non_damage = "cry"\npath = "x"`,
      'my.toml: guide[1].on_damage: Expected "keep" or "refuse", got `cry`',
    ],
    [
      `${SOURCE}[[guide]]\ntype = "xtream"\nsource = "nope"`,
      'my.toml: guide[1].source: Expected the name of an xtream source, got `nope`, but there is none of that name',
    ],
    [
      `${SOURCE}url = "https://x"`,
      'my.toml: source[1]: Expected one of `path`, `url`, or type = "xtream" with `host`, `user`, `password`',
    ],
    [
      '[[source]]\nurl = "ftp://x"',
      'my.toml: source[1].url: Expected a URL that starts with `http://` or `https://`, got `ftp://x`',
    ],
    [
      '[[source]]\ntype = "xtream"\nhost = "h"\nuser = "u"',
      'my.toml: source[1].password: is required when type = "xtream"',
    ],
    ['[memory]\nlimit = "64MiB"', 'my.toml: source: is required'],
    ['source = 3', 'my.toml: source: Expected a list of tables (`[[...]]`), got `3` (number)'],
    [
      `${SOURCE}[output]\nname = "../x"`,
      'my.toml: output.name: Expected the beginning of a file name, without folders (`home` makes home.m3u8 and home.xmltv), got `../x`',
    ],
    [`${SOURCE}name = "a"\n${SOURCE}name = "a"`, 'my.toml: source[2].name: Expected a name of its own, got `a` again'],
  ];
  it.each(cases)('%j', (toml, line) => {
    expect(problems(toml)).toEqual([line]);
  });

  it('counts the bytes of an output name', () => {
    const line =
      'my.toml: output.name: Expected a name of at most 180 bytes (letters beyond ASCII have 2 to 4), got `üü';
    expect(problems(`${SOURCE}[output]\nname = "${'ü'.repeat(91)}"`)).toEqual([expect.stringContaining(line)]);
    expect(load(`${SOURCE}[output]\nname = "${'ü'.repeat(90)}"`).output.name).toHaveLength(90);
  });

  it('lists all problems of a file', () => {
    expect(problems(`${SOURCE}timeout = "soon"\nretries = -1\n[serve]\nport = 70000`)).toHaveLength(3);
  });

  it('says line and column of a TOML mistake', () => {
    expect(problems('[memory]\nlimit = = 3')[0]).toMatch(/^my\.toml:2:9: ./);
  });

  it('says when the file is not there or not UTF-8', () => {
    const load = (path: string) => () => loadConfig({ file: path, env: {} });
    expect(load(join(folder, 'none.toml'))).toThrow(/none\.toml: No such file/);
    writeFileSync(join(folder, 'bad.toml'), Buffer.from([0x61, 0xff]));
    expect(load(join(folder, 'bad.toml'))).toThrow(/Expected UTF-8/);
  });

  it('never shows a secret', () => {
    const text = problems(
      '[[source]]\ntype="xtream"\nhost="h"\nuser="u"\npassword=1234567\n[serve]\ntoken="hunter2"',
    ).join('\n');
    expect(text).toContain('password');
    expect(text).not.toMatch(/1234567|hunter2/);
    expect(problems('[[source]]\nurl = "htp://me:hunter2@x/?password=hunter2"').join('\n')).not.toContain('hunter2');
  });

  it('survives any TOML value in any place with lines, never a crash', () => {
    const value = fc.oneof(
      fc.constantFrom('1', '-1.5', 'true', '"x"', '[]', '{}', '[1]', '[{}]', '{a=1}', '1979-05-27', 'nan', 'inf'),
      fc.string().map((s) => JSON.stringify(s)),
    );
    const key = fc.constantFrom(
      'memory',
      'source',
      'guide',
      'rule',
      'filter',
      'serve',
      'output',
      'cache',
      'plugins',
      'mapping',
      'memory.levels',
      'plugins.enabled',
      'proxy_memory',
      'proxy_memory.memory_strategy',
      'proxy_memory.warning_threshold',
      'proxy_memory."__proto__"',
      'proxy_generation.memory.constructor',
      'wasm_plugins',
      'wasm_plugins.fallbacks',
      'web.port',
      '"__proto__"',
      'constructor',
      '"a b"',
    );
    fc.assert(
      fc.property(key, value, value, (name, first, second) => {
        problems(`${name} = ${first}`);
        problems(`[[source]]\npath = ${second}\n[[guide]]\n${name} = ${first}`);
      }),
      { numRuns: 300 },
    );
  });
});

describe('variables and flags', () => {
  it('win over the file, flags over variables', () => {
    const toml = `${SOURCE}[memory]\nlimit = "100MiB"`;
    expect(load(toml, { PLIMSOLL_PLAYLIST_MEMORY_LIMIT: '200MiB' }).memory.limitBytes).toBe(200 * 1024 ** 2);
    expect(load(toml, { PLIMSOLL_PLAYLIST_MEMORY_LIMIT: '200MiB' }, { memoryLimit: '300MiB' }).memory.limitBytes).toBe(
      300 * 1024 ** 2,
    );
    expect(load(toml, { PLIMSOLL_PLAYLIST_MEMORY_LIMIT: '' }).memory.limitBytes).toBe(100 * 1024 ** 2);
  });

  it('take numbers and booleans, and keep a name that looks like a number', () => {
    const config = load(SOURCE, {
      PLIMSOLL_PLAYLIST_SERVE_PORT: '81',
      PLIMSOLL_PLAYLIST_MATCHING_BY_NAME: 'false',
      PLIMSOLL_PLAYLIST_OUTPUT_NAME: '2024',
      PLIMSOLL_PLAYLIST_OUTPUT_DIR: '/elsewhere',
    });
    expect(config.serve.port).toBe(81);
    expect(config.matching.byName).toBe(false);
    expect(config.output.playlistFile).toBe('/elsewhere/2024.m3u8');
  });

  it('are named in their mistakes', () => {
    expect(problems(SOURCE, { PLIMSOLL_PLAYLIST_SERVE_PORT: 'high' })).toEqual([
      'environment: PLIMSOLL_PLAYLIST_SERVE_PORT: Expected a whole number from 0 to 65535, got `high`',
    ]);
    expect(problems(SOURCE, { PLIMSOLL_PLAYLIST_MEMORY_LIMT: '1GiB' })).toEqual([
      'environment: Unknown variable `PLIMSOLL_PLAYLIST_MEMORY_LIMT`. Did you mean `PLIMSOLL_PLAYLIST_MEMORY_LIMIT`?',
    ]);
    expect(problems(SOURCE, {}, { memoryLimit: '512' + 'parsecs' })).toEqual([
      '--memory-limit: Expected a size like `256MiB`, got `512parsecs`',
    ]);
  });

  it('fill in ${NAME} where secrets and places stand, and nowhere else', () => {
    const toml =
      '[[source]]\ntype = "xtream"\nhost = "${HOST}"\nuser = "$${u}"\npassword = "a${PW}b"\nname = "${HOST}"';
    const config = load(toml, { HOST: 'tv.example', PW: '${HOST}' });
    expect(config.sources[0]).toMatchObject({
      name: '${HOST}',
      origin: { kind: 'xtream', host: 'http://tv.example', user: '${u}', password: 'a${HOST}b' },
    });
    expect(problems(toml, { HOST: 'x' })).toEqual([
      'my.toml: source[1].password: Environment variable `PW` is not set',
    ]);
  });
});
