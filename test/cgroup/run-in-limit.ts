/** Starts a program inside a real kernel memory limit and reports, from outside, what became of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type MemoryGroup, makeMemoryGroup } from './memory-group.ts';

export interface LimitOptions {
  /** What the group may charge, swap included. Left out: no group, the program is only watched. */
  readonly limitBytes?: number;
  readonly command: string;
  readonly args?: readonly string[];
  /** Added to this process's environment; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Killed after this long. Default 10 minutes. */
  readonly timeoutMs?: number;
  /** How often memory is read. Default 10 ms. */
  readonly sampleMs?: number;
  /** Called at each reading; for pictures. */
  readonly onSample?: (sample: MemorySample) => void;
  /** Called once with the process, to send it signals. */
  readonly onStart?: (child: ChildProcess) => void;
}

export interface MemorySample {
  readonly elapsedMs: number;
  /** VmRSS of the program and its children. */
  readonly rssBytes: number;
  /** What the kernel charges to the group without the page cache; 0 without a group. */
  readonly anonymousBytes: number;
}

export interface LimitedRun {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** By the kernel's own counter, not by guess from the exit code. */
  readonly oomKilled: boolean;
  /** Most ever charged to the group, page cache included; NaN without a group. */
  readonly peakBytes: number;
  /** Greatest VmHWM, the kernel's own high-water mark of RSS, of any process of the run. */
  readonly rssPeakBytes: number;
  /** Greatest charge without page cache that a reading saw; 0 without a group. */
  readonly anonymousPeakBytes: number;
  readonly elapsedMs: number;
  readonly timedOut: boolean;
  /** The last 256 KiB of each. */
  readonly stdout: string;
  readonly stderr: string;
}

/** Thrown when groups cannot be made here: tests ask `whyNoLimits` first. */
export class NoLimitError extends Error {
  override readonly name = 'NoLimitError';
}

const KEPT_CHARACTERS = 256 * 1024;
/** The shell joins the group and then becomes the program: not a page of it is charged elsewhere. */
const JOIN = 'echo $$ > "$0" && exec "$@"';

export async function runInLimit(options: LimitOptions): Promise<LimitedRun> {
  const group = options.limitBytes === undefined ? undefined : makeMemoryGroup(options.limitBytes);
  if (typeof group === 'string') throw new NoLimitError(group);
  try {
    return await watch(options, group);
  } finally {
    await group?.remove();
  }
}

async function watch(options: LimitOptions, group: MemoryGroup | undefined): Promise<LimitedRun> {
  const { command, args = [], cwd, timeoutMs = 600_000, sampleMs = 10 } = options;
  const started = performance.now();
  const child = spawn(group ? 'sh' : command, group ? ['-c', JOIN, group.procsPath, command, ...args] : [...args], {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  });
  const stdout = keepTail(child.stdout);
  const stderr = keepTail(child.stderr);
  let rssPeakBytes = 0;
  let anonymousPeakBytes = 0;
  const read = (): void => {
    const pids = group ? group.pids() : child.pid === undefined ? [] : [child.pid];
    let rssBytes = 0;
    for (const pid of pids) {
      const { rss, peak } = readStatus(pid);
      rssBytes += rss;
      rssPeakBytes = Math.max(rssPeakBytes, peak);
    }
    const anonymousBytes = group?.anonymousBytes() ?? 0;
    anonymousPeakBytes = Math.max(anonymousPeakBytes, anonymousBytes);
    options.onSample?.({ elapsedMs: performance.now() - started, rssBytes, anonymousBytes });
  };
  const timer = setInterval(read, sampleMs);
  let timedOut = false;
  const deadline = setTimeout(() => {
    timedOut = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  try {
    options.onStart?.(child);
    const [exitCode, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, by) => resolve([code, by]));
    });
    return {
      exitCode,
      signal,
      oomKilled: (group?.oomKills() ?? 0) > 0,
      peakBytes: group?.peakBytes() ?? Number.NaN,
      rssPeakBytes,
      anonymousPeakBytes,
      elapsedMs: performance.now() - started,
      timedOut,
      stdout: stdout(),
      stderr: stderr(),
    };
  } finally {
    clearInterval(timer);
    clearTimeout(deadline);
  }
}

function keepTail(stream: NodeJS.ReadableStream): () => string {
  let kept = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    kept += chunk;
    if (kept.length > 2 * KEPT_CHARACTERS) kept = kept.slice(-KEPT_CHARACTERS);
  });
  return () => kept.slice(-KEPT_CHARACTERS);
}

function readStatus(pid: number): { rss: number; peak: number } {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const kilobytes = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
    return { rss: kilobytes('VmRSS') * 1024, peak: kilobytes('VmHWM') * 1024 };
  } catch {
    return { rss: 0, peak: 0 };
  }
}
