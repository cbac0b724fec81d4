import { join } from 'node:path';
import { LEAK_FINDER_DEFAULTS, type LeakReport } from '../../src/observe/index.ts';
import { LEAKS, type Leak, verdictOn } from '../observe/planted-leaks.ts';
import { demand, type Gate } from './gate.ts';
import { runProgram } from './run-program.ts';

const SEEDS = 10;
/** Rounds, how many of them are warm-up, and how sure the finder must be. */
const LEVELS = [9, 2, LEAK_FINDER_DEFAULTS.leastConfidence].map(String);
const PROCESSES = 1;
/** Not those that the finder was made with. */
const FIRST_SEED = Number(process.env.PLIMSOLL_LEAK_SEED ?? 1_001);
const SOUND = 100_000;
const ROOT = join(import.meta.dirname, '../..');
const SCRIPT = join(ROOT, 'test/observe/leak-child.ts');

interface Run {
  readonly seed: number;
  readonly leaks: readonly Leak[];
}

/** Programs with leaks of five kinds and programs with none, by a seed each, so that sizes, noise and order differ. */
export const leaksGate: Gate = {
  name: 'leaks',
  promise: `of five kinds of leaks the finder names each in ${SEEDS} programs that have them all, and in ${SEEDS} sound ones none`,
  patient: true,
  async run(say) {
    const seeds = Array.from({ length: SEEDS }, (_, index) => FIRST_SEED + index);
    const waiting: Run[] = [
      ...seeds.map((seed) => ({ seed, leaks: LEAKS })),
      ...seeds.map((seed) => ({ seed: SOUND + seed, leaks: [] })),
    ];
    say(`seeds from ${FIRST_SEED}; others: PLIMSOLL_LEAK_SEED=2001 npm run verify -- leaks`);
    const found = new Map<Leak, number>(LEAKS.map((leak) => [leak, 0]));
    const faults: string[] = [];
    let [invented, checkpoints, spentMs] = [0, 0, 0];
    const work = async () => {
      for (let run = waiting.shift(); run !== undefined; run = waiting.shift()) {
        const report = await reportOf(run);
        const verdict = verdictOn(report, run.leaks);
        const what = `seed ${run.seed}, ${run.leaks.join(' ') || 'no leak'}`;
        for (const leak of verdict.found) found.set(leak, found.get(leak)! + 1);
        const missed = run.leaks.filter((leak) => !verdict.found.includes(leak));
        if (missed.length > 0) faults.push(`${what}: missed ${missed.join(' and ')}`);
        if (verdict.invented.length > 0) faults.push(`${what}: invented ${verdict.invented.join(' and ')}`);
        if (report.notes.length > 0) faults.push(`${what}: ${report.notes.join('; ')}`);
        invented += verdict.invented.length;
        checkpoints += report.checkpoints.length;
        spentMs += report.spentMs;
      }
    };
    await Promise.all(Array.from({ length: PROCESSES }, work));
    for (const [leak, count] of found) say(`${leak}: found in ${count} of ${SEEDS} programs that have it`);
    say(`nothing: ${invented} invented in ${2 * SEEDS} programs`);
    demand(faults.length === 0, faults.join('. '));
    const each = (spentMs / checkpoints).toFixed(0);
    return `${LEAKS.length} found, ${invented} invented, over ${SEEDS} seeds; a checkpoint took ${each} ms`;
  },
};

async function reportOf({ seed, leaks }: Run): Promise<LeakReport> {
  const env = { NODE_OPTIONS: '', PLIMSOLL: '', NODE_COMPILE_CACHE: join(ROOT, 'node_modules/.cache/compiled') };
  return JSON.parse(
    await runProgram(process.execPath, [SCRIPT, String(seed), ...LEVELS, ...leaks], ROOT, env),
  ) as LeakReport;
}
