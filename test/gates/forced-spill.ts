import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { demand, type Gate } from './gate.ts';

const ROOT = join(import.meta.dirname, '../..');
const MOST_SHOWN = 10;

/** What Vitest's JSON reporter writes, as far as it is read here. */
interface TestResults {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
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

/** All tests once more, where every holder that has a spill folder uses it at every step. */
export const forcedSpillGate: Gate = {
  name: 'forced-spill',
  promise: 'all tests pass while every holder that can spill does so at every step (PLIMSOLL_FORCE_SPILL=1)',
  async run(say) {
    const folder = await mkdtemp(join(tmpdir(), 'plimsoll-forced-'));
    try {
      const file = join(folder, 'results.json');
      await runTests(file);
      const results = JSON.parse(await readFile(file, 'utf8')) as TestResults;
      const failed = results.testResults.flatMap(({ name, status, assertionResults }) => {
        const inside = assertionResults
          .filter((one) => one.status === 'failed')
          .map(({ fullName, failureMessages }) => `${fullName}: ${failureMessages[0]?.split('\n', 1)[0]}`);
        return status === 'failed' && inside.length === 0 ? [name] : inside;
      });
      for (const name of failed.slice(0, MOST_SHOWN)) say(`failed: ${name}`);
      demand(failed.length === 0, `${failed.length} tests fail when all is spilled; the first is ${failed[0]}`);
      demand(results.numPassedTests > 1_000, `only ${results.numPassedTests} tests were run`);
      return `${results.numPassedTests} tests passed`;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

function runTests(file: string): Promise<void> {
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const child = spawn(process.execPath, [vitest, 'run', '--reporter=json', `--outputFile=${file}`], {
    cwd: ROOT,
    env: { ...process.env, PLIMSOLL_FORCE_SPILL: '1' },
    stdio: 'ignore',
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    // Whether tests failed stands in the file; without one, reading it fails.
    child.on('close', () => resolve());
  });
}
