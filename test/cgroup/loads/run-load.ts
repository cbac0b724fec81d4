/** Runs one of the loads in a real limit, as a user would start it, and reads what it said. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { deriveHeapFlags, type Snapshot } from 'plimsoll';
import { type LimitedRun, runInLimit } from '../run-in-limit.ts';

export const LOADS = ['churn', 'small-buffers', 'synchronous', 'requests', 'cache', 'holders', 'leak'] as const;
export type Load = (typeof LOADS)[number];

const MIB = 1_048_576;
const PROJECT_DIR = join(import.meta.dirname, '..', '..', '..');
const SCRATCH_DIR = join(PROJECT_DIR, 'test', '.tmp', 'loads');
/** What heap churn wants beside the heap, by the limit; the others take what the flags leave by themselves, as does it in 64 MiB. */
const CHURN_NATIVE_MIB: Readonly<Record<number, number>> = { 128: 51, 256: 132, 512: 300 };
const DEFAULT_NATIVE_MIB = 7;
/** The leak needs 8 to 11 s to be killed, everything else less. */
const TIMEOUT_MS = 60_000;

export interface LoadOptions {
  readonly load: Load;
  readonly limitMib: number;
  /** With the governor and the heap flags it derives; otherwise plain `node`, as it comes. */
  readonly governed: boolean;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** What a load prints at its end: what was asked for and done, and, governed, parts of the last snapshot. */
export type LoadReport = {
  readonly asked: number;
  readonly done: number;
  readonly elapsedMs: number;
  /** Of `requests`. */
  readonly answered?: number;
  readonly refused?: number;
} & Partial<Pick<Snapshot, 'level' | 'samples' | 'collections' | 'faults' | 'meters'>> & {
    readonly drift?: readonly DriftFigures[];
  };

export interface DriftFigures {
  readonly of: string;
  readonly reservedBytes: number;
  readonly observedBytes: number;
}

export interface LoadRun extends LimitedRun {
  /** Absent when it did not come to its end. */
  readonly report: LoadReport | undefined;
  /** When the charge without page cache was first seen above 95% of the limit; undefined when it never was. */
  readonly overAtMs: number | undefined;
  /** The flight recorder's, as text, by file name. */
  readonly dumps: readonly string[];
  readonly terminationLog: string | undefined;
}

export async function runLoad({ load, limitMib, governed, env }: LoadOptions): Promise<LoadRun> {
  const limitBytes = limitMib * MIB;
  const nativeMib = load === 'churn' ? CHURN_NATIVE_MIB[limitMib] : undefined;
  const folder = join(SCRATCH_DIR, `${load}-${limitMib}-${process.pid}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const flags = governed
    ? deriveHeapFlags(limitBytes, nativeMib === undefined ? {} : { nativeBytes: nativeMib * MIB }).flags
    : [];
  let overAtMs: number | undefined;
  try {
    const run = await runInLimit({
      limitBytes,
      command: process.execPath,
      args: [
        ...flags,
        join(import.meta.dirname, `${load}.mjs`),
        ...['--limit-mib', String(limitMib), '--native-mib', String(nativeMib ?? DEFAULT_NATIVE_MIB)],
        ...['--folder', folder, ...(governed ? ['--governed'] : [])],
      ],
      env: { NODE_OPTIONS: undefined, PLIMSOLL: undefined, ...env },
      timeoutMs: TIMEOUT_MS,
      onSample: ({ elapsedMs, anonymousBytes }) => {
        if (anonymousBytes > 0.95 * limitBytes) overAtMs ??= elapsedMs;
      },
    });
    const last = run.stdout.trim().split('\n').at(-1) ?? '';
    const report = run.exitCode === 0 && last !== '' ? (JSON.parse(last) as LoadReport) : undefined;
    return { ...run, report, overAtMs, ...left(folder) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function left(folder: string): Pick<LoadRun, 'dumps' | 'terminationLog'> {
  const dumps = readdirSync(folder).filter((name) => name.startsWith('plimsoll-flight-') && name.endsWith('.json'));
  const log = join(folder, 'termination.log');
  return {
    dumps: dumps.sort().map((name) => readFileSync(join(folder, name), 'utf8')),
    terminationLog: existsSync(log) ? readFileSync(log, 'utf8') : undefined,
  };
}
