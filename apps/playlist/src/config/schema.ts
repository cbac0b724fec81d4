/**
 * The shape of the configuration file, as the user writes it. Units are parsed here; defaults and paths are resolved in
 * `load-config.ts`. Importing zod costs 14 MB of RSS on top of the TOML parser (`zod/mini` the same, measured), which the
 * launcher gives back: it reads the configuration before the process is replaced.
 */
import { PRESET_NAMES, parseBytes, parseDuration, RECLAIM_STRATEGIES } from 'plimsoll';
import { z } from 'zod';

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;

/** A string that is turned into a number with a unit, within a range; both messages begin with what was expected. */
function unit(parse: (text: string) => number, like: string, lowest: string, highest: string) {
  const least = parse(lowest);
  const most = parse(highest);
  return z.string(`Expected ${like}`).transform((text, context) => {
    let value = Number.NaN;
    try {
      value = parse(text);
    } catch {
      // The issue below says the same and names the place.
    }
    if (value >= least && value <= most) return value;
    const message = Number.isNaN(value) ? `Expected ${like}` : `Expected a value from ${lowest} to ${highest}`;
    context.addIssue({ code: 'custom', message, input: text });
    return z.NEVER;
  });
}

const duration = (lowest: string, highest: string) => unit(parseDuration, 'a duration like `30s`', lowest, highest);
const size = (like: string, lowest = '1B', highest = '1024TiB') =>
  unit(parseBytes, `a size like \`${like}\``, lowest, highest);
/** `what` says the range, too: of the two, zod tells which was meant by neither. */
const offOr = <Schema extends z.ZodType>(schema: Schema, what: string) =>
  z.union([z.literal('off'), schema], `Expected ${what}, or \`off\``);
const oneOf = <const Names extends readonly string[]>(names: Names) => {
  const quoted = names.map((name) => `"${name}"`);
  return z.enum(names, `Expected ${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`);
};

