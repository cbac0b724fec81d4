import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCommandLine } from '../../src/cli.ts';
import { ConfigError } from '../../src/config/config-error.ts';

const parse = (...argv: string[]) => parseCommandLine(argv, '1.2.3');

describe('parseCommandLine', () => {
  it('generates when nothing is said', () => {
    expect(parse()).toEqual({
      kind: 'generate',
      configFile: undefined,
      overrides: {},
      quiet: false,
      dryRun: false,
      reportFile: undefined,
    });
  });

  it('takes every flag of generate, with and without the word', () => {
    const flags = [
      '--config',
      'a.toml',
      '--memory-limit',
      '512MiB',
      '--output-dir=o',
      '--dry-run',
      '--report',
      'r.json',
      '--quiet',
    ];
    const expected = {
      kind: 'generate',
      configFile: 'a.toml',
      overrides: { memoryLimit: '512MiB', outputDir: 'o' },
      quiet: true,
      dryRun: true,
      reportFile: 'r.json',
    };
    expect(parse(...flags)).toEqual(expected);
    expect(parse('generate', ...flags)).toEqual(expected);
  });

  it('serves', () => {
    expect(parse('serve', '-c', 'a.toml', '--host', '0.0.0.0', '--port', '81')).toEqual({
      kind: 'serve',
      configFile: 'a.toml',
      overrides: { host: '0.0.0.0', port: '81' },
      quiet: false,
    });
  });

  it('takes what is said of memory, plugins and order, for both commands', () => {
    const flags = '--preset edge --strategy basic --spill-dir s --plugins --plugin-dir p --sort name'.split(' ');
    const overrides = { preset: 'edge', strategy: 'basic', spillDir: 's', plugins: true, pluginDir: 'p', sort: 'name' };
    expect(parse(...flags)).toMatchObject({ kind: 'generate', overrides });
    expect(parse('serve', ...flags)).toMatchObject({ kind: 'serve', overrides });
    expect(parse('--no-plugins')).toMatchObject({ overrides: { plugins: false } });
    expect(parse()).toMatchObject({ overrides: { plugins: undefined } });
  });

  it('migrates a configuration', () => {
    expect(parse('migrate-config', 'old.toml')).toEqual({ kind: 'migrate-config', file: 'old.toml' });
  });

  it('prints version and help', () => {
    expect(parse('--version')).toEqual({ kind: 'print', text: '1.2.3' });
    for (const argv of [['--help'], ['generate', '--help'], ['serve', '-h'], ['help']]) {
      const shown = parse(...argv);
      expect(shown.kind === 'print' && shown.text).toContain('Usage: plimsoll-playlist');
    }
  });

  it.each([
    [['--confg', 'x'], "unknown option '--confg' (Did you mean --config?)"],
    [['--config'], "option '-c, --config <file>' argument missing"],
    [['serve', '--dry-run'], "unknown option '--dry-run'"],
    [['generate', 'extra'], 'too many arguments'],
    [['migrate-config'], "missing required argument 'file'"],
    [['migrate-config', 'a', 'b'], 'too many arguments'],
  ])('refuses %j in one line', (argv, words) => {
    expect(() => parse(...argv)).toThrow(ConfigError);
    try {
      parse(...argv);
    } catch (error) {
      expect((error as Error).message).toContain(words);
      expect((error as Error).message).not.toContain('\n');
    }
  });

  it('gives a command or a ConfigError for any arguments', () => {
    const word = fc.oneof(
      fc.constantFrom(
        'serve',
        'generate',
        'migrate-config',
        'help',
        '--',
        '-',
        '-c',
        '--quiet',
        '--host',
        '--port=1',
        '-qV',
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 5 }), (argv) => {
        try {
          expect(['print', 'generate', 'serve', 'migrate-config']).toContain(parse(...argv).kind);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
        }
      }),
    );
  });
});
