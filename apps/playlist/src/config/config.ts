/**
 * The configuration as the program uses it: resolved, checked, every path absolute, sizes in bytes and times in
 * milliseconds. Plain values only, so that it can be handed over as JSON. It holds secrets: never print it.
 */

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
}

export interface PlaylistConfig {
  /** The file it was read from, for messages. */
  readonly file: string;
  /** Undefined: whatever the container or the machine allows. */
  readonly memory: { readonly limitBytes: number | undefined };
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
  };
  readonly serve: ServeConfig;
  readonly cache: {
    readonly dir: string;
    /** New content below this share of the last good content counts as shrunk sharply; 0 switches the check off. */
    readonly shrinkLimit: number;
  };
}
