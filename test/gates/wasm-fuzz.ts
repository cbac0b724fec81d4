import { join } from 'node:path';
import { demand, type Gate, seconds } from './gate.ts';
import { runProgram } from './run-program.ts';

const COUNT = 100_000;
const SCRIPT = join(import.meta.dirname, '../wasm/fuzz.ts');
/** Without it each memory reserves 10 GB of addresses. */
const FLAGS = ['--conditions=source', '--disable-wasm-trap-handler'];

interface Fuzzer {
  readonly name: string;
  /** Ends that must have been met often enough for it to have been worth while. */
  readonly ends: readonly string[];
}

const FUZZERS: readonly Fuzzer[] = [
  { name: 'fuzzManifest', ends: ['taken', 'refused'] },
  { name: 'fuzzModule', ends: ['taken', 'taken with its code changed', 'refused', 'refused by V8'] },
  { name: 'fuzzAbi', ends: ['done', 'stopped'] },
];

/** Each in a process of its own, so that a crash is seen as one. */
export const wasmFuzzGate: Gate = {
  name: 'wasm-fuzz',
  promise: `${COUNT} manifests, as many modules and as many calls, all forged: no crash, no hang, no byte outside, no memory above its cap`,
  patient: true,
  async run(say) {
    const seed = Number(process.env.PLIMSOLL_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
    say(`PLIMSOLL_FUZZ_SEED=${seed} repeats it`);
    const figures = await Promise.all(
      FUZZERS.map(async ({ name, ends }) => {
        const started = performance.now();
        const printed = await runProgram(
          process.execPath,
          [...FLAGS, SCRIPT, name, String(COUNT), String(seed)],
          process.cwd(),
        );
        const counts = JSON.parse(printed.trim().split('\n').at(-1)!) as Record<string, number>;
        for (const end of ends)
          demand((counts[end] ?? 0) > COUNT / 100, `${name}: only ${counts[end] ?? 0} inputs ended with ${end}`);
        const ended = Object.entries(counts).map(([what, count]) => `${count} ${what}`);
        return `${name} ${ended.join(', ')} in ${seconds(performance.now() - started)}`;
      }),
    );
    return `${figures.join('; ')} (seed ${seed})`;
  },
};
