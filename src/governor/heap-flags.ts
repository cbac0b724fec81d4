/**
 * Heap limits of V8 that fit under the line.
 *
 * V8 sizes its heap by the machine or the container without knowing what else must fit: it allows itself 259 MiB in groups of 64, 128 and
 * 256 MiB. Young space matters as much: 20 MB of live objects under churn reached 302 MB RSS in a 128 MiB group at V8's own choice, and
 * 165 MB with semi-spaces of 2 MB. A young generation is up to three semi-spaces.
 */
import { getHeapStatistics } from 'node:v8';
import { formatBytes } from '../bytes.ts';
import { checkWhole } from '../invalid-option.ts';

const MIB = 1_048_576;
/**
 * What Node holds outside the heap before any program runs: code, libraries, stacks, its own data. About 43 MB RSS, some of it heap; a
 * control group is charged 10 to 20 MiB of it, the rest is pages of files that can be dropped.
 */
const NODE_BYTES = 36 * MIB;
const SMALLEST_OLD_SPACE_MIB = 16;
/** Below that there is no buffer worth the name. */
const SMALLEST_NATIVE_BYTES = MIB;
const YOUNG_SEMI_SPACES = 3;

export interface HeapFlags {
  readonly oldSpaceMiB: number;
  readonly semiSpaceMiB: number;
  /** To be put before the program: `node ...flags main.js`. */
  readonly flags: readonly string[];
}

/**
 * Old space and semi-space for a process that may use `limitBytes`, of which `nativeBytes` are for buffers, mapped files and WASM
 * (default: a quarter of what Node itself leaves, under 62 MiB what the smallest heap leaves, 1 MiB at least). Throws `RangeError` when the
 * limit leaves less than 16 MiB of old space: below 56 MiB unless `nativeBytes` is given.
 */
export function deriveHeapFlags(limitBytes: number, options: { readonly nativeBytes?: number } = {}): HeapFlags {
  checkWhole('limitBytes', limitBytes, 1);
  const semiSpaceMiB = semiSpaceFor(limitBytes);
  const young = YOUNG_SEMI_SPACES * semiSpaceMiB;
  const smallestHeapBytes = (SMALLEST_OLD_SPACE_MIB + young) * MIB;
  const beyondNode = limitBytes - NODE_BYTES;
  const usualNative = Math.min(Math.floor(beyondNode / 4), beyondNode - smallestHeapBytes);
  const nativeBytes = checkWhole('nativeBytes', options.nativeBytes ?? Math.max(SMALLEST_NATIVE_BYTES, usualNative), 0);
  const oldSpaceMiB = Math.floor((limitBytes - NODE_BYTES - nativeBytes) / MIB) - young;
  if (oldSpaceMiB < SMALLEST_OLD_SPACE_MIB) {
    const least = formatBytes(NODE_BYTES + smallestHeapBytes + nativeBytes);
    const parts = `Node itself ${formatBytes(NODE_BYTES)}, its heap ${formatBytes(smallestHeapBytes)}, buffers ${formatBytes(nativeBytes)}`;
    const message = `Expected \`limitBytes\` to be at least ${least} (${parts}), got ${formatBytes(limitBytes)}`;
    throw Object.assign(new RangeError(message), { code: 'PLIMSOLL_INVALID_OPTION', recovery: 'fail' });
  }
  const flags = [`--max-old-space-size=${oldSpaceMiB}`, `--max-semi-space-size=${semiSpaceMiB}`, '--expose-gc'];
  return { oldSpaceMiB, semiSpaceMiB, flags };
}

function semiSpaceFor(limitBytes: number): number {
  if (limitBytes < 96 * MIB) return 1;
  if (limitBytes < 256 * MIB) return 2;
  if (limitBytes < 512 * MIB) return 4;
  return limitBytes < 1024 * MIB ? 8 : 16;
}

/** Pages that are not quite full: with an old space of 18 MiB V8 gives up at 16.6 to 17.4 MiB of objects, of 32 at 31.7, of 63 at 62 and more. */
const UNUSABLE_SHARE = 0.02;
const UNUSABLE_BYTES = 1.75 * MIB;
/** Where no flag says it, by major version of Node: measured. Versions between and beyond are taken for the smallest. */
const DEFAULT_SEMI_SPACE_MIB: Readonly<Record<string, number>> = { 24: 64, 25: 64, 26: 32 };
const SMALLEST_DEFAULT_SEMI_SPACE_MIB = 16;
/**
 * Small machines and containers have smaller ones: in 256 MiB they are 3 MiB of 259. Measured without flags in groups of 256 MiB to 4 GiB on Node 20, 22, 24
 * and 26, all three together were never a larger part of `heap_size_limit`. Old space alone ended at 247 to 253 MiB of objects of those 259, at 503 of 560.
 */
