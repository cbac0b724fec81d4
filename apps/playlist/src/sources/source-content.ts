import type { Clock } from 'plimsoll';
import type { ByteSource } from './byte-source.ts';

/** One file's worth of content. It can be opened as often as needed, each time from the start. */
export interface SourcePart {
  /** For messages: a path or a masked URL. */
  readonly label: string;
  /** What rules see as `source_url`: the path or the real URL, which may hold credentials. Mask before showing. */
  readonly url: string;
  /** Bytes as stored, when known. */
  readonly sizeBytes: number | undefined;
  /** Decompressed, bounded by `max_size`, not yet decoded to UTF-8. The caller disposes of it. Errors: `SourceError`. */
  open(): Promise<ByteSource>;
}

/** What a `[[source]]` or `[[guide]]` has to offer in this run. Nothing of it is in memory. */
export interface SourceContent extends AsyncDisposable {
  readonly name: string;
  readonly type: 'm3u' | 'xtream';
  readonly parts: readonly SourcePart[];
  /** True when the source failed and its last good content stands in; a warning has said why. */
  readonly stale: boolean;
  /** To be called once the run has succeeded: what was read becomes the last good content. Does nothing in a dry run. */
  keep(): Promise<void>;
}

export interface SourceContext {
  /** Holds last good content; created when missing, readable for its owner only. */
  readonly cacheDir: string;
  /** 0 to 1: less than this share of the last good content is "shrunk sharply". */
  readonly shrinkLimit: number;
  /** Writes nothing into the cache; downloads go to `tempDir` and are removed on dispose. */
  readonly dryRun: boolean;
  /** There already, and gone with the run: at the next start, when it is killed. */
  readonly tempDir: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** One line for each thing the user should know; credentials are masked. */
  readonly warn: (line: string) => void;
}

/** How messages call a source: `source home`, and not `source source 1` where the configuration gave no name. */
export function sourceLabel(kind: 'playlist' | 'guide', name: string): string {
  const word = kind === 'guide' ? 'guide' : 'source';
  return new RegExp(`^${word} \\d+$`).test(name) ? name : `${word} ${name}`;
}