const text = z.string().trim().min(1, 'Expected some text, got an empty string');
const wholeNumber = (lowest: number, highest: number) => {
  const message = `Expected a whole number from ${lowest} to ${highest}`;
  return z.int(message).min(lowest, message).max(highest, message);
};
const httpUrl = text.refine(
  (value) => /^https?:$/.test(URL.parse(value)?.protocol ?? ''),
  'Expected a URL that starts with `http://` or `https://`',
);
const headers = z.record(z.string().regex(/^[\w!#$%&'*+.^`|~-]+$/, 'Expected the name of an HTTP header'), z.string());

const fetchLimits = {
  timeout: duration('10ms', '1h').optional(),
  retries: wholeNumber(0, 20).optional(),
  max_size: size('2GiB').optional(),
  headers: headers.optional(),
};

const source = z
  .strictObject({
    name: text.optional(),
    path: text.optional(),
    url: httpUrl.optional(),
    type: z.enum(['m3u', 'xtream'], 'Expected "m3u" or "xtream"').optional(),
    host: text.optional(),
    user: text.optional(),
    password: text.optional(),
    ...fetchLimits,
  })
  .superRefine((value, context) => {
    const say = (message: string, path?: string) =>
      context.addIssue({ code: 'custom', message, path: path === undefined ? [] : [path], input: value });
    const given = [value.path, value.url, value.host].filter((one) => one !== undefined).length;
    if (value.type === 'xtream') {
      for (const key of ['host', 'user', 'password'] as const)
        if (value[key] === undefined) say('is required when type = "xtream"', key);
      for (const key of ['path', 'url'] as const)
        if (value[key] !== undefined) say('cannot be used with type = "xtream": use `host`', key);
      return;
    }
    if (value.host !== undefined || value.user !== undefined || value.password !== undefined)
      say('Expected type = "xtream" beside `host`, `user` and `password`');
    else if (given !== 1) say('Expected one of `path`, `url`, or type = "xtream" with `host`, `user`, `password`');
  });

const guide = z
  .strictObject({
    name: text.optional(),
    path: text.optional(),
    url: httpUrl.optional(),
    type: z.enum(['xmltv', 'xtream'], 'Expected "xmltv" or "xtream"').optional(),
    source: text.optional(),
    on_damage: z.enum(['keep', 'refuse'], 'Expected "keep" or "refuse"').optional(),
    ...fetchLimits,
  })
  .superRefine((value, context) => {
    const say = (message: string) => context.addIssue({ code: 'custom', message, path: [], input: value });
    if (value.type === 'xtream') {
      if (value.source === undefined) say('Expected `source = "<name of an xtream source>"` beside type = "xtream"');
      if (value.path !== undefined || value.url !== undefined)
        say('Expected no `path` or `url` beside type = "xtream"');
    } else if (value.source !== undefined) say('Expected type = "xtream" beside `source`');
    else if ((value.path === undefined) === (value.url === undefined))
      say('Expected one of `path`, `url`, or type = "xtream" with `source`');
  });

const rule = z.strictObject({ name: text.optional(), when: text.optional(), set: text });
const filter = z
  .strictObject({ name: text.optional(), include: text.optional(), exclude: text.optional() })
  .refine(
    (value) => (value.include === undefined) !== (value.exclude === undefined),
    'Expected either `include` or `exclude`',
  );

const shareMessage = 'Expected a share of the limit from 0.05 to 1';
const share = z.number(shareMessage).min(0.05, shareMessage).max(1, shareMessage);
const levels = z.strictObject({
  moderate: share.optional(),
  high: share.optional(),
  critical: share.optional(),
  emergency: share.optional(),
});

/** File systems count bytes, 255 at most: the rest is for what is put before and after the name. */
const MAX_NAME_BYTES = 180;
const fileName = text
  .refine(
    (value) => /^[^./\\:*?"<>|\0-\x1f][^/\\:*?"<>|\0-\x1f]*$/.test(value),
    'Expected the beginning of a file name, without folders (`home` makes home.m3u8 and home.xmltv)',
  )
  .refine(
    (value) => Buffer.byteLength(value) <= MAX_NAME_BYTES,
    `Expected a name of at most ${MAX_NAME_BYTES} bytes (letters beyond ASCII have 2 to 4)`,
  );

/** Tables that stand once. */
const TABLES = {
  memory: z.strictObject({
    limit: size('256MiB', '32MiB').optional(),
    preset: oneOf(PRESET_NAMES).optional(),
    batch_size: size('512KiB', '16KiB', '64MiB').optional(),
    check_interval: duration('1ms', '1m').optional(),
    strategy: oneOf(RECLAIM_STRATEGIES).optional(),
    levels: levels.optional(),
    cleanup_between_stages: z.boolean().optional(),
    collection_interval: offOr(duration('100ms', '24h'), 'a duration like `30s`, from 100ms to 24h').optional(),
    spill_dir: text.optional(),
    spill_quota: size('16GiB', '1MiB').optional(),
    pool_preallocate: size('4MiB', '0B', '1GiB').optional(),
    remember_runs: z.boolean().optional(),
  }),
  plugins: z.strictObject({
    enabled: z.boolean().optional(),
    dir: text.optional(),
    max_memory: size('32MiB', '64KiB', '4GiB').optional(),
    max_total_memory: size('64MiB', '64KiB', '64GiB').optional(),
    timeout: duration('1ms', '1h').optional(),
    max_failures: wholeNumber(1, 1_000_000).optional(),
    selection: oneOf(['memory-efficient', 'fastest']).optional(),
    native_fallback: z.boolean().optional(),
    isolation: oneOf(['worker', 'process']).optional(),
  }),
  mapping: z.strictObject({ tidy_names: z.boolean().optional() }),
  numbering: z.strictObject({ start: wholeNumber(1, 1_000_000_000).optional() }),
  matching: z.strictObject({ aliases: text.optional(), by_name: z.boolean().optional() }),
  output: z.strictObject({
    dir: text.optional(),
    name: fileName.optional(),
    guide_url: text.optional(),
    sort: oneOf(['none', 'name', 'group']).optional(),
  }),
  serve: z.strictObject({
    host: text.optional(),
    port: wholeNumber(0, 65_535).optional(),
    schedule: offOr(duration('1s', '24h'), 'a duration like `6h`, from 1s to 24h').optional(),
    token: z.string().min(8, 'Expected at least 8 characters').optional(),
    dashboard: z.boolean().optional(),
    dashboard_host: text.optional(),
  }),
  cache: z.strictObject({ dir: text.optional(), shrink_limit: z.number().min(0).max(1).optional() }),
} as const;

export const FILE_SCHEMA = z.strictObject({
  memory: TABLES.memory.optional(),
  plugins: TABLES.plugins.optional(),
  mapping: TABLES.mapping.optional(),
  source: z.array(source).min(1, 'Expected at least one [[source]]'),
  guide: z.array(guide).optional(),
  rule: z.array(rule).optional(),
  filter: z.array(filter).optional(),
  numbering: TABLES.numbering.optional(),
  matching: TABLES.matching.optional(),
  output: TABLES.output.optional(),
  serve: TABLES.serve.optional(),
  cache: TABLES.cache.optional(),
});
export type FileShape = z.output<typeof FILE_SCHEMA>;
export type SourceShape = FileShape['source'][number];
export type GuideShape = NonNullable<FileShape['guide']>[number];

/** Known keys at each place, for "did you mean". List indexes are left out of the path. */
export const KNOWN_KEYS: Readonly<Record<string, readonly string[]>> = {
  '': Object.keys(FILE_SCHEMA.shape),
  source: Object.keys(source.shape),
  guide: Object.keys(guide.shape),
  rule: Object.keys(rule.shape),
  filter: Object.keys(filter.shape),
  'memory.levels': Object.keys(levels.shape),
  ...Object.fromEntries(Object.entries(TABLES).map(([name, table]) => [name, Object.keys(table.shape)])),
};

/** Each key of the tables that stand once, by its place (`memory.levels.high`): what variables and flags may set. */
export const PLACES: ReadonlyMap<string, z.ZodType> = new Map(
  Object.entries(TABLES).flatMap(([table, { shape }]) => placesOf(table, shape)),
);

function placesOf(prefix: string, shape: Readonly<Record<string, z.ZodType>>): [string, z.ZodType][] {
  return Object.entries(shape).flatMap(([key, schema]) => {
    const place = `${prefix}.${key}`;
    const inner = schema instanceof z.ZodOptional ? schema.unwrap() : schema;
    return inner instanceof z.ZodObject ? placesOf(place, inner.shape) : [[place, schema] as [string, z.ZodType]];
  });
}

export const DEFAULTS = {
  preset: 'balanced',
  strategy: 'smart',
  checkEveryMs: 10,
  cleanupBetweenStages: true,
  spillMaxBytes: 16 * GiB,
  preallocateBytes: 0,
  rememberRuns: false,
  pluginMaxBytes: 32 * MiB,
  pluginMaxTotalBytes: 64 * MiB,
  pluginTimeoutMs: 5_000,
  pluginMaxFailures: 3,
  selection: 'memory-efficient',
  nativeFallback: true,
  isolation: 'worker',
  tidyNames: false,
  sort: 'none',
  timeoutMs: 30_000,
  retryCount: 3,
  sourceMaxBytes: 2 * GiB,
  guideMaxBytes: 16 * GiB,
  numberingStart: 1,
  byName: true,
  outputDir: 'out',
  outputName: 'playlist',
  host: '127.0.0.1',
  port: 8080,
  everyMs: 6 * 3_600_000,
  shrinkLimit: 0.5,
} as const;
