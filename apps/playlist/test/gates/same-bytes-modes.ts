import { rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { PRESSURE_LEVELS, type PressureLevel } from 'plimsoll';
import { PIPELINE_MODES, type PluginRunner } from 'plimsoll/pipeline';
import type { PluginInstance } from 'plimsoll/wasm';
import { demand, type Gate } from '../../../../test/gates/gate.ts';
import { freshDir } from './fixtures.ts';
import { JobFolder, type JobOptions, SORTS, type Sort } from './job-in-process.ts';

/**
 * How a plugin's call goes wrong: it throws, comes back cut, with a wrong length in front, or empty. Another name for a channel, well formed, is no fault that a host could
 * see: it is what such a plugin is for.
 */
const FAULTS = ['throws', 'cut', 'misframed', 'empty'] as const;
type Fault = (typeof FAULTS)[number];

interface Circumstances {
  readonly sort: Sort;
  readonly mode: NonNullable<JobOptions['mode']>;
  readonly batchBytes: number;
  /** One after the other, each for so many looks; the last stays. */
  readonly levels: readonly { readonly level: PressureLevel; readonly looks: number }[];
  readonly plugins: boolean;
  readonly selection: 'memory-efficient' | 'fastest';
  /** Which calls of plugins fail, and how. */
  readonly faults: readonly { readonly call: number; readonly fault: Fault }[];
  /** Which openings of plugins fail. */
  readonly closedDoors: readonly number[];
  /** From which asking for bytes on, and how many, are refused; the first ones are those without which nothing can begin. */
  readonly refusals: { readonly from: number; readonly count: number } | null;
  /** Ends the run after so many looks. */
  readonly endsAt: number | null;
}

const circumstances: fc.Arbitrary<Circumstances> = fc.record({
  sort: fc.constantFrom(...SORTS),
  mode: fc.oneof(
    { weight: 2, arbitrary: fc.constant('auto' as const) },
    { weight: 1, arbitrary: fc.constantFrom(...PIPELINE_MODES) },
  ),
  batchBytes: fc.constantFrom(16_384, 65_536, 262_144),
  levels: fc.array(fc.record({ level: fc.constantFrom(...PRESSURE_LEVELS), looks: fc.integer({ min: 1, max: 12 }) }), {
    maxLength: 8,
    size: 'max',
  }),
  plugins: fc.boolean(),
  selection: fc.constantFrom('memory-efficient', 'fastest'),
  faults: fc.array(fc.record({ call: fc.integer({ min: 1, max: 40 }), fault: fc.constantFrom(...FAULTS) }), {
    maxLength: 6,
  }),
  closedDoors: fc.array(fc.integer({ min: 1, max: 8 }), { maxLength: 3 }),
  refusals: fc.oneof(
    { weight: 2, arbitrary: fc.constant(null) },
    {
      weight: 1,
      arbitrary: fc.record({ from: fc.integer({ min: 60, max: 600 }), count: fc.integer({ min: 1, max: 4 }) }),
    },
  ),
  endsAt: fc.oneof(
    { weight: 5, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 40 }) },
  ),
});

function levelAt(levels: Circumstances['levels'], look: number): PressureLevel {
  let at = 0;
  for (const { level, looks } of levels) {
    at += looks;
    if (look < at) return level;
  }
  return levels.at(-1)?.level ?? 'optimal';
}

