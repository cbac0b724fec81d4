import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { SimulationResult } from '../simulation/simulate.ts';
import { demand, type Gate } from './gate.ts';

const SEEDS = 10_000;
const STEPS = 250;
const PROCESSES = 2;
/** A seed takes milliseconds. */
const SILENCE_MS = 30_000;
const MOST_SHOWN = 5;
const SCRIPT = join(import.meta.dirname, '../simulation/run-seeds.ts');

type Outcome = Omit<SimulationResult, 'log'>;

/** 10,000 seeds of the simulated process: see `test/simulation/`. */
export const simulationGate: Gate = {
  name: 'simulation',
  promise: `whoever holds memory, lies, hangs, throws or takes all: the governor's invariants hold in ${SEEDS} simulated runs`,
  patient: true,
  async run(say) {
    const failed: Outcome[] = [];
    const totals: Record<string, number> = {};
    let seeds = 0;
    let steps = 0;
    const onOutcome = (outcome: Outcome) => {
      seeds++;
      steps += outcome.steps;
      for (const [what, count] of Object.entries(outcome.counts)) totals[what] = (totals[what] ?? 0) + count;
      if (outcome.failure !== undefined) failed.push(outcome);
      if (seeds % 2_500 === 0) say(`${seeds} seeds`);
    };
    await Promise.all(Array.from({ length: PROCESSES }, (_, index) => runSeeds(index + 1, onOutcome)));
    failed.sort((a, b) => a.seed - b.seed);
    for (const { seed, failure } of failed.slice(0, MOST_SHOWN)) {
      say(`seed ${seed}, step ${failure!.step}: ${failure!.invariant}: ${failure!.detail}`);
      say(`  replay with: ${replayCommand(seed)}`);
    }
    demand(failed.length === 0, `${failed.length} of ${seeds} seeds fail; the first is ${failed[0]?.seed}`);
    demand(seeds === SEEDS, `only ${seeds} of ${SEEDS} seeds were run`);
    return `${seeds} seeds, ${steps} steps; ${figures(totals)}`;
  },
};

/** Prints all that happens in a seed, up to what does not hold. */
export const replayCommand = (seed: number): string => `npx node --conditions=source test/simulation/replay.ts ${seed}`;

function figures(totals: Readonly<Record<string, number>>): string {
  const of = (...names: readonly string[]) => names.reduce((sum, name) => sum + (totals[name] ?? 0), 0);
  return [
    `${of('granted', 'admitted')} grants`,
    `${of('PLIMSOLL_BUDGET_EXCEEDED', 'PLIMSOLL_ADMISSION_TIMEOUT', 'PLIMSOLL_ADMISSION_QUEUE_FULL')} refusals`,
    `${of('asked now', 'asked waiting')} calls of reclaimers`,
  ].join(', ');
}

/** Every `PROCESSES`th seed from `first` on, in a process of its own. */
function runSeeds(first: number, onOutcome: (outcome: Outcome) => void): Promise<void> {
  const seeds = [first, SEEDS, PROCESSES, STEPS].map(String);
  const child = spawn(process.execPath, ['--conditions=source', '--expose-gc', SCRIPT, ...seeds], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    let current = first;
    let silent = false;
    const onSilence = () => {
      silent = true;
      child.kill('SIGKILL');
    };
    let timer = setTimeout(onSilence, SILENCE_MS);
    createInterface(child.stdout).on('line', (line) => {
      clearTimeout(timer);
      timer = setTimeout(onSilence, SILENCE_MS);
      const message = JSON.parse(line) as [number] | Outcome;
      if (Array.isArray(message)) current = message[0];
      else onOutcome(message);
    });
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      const failure = { step: 0, invariant: 'every run ends', detail: silent ? 'it does not' : `exit code ${code}` };
      if (code !== 0) onOutcome({ seed: current, steps: 0, counts: {}, failure });
      resolve();
    });
  });
}
