import { readFileSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEFAULT_THRESHOLDS, type GovernorOptions, PRESETS } from 'plimsoll';
import { parse, TomlError } from 'smol-toml';
import type { MemoryLevels, Origin, PlaylistConfig, SourceConfig } from './config.ts';
import { ConfigError } from './config-error.ts';
import { applyVariables, interpolate, setKey } from './environment.ts';
import { issueLines } from './issue-line.ts';
import { DEFAULTS, FILE_SCHEMA, type FileShape, type GuideShape, type SourceShape } from './schema.ts';

/** A configuration file may have this many bytes; it bounds every list in it. */
const MAX_FILE_BYTES = 4 * 1024 ** 2;

/** What the command line may set over file and environment, as text with units. Paths are relative to the current folder. */
export interface ConfigOverrides {
  readonly memoryLimit?: string | undefined;
  readonly outputDir?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: string | undefined;
}

export interface LoadConfigOptions {
  /** Relative to the current folder. */
  readonly file: string;
  readonly env: NodeJS.ProcessEnv;
  readonly overrides?: ConfigOverrides;
}

const FLAGS = {
  memoryLimit: ['memory', 'limit', '--memory-limit'],
  outputDir: ['output', 'dir', '--output-dir'],
  host: ['serve', 'host', '--host'],
  port: ['serve', 'port', '--port'],
} as const;

/**
 * Reads, checks and resolves a configuration: flags win over `PLIMSOLL_PLAYLIST_...` variables, those over the file.
 * Paths in the file are relative to the file. Throws `ConfigError` with one line for every problem. Synchronous.
 */
export function loadConfig(options: LoadConfigOptions): PlaylistConfig {
  const { file, env, overrides = {} } = options;
  const raw = readToml(file);
  const origins = new Map<string, string>();
  const problems = applyVariables(raw, env, origins);
  for (const [name, [table, key, flag]] of Object.entries(FLAGS)) {
    const value = overrides[name as keyof ConfigOverrides];
    if (value === undefined) continue;
    setKey(raw, table, key, value);
    origins.set(`${table}.${key}`, flag);
  }
  interpolate(raw, env, (path, message) => {
    problems.push(
      ...issueLines({ code: 'custom', path: [...path], message, input: undefined }, raw, file, (key) =>
        origins.get(key),
      ),
    );
  });
  const parsed = FILE_SCHEMA.safeParse(raw);
  if (!parsed.success)
    problems.push(...parsed.error.issues.flatMap((issue) => issueLines(issue, raw, file, (key) => origins.get(key))));
  if (parsed.success) problems.push(...crossCheck(parsed.data, file));
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  return resolveConfig(parsed.data, resolve(file), origins);
}

function readToml(file: string): Record<string, unknown> {
  let text: string;
  try {
    const { size } = statSync(file);
    if (size > MAX_FILE_BYTES)
      throw new ConfigError([`${file}: Expected a configuration of at most 4 MiB, got ${size} bytes`]);
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT')
      throw new ConfigError([`${file}: No such file. Name the configuration with --config FILE`], cause);
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA')
      throw new ConfigError([`${file}: Expected UTF-8 text: save the file as UTF-8`], cause);
    throw new ConfigError([`${file}: Cannot be read: ${code ?? (cause as Error).message}`], cause);
  }
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const what = cause.message.split('\n', 1)[0]!.replace(/^Invalid TOML document: /, '');
    throw new ConfigError([`${file}:${cause.line}:${cause.column}: ${what}`], cause);
  }
}

/** What one entry alone cannot know: names that are used twice, references to other entries. */
function crossCheck(shape: FileShape, file: string): string[] {
  const problems: string[] = [];
  const seen = new Set<string>();
  shape.source.forEach((source, i) => {
    if (source.name === undefined) return;
    if (seen.has(source.name))
      problems.push(`${file}: source[${i + 1}].name: Expected a name of its own, got \`${source.name}\` again`);
    seen.add(source.name);
  });
  shape.guide?.forEach((guide, i) => {
    if (guide.source === undefined) return;
    const target = shape.source.find((source) => source.name === guide.source);
    if (target?.type === 'xtream') return;
    const what = target === undefined ? 'but there is none of that name' : 'but that source is not type = "xtream"';
    problems.push(
      `${file}: guide[${i + 1}].source: Expected the name of an xtream source, got \`${guide.source}\`, ${what}`,
    );
  });
  return problems;
}

