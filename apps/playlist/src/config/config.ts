/**
 * The configuration as the program uses it: resolved, checked, every path absolute, sizes in bytes and times in
 * milliseconds. Plain values only, so that it can be handed over as JSON. It holds secrets: never print it.
 */
import type { PresetName, ReclaimStrategy } from 'plimsoll';

/** What is common to everything that is fetched or opened. */
export interface FetchLimits {
  /** For connecting, for the answer to begin, and for every pause in it. Not for the whole transfer. */
  readonly timeoutMs: number;
  /** Further attempts after the first, 0 to 20. */
  readonly retryCount: number;
  /** The most content a source may have, counted after decompression. */
  readonly maxBytes: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** Where content comes from. */
export type Origin =
  /** `pattern` is an absolute path, or a glob of paths. */
  | { readonly kind: 'path'; readonly pattern: string }
  | { readonly kind: 'url'; readonly url: string }
  /** `host` is an origin with an optional path and no slash at the end: `http://tv.example:8080`. */
  | { readonly kind: 'xtream'; readonly host: string; readonly user: string; readonly password: string };

export interface SourceConfig extends FetchLimits {
  readonly name: string;
  readonly origin: Origin;
}

export interface GuideConfig extends FetchLimits {
  readonly name: string;
  readonly origin: Origin;
  /** A damaged guide: keep what came before the damage, or refuse the run. */
  readonly onDamage: 'keep' | 'refuse';
}

export interface RuleConfig {
  /** How messages call it: `rule 2`, or `rule 2 (sports)` when it has a name. Rules and filters count from 1. */
  readonly label: string;
  readonly when: string | undefined;
  readonly set: string;
}

export interface FilterConfig {
  readonly label: string;
  readonly mode: 'include' | 'exclude';
  readonly expression: string;
}

export interface ServeConfig {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** From the end of one run to the start of the next; undefined when runs are only asked for. */
  readonly everyMs: number | undefined;
  /** Without one, `POST /regenerate` is refused. */
  readonly token: string | undefined;
  /** Whether `/dashboard` shows the memory of the process. */
  readonly dashboard: boolean;
  /** A name by which it may be asked for, beside those of this machine and addresses. */
  readonly dashboardHost: string | undefined;
}

/** `[memory]`. What of it is the governor's is made into its options by `governorOptions`. */
export interface MemoryConfig {
  /** The configured limit, or the preset's; undefined: what the container or the machine allows, which holds in any case where it is smaller. */
  readonly limitBytes: number | undefined;
  readonly preset: PresetName;
  /** Of a batch at `optimal`, 16 KiB to 64 MiB; undefined: a part of the limit. */
  readonly batchBytes: number | undefined;
  /** At most so often memory is looked at while a stage runs, 1 to 60,000. The governor looks at its own pace besides. */
  readonly checkEveryMs: number;
  /** How cleanup is done, and what the governor's trains are asked for. */
  readonly strategy: ReclaimStrategy;
  /** Where each level begins, as a share of the limit. */
  readonly levels: MemoryLevels;
  readonly cleanupBetweenStages: boolean;
  /** From one collection that is asked for, whatever the level, to the next; undefined: none is. */
  readonly collectEveryMs: number | undefined;
  readonly spill: {
    /** Where spilled bytes go. Not made yet; may be of a kind that spill refuses (tmpfs). */
    readonly dir: string;
    /** Of one run, 1 MiB up. */
    readonly maxBytes: number;
  };
  /** What runs took is kept in the cache, and the next ones begin as they will have to work anyway. */
  readonly rememberRuns: boolean;
  /** Bytes of the buffers that files are written through, made before the run begins; 0: each file makes its own. */
  readonly preallocateBytes: number;
}

/** Ascending, above 0 up to 1. */
export interface MemoryLevels {
  readonly moderate: number;
  readonly high: number;
  readonly critical: number;
  readonly emergency: number;
}

/** `[plugins]`. */
export interface PluginsConfig {
  readonly enabled: boolean;
  /** The folder of the `.wasm` files and their manifests; the bundled samples when none is named. Need not be there while `enabled` is false. */
  readonly dir: string;
  /** A plugin that declares more is not used. */
  readonly maxPluginBytes: number;
  /** For all that run at once; at least `maxPluginBytes`. */
  readonly maxTotalBytes: number;
  /** For one call. */
  readonly timeoutMs: number;
  /** After so many failures a plugin is off, 1 up. */
  readonly maxFailures: number;
  readonly selection: 'memory-efficient' | 'fastest';
  /** False: a run fails where a plugin does. */
  readonly nativeFallback: boolean;
  readonly isolation: 'worker' | 'process';
}

/** The order of the channels in the playlist: as they came, by name, or those of one group together. */
export type OutputSort = 'none' | 'name' | 'group';

export interface PlaylistConfig {
  /** The file it was read from, for messages. */
  readonly file: string;
  /** What the user should know about the configuration, a line each; secrets are masked. */
  readonly warnings: readonly string[];
  readonly memory: MemoryConfig;
  readonly plugins: PluginsConfig;
  readonly mapping: {
    /** Trims names and collapses white space, takes quality tags and country prefixes off; before the rules. */
    readonly tidyNames: boolean;
  };
  readonly sources: readonly SourceConfig[];
  readonly guides: readonly GuideConfig[];
  readonly rules: readonly RuleConfig[];
  readonly filters: readonly FilterConfig[];
  readonly numbering: { readonly start: number };
  readonly matching: { readonly aliasesPath: string | undefined; readonly byName: boolean };
  readonly output: {
    readonly dir: string;
    readonly name: string;
    /** `<name>.m3u8` and `<name>.xmltv`, inside `dir`. */
    readonly playlistFile: string;
    readonly guideFile: string;
    /** What the playlist's header points at. */
    readonly guideUrl: string;
    readonly sort: OutputSort;
  };
  readonly serve: ServeConfig;
  readonly cache: {
    readonly dir: string;
    /** New content below this share of the last good content counts as shrunk sharply; 0 switches the check off. */
    readonly shrinkLimit: number;
  };
}
