/**
 * What the governor can measure and do on this machine, and what it lacks and why: looked at, never guessed.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { formatBytes } from '../bytes.ts';
import { describeCause } from '../describe-cause.ts';
import { CgroupMeter } from './cgroup-meter.ts';
import { heapFlagsFit } from './heap-flags.ts';
import { type EffectiveLimit, type GroupProcesses, readAvailableBytes, readGroupProcesses } from './limits.ts';
import { countsWasm, type MeterName, readRssBytes } from './meters.ts';
import { Psi } from './psi.ts';

/** Something that is there, and how; or is not, and why and what to do. */
export type Capability =
  | { readonly available: true; readonly how: string }
  | { readonly available: false; readonly why: string };

/** The group with the smallest limit, and how many groups with a limit this process is in. */
export type CgroupCapability =
  | { readonly available: true; readonly version: 1 | 2; readonly folder: string; readonly groupCount: number }
  | { readonly available: false; readonly why: string };

/** Stall information of the control group, or of all of the machine, of which this process is only a part. */
export type PsiCapability =
  | { readonly available: true; readonly of: 'group' | 'machine'; readonly path: string }
  | { readonly available: false; readonly why: string };

export type AllocatorName = 'glibc' | 'musl' | 'jemalloc' | 'tcmalloc' | 'mimalloc' | 'unknown';

export interface AllocatorFound {
  readonly name: AllocatorName;
  /** Of glibc, where it can be told without asking it. */
  readonly version?: string;
  /** The library. */
  readonly path?: string;
}

/** Plain data: JSON and back gives the same. */
export interface Capabilities {
  readonly platform: string;
  readonly node: string;
  readonly meters: Readonly<Record<MeterName, Capability>>;
  readonly cgroup: CgroupCapability;
  readonly psi: PsiCapability;
  /** Giving freed memory back to the system. */
  readonly trim: Capability;
  readonly allocator: AllocatorFound;
  readonly collect: { readonly minor: Capability; readonly full: Capability };
  readonly heapFlags: { readonly fits: boolean; readonly heapLimitBytes: number; readonly why?: string };
  /** Whether `external` has the memories of WebAssembly in it; absent when it cannot be told. Not so from Node 26 on. */
  readonly externalCountsWasm?: boolean;
  /** Who is in the control group with the smallest limit; absent without one. */
  readonly group?: GroupProcesses & { readonly share: number };
  /** What stands between this process and its limit: one line each, with what to do. */
  readonly warnings: readonly string[];
}

export interface CapabilityOptions {
  /** The folder that holds `proc` and `sys`. */
  readonly root: string;
  /** As `readLimits` found it under the same root. */
  readonly limit: EffectiveLimit;
  /** Default: this machine's. */
  readonly platform?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** As the governor was told: a function of the caller's, `false` for never. Default: V8's own. */
  readonly collect?: unknown;
  /** `false`: never. */
  readonly trim?: boolean;
  /** Whether the optional peer `koffi` is installed. Default: looks for it, without loading it. */
  readonly findsKoffi?: () => boolean;
}

/** Looks at the machine. About 3 ms the first time, a third of it for finding `koffi`, and 0.05 ms for each process of the group: ask once. Never throws. */
export function readCapabilities(options: CapabilityOptions): Capabilities {
  const { root, limit, platform = process.platform, env = process.env } = options;
  const allocator = findAllocator(root, platform, env);
  const cgroup = findCgroup(limit, platform);
  const heapFlags = heapFlagsFit(limit.bytes);
  const processes = limit.cgroup === undefined ? undefined : readGroupProcesses(root, limit.cgroup.folder);
  const externalCountsWasm = countsWasm();
  return {
    platform,
    node: process.version,
    meters: findMeters(cgroup, externalCountsWasm),
    cgroup,
    psi: findPsi(root, limit, platform),
    trim: findTrim(options, allocator, platform),
    allocator,
    collect: findCollect(options.collect),
    heapFlags,
    ...(externalCountsWasm === undefined ? {} : { externalCountsWasm }),
    ...(processes === undefined ? {} : { group: { ...processes, share: limit.share } }),
    warnings: [
      heapFlags.why,
      shareWarning(limit, processes),
      chargeWarning(limit, cgroup),
      machineWarning(root, limit),
    ].filter((warning) => warning !== undefined),
  };
}

