import { resolve } from 'node:path';
import { checkShape } from './check-shape.ts';
import type { PlaylistConfig } from './config.ts';
import { ConfigError } from './config-error.ts';
import { applyVariables, interpolate, type OverFile, type RawConfig, setKey } from './environment.ts';
import { issueLines } from './issue-line.ts';
import { parseConfigText, readConfigText } from './read-toml.ts';
import { resolveConfig } from './resolve-config.ts';
import { translateOlder } from './translate-older.ts';

/** What the command line may set over file and environment, as text with units. Paths are relative to the current folder. */
export interface ConfigOverrides {
  readonly memoryLimit?: string | undefined;
  readonly outputDir?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: string | undefined;
  readonly dashboard?: boolean | undefined;
  readonly plugins?: boolean | undefined;
  readonly pluginDir?: string | undefined;
  readonly strategy?: string | undefined;
  readonly preset?: string | undefined;
  readonly spillDir?: string | undefined;
  readonly sort?: string | undefined;
}

export interface LoadConfigOptions {
  /** Relative to the current folder. */
  readonly file: string;
  readonly env: NodeJS.ProcessEnv;
  readonly overrides?: ConfigOverrides;
}

const FLAGS: Readonly<Record<keyof ConfigOverrides, readonly [place: string, flag: string]>> = {
  memoryLimit: ['memory.limit', '--memory-limit'],
  outputDir: ['output.dir', '--output-dir'],
  host: ['serve.host', '--host'],
  port: ['serve.port', '--port'],
  dashboard: ['serve.dashboard', '--dashboard'],
  plugins: ['plugins.enabled', '--plugins'],
  pluginDir: ['plugins.dir', '--plugin-dir'],
  strategy: ['memory.strategy', '--strategy'],
  preset: ['memory.preset', '--preset'],
  spillDir: ['memory.spill_dir', '--spill-dir'],
  sort: ['output.sort', '--sort'],
};

/**
 * Reads, checks and resolves a configuration: flags win over `PLIMSOLL_PLAYLIST_...` variables, those over plain names such as
 * `MEMORY_LIMIT_MB`, those over the file. Tables of m3u-proxy in the file are read, with a warning for each key. Paths in the file are relative to
 * the file. Throws `ConfigError` with one line for every problem. Synchronous.
 */
export function loadConfig(options: LoadConfigOptions): PlaylistConfig {
  const { file, env, overrides = {} } = options;
  const older = translateOlder(parseConfigText(readConfigText(file), file), file);
  const { raw } = older;
  const told: OverFile = { origins: new Map(), problems: [...older.problems], warnings: [...older.warnings] };
  applyVariables(raw, env, told);
  applyFlags(raw, overrides, told);
  const originOf = (key: string) => told.origins.get(key) ?? older.origins.get(key);
  interpolate(raw, env, (path, message) => {
    const issue = { code: 'custom' as const, path: [...path], message, input: undefined };
    told.problems.push(...issueLines(issue, raw, file, originOf));
  });
  const { shape, problems } = checkShape(raw, file, originOf, older.tables > 0);
  told.problems.push(...problems);
  if (shape === undefined || told.problems.length > 0) throw new ConfigError(told.problems);
  if (shape.memory?.preset === 'edge' && shape.plugins?.dir !== undefined && shape.plugins.enabled === undefined)
    told.warnings.push(
      `${originOf('plugins.dir') ?? `${file}: plugins.dir`}: preset edge has plugins off: say [plugins] enabled = true to have them`,
    );
  const isFromOutside = (key: string) => told.origins.has(key);
  return resolveConfig(shape, { file: resolve(file), isFromOutside, warnings: told.warnings });
}

function applyFlags(raw: RawConfig, overrides: ConfigOverrides, { origins }: OverFile): void {
  for (const [name, [place, flag]] of Object.entries(FLAGS)) {
    const value = overrides[name as keyof ConfigOverrides];
    if (value === undefined) continue;
    setKey(raw, place, String(value));
    origins.set(place, value === false ? flag.replace('--', '--no-') : flag);
  }
}
