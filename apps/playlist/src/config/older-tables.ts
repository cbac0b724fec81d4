/**
 * What m3u-proxy's configuration says, and which key says it here. For maintainers: its tables have had several names and places
 * (`proxy_memory` and `proxy_generation.memory`; `wasm_plugins`, `wasm_strategies` and `proxy_generation.wasm_plugins`), all of which are read. Its lists,
 * filters and rules are in its database, not in the file. Keys are in order of say: of two that set the same key here, the first holds.
 */
import { DEFAULT_THRESHOLDS } from 'plimsoll';
import type { MemoryLevels } from './config.ts';

/** What an older value means here. */
export interface Meaning {
  readonly set: readonly (readonly [place: string, value: string | number | boolean])[];
  /** What the user should know besides. */
  readonly note?: string;
}

/** A key that has a counterpart. `read` gives undefined for a value that it cannot read. */
export interface OlderKey {
  readonly form: string;
  readonly read: (value: unknown) => Meaning | undefined;
}

/** A key or table, or the reason why it is left out. */
export type OlderEntry = OlderKey | OlderTable | string;
export interface OlderTable {
  readonly [key: string]: OlderEntry;
}

/** Bytes of a channel in a list, about: what a number of channels is taken for. */
const CHANNEL_BYTES = 256;
const SMALLEST_BATCH_KIB = 16;
const LARGEST_BATCH_KIB = 64 * 1024;
/** Below it there is no room for `moderate`. */
const LOWEST_THRESHOLD = 0.1;

function key(form: string, read: OlderKey['read']): OlderKey {
  return { form, read };
}

