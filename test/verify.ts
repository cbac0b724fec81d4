/**
 * Runs the gates at full size: `npm run verify`, or some of them: `npm run verify -- survival fuzz`. Patient ones run first, two at a time; what judges time or the
 * memory of the machine runs alone.
 * One line for each with its figures; exit 1 when one does not hold, 2 for a gate that does not exist.
 */
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { containerImageGate } from '../apps/playlist/test/gates/container-image.ts';
import { flatPeakGate } from '../apps/playlist/test/gates/flat-peak.ts';
import { fuzzGate } from '../apps/playlist/test/gates/fuzz.ts';
import { jobFaultsGate } from '../apps/playlist/test/gates/job-faults.ts';
import { killedGate } from '../apps/playlist/test/gates/killed.ts';
import { millionSortedGate } from '../apps/playlist/test/gates/million-sorted.ts';
import { realDataGate } from '../apps/playlist/test/gates/real-data.ts';
import { sameBytesModesGate } from '../apps/playlist/test/gates/same-bytes-modes.ts';
import { survivalGate } from '../apps/playlist/test/gates/survival.ts';
import { adoptionGate } from './gates/adoption.ts';
import { cacheHitRatesGate } from './gates/cache-hit-rates.ts';
import { cliOomGate } from './gates/cli-oom.ts';
import { cliRunGate } from './gates/cli-run.ts';
import { connectionsGate } from './gates/connections.ts';
import { dashboardGate } from './gates/dashboard.ts';
import { dashboardSecurityGate } from './gates/dashboard-security.ts';
import { exportersGate } from './gates/exporters.ts';
import { forcedSpillGate } from './gates/forced-spill.ts';
import { type Gate, GateFailure, GateSkipped, seconds } from './gates/gate.ts';
import { governorFaultsGate } from './gates/governor-faults.ts';
import { governorLimitsGate } from './gates/governor-limits.ts';
import { kernelMemoryGate } from './gates/kernel-memory.ts';
import { leaksGate } from './gates/leaks.ts';
import { lifetimeDrainGate } from './gates/lifetime-drain.ts';
import { operatorsGate } from './gates/operators.ts';
import { packedPackageGate } from './gates/packed-package.ts';
import { papersGate } from './gates/papers.ts';
import { pooledBuffersGate } from './gates/pooled-buffers.ts';
import { recipesGate } from './gates/recipes.ts';
import { simulationGate } from './gates/simulation.ts';
import { slowTestsGate } from './gates/slow-tests.ts';
import { spillFuzzGate } from './gates/spill-fuzz.ts';
import { untouchedProgramsGate } from './gates/untouched-programs.ts';
import { wasmFuzzGate } from './gates/wasm-fuzz.ts';
import { wasmHostileGate } from './gates/wasm-hostile.ts';

// The longest of the patient ones first.
const GATES: readonly Gate[] = [
  leaksGate,
  simulationGate,
  packedPackageGate,
  papersGate,
  containerImageGate,
  governorLimitsGate,
  kernelMemoryGate,
  governorFaultsGate,
  untouchedProgramsGate,
  cliRunGate,
  cliOomGate,
  recipesGate,
  exportersGate,
  adoptionGate,
  pooledBuffersGate,
  connectionsGate,
  lifetimeDrainGate,
  operatorsGate,
  cacheHitRatesGate,
  spillFuzzGate,
  realDataGate,
  survivalGate,
  millionSortedGate,
  flatPeakGate,
  fuzzGate,
  sameBytesModesGate,
  killedGate,
  jobFaultsGate,
  slowTestsGate,
  forcedSpillGate,
  wasmFuzzGate,
  wasmHostileGate,
  dashboardSecurityGate,
  dashboardGate,
];

/** Set in the process that runs gates beside this one. */
const LANE = 'PLIMSOLL_VERIFY_LANE';

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.filter((name) => !GATES.some((gate) => gate.name === name));
  if (unknown.length > 0) {
    console.error(`No gate is called ${unknown.join(' or ')}; there are ${GATES.map((gate) => gate.name).join(', ')}.`);
    return 2;
  }
  const wanted = GATES.filter(({ name }) => names.length === 0 || names.includes(name));
  if (process.env[LANE] !== undefined) return (await runInOrder(wanted)).length === 0 ? 0 : 1;
  const build = spawnSync('npm', ['run', '--silent', 'build'], {
    cwd: join(import.meta.dirname, '..'),
    stdio: 'inherit',
  });
  if (build.status !== 0) return 1;
  const started = performance.now();
  const patient = wanted.filter((gate) => gate.patient === true);
  // One alone is printed as it goes.
  const together = patient.length > 1 ? patient : [];
  const failed = await runPatient(together);
  failed.push(...(await runInOrder(wanted.filter((gate) => !together.includes(gate)))));
  const total = seconds(performance.now() - started);
  if (failed.length === 0) console.log(`All gates hold (${total}).`);
  else console.log(`Not held: ${failed.join(', ')} (${total}). Again with: npm run verify -- ${failed.join(' ')}`);
  return failed.length === 0 ? 0 : 1;
}

/** Resolves to the names of those that did not hold. */
async function runInOrder(gates: readonly Gate[]): Promise<string[]> {
  const failed: string[] = [];
  for (const gate of gates) {
    if (!(await holds(gate))) failed.push(gate.name);
  }
  return failed;
}

/** Two at a time, each in a process of its own whose output is printed when it is over. */
async function runPatient(gates: readonly Gate[]): Promise<string[]> {
  const waiting = [...gates];
  const failed: string[] = [];
  const lane = async () => {
    for (let gate = waiting.shift(); gate !== undefined; gate = waiting.shift()) {
      if (!(await holdsBeside(gate))) failed.push(gate.name);
    }
  };
  await Promise.all([lane(), lane()]);
  return failed;
}

function holdsBeside({ name }: Gate): Promise<boolean> {
  const child = spawn(process.execPath, [...process.execArgv, import.meta.filename, name], {
    env: { ...process.env, [LANE]: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      process.stdout.write(printed);
      resolve(code === 0);
    });
  });
}

async function holds(gate: Gate): Promise<boolean> {
  const started = performance.now();
  const took = (): string => seconds(performance.now() - started);
  console.log(`gate ${gate.name}: ${gate.promise}`);
  try {
    const figures = await gate.run((line) => console.log(`     ${line}`));
    console.log(`  ok ${gate.name} (${took()}): ${figures}`);
    return true;
  } catch (error) {
    if (error instanceof GateSkipped) {
      console.log(`skip ${gate.name}: ${error.message}`);
      return true;
    }
    // A failure is a sentence; anything else is a fault of the gate and is shown whole.
    console.log(
      `FAIL ${gate.name} (${took()}): ${error instanceof GateFailure ? error.message : (error as Error).stack}`,
    );
    console.log(`     again with: npm run verify -- ${gate.name}`);
    return false;
  }
}

process.exitCode = await main(process.argv.slice(2));
