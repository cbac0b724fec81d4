import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { demand, GateFailure, seconds } from './gate.ts';

const ROOT = join(import.meta.dirname, '../..');
const MOST_SHOWN = 10;
/** What Vitest printed last, for a run that has to be ended. */
const MOST_KEPT = 4_000;

/** What Vitest's JSON reporter writes, as far as it is read here. */
interface TestResults {
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

export interface VitestRun {
  readonly env: Readonly<Record<string, string>>;
  /** A run that takes longer is ended and has failed. */
  readonly timeoutMs: number;
  /** Fewer tests than these, and something was passed over. */
  readonly leastTests: number;
}

/** Runs the tests in a process of its own and resolves to how many passed. Throws a `GateFailure` that names those that did not, or the last files of a run that hangs. */
export async function runVitest(
  { env, timeoutMs, leastTests }: VitestRun,
  say: (line: string) => void,
): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'plimsoll-vitest-'));
  try {
    const file = join(folder, 'results.json');
    await runToEnd(file, env, timeoutMs);
    const results = JSON.parse(await readFile(file, 'utf8')) as TestResults;
    const failed = failedTests(results);
    for (const name of failed.slice(0, MOST_SHOWN)) say(`failed: ${name}`);
    demand(failed.length === 0, `${failed.length} tests fail; the first is ${failed[0]}`);
    demand(results.numPassedTests >= leastTests, `only ${results.numPassedTests} tests were run`);
    return results.numPassedTests;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function failedTests({ testResults }: TestResults): string[] {
  return testResults.flatMap(({ name, status, assertionResults }) => {
    const inside = assertionResults
      .filter((one) => one.status === 'failed')
      .map(({ fullName, failureMessages }) => `${fullName}: ${failureMessages[0]?.split('\n', 1)[0]}`);
    return status === 'failed' && inside.length === 0 ? [name] : inside;
  });
}

function runToEnd(file: string, env: Readonly<Record<string, string>>, timeoutMs: number): Promise<void> {
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const reporters = ['--reporter=json', `--outputFile.json=${file}`, '--reporter=default'];
  const child = spawn(process.execPath, [vitest, 'run', ...reporters], {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that all of it can be ended.
    detached: true,
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed = (printed + text).slice(-MOST_KEPT);
    });
  }
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      process.kill(-child.pid!, 'SIGKILL');
      reject(new GateFailure(`not over after ${seconds(timeoutMs)}; it printed last:\n${printed}`));
    }, timeoutMs);
    child.on('error', reject);
    // Whether tests failed stands in the file; without one, reading it fails.
    child.on('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