/** Spoils calls of plugins by their number. */
function spoiling({ faults, closedDoors }: Circumstances): (runner: PluginRunner) => PluginRunner {
  let calls = 0;
  let doors = 0;
  const spoiled = async (call: Promise<Uint8Array>): Promise<Uint8Array> => {
    const fault = faults.find((each) => each.call === calls)?.fault;
    calls++;
    const output = await call;
    if (fault === 'throws') throw new Error('this plugin fails');
    if (fault === 'cut') return output.subarray(0, Math.floor(output.length / 2));
    if (fault === 'empty') return output.subarray(0, 0);
    if (fault !== 'misframed' || output.length === 0) return output;
    const copy = Uint8Array.from(output);
    copy[0] = copy[0]! ^ 0x55;
    return copy;
  };
  return (runner) => ({
    isOff: (plugin) => runner.isOff(plugin),
    failures: (plugin) => runner.failures(plugin),
    async open(plugin, options) {
      if (closedDoors.includes(++doors)) throw new Error('this plugin does not begin');
      const instance = await runner.open(plugin, options);
      return new Proxy(instance, {
        get(target, key) {
          if (key === 'process')
            return (...args: Parameters<PluginInstance['process']>) => spoiled(target.process(...args));
          if (key === 'finalize')
            return (...args: Parameters<PluginInstance['finalize']>) => spoiled(target.finalize(...args));
          const value = Reflect.get(target, key, target) as unknown;
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    },
  });
}

function optionsOf(given: Circumstances): JobOptions {
  const { sort, mode, batchBytes, levels, plugins, selection, refusals, endsAt } = given;
  const controller = new AbortController();
  return {
    sort,
    mode,
    batchBytes,
    plugins,
    selection,
    signal: controller.signal,
    wrapPlugins: spoiling(given),
    refuses: (asking) => refusals !== null && asking >= refusals.from && asking < refusals.from + refusals.count,
    levelAt(look) {
      if (endsAt !== null && look >= endsAt) controller.abort('SIGTERM');
      return levelAt(levels, look);
    },
  };
}

/** Runs the same job `count` times, each under other circumstances. Throws at the first whose output is not that of the plain run; resolves to what happened. */
export async function sameBytesInAllModes(folder: JobFolder, count: number, seed: number): Promise<string> {
  const plain: Record<string, Readonly<Record<string, string>>> = {};
  for (const sort of SORTS) {
    const { error } = await folder.run(1, { sort, mode: 'plain' });
    demand(error === undefined, `the plain run (${sort}): ${String(error)}`);
    plain[sort] = folder.files();
  }
  const seen = { whole: 0, refused: 0, ended: 0, spilled: 0, modes: 0, workers: 0 };
  const isSame = (sort: Sort): boolean =>
    Object.entries(plain[sort]!).every(([name, bytes]) => folder.files()[name] === bytes);
  let published = SORTS.at(-1) as Sort;
  await fc.assert(
    fc.asyncProperty(circumstances, async (given) => {
      const { error, report, heldBytes } = await folder.run(1, optionsOf(given));
      if (heldBytes !== 0) throw new Error(`${heldBytes} bytes are still held`);
      if (folder.leftovers().length > 0) throw new Error(`left behind: ${folder.leftovers().join(', ')}`);
      if (report === undefined) {
        // Interrupted, or refused what it cannot do without: then the old output is there.
        if (error === 'SIGTERM') seen.ended++;
        else if (codeOf(error) === 'PLIMSOLL_BUDGET_EXCEEDED' && given.refusals !== null) seen.refused++;
        else throw error;
        if (!isSame(published) && !isSame(given.sort)) throw new Error('the old output is not there');
        return;
      }
      seen.whole++;
      if (report.spill.files > 0) seen.spilled++;
      seen.modes += report.modes.count;
      seen.workers += report.workers.count;
      published = given.sort;
      if (!isSame(given.sort)) throw new Error('the output is not that of the plain run');
    }),
    { numRuns: count, seed },
  );
  const { whole, refused, ended, spilled, modes, workers } = seen;
  demand(whole >= count / 6, `only ${whole} of ${count} runs came to their end: nothing much was compared`);
  demand(spilled > 0 && modes > 0 && workers > 0, 'nothing was spilled, or no mode or plugin was changed');
  return `${count} runs: ${whole} whole (${spilled} of them spilled; ${modes} changes of mode, ${workers} of plugins), ${refused} refused, ${ended} interrupted`;
}

export function codeOf(error: unknown): unknown {
  const { cause, code } = error as { cause?: unknown; code?: unknown };
  return code === 'PLIMSOLL_STAGE_FAILED' ? codeOf(cause) : code;
}

export const sameBytesModesGate: Gate = {
  name: 'same-bytes-modes',
  promise:
    'whatever pressure, modes, refusals, plugins that fail and interruptions there are: the output is that of the plain run, byte for byte',
  patient: true,
  async run(say) {
    const seed = Number(process.env.PLIMSOLL_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
    say(`PLIMSOLL_FUZZ_SEED=${seed} repeats it`);
    const dir = freshDir('same-bytes-modes');
    try {
      const folder = await JobFolder.make(join(dir, 'job'), { channels: 3000, guideBytes: 300_000 });
      return `${await sameBytesInAllModes(folder, 60, seed)} (seed ${seed})`;
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
};
