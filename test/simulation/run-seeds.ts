/**
 * Runs seeds for the gate in a process of its own: `run-seeds.ts FIRST LAST EVERY STEPS`. Writes a line of JSON for each: `[seed]` when it
 * begins, a result without its log when it ends. A seed that never ends is found out by its silence.
 */
import { writeSync } from 'node:fs';
import { simulate } from './simulate.ts';

const [first, last, every, steps] = process.argv.slice(2).map(Number) as [number, number, number, number];
const tell = (what: unknown) => void writeSync(1, `${JSON.stringify(what)}\n`);
for (let seed = first; seed <= last; seed += every) {
  tell([seed]);
  const { log: _, ...result } = await simulate(seed, { steps });
  tell(result);
}
