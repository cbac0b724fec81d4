import { Command, CommanderError } from 'commander';
import { ConfigError } from './config/config-error.ts';
import type { ConfigOverrides } from './config/load-config.ts';

/** What the user asked for. A plain value: it can be handed over as JSON. */
export type CommandLine =
  /** `--help`, `--version`: print the text and leave with 0. */
  | { readonly kind: 'print'; readonly text: string }
  | (Run & { readonly kind: 'generate'; readonly dryRun: boolean; readonly reportFile: string | undefined })
  | (Run & { readonly kind: 'serve' })
  /** Print `file` in the form that is current. */
  | { readonly kind: 'migrate-config'; readonly file: string };

interface Run {
  /** As typed, relative to the current folder; undefined when none was named. */
  readonly configFile: string | undefined;
  readonly overrides: ConfigOverrides;
  readonly quiet: boolean;
}

const EXAMPLES = `
Examples:
  plimsoll-playlist --config my.toml
  plimsoll-playlist generate --config my.toml --memory-limit 192MiB --report report.json
  plimsoll-playlist --config my.toml --plugins --strategy aggressive
  plimsoll-playlist serve --config my.toml --port 8080
  plimsoll-playlist migrate-config config.toml > my.toml

Each key of a table can be set by a variable PLIMSOLL_PLAYLIST_<TABLE>_<KEY>, such as
PLIMSOLL_PLAYLIST_MEMORY_LIMIT=256MiB; MEMORY_LIMIT_MB, CLEANUP_AGGRESSIVE and PLUGIN_MEMORY_LIMIT_MB
are read as well. Flags win over variables, variables over the file.
Exit codes: 0 done, 1 the run failed (migrate-config: the printed file wants something added by hand),
2 a mistake in flags or configuration, 130 and 143 interrupted.`;

/**
 * Reads the arguments after the program's name. `generate` is the command when none is named. A mistake throws
 * `ConfigError` with one line. `version` is what `--version` prints.
 */
export function parseCommandLine(argv: readonly string[], version: string): CommandLine {
  let result: CommandLine | undefined;
  let printed = '';
  const program = new Command('plimsoll-playlist')
    .description('One cleaned playlist and one matching TV guide, in memory that stays flat.')
    .version(version, '-V, --version', 'print the version')
    .addHelpText('after', EXAMPLES);
  const generate = shared(program.command('generate', { isDefault: true }))
    .description('write the playlist and the guide once (the default)')
    .option('--dry-run', 'read and report, write nothing')
    .option('--report <file>', 'write the report as JSON')
    .action((options) => {
      result = { kind: 'generate', ...run(options), dryRun: options.dryRun === true, reportFile: options.report };
    });
  const serve = shared(program.command('serve'))
    .description('serve both files over HTTP and write them anew on a schedule')
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <number>', 'port to listen on (default: 8080)')
    .option('--no-dashboard', 'do not show the memory of the process at /dashboard')
    .action((options) => {
      result = { kind: 'serve', ...run(options) };
    });
  const migrate = program
    .command('migrate-config')
    .argument('<file>', 'a configuration of m3u-proxy, or one that has tables of it')
    .description('print a configuration in the current form; what is left out is said on standard error')
    .action((file: string) => {
      result = { kind: 'migrate-config', file };
    });
  for (const command of [program, generate, serve, migrate])
    command
      .exitOverride()
      .allowExcessArguments(false)
      .configureOutput({ writeOut: (text) => (printed += text), writeErr: () => {} });
  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { kind: 'print', text: printed.trimEnd() };
    const line = error.message
      .replace(/^error: /, '')
      .replace(/\s*\n\s*/g, ' ')
      .replace(/\.$/, '');
    throw new ConfigError([`plimsoll-playlist: ${line}. See --help`], error);
  }
  return result!;
}

function shared(command: Command): Command {
  return command
    .option('-c, --config <file>', 'the configuration (TOML)')
    .option('--memory-limit <size>', 'the line memory stays under, such as 256MiB')
    .option('--preset <name>', 'edge, balanced, high-volume or development')
    .option('--strategy <name>', 'how memory is cleaned up: basic, aggressive or smart')
    .option('--spill-dir <folder>', 'where data goes when memory is short; on a disk')
    .option('--plugins', 'use plugins, the bundled ones unless a folder is named')
    .option('--no-plugins', 'use none')
    .option('--plugin-dir <folder>', 'the folder of the plugins')
    .option('--sort <order>', 'none, name or group')
    .option('--output-dir <folder>', 'where the two files go')
    .option('-q, --quiet', 'no progress, only warnings and errors');
}

function run(options: Record<string, string | boolean | undefined>): Run {
  const text = (name: string) => options[name] as string | undefined;
  return {
    configFile: text('config'),
    overrides: {
      memoryLimit: text('memoryLimit'),
      preset: text('preset'),
      strategy: text('strategy'),
      spillDir: text('spillDir'),
      plugins: options.plugins as boolean | undefined,
      pluginDir: text('pluginDir'),
      sort: text('sort'),
      outputDir: text('outputDir'),
      host: text('host'),
      port: text('port'),
      ...(options.dashboard === false && { dashboard: false }),
    },
    quiet: options.quiet === true,
  };
}