function renamed(place: string, form: string, convert: (value: unknown) => string | number | boolean | undefined) {
  return key(form, (value) => {
    const converted = convert(value);
    return converted === undefined ? undefined : { set: [[place, converted]] };
  });
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const wholeAs = (unit: string) => (value: unknown) => (isWhole(value) ? `${value}${unit}` : undefined);
const text = (value: unknown) => (typeof value === 'string' && value.trim() !== '' ? value : undefined);
const flag = (value: unknown) => (typeof value === 'boolean' ? value : undefined);
const choice =
  <Value extends string>(values: Readonly<Record<string, Value>>) =>
  (value: unknown) =>
    typeof value === 'string' && Object.hasOwn(values, value) ? values[value] : undefined;

const batchSize = key('a whole number of channels', (value) => {
  if (!isWhole(value)) return undefined;
  const kib = Math.round((value * CHANNEL_BYTES) / 1024);
  const held = Math.min(LARGEST_BATCH_KIB, Math.max(SMALLEST_BATCH_KIB, kib));
  return {
    set: [['memory.batch_size', `${held}KiB`]],
    note: `batches are counted in bytes, ${CHANNEL_BYTES} to a channel`,
  };
});

/** The level at which work changes begins at the older threshold; its neighbours make room where they must. */
const warningThreshold = key('a share like `0.8`', (value) => {
  if (typeof value !== 'number' || !(value >= 0 && value <= 1)) return undefined;
  if (value < LOWEST_THRESHOLD || value > 0.99)
    return { set: [], note: `left out: [memory.levels] high may begin from ${LOWEST_THRESHOLD} to 0.99` };
  const levels: Partial<Record<keyof MemoryLevels, number>> = { high: value };
  const step = (1 - value) / 3;
  if (value <= DEFAULT_THRESHOLDS.moderate) levels.moderate = rounded(value * 0.7);
  if (value >= DEFAULT_THRESHOLDS.critical)
    Object.assign(levels, { critical: rounded(value + step), emergency: rounded(value + 2 * step) });
  return { set: Object.entries(levels).map(([level, share]) => [`memory.levels.${level}`, share]) };
});

function rounded(share: number): number {
  return Math.round(share * 10_000) / 10_000;
}

const strategyPreset = key('"default", "conservative", "aggressive", "temp_file_based" or "custom"', (value) => {
  if (value === 'custom') return { set: [], note: 'memory_strategy says it' };
  const strategy = choice({
    default: 'basic',
    conservative: 'smart',
    aggressive: 'aggressive',
    temp_file_based: 'aggressive',
  } as const)(value);
  if (strategy === undefined) return undefined;
  const always =
    'data goes to files when memory is short; with PLIMSOLL_FORCE_SPILL=1 in the environment it always does';
  return { set: [['memory.strategy', strategy]], ...(value === 'temp_file_based' && { note: always }) };
});

const pressureStrategy = renamed(
  'memory.strategy',
  '"stop_early", "continue_with_warning", "chunked_processing" or "temp_file_spill"',
  choice({
    stop_early: 'basic',
    continue_with_warning: 'basic',
    chunked_processing: 'smart',
    temp_file_spill: 'aggressive',
  } as const),
);

const STRATEGY: OlderTable = {
  exceeded_strategy: pressureStrategy,
  warning_strategy: pressureStrategy,
  chunk_size: batchSize,
  temp_dir: renamed('memory.spill_dir', 'the path of a folder', text),
  attempt_gc: 'a collection is made wherever it helps',
};

const MEMORY: OlderTable = {
  max_memory_mb: renamed('memory.limit', 'a whole number of mebibytes', wholeAs('MiB')),
  strategy_preset: strategyPreset,
  batch_size: batchSize,
  warning_threshold: warningThreshold,
  memory_check_interval: 'it counts channels; here time passes between two looks, [memory] check_interval',
  enable_parallel_processing: 'stages run by turns, so that memory stays flat',
  memory_strategy: STRATEGY,
};

const maxFailures = renamed('plugins.max_failures', 'a whole number', (value) => (isWhole(value) ? value : undefined));
const nativeFallback = renamed('plugins.native_fallback', '`true` or `false`', flag);
const BY_MANIFEST = 'a plugin says in its manifest which stages it does';

const PLUGINS: OlderTable = {
  enabled: key('`true` or `false`', (value) => {
    if (typeof value !== 'boolean') return undefined;
    const note = 'plugins made for m3u-proxy have another interface and do not run here';
    return { set: [['plugins.enabled', value]], ...(value && { note }) };
  }),
  plugin_directory: renamed('plugins.dir', 'the path of a folder', text),
  max_memory_per_plugin: renamed('plugins.max_memory', 'mebibytes like `64`, or a size like `"64MiB"`', (value) =>
    isWhole(value) ? `${value}MiB` : text(value),
  ),
  max_memory_per_plugin_mb: renamed('plugins.max_memory', 'a whole number of mebibytes', wholeAs('MiB')),
  timeout_seconds: renamed('plugins.timeout', 'a whole number of seconds', wholeAs('s')),
  max_plugin_failures: maxFailures,
  fallback_to_native: nativeFallback,
  selection_criteria: renamed(
    'plugins.selection',
    '"MemoryEfficient" or "Fastest"',
    choice({
      MemoryEfficient: 'memory-efficient',
      memory_efficient: 'memory-efficient',
      Fastest: 'fastest',
      fastest: 'fastest',
    } as const),
  ),
  prefer_streaming_plugins: 'which plugin runs is chosen by pressure; those that stream come first when it is high',
  enable_hot_reload: 'plugins are read at the start',
  fallbacks: {
    enable_fallbacks: nativeFallback,
    max_plugin_failures: maxFailures,
    fallback_timeout_ms: 'the native stage is not timed',
  },
  security: 'a plugin never sees files or the network',
  strategies: BY_MANIFEST,
  stages: BY_MANIFEST,
};

const NO_DATABASE = 'there is no database: lists, rules and filters stand in this file';
const NO_RELAY = 'streams are not relayed';
const BY_SOURCE = 'downloads have their limits at each [[source]] and [[guide]]';

/** The whole file. */
export const OLDER_TABLES: OlderTable = {
  proxy_memory: MEMORY,
  memory_strategy: STRATEGY,
  wasm_plugins: PLUGINS,
  wasm_strategies: PLUGINS,
  proxy_generation: {
    memory: MEMORY,
    wasm_plugins: PLUGINS,
    epg: 'the guide has what the [[guide]] files have for the channels of the playlist',
    enable_memory_tracking: 'memory is always measured',
    enable_profiling: 'the report always has times',
    enable_file_spilling: 'data goes to files when memory is short: [memory] spill_dir and spill_quota',
  },
  web: {
    host: renamed('serve.host', 'an address', text),
    port: renamed('serve.port', 'a port', (value) => (isWhole(value) ? value : undefined)),
    base_url: 'the playlist names its guide by [output] guide_url',
    request_timeout: 'what is served has bounds of its own',
    max_request_size: 'nothing is sent to the server',
    enable_request_logging: 'requests are not logged',
    user_agent: 'set headers at each [[source]]',
    proxy_upstream_connect_timeout: NO_RELAY,
  },
  storage: {
    m3u_path: renamed('output.dir', 'the path of a folder', text),
    temp_path: renamed('memory.spill_dir', 'the path of a folder', text),
    pipeline_path: 'files of a run stand in the output folder and go when it ends',
    m3u_retention: 'only the last files are kept',
    m3u_cleanup_interval: 'only the last files are kept',
    proxy_versions_to_keep: 'only the last files are kept',
    uploaded_logo_path: 'logos are not kept',
    cached_logo_path: 'logos are not kept',
    cached_logo_retention: 'logos are not kept',
    cached_logo_cleanup_interval: 'logos are not kept',
    temp_retention: 'what was spilled goes when the run ends',
    temp_cleanup_interval: 'what was spilled goes when the run ends',
    pipeline_retention: 'files of a run go when it ends',
    pipeline_cleanup_interval: 'files of a run go when it ends',
  },
  database: NO_DATABASE,
  ingestion: 'each run reads the lists anew; [serve] schedule says when',
  display: 'there are no pages to look at',
  data_mapping_engine: 'rules need no tuning',
  file_manager: 'only the last files are kept',
  sandboxed_file_manager: 'files are written to the output and spill folders only',
  pipeline: BY_MANIFEST,
  pipeline_strategies: BY_MANIFEST,
  relay: NO_RELAY,
  operational: 'there is nothing to set',
  security: 'regular expressions cannot backtrack without end',
  features: 'there is nothing to set',
  circuitbreaker: BY_SOURCE,
  job_scheduling: '[serve] schedule says when runs are made, one at a time',
};
