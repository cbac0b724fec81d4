import { existsSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Capabilities,
  CgroupMeter,
  deriveHeapFlags,
  type EffectiveLimit,
  type HeapBounds,
  type KernelSettings,
  type MachineMemory,
  Psi,
  type PsiReading,
  readCapabilities,
  readHeapBounds,
  readKernelSettings,
  readLimits,
  readMachineMemory,
} from '../governor/index.ts';
import { memoryBackedName } from '../memory-backed.ts';
import { findWrongs } from './doctor-findings.ts';
import { environmentLimit } from './environment-limit.ts';

/** Something that stands between a program and its memory. */
export interface Finding {
  /** `wrong`: it can end a program, and the exit code is 1. `advice`: it works without, worse. */
  readonly severity: 'wrong' | 'advice';
  readonly what: string;
  /** The line that mends it: a command, a flag, a setting. */
  readonly mend: string;
}

/** What a machine or container gives a program of Node that is started there as this one was. Plain data. */
export interface DoctorReport {
  readonly kind: 'doctor';
  readonly version: 1;
  readonly limit: EffectiveLimit;
  readonly machine: MachineMemory;
  /** What the control group is charged now, page cache left out. */
  readonly chargedBytes?: number;
  readonly heap: HeapBounds;
  /** Flags of Node that would have its heap fit; absent where the limit is too small for any. */
  readonly heapFlags?: readonly string[];
  readonly psi?: PsiReading;
  readonly kernel: KernelSettings;
  readonly capabilities: Capabilities;
  /** The folder for temporary files, and the file system in it whose files are memory. */
  readonly temporary: { readonly folder: string; readonly inMemory?: string };
  readonly inContainer: boolean;
  readonly findings: readonly Finding[];
}

export interface DoctorOptions {
  /** A line of one's own, as it would be set. */
  readonly limitBytes?: number | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The folder that holds `proc` and `sys`. Default `/`. */
  readonly root?: string;
  readonly platform?: string;
  readonly findsKoffi?: () => boolean;
}

/** Looks at the machine, and changes nothing. */
export function examine(options: DoctorOptions): DoctorReport {
  const { limitBytes, env, root = '/', platform = process.platform, findsKoffi } = options;
  const limit = readLimits({ ...environmentLimit(env), ...(limitBytes === undefined ? {} : { limitBytes }), root });
  const capabilities = readCapabilities({ root, limit, platform, env, ...(findsKoffi && { findsKoffi }) });
  const heapFlags = flagsFor(limit.bytes);
  const chargedBytes = readCharge(limit);
  const psi = readStalls(root, limit);
  const inMemory = fileSystemOf(tmpdir(), platform);
  const seen = {
    kind: 'doctor' as const,
    version: 1 as const,
    limit,
    machine: readMachineMemory(root),
    ...(chargedBytes === undefined ? {} : { chargedBytes }),
    heap: readHeapBounds(),
    ...(heapFlags === undefined ? {} : { heapFlags }),
    ...(psi === undefined ? {} : { psi }),
    kernel: readKernelSettings(root),
    capabilities,
    temporary: { folder: tmpdir(), ...(inMemory === undefined ? {} : { inMemory }) },
    inContainer: isContainer(root, env),
  };
  return { ...seen, findings: findWrongs(seen) };
}

function flagsFor(limitBytes: number): readonly string[] | undefined {
  try {
    // That for collections is no part of a fit.
    return deriveHeapFlags(limitBytes).flags.filter((flag) => flag !== '--expose-gc');
  } catch {
    return undefined;
  }
}

function readCharge({ cgroups }: EffectiveLimit): number | undefined {
  if (cgroups.length === 0) return undefined;
  try {
    using meter = new CgroupMeter(cgroups);
    return meter.read();
  } catch {
    return undefined;
  }
}

function readStalls(root: string, { cgroups }: EffectiveLimit): PsiReading | undefined {
  using psi = new Psi({ root, cgroups });
  const reading = psi.read();
  return reading === undefined ? undefined : { ...reading };
}

function fileSystemOf(folder: string, platform: string): string | undefined {
  try {
    return memoryBackedName(statfsSync(folder).type, platform);
  } catch {
    return undefined;
  }
}

function isContainer(root: string, env: DoctorOptions['env']): boolean {
  const marks = ['.dockerenv', 'run/.containerenv'].map((path) => join(root, path));
  return (env.KUBERNETES_SERVICE_HOST ?? '') !== '' || marks.some((path) => existsSync(path));
}
