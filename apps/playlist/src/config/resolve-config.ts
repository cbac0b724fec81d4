import { dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEFAULT_THRESHOLDS, type GovernorOptions, PRESETS, type PresetName } from 'plimsoll';
import type { MemoryConfig, MemoryLevels, Origin, PlaylistConfig, PluginsConfig, SourceConfig } from './config.ts';
import { DEFAULTS, type FileShape, type GuideShape, type SourceShape } from './schema.ts';

export interface ResolveOptions {
  /** Absolute. Paths in the file are relative to it, except those that `isFromOutside`: they are relative to the current folder. */
  readonly file: string;
  readonly isFromOutside: (key: string) => boolean;
  readonly warnings: readonly string[];
}

/** Fills in defaults, and makes paths absolute. The shape has been checked. */
export function resolveConfig(shape: FileShape, options: ResolveOptions): PlaylistConfig {
  const { file, isFromOutside, warnings } = options;
  const folder = dirname(file);
  const fromFile = (path: string) => (isAbsolute(path) ? path : join(folder, path));
  const located = (key: string, path: string) => (isFromOutside(key) ? resolve(path) : fromFile(path));
  const sources = shape.source.map((source, i) => ({
    ...limits(source, DEFAULTS.sourceMaxBytes),
    name: source.name ?? `source ${i + 1}`,
    origin: originOf(source, fromFile),
  }));
  const { numbering, matching, output, serve, cache } = shape;
  const outputDir = located('output.dir', output?.dir ?? DEFAULTS.outputDir);
  const outputName = output?.name ?? DEFAULTS.outputName;
  return {
    file,
    warnings,
    memory: memoryOf(shape, outputDir, located),
    plugins: pluginsOf(shape, located),
    mapping: { tidyNames: shape.mapping?.tidy_names ?? DEFAULTS.tidyNames },
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
      dashboard: serve?.dashboard ?? true,
      dashboardHost: serve?.dashboard_host,
    },
    cache: {
      dir: cache?.dir === undefined ? join(outputDir, '.cache') : located('cache.dir', cache.dir),
      shrinkLimit: cache?.shrink_limit ?? DEFAULTS.shrinkLimit,
    },
  };
}

type Locate = (key: string, path: string) => string;

/** What is given beside a preset wins over what it says. */
function memoryOf({ memory = {} }: FileShape, outputDir: string, located: Locate): MemoryConfig {
  const preset = memory.preset ?? DEFAULTS.preset;
  const ofPreset: GovernorOptions = PRESETS[preset];
  return {
    limitBytes: memory.limit ?? ofPreset.limitBytes,
    preset,
    batchBytes: memory.batch_size,
    checkEveryMs: memory.check_interval ?? DEFAULTS.checkEveryMs,
    strategy: memory.strategy ?? ofPreset.strategy ?? DEFAULTS.strategy,
    levels: levelsOf(memory.levels),
    cleanupBetweenStages: memory.cleanup_between_stages ?? DEFAULTS.cleanupBetweenStages,
    collectEveryMs: memory.collection_interval === 'off' ? undefined : memory.collection_interval,
    spill: {
      dir: memory.spill_dir === undefined ? join(outputDir, '.spill') : located('memory.spill_dir', memory.spill_dir),
      maxBytes: memory.spill_quota ?? DEFAULTS.spillMaxBytes,
    },
    preallocateBytes: memory.pool_preallocate ?? DEFAULTS.preallocateBytes,
    rememberRuns: memory.remember_runs ?? DEFAULTS.rememberRuns,
  };
}

function pluginsOf({ plugins = {}, memory }: FileShape, located: Locate): PluginsConfig {
  // Who names the whole alone has said of each as well that it is no more.
  const maxPluginBytes =
    plugins.max_memory ?? Math.min(DEFAULTS.pluginMaxBytes, plugins.max_total_memory ?? Number.POSITIVE_INFINITY);
  return {
    enabled: plugins.enabled ?? (plugins.dir !== undefined && memory?.preset !== WITHOUT_PLUGINS),
    dir: plugins.dir === undefined ? bundledPlugins() : located('plugins.dir', plugins.dir),
    maxPluginBytes,
    maxTotalBytes: plugins.max_total_memory ?? Math.max(DEFAULTS.pluginMaxTotalBytes, maxPluginBytes),
    timeoutMs: plugins.timeout ?? DEFAULTS.pluginTimeoutMs,
    maxFailures: plugins.max_failures ?? DEFAULTS.pluginMaxFailures,
    selection: plugins.selection ?? DEFAULTS.selection,
    nativeFallback: plugins.native_fallback ?? DEFAULTS.nativeFallback,
    isolation: plugins.isolation ?? DEFAULTS.isolation,
  };
}

/** With this preset a folder alone does not switch plugins on. */
const WITHOUT_PLUGINS: PresetName = 'edge';

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
