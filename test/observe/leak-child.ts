/** Runs a program that leaks in the ways that are named, or in none, round by round under the leak finder, and prints its report as JSON: `leak-child.ts SEED ROUNDS WARM_UP CONFIDENCE [LEAK...]`. */
import { writeSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { LeakFinder } from 'plimsoll/observe';
import { type Leak, program } from './planted-leaks.ts';

const [seed, rounds, warmUp, leastConfidence, ...leaks] = process.argv.slice(2);
const run = program(leaks as Leak[], Number(seed));
const levels = { warmUp: Number(warmUp), leastConfidence: Number(leastConfidence), memoryFactor: 10 };
const finder = new LeakFinder({ maxCheckpoints: 20, maxRows: 1_000, ...levels });
for (let round = 1; round <= Number(rounds); round++) {
  run(round);
  await turn();
  await finder.checkpoint();
}
const report = finder.report();
// In the middle of one more, which ends all the same.
const last = finder.checkpoint();
finder[Symbol.dispose]();
await last;
const text = JSON.stringify(report);
for (let at = 0; at < text.length; ) at += writeSync(1, text.slice(at, at + 16_384));
process.exit(0);
