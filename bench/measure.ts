/** Runs subjects in fresh processes, one after the other in turn, and sums up what was seen from outside. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type LimitedRun, runInLimit } from '../test/cgroup/run-in-limit.ts';

export const BENCH_DIR = import.meta.dirname;
export const PROJECT_DIR = join(BENCH_DIR, '..');
const RIVALS_DIR = join(BENCH_DIR, 'rivals');

export interface Subject {
  readonly name: string;
  /** Script and arguments for Node. It prints one line of JSON with `elapsedMs` (its work, without Node's start) and what it counted. */
  readonly args: readonly string[];
  /** Fewer rounds for one that takes minutes. Default: the bench's. */
  readonly rounds?: number;
}

export interface Figure {
  readonly name: string;
  readonly rounds: number;
  /** Work as the process itself timed it, reading included, Node's start left out: median, least and most. */
  readonly elapsedMs: number;
  readonly elapsedMinMs: number;
  readonly elapsedMaxMs: number;
  /** From outside, from the start of the process to its end. */
  readonly wallMs: number;
  /** VmHWM. */
  readonly rssPeakBytes: number;
  /** What it said it counted; the same for all subjects of a bench, or the bench is not fair. */
  readonly counted: Readonly<Record<string, unknown>>;
  /** How it died, when it did; the figures then are of no use. */
  readonly died: string | undefined;
}

/** Installs the rivals when a bench first needs them; they are no part of the project's own dependencies. */
export function installRivals(): void {
  const { dependencies } = readPackage(RIVALS_DIR);
  const isThere = ([name, version]: [string, string]): boolean => {
    const dir = join(RIVALS_DIR, 'node_modules', name);
    return existsSync(dir) && readPackage(dir).version === version;
  };
  if (Object.entries(dependencies).every(isThere)) return;
  console.log('installing the rivals (bench/rivals)');
  execFileSync('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund'], {
    cwd: RIVALS_DIR,
    stdio: 'inherit',
  });
}

function readPackage(dir: string): { version: string; dependencies: Readonly<Record<string, string>> } {
  return JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
}

/** Interleaved: every subject once, then every subject again, so that a noisy minute falls on all of them. */
export async function measure(subjects: readonly Subject[], rounds: number): Promise<Figure[]> {
  const runs = new Map<Subject, LimitedRun[]>(subjects.map((subject) => [subject, []]));
  for (let round = 0; round < rounds; round++) {
    for (const subject of subjects) {
      if (round >= (subject.rounds ?? rounds)) continue;
      const before = runs.get(subject)!;
      // One that died will die again.
      if (before.some((run) => run.exitCode !== 0)) continue;
      const run = await runInLimit({
        command: process.execPath,
        args: [...subject.args],
        env: { NODE_OPTIONS: undefined },
        timeoutMs: 900_000,
      });
      before.push(run);
      console.log(`  ${subject.name}: ${run.exitCode === 0 ? run.stdout.trim() : died(run)}`);
    }
  }
  return subjects.map((subject) => summarise(subject, runs.get(subject)!));
}

function died(run: LimitedRun): string {
  const why = /FATAL ERROR: (.*)/.exec(run.stderr)?.[1] ?? /^\w*Error.*$/m.exec(run.stderr)?.[0] ?? '';
  return `${run.timedOut ? 'took more than 15 minutes' : `exit ${run.exitCode ?? run.signal}`}${why === '' ? '' : `: ${why}`}`;
}

function summarise(subject: Subject, runs: readonly LimitedRun[]): Figure {
  const bad = runs.find((run) => run.exitCode !== 0);
  const outputs = bad
    ? []
    : runs.map((run) => JSON.parse(run.stdout.trim().split('\n').at(-1)!) as { elapsedMs: number });
  const elapsed = outputs.map((output) => output.elapsedMs).toSorted((a, b) => a - b);
  const { elapsedMs: _, ...counted } = outputs[0] ?? { elapsedMs: 0 };
  return {
    name: subject.name,
    rounds: runs.length,
    elapsedMs: middle(elapsed),
    elapsedMinMs: elapsed[0] ?? Number.NaN,
    elapsedMaxMs: elapsed.at(-1) ?? Number.NaN,
    wallMs: middle(runs.map((run) => run.elapsedMs)),
    rssPeakBytes: middle(runs.map((run) => run.rssPeakBytes)),
    counted,
    died: bad && died(bad),
  };
}

function middle(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