function findMeters(cgroup: CgroupCapability, withWasm: boolean | undefined): Record<MeterName, Capability> {
  const wasm = withWasm === true ? ', WebAssembly memories among it' : ', without WebAssembly memories';
  return {
    ledger: { available: true, how: 'what consumers have reserved' },
    heap: { available: true, how: 'V8, of this thread' },
    external: { available: true, how: `V8 and Node, of this thread${withWasm === undefined ? '' : wasm}` },
    rss: rssCapability(),
    cgroup: cgroup.available ? { available: true, how: howCharged(cgroup) } : cgroup,
  };
}

function howCharged({ version, groupCount }: { readonly version: 1 | 2; readonly groupCount: number }): string {
  const charge = `the kernel’s charge to ${groupCount} control group(s), page cache left out`;
  return version === 2
    ? `${charge}, names and inodes it can drop as well`
    : `${charge}; version 1 does not say what of the kernel’s own memory can be dropped: that counts up to a quarter of the limit`;
}

function rssCapability(): Capability {
  try {
    readRssBytes();
    return { available: true, how: 'the system, of the whole process' };
  } catch (cause) {
    return { available: false, why: describeCause(cause) };
  }
}

function findCgroup(limit: EffectiveLimit, platform: string): CgroupCapability {
  const { cgroup, cgroups } = limit;
  if (cgroup === undefined) {
    const why = platform === 'linux' ? 'no control group limits this process’s memory' : noSuchThing(platform);
    return { available: false, why };
  }
  try {
    new CgroupMeter(cgroups)[Symbol.dispose]();
    return { available: true, version: cgroup.version, folder: cgroup.folder, groupCount: cgroups.length };
  } catch (cause) {
    return { available: false, why: `its memory use cannot be read: ${describeCause(cause)}` };
  }
}

function noSuchThing(platform: string): string {
  return `the kernel of ${platform} has no such thing`;
}

function findPsi(root: string, limit: EffectiveLimit, platform: string): PsiCapability {
  if (platform !== 'linux') return { available: false, why: noSuchThing(platform) };
  using psi = new Psi({ root, cgroups: limit.cgroups });
  if (psi.path !== undefined && psi.read() !== undefined) {
    return { available: true, of: psi.ofGroup ? 'group' : 'machine', path: psi.path };
  }
  const advice = 'Linux 4.20 and later have it, some only when started with psi=1';
  return { available: false, why: `${describeCause(psi.fault)} (${advice})` };
}

/** Put in place of the C library's allocator, each is told in a way of its own to give back. */
const ADVICE: Readonly<Record<string, string>> = {
  // The times alone give back only when somebody allocates or frees: 440 MiB stayed 440.
  jemalloc: 'MALLOC_CONF=background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:1000',
  tcmalloc: 'TCMALLOC_RELEASE_RATE=10',
  mimalloc: 'MIMALLOC_PURGE_DELAY=0',
};

function findTrim(options: CapabilityOptions, { name, path }: AllocatorFound, platform: string): Capability {
  const absent = (why: string): Capability => ({ available: false, why });
  if (options.trim === false) return absent('it is switched off');
  if (platform !== 'linux') return absent(`there is no trim on ${platform}`);
  if (name === 'musl') return absent('musl has no `malloc_trim`: an image with glibc has (node:slim for node:alpine)');
  if (name === 'unknown') return absent('which allocator this is cannot be told from /proc/self/maps');
  if (name !== 'glibc') {
    return absent(
      `${name} (${path}) stands in the place of glibc’s allocator: let it give back by itself, ${ADVICE[name]}`,
    );
  }
  const { findsKoffi = findKoffi } = options;
  return findsKoffi()
    ? { available: true, how: '`malloc_trim` of glibc through `koffi`, loaded when first needed' }
    : absent('the package `koffi` is not installed: `npm install koffi`');
}

function findKoffi(): boolean {
  try {
    createRequire(import.meta.url).resolve('koffi');
    return true;
  } catch {
    return false;
  }
}

function findCollect(collect: unknown): Capabilities['collect'] {
  const one = collectCapability(collect);
  return { minor: one, full: one };
}

function collectCapability(collect: unknown): Capability {
  if (collect === false) return { available: false, why: 'it is switched off' };
  if (collect !== undefined) return { available: true, how: 'the function that was given' };
  return typeof globalThis.gc === 'function'
    ? { available: true, how: '`gc` of node --expose-gc' }
    : { available: true, how: '`gc` of V8, switched on when first needed' };
}

