import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { demand, type Gate, seconds } from '../../../../test/gates/gate.ts';

const COUNT = 100_000;
const TEST_DIR = join(import.meta.dirname, '..');

type Fuzzer = (count: number, seed: number) => unknown;

async function load(file: string, name: string): Promise<Fuzzer> {
  const path = join(TEST_DIR, file);
  demand(existsSync(path), `${file} is missing`);
  const module = (await import(path)) as Record<string, Fuzzer | undefined>;
  const fuzzer = module[name];
  demand(fuzzer !== undefined, `${file} has no ${name}`);
  return fuzzer;
}

/** The fuzzers throw at the first input that crashes, hangs or loses an entry before the damage; they name the seed. */
export const fuzzGate: Gate = {
  name: 'fuzz',
  promise:
    '100,000 mutated M3U and as many XMLTV inputs: no crash, no hang, no well-formed entry before the damage lost',
  patient: true,
  async run(say) {
    const seed = Number(process.env.PLIMSOLL_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
    const figures: string[] = [];
    for (const [file, name] of [
      ['m3u/fuzz.ts', 'fuzzM3u'],
      ['guide/fuzz.ts', 'fuzzXmltv'],
    ] as const) {
      say(`${name}(${COUNT}, ${seed}); PLIMSOLL_FUZZ_SEED=${seed} repeats it`);
      const fuzzer = await load(file, name);
      const started = performance.now();
      await fuzzer(COUNT, seed);
      figures.push(`${name}: ${COUNT} inputs in ${seconds(performance.now() - started)}`);
    }
    return `${figures.join(', ')} (seed ${seed})`;
  },
};