function resolveConfig(shape: FileShape, file: string, origins: ReadonlyMap<string, string>): PlaylistConfig {
  const folder = dirname(file);
  const fromFile = (path: string) => (isAbsolute(path) ? path : join(folder, path));
  const located = (key: string, path: string) => (origins.has(key) ? resolve(path) : fromFile(path));
  const sources = shape.source.map((source, i) => ({
    ...limits(source, DEFAULTS.sourceMaxBytes),
    name: source.name ?? `source ${i + 1}`,
    origin: originOf(source, fromFile),
  }));
  const { memory, plugins, mapping, numbering, matching, output, serve, cache } = shape;
  const outputDir = located('output.dir', output?.dir ?? DEFAULTS.outputDir);
  const preset = memory?.preset ?? DEFAULTS.preset;
  const presetOptions: GovernorOptions = PRESETS[preset];
  const outputName = output?.name ?? DEFAULTS.outputName;
  return {
    file,
    warnings: [],
    memory: {
      limitBytes: memory?.limit ?? presetOptions.limitBytes,
      preset,
      batchBytes: memory?.batch_size,
      checkEveryMs: memory?.check_interval ?? DEFAULTS.checkEveryMs,
      strategy: memory?.strategy ?? presetOptions.strategy ?? DEFAULTS.strategy,
      levels: levelsOf(memory?.levels),
      cleanupBetweenStages: memory?.cleanup_between_stages ?? DEFAULTS.cleanupBetweenStages,
      collectEveryMs: memory?.collection_interval === 'off' ? undefined : memory?.collection_interval,
      spill: {
        dir:
          memory?.spill_dir === undefined ? join(outputDir, '.spill') : located('memory.spill_dir', memory.spill_dir),
        maxBytes: memory?.spill_quota ?? DEFAULTS.spillMaxBytes,
      },
      preallocateBytes: memory?.pool_preallocate ?? DEFAULTS.preallocateBytes,
    },
    plugins: {
      enabled: plugins?.enabled ?? (plugins?.dir !== undefined && preset !== 'edge'),
      dir: plugins?.dir === undefined ? bundledPlugins() : located('plugins.dir', plugins.dir),
      maxPluginBytes: plugins?.max_memory ?? DEFAULTS.pluginMaxBytes,
      maxTotalBytes: plugins?.max_total_memory ?? DEFAULTS.pluginMaxTotalBytes,
      timeoutMs: plugins?.timeout ?? DEFAULTS.pluginTimeoutMs,
      maxFailures: plugins?.max_failures ?? DEFAULTS.pluginMaxFailures,
      selection: plugins?.selection ?? DEFAULTS.selection,
      nativeFallback: plugins?.native_fallback ?? DEFAULTS.nativeFallback,
      isolation: plugins?.isolation ?? DEFAULTS.isolation,
    },
    mapping: { tidyNames: mapping?.tidy_names ?? DEFAULTS.tidyNames },
    sources,
    guides: (shape.guide ?? []).map((guide, i) => ({
      ...limits(guide, DEFAULTS.guideMaxBytes),
      name: guide.name ?? `guide ${i + 1}`,
      origin: guide.type === 'xtream' ? xtreamOf(sources, guide.source) : originOf(guide, fromFile),
      onDamage: guide.on_damage ?? 'keep',
    })),
    rules: (shape.rule ?? []).map((rule, i) => ({
      label: label('rule', i, rule.name),
      when: rule.when,
      set: rule.set,
    })),
    filters: (shape.filter ?? []).map((filter, i) => ({
      label: label('filter', i, filter.name),
      mode: filter.include === undefined ? 'exclude' : 'include',
      expression: filter.include ?? filter.exclude ?? '',
    })),
    numbering: { start: numbering?.start ?? DEFAULTS.numberingStart },
    matching: {
      aliasesPath: matching?.aliases === undefined ? undefined : located('matching.aliases', matching.aliases),
      byName: matching?.by_name ?? DEFAULTS.byName,
    },
    output: {
      dir: outputDir,
      name: outputName,
      playlistFile: join(outputDir, `${outputName}.m3u8`),
      guideFile: join(outputDir, `${outputName}.xmltv`),
      guideUrl: output?.guide_url ?? `${outputName}.xmltv`,
      sort: output?.sort ?? DEFAULTS.sort,
    },
    serve: {
      host: serve?.host ?? DEFAULTS.host,
      port: serve?.port ?? DEFAULTS.port,
      everyMs: serve?.schedule === 'off' ? undefined : (serve?.schedule ?? DEFAULTS.everyMs),
      token: serve?.token,
    },
    cache: {
      dir: cache?.dir === undefined ? join(outputDir, '.cache') : located('cache.dir', cache.dir),
      shrinkLimit: cache?.shrink_limit ?? DEFAULTS.shrinkLimit,
    },
  };
}

function levelsOf(given: Partial<Record<keyof MemoryLevels, number | undefined>> = {}): MemoryLevels {
  const of = (name: keyof MemoryLevels) => given[name] ?? DEFAULT_THRESHOLDS[name];
  return { moderate: of('moderate'), high: of('high'), critical: of('critical'), emergency: of('emergency') };
}

/** What `npm run build:plugins` makes, and the library's package holds. */
function bundledPlugins(): string {
  return join(dirname(fileURLToPath(import.meta.resolve('plimsoll/package.json'))), 'plugins', 'dist');
}

function limits(entry: SourceShape | GuideShape, maxBytes: number) {
  return {
    timeoutMs: entry.timeout ?? DEFAULTS.timeoutMs,
    retryCount: entry.retries ?? DEFAULTS.retryCount,
    maxBytes: entry.max_size ?? maxBytes,
    headers: entry.headers ?? {},
  };
}

function originOf(entry: SourceShape | GuideShape, fromFile: (path: string) => string): Origin {
  if (entry.path !== undefined) return { kind: 'path', pattern: fromFile(entry.path) };
  if (entry.url !== undefined) return { kind: 'url', url: entry.url };
  const { host = '', user = '', password = '' } = entry as SourceShape;
  const withScheme = /^https?:\/\//i.test(host) ? host : `http://${host}`;
  return { kind: 'xtream', host: withScheme.replace(/\/+$/, ''), user, password };
}

function xtreamOf(sources: readonly SourceConfig[], name: string | undefined): Origin {
  return sources.find((source) => source.name === name)!.origin;
}

function label(kind: string, index: number, name: string | undefined): string {
  return name === undefined ? `${kind} ${index + 1}` : `${kind} ${index + 1} (${name})`;
}