/** Libraries by their file name. Of those that are loaded, an allocator that was put in front goes before the C library. */
const LIBRARIES: readonly (readonly [AllocatorName, RegExp])[] = [
  ['jemalloc', /\/libjemalloc[^/]*\.so[^/]*$/],
  ['tcmalloc', /\/libtcmalloc[^/]*\.so[^/]*$/],
  ['mimalloc', /\/libmimalloc[^/]*\.so[^/]*$/],
  ['musl', /\/(ld-musl-[^/]*|libc\.musl-[^/]*)$/],
  ['glibc', /\/libc(\.so\.6|-2\.\d+\.so)$/],
];

/** By the libraries that are mapped; `LD_PRELOAD` only asks for one, and is looked at only where the map cannot be read. */
function findAllocator(root: string, platform: string, env: NonNullable<CapabilityOptions['env']>): AllocatorFound {
  if (platform !== 'linux') return { name: 'unknown' };
  const paths = mappedFiles(root) ?? (env.LD_PRELOAD ?? '').split(/[\s:]+/);
  for (const [name, pattern] of LIBRARIES) {
    const path = paths.find((one) => pattern.test(one));
    if (path === undefined) continue;
    const version = name === 'glibc' ? glibcVersion(root, path) : undefined;
    return version === undefined ? { name, path } : { name, version, path };
  }
  return { name: 'unknown' };
}

/** Older ones have it in the name of the library. Else `ldd`, a script that comes with it, says it: 0.03 ms, where Node's report takes 1 to 3. */
function glibcVersion(root: string, path: string): string | undefined {
  const inName = /libc-(2\.\d+)\.so$/.exec(path)?.[1];
  if (inName !== undefined) return inName;
  return /ldd \((?:GNU libc|[^)]*GLIBC[^)]*)\) (\d+\.\d+)/.exec(
    readStart(join(root, 'usr/bin/ldd'), 16_384) ?? '',
  )?.[1];
}

/** A process with very many mappings has them in megabytes; usually it is 10 KB. */
const MOST_MAP_BYTES = 4_194_304;

/** The files that are mapped into this process, each once; undefined where that cannot be read. About 0.2 ms. */
function mappedFiles(root: string): string[] | undefined {
  const text = readStart(join(root, 'proc/self/maps'), MOST_MAP_BYTES);
  if (text === undefined) return undefined;
  // One that was replaced on disk meanwhile, by an upgrade say, is still the one in use.
  return [...new Set(text.match(/\/[^\n]*?(?= \(deleted\)$|$)/gm))];
}

function readStart(path: string, mostBytes: number): string | undefined {
  const pieces: Buffer[] = [];
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'r');
    for (let length = 0; length < mostBytes; ) {
      const piece = Buffer.allocUnsafe(16_384);
      const read = readSync(descriptor, piece, 0, piece.length, null);
      if (read === 0) break;
      pieces.push(piece.subarray(0, read));
      length += read;
    }
    return Buffer.concat(pieces).toString('latin1');
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function shareWarning(limit: EffectiveLimit, processes: GroupProcesses | undefined): string | undefined {
  if (processes === undefined || processes.heavyOthers === 0 || limit.share < 1) return undefined;
  if (!limit.from.startsWith('cgroup')) return undefined;
  const { count, heavyOthers } = processes;
  const who = `${count} processes, ${heavyOthers} of size besides this one, share the limit of ${limit.cgroup!.folder}`;
  return `${who}: set \`share\` to this one’s part of it`;
}

function chargeWarning(limit: EffectiveLimit, cgroup: CgroupCapability): string | undefined {
  if (limit.cgroup === undefined || cgroup.available) return undefined;
  return `Of the control group ${limit.cgroup.folder} ${cgroup.why}: let this user read memory.stat there; RSS stands in for it`;
}

function machineWarning(root: string, limit: EffectiveLimit): string | undefined {
  if (limit.from !== 'machine') return undefined;
  const free = readAvailableBytes(root);
  if (free === undefined || free + ownBytes() >= limit.bytes) return undefined;
  const part = `${formatBytes(limit.bytes)}, a part of this machine’s RAM`;
  return `The limit is ${part}, and only ${formatBytes(free)} of RAM can be had now: set \`limitBytes\``;
}

function ownBytes(): number {
  try {
    return readRssBytes();
  } catch {
    return 0;
  }
}
