// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the placeholders are those of the configuration.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/config/config-error.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { migrateConfig } from '../../src/config/migrate-config.ts';

const folder = mkdtempSync(join(tmpdir(), 'playlist-migrate-'));
const file = join(folder, 'old.toml');
const next = join(folder, 'new.toml');
afterAll(() => rmSync(folder, { recursive: true }));

function migrate(toml: string) {
  writeFileSync(file, toml);
  const migrated = migrateConfig(file);
  return { ...migrated, warnings: migrated.warnings.map((line) => line.replaceAll(file, 'old.toml')) };
}

/** What the configuration means, wherever it stands and whatever is said about it. */
function meaning(path: string) {
  const { file: _, warnings: __, ...rest } = loadConfig({ file: path, env: { TOKEN: 'long enough' } });
  return rest;
}

const SOURCE = '[[source]]\npath = "a.m3u"\n';

describe('migrateConfig', () => {
  it('prints the file in the new form and keeps comments, order and what needs no change', () => {
    const { text, warnings, isComplete } = migrate(`# My lists.

# Where it is served.
[web]
port = 9090 # not 8080
base_url = "http://tv.example"

# How much it may take.
[proxy_memory]
# half of the box
max_memory_mb = 512   # MB, "MB" as always
memory_check_interval = 100 # gone
warning_threshold = 0.9

# The lists.
[[source]]
name = "a#b"   # the first
url = "http://tv.example/a.m3u"
headers = { "X" = "y" }

[output]
# here
dir = "out"

# the end
`);
    expect(text).toBe(`# My lists.

# How much it may take.
[memory]
# half of the box
limit = "512MiB" # MB, "MB" as always

[memory.levels]
high = 0.9
critical = 0.9333
emergency = 0.9667

# Where it is served.
[serve]
port = 9090 # not 8080

# The lists.
[[source]]
name = "a#b"   # the first
url = "http://tv.example/a.m3u"
headers = { "X" = "y" }

[output]
# here
dir = "out"

# the end
`);
    expect(isComplete).toBe(true);
    expect(warnings).toHaveLength(5);
    expect(warnings).toContain('old.toml: web.base_url: left out: the playlist names its guide by [output] guide_url');
  });

  it('adds to a table that is there already, and writes what a variable will fill in as it stands', () => {
    const { text } = migrate(
      `[memory]\nstrategy = "basic"\n# last\n\n[serve]\ntoken = "\${TOKEN}"\n\n${SOURCE}\n[proxy_memory]\nmax_memory_mb = 64\n[web]\nport = 1\n`,
    );
    expect(text).toBe(
      `[memory]\nstrategy = "basic"\nlimit = "64MiB"\n# last\n\n[serve]\ntoken = "\${TOKEN}"\nport = 1\n\n${SOURCE}`,
    );
  });

  it('writes all anew where the text cannot be changed in place, and says that comments are lost', () => {
    const { text, warnings } = migrate(
      `memory = { strategy = "basic" } # inline\nproxy_memory.max_memory_mb = 64\n${SOURCE}`,
    );
    expect(warnings.at(-1)).toBe('old.toml: comments could not be kept');
    writeFileSync(next, text);
    expect(meaning(next).memory).toMatchObject({ limitBytes: 64 * 1024 ** 2, strategy: 'basic' });
  });

  it('asks for lists where there are none, and prints the rest', () => {
    const { text, warnings, isComplete } = migrate('[proxy_memory]\nmax_memory_mb = 512\n');
    expect(isComplete).toBe(false);
    expect(text).toMatch(/^\[memory\]\nlimit = "512MiB"\n\n# m3u-proxy has lists/);
    expect(warnings.at(-1)).toBe('old.toml: names no list: add [[source]] to what is printed');
  });

  it('leaves a file alone that has nothing to change', () => {
    const toml = `# x\r\n${SOURCE}`;
    expect(migrate(toml)).toEqual({
      text: toml,
      warnings: ['old.toml: has no table of m3u-proxy: nothing is changed'],
      isComplete: true,
    });
  });

  it('prints nothing for a mistake in what it would write', () => {
    expect(() => migrate(`[proxy_memory]\nmax_memory_mb = 8\n${SOURCE}`)).toThrow(ConfigError);
    expect(() => migrate(`[proxy_memory]\nmax_memory_mb = "x"\n${SOURCE}`)).toThrow(
      /Expected a whole number of mebibytes/,
    );
    expect(() => migrate(`[proxy_memory]\nmax_memory_mb = 99\n[memory]\nlmit = 3\n${SOURCE}`)).toThrow(
      /Did you mean `limit`/,
    );
  });
});

const text = fc.constantFrom('plain', 'a # b', "it's", 'quo"te', '\\back', 'ünï', '[x]', '${TOKEN}');
const quoted = text.map((one) => JSON.stringify(one));
const whole = (min: number, max: number) => fc.integer({ min, max }).map(String);
const flag = fc.constantFrom('true', 'false');
const strategy = fc
  .constantFrom('stop_early', 'continue_with_warning', 'chunked_processing', 'temp_file_spill')
  .map((s) => `"${s}"`);
const memory = {
  max_memory_mb: whole(64, 4096),
  batch_size: whole(0, 1_000_000),
  memory_check_interval: whole(1, 1000),
  warning_threshold: fc.integer({ min: 0, max: 100 }).map((n) => (n / 100).toFixed(2)),
  strategy_preset: fc.constantFrom('"default"', '"conservative"', '"aggressive"', '"temp_file_based"', '"custom"'),
  enable_parallel_processing: flag,
  'memory_strategy.exceeded_strategy': strategy,
  'memory_strategy.temp_dir': quoted,
  'memory_strategy.chunk_size': whole(1, 5000),
  unheard_of: fc.constantFrom('1', '"""\na = 1\n# no comment\n"""', '[\n  1, # one\n  2,\n]', '1979-05-27'),
};
const plugins = {
  enabled: flag,
  plugin_directory: quoted,
  max_memory_per_plugin: fc.oneof(whole(1, 64), fc.constant('"48MB"')),
  timeout_seconds: whole(1, 60),
  max_plugin_failures: whole(1, 9),
  'fallbacks.enable_fallbacks': flag,
};
const OLD_TABLES: Record<string, Record<string, fc.Arbitrary<string>>> = {
  proxy_memory: memory,
  'proxy_generation.memory': memory,
  wasm_plugins: plugins,
  wasm_strategies: plugins,
  web: { host: quoted, port: whole(0, 65_535), base_url: quoted },
  storage: { m3u_path: quoted, temp_path: quoted },
  'database.batch_sizes': { epg_programs: whole(1, 9) },
};
const NEW_TABLES: Record<string, Record<string, fc.Arbitrary<string>>> = {
  memory: {
    limit: fc.constantFrom('"64MiB"', '"1GiB"'),
    strategy: fc.constantFrom('"basic"', '"smart"'),
    spill_dir: quoted,
    cleanup_between_stages: flag,
    'levels.emergency': fc.constant('0.99'),
  },
  'memory.levels': { emergency: fc.constant('0.995') },
  plugins: { dir: quoted, isolation: fc.constant('"process"') },
  serve: { port: whole(0, 9), token: fc.constant('"${TOKEN}"') },
  output: { name: fc.constant('"home"') },
  rule: { set: fc.constantFrom('\'group_title = "x"\'', '"""\ngroup_title = "[memory]"\n"""') },
};
const SINGLE_LISTS = new Set(['rule']);

function tableOf(name: string, keys: Record<string, fc.Arbitrary<string>>): fc.Arbitrary<string> {
  const comment = fc.constantFrom('', ' # why', ' # "quoted" = 1');
  const above = fc.constantFrom('', '\n', '# above\n', '\n# alone\n\n', '  # indented [x]\n');
  const entry = fc.record({ above, comment });
  return fc.tuple(fc.subarray(Object.keys(keys)), above, comment).chain(([names, before, behind]) =>
    fc.tuple(...names.map((key) => fc.tuple(keys[key]!, entry))).map((values) => {
      const header = SINGLE_LISTS.has(name) ? `[[${name}]]` : `[${name}]`;
      const lines = values.map(([value, { above: a, comment: c }], i) => `${a}${names[i]} = ${value}${c}\n`);
      const required = name === 'rule' && names.length === 0 ? 'set = \'group_title = "y"\'\n' : '';
      return `${before}${header}${behind}\n${lines.join('')}${required}`;
    }),
  );
}

const document = fc
  .tuple(
    fc.subarray(Object.keys(OLD_TABLES), { minLength: 1 }),
    fc.subarray(Object.keys(NEW_TABLES)),
    fc.boolean(),
    fc.array(fc.nat({ max: 1000 }), { minLength: 14, maxLength: 14 }),
  )
  .chain(([olds, news, dotted, order]) => {
    const sections = [...olds, ...news].map((name) => tableOf(name, { ...OLD_TABLES, ...NEW_TABLES }[name]!));
    return fc.tuple(...sections, fc.constant(`\n${SOURCE}`)).map((tables) => {
      const shuffled = tables
        .map((table, i) => [order[i]!, table] as const)
        .sort(([a], [b]) => a - b)
        .map(([, table]) => table);
      return `${dotted ? 'job_scheduling.global_max_jobs = 3 # root\n' : ''}${shuffled.join('')}`;
    });
  });

describe('a migrated file', () => {
  it('means what the old one means, whatever stands in it, and has no more to be warned of', () => {
    let kept = 0;
    let run = 0;
    fc.assert(
      fc.property(document, (toml) => {
        writeFileSync(file, toml);
        let before: ReturnType<typeof meaning>;
        try {
          before = meaning(file);
        } catch (error) {
          // Such as levels out of order, or a table that stands twice: a mistake before is none that we make.
          if (!(error instanceof ConfigError)) throw error;
          return;
        }
        const { text: after, warnings } = migrateConfig(file);
        run++;
        if (!warnings.some((line) => line.endsWith('comments could not be kept'))) kept++;
        writeFileSync(next, after);
        expect(meaning(next)).toEqual(before);
        expect(loadConfig({ file: next, env: { TOKEN: 'long enough' } }).warnings).toEqual([]);
        expect(migrateConfig(next).text).toBe(readFileSync(next, 'utf8'));
      }),
      { numRuns: 300 },
    );
    expect(run).toBeGreaterThan(150);
    expect(kept).toBeGreaterThan(run * 0.8);
  });
});
