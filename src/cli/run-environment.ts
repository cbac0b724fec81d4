import { formatBytes } from '../bytes.ts';
import { deriveHeapFlags, type EffectiveLimit, readLimits } from '../governor/index.ts';
import { environmentLimit } from './environment-limit.ts';
import { UsageError } from './usage-error.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface RunSettings {
  readonly limitBytes?: number;
  readonly mode?: 'observe' | 'on';
  /** Whether V8 is told to stay under the line. */
  readonly heapFlags: boolean;
  /** The folder that the feed is written to. Absent: nothing is looked at. */
  readonly feedFolder?: string | undefined;
  /** A file URL of the entry. */
  readonly entry: string;
  /** In place of this machine's, for tests. */
  readonly root?: string;
}

export interface RunEnvironment {
  readonly env: Environment;
  readonly limit: EffectiveLimit;
  /** Those that were put in. */
  readonly heapFlags: readonly string[];
}

/**
 * What a program of Node is started with so that it is looked at, and V8 stays under the line where there is one. By `NODE_OPTIONS`, so that it holds for what it starts
 * as well; what stands there already stays, and a heap limit that somebody has set is left alone. Throws `PLIMSOLL_USAGE` for a limit that leaves no room for a heap.
 */
export function runEnvironment(before: Environment, settings: RunSettings): RunEnvironment {
  const { limitBytes, mode, feedFolder, entry, root } = settings;
  const inEnvironment = environmentLimit(before);
  const limit = readLimits({ ...inEnvironment, ...(limitBytes === undefined ? {} : { limitBytes }), root });
  const given = before.NODE_OPTIONS ?? '';
  const heapFlags = settings.heapFlags ? flagsFor(limit, given, limitBytes !== undefined) : [];
  const options = [given, ...heapFlags, `--import ${quoted(entry)}`].filter((each) => each.trim() !== '').join(' ');
  return {
    limit,
    heapFlags,
    env: {
      ...before,
      NODE_OPTIONS: options,
      ...(feedFolder === undefined ? {} : { PLIMSOLL_FEED: feedFolder }),
      // The report says it; lines among what the program writes would not be untouched.
      PLIMSOLL_LOG: before.PLIMSOLL_LOG ?? 'off',
      ...(mode === undefined ? {} : { PLIMSOLL: mode }),
      ...(limitBytes === undefined ? {} : { PLIMSOLL_LIMIT: String(limitBytes) }),
    },
  };
}

function flagsFor(limit: EffectiveLimit, given: string, isAsked: boolean): string[] {
  // What a whole machine has is no line: V8's own choice is sound there.
  if (limit.from === 'machine') return [];
  try {
    const { flags } = deriveHeapFlags(limit.bytes);
    // A global `gc` would be seen by the program, and older versions refuse that flag here. The governor has its own way to a collection.
    return flags.filter((flag) => flag !== '--expose-gc' && !isGiven(flag, given));
  } catch (cause) {
    if (!isAsked || limit.from !== 'configured') return [];
    const least = (cause as Error).message.replace(/^Expected `limitBytes` to be/, '').trim();
    throw new UsageError(`--limit ${formatBytes(limit.bytes)} is too small for Node: ${least}`, cause);
  }
}

function isGiven(flag: string, given: string): boolean {
  const name = flag.replace(/^--/, '').replace(/=.*/, '').replaceAll('-', '[-_]');
  return new RegExp(`--${name}(=|\\s|$)`).test(given);
}

/** `NODE_OPTIONS` is split at spaces that do not stand in double quotes. A URL has neither. */
const quoted = (text: string): string => (/[\s"\\]/.test(text) ? `"${text.replaceAll(/["\\]/g, '\\$&')}"` : text);