const MOST_YOUNG_SHARE = 1 / 8;

/** What V8 may grow to in this process. */
export interface HeapBounds {
  /** All of the heap, as V8 itself says. */
  readonly heapLimitBytes: number;
  /** Objects that live longer: there a heap runs out. */
  readonly oldSpaceBytes: number;
  /** One of the three halves of the young generation; `default` is what this version chooses on a large machine, and is smaller on small ones. */
  readonly semiSpaceBytes: number;
  readonly semiSpaceFrom: 'flag' | 'default';
}

/** Of this process as it was started. About 5 µs. */
export function readHeapBounds(
  args: readonly string[] = process.execArgv,
  nodeOptions: string | undefined = process.env.NODE_OPTIONS,
): HeapBounds {
  const heapLimitBytes = getHeapStatistics().heap_size_limit;
  const { semi } = sizesGiven(args, nodeOptions);
  const oldSpaceBytes = oldSpaceLimitBytes(args, nodeOptions, heapLimitBytes);
  const semiSpaceBytes = semi ?? usualSemiSpaceBytes();
  return { heapLimitBytes, oldSpaceBytes, semiSpaceBytes, semiSpaceFrom: semi === undefined ? 'default' : 'flag' };
}

/** What flags of Node say, bytes: the last of each, and those of the environment stand first. */
function sizesGiven(
  args: readonly string[],
  nodeOptions: string | undefined,
): { readonly semi: number | undefined; readonly old: number | undefined } {
  const given = [...(nodeOptions?.split(/\s+/) ?? []), ...args].join(' ');
  const sizeOf = (name: RegExp) => {
    const last = [...given.matchAll(name)].at(-1)?.[1];
    return last === undefined ? undefined : Number(last) * MIB;
  };
  const semi = sizeOf(/--max[-_]semi[-_]space[-_]size[= ](\d+)/g);
  return { semi, old: sizeOf(/--max[-_]old[-_]space[-_]size[= ](\d+)/g) };
}

const usualSemiSpaceBytes = (): number =>
  MIB * (DEFAULT_SEMI_SPACE_MIB[process.versions.node.split('.')[0]!] ?? SMALLEST_DEFAULT_SEMI_SPACE_MIB);

/**
 * What objects in V8's old space may grow to, bytes: it is there that a heap runs out. `heap_size_limit` also has the young generation in it, three semi-spaces, which
 * is most of it in small heaps: with an old space of 32 MiB and no word of semi-spaces Node 24 ends at 0.15 of that limit. About 2 µs.
 */
export function oldSpaceLimitBytes(
  args: readonly string[] = process.execArgv,
  nodeOptions: string | undefined = process.env.NODE_OPTIONS,
  heapLimitBytes: number = getHeapStatistics().heap_size_limit,
): number {
  const { semi, old } = sizesGiven(args, nodeOptions);
  const young =
    semi === undefined
      ? Math.min(YOUNG_SEMI_SPACES * usualSemiSpaceBytes(), heapLimitBytes * MOST_YOUNG_SHARE)
      : YOUNG_SEMI_SPACES * semi;
  const bytes = semi === undefined && old !== undefined ? old : Math.max(heapLimitBytes - young, heapLimitBytes / 4);
  return Math.max(MIB, Math.min(bytes, heapLimitBytes) - Math.max(UNUSABLE_BYTES, bytes * UNUSABLE_SHARE));
}

/**
 * Whether V8's heap at its fullest and Node itself go under `limitBytes`; when not, `why` says what to do. A heap that is far smaller than the
 * line fits: V8 chooses that by itself on every large machine, and what is held in buffers has no use for more. Consumers of kind `heap` are bounded
 * by it, and a refusal names it. About 1 µs.
 */
export function heapFlagsFit(limitBytes: number): {
  readonly fits: boolean;
  readonly heapLimitBytes: number;
  readonly why?: string;
} {
  const heapLimitBytes = getHeapStatistics().heap_size_limit;
  if (heapLimitBytes + NODE_BYTES <= limitBytes) return { fits: true, heapLimitBytes };
  const why = `V8 may grow its heap to ${formatBytes(heapLimitBytes)} under a limit of ${formatBytes(limitBytes)}`;
  let advice: string;
  try {
    advice = `start node with ${deriveHeapFlags(limitBytes).flags.join(' ')}`;
  } catch {
    advice = 'the limit is too small for Node';
  }
  return { fits: false, heapLimitBytes, why: `${why}: ${advice}` };
}
