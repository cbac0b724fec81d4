import { readFileSync } from 'node:fs';
import { runInLimit } from '../cgroup/run-in-limit.ts';

export interface WatchedSteps {
  /** RSS in each step as the kernel has it, bytes: the middle one of its readings. */
  readonly rss: Readonly<Record<string, number>>;
  /** What was printed behind the name of each step. */
  readonly said: Readonly<Record<string, string>>;
}

/**
 * Runs a program that prints a line when a step has been reached, its name first, and then holds still for 150 ms; reads its RSS from outside
 * meanwhile. Rejects when it prints errors or fails.
 */
export async function watchSteps(args: readonly string[]): Promise<WatchedSteps> {
  const readings: Record<string, number[]> = {};
  let pid = 0;
  let printed = '';
  const run = await runInLimit({
    command: process.execPath,
    args: ['--no-warnings', ...args],
    sampleMs: 5,
    onStart(child) {
      pid = child.pid!;
      child.stdout!.on('data', (chunk) => {
        printed += String(chunk);
      });
    },
    onSample() {
      const step = printed.trimEnd().split('\n').at(-1)!.split(' ')[0]!;
      const status = step === '' ? '' : readFileSync(`/proc/${pid}/status`, 'latin1');
      const rss = /^VmRSS:\s+(\d+)/m.exec(status)?.[1];
      if (rss === undefined) return;
      readings[step] ??= [];
      readings[step].push(Number(rss) * 1_024);
    },
  });
  if (run.exitCode !== 0 || run.stderr !== '') throw new Error(`it ended with ${run.exitCode}: ${run.stderr}`);
  const rss: Record<string, number> = {};
  const said: Record<string, string> = {};
  for (const line of run.stdout.trim().split('\n')) {
    const [step = '', ...rest] = line.split(' ');
    said[step] = rest.join(' ');
    // The last readings of a step may be of the next already: its line is on its way.
    const sorted = (readings[step] ?? []).toSorted((a, b) => a - b);
    rss[step] = sorted[sorted.length >> 1] ?? Number.NaN;
  }
  return { rss, said };
}
