/** Runs one seed again and prints all that happens: `node --conditions=source test/simulation/replay.ts 123`. */
import { simulate } from './simulate.ts';

const seed = Number(process.argv[2]);
if (!Number.isSafeInteger(seed)) {
  console.error('Which seed? node --conditions=source test/simulation/replay.ts SEED [STEPS]');
  process.exitCode = 2;
} else {
  const steps = Number(process.argv[3] ?? 250);
  const { log, failure } = await simulate(seed, { steps, verbose: true });
  console.log(log.join('\n'));
  if (failure === undefined) console.log(`seed ${seed}: all invariants hold`);
  else console.log(`seed ${seed}, step ${failure.step}: ${failure.invariant}: ${failure.detail}`);
  process.exitCode = failure === undefined ? 0 : 1;
}
