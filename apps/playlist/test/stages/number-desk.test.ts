import fc from 'fast-check';
import { createGovernor, PRESSURE_LEVELS, type PressureLevel } from 'plimsoll';
import { Pipeline, type PluginRunner } from 'plimsoll/pipeline';
import type { Plugin } from 'plimsoll/wasm';
import { loadPlugins } from 'plimsoll/wasm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ChannelNumbers } from '../../src/channels/channel-numbers.ts';
import { NumberAssigner, NumberBatch } from '../../src/plugins/number-batch.ts';
import { NumberDesk } from '../../src/stages/number-desk.ts';
import { DirectGuest, SAMPLES_DIR } from '../plugins/direct-guest.ts';

const governor = createGovernor({ limitBytes: 2 ** 30 });
const memory = governor.consumer({ name: 'numbers', kind: 'external', maxBytes: 2 ** 28 });
let plugins: Plugin[];
beforeAll(async () => {
  plugins = (await loadPlugins(SAMPLES_DIR)).plugins.filter(({ manifest }) => manifest.name === 'number-channels');
});
afterAll(() => governor[Symbol.dispose]());

/** Runs guests in this thread. `failsAt`: the call, over all instances, that goes wrong. */
class DirectRunner implements PluginRunner {
  opened = 0;
  calls = 0;
  readonly faults: unknown[] = [];
  readonly #failsAt: number;

  constructor(failsAt = 0) {
    this.#failsAt = failsAt;
  }

  isOff = () => false;
  failures = () => this.faults.length;

  async open(plugin: Plugin, { config }: { config?: Uint8Array }) {
    this.opened++;
    const guest = new DirectGuest(plugin.manifest.name, config === undefined ? {} : { config });
    const process = async (batch: Uint8Array): Promise<Uint8Array> => {
      if (++this.calls === this.#failsAt) throw new Error('told to');
      return guest.process(batch);
    };
    return {
      plugin,
      memoryBytes: 0,
      failure: undefined,
      process,
      finalize: async () => new Uint8Array(0),
      pressure: () => {},
      reclaim: async () => 0,
      async [Symbol.asyncDispose]() {},
    };
  }
}

interface Trial {
  readonly runner: DirectRunner;
  readonly startNumber: number;
  readonly nativeFallback?: boolean;
  /** Of the batches, round and round. */
  readonly levels: readonly PressureLevel[];
}

/** Two passes, as the job has them. Gives all numbers. */
async function byPlugin(wishes: readonly (readonly number[])[], rest: readonly number[], trial: Trial) {
  const { runner, startNumber, levels, nativeFallback = true } = trial;
  using numbers = new ChannelNumbers(memory);
  let level: PressureLevel = 'optimal';
  let at = 0;
  let nowMs = 0;
  const probe = { sample: () => ({ rssBytes: 1, ledgerBytes: 1, level }) };
  const clock = { now: () => nowMs++ };
  const workers = { stage: 'numbering', host: runner, plugins, nativeFallback };
  const given: number[] = [];
  const pipeline = new Pipeline({ governor, probe, clock: clock as never, sampleEveryMs: 1 });
  for (const pass of [wishes, rest.map((count) => Array<number>(count).fill(0))]) {
    await pipeline.measure({
      name: 'Numbering',
      memory: { kind: 'external', maxBytes: 2 ** 20 },
      async run(context) {
        await using desk = new NumberDesk({ name: 'Numbering', numbers, startNumber, workers }, context);
        for (const batch of pass) {
          level = levels[at++ % levels.length]!;
          context.advance({});
          desk.batch.clear();
          for (const wish of batch) desk.batch.push(wish);
          await desk.assign();
          given.push(...desk.batch.numbers.subarray(0, batch.length));
        }
        await desk.close();
      },
    });
  }
  return { given, report: pipeline.report() };
}

function natively(wishes: readonly (readonly number[])[], rest: readonly number[], startNumber: number): number[] {
  using numbers = new ChannelNumbers(memory);
  const given: number[] = [];
  for (const pass of [wishes, rest.map((count) => Array<number>(count).fill(0))]) {
    const assigner = new NumberAssigner(numbers, startNumber);
    for (const each of pass) {
      const batch = new NumberBatch(Math.max(1, each.length));
      for (const wish of each) batch.push(wish);
      assigner.assign(batch);
      given.push(...batch.numbers.subarray(0, each.length));
    }
  }
  return given;
}

describe('numbers by a plugin, when pressure rises and falls', () => {
  const WISHES = Array.from({ length: 8 }, (_, i) => Array.from({ length: 50 }, (_each, j) => 1 + ((i * j) % 40)));
  const REST = Array<number>(8).fill(30);

  it('hole: one that comes back in the middle of a run does not know the numbers given natively, and is off for its answers', async () => {
    const runner = new DirectRunner();
    const levels = ['optimal', 'emergency', 'moderate', 'emergency'] as const;
    const { given, report } = await byPlugin(WISHES, REST, { runner, startNumber: 5, levels });
    expect(given).toEqual(natively(WISHES, REST, 5));
    expect(runner.opened).toBe(8);
    expect(report.workerSwitches.map(({ to }) => to)).toEqual(Array(8).fill(['number-channels', 'native']).flat());
    expect(report.workerSwitches.map(({ why }) => why).filter((why) => !/chosen|pressure is/.test(why))).toEqual([]);
  });

  it('without the native way another instance does the batch over which one has failed', async () => {
    for (const failsAt of [1, 2, 5]) {
      const runner = new DirectRunner(failsAt);
      const trial = { runner, startNumber: 5, levels: ['optimal'] as const, nativeFallback: false };
      expect((await byPlugin(WISHES, REST, trial)).given).toEqual(natively(WISHES, REST, 5));
    }
  });

  it('are the native ones, whatever the levels', async () => {
    const wish = fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 2 ** 24 - 5, max: 2 ** 24 + 5 }));
    const property = fc.asyncProperty(
      fc.array(fc.array(wish, { maxLength: 20 }), { maxLength: 6 }),
      fc.array(fc.nat(20), { maxLength: 6 }),
      fc.constantFrom(1, 7, 2 ** 24 - 3),
      fc.array(fc.constantFrom(...PRESSURE_LEVELS), { minLength: 1, maxLength: 8 }),
      async (wishes, rest, startNumber, levels) => {
        const runner = new DirectRunner();
        const { given, report } = await byPlugin(wishes, rest, { runner, startNumber, levels });
        expect(given).toEqual(natively(wishes, rest, startNumber));
        expect(report.workerSwitches.map(({ why }) => why).filter((why) => !/chosen|pressure is/.test(why))).toEqual(
          [],
        );
      },
    );
    await fc.assert(property, { numRuns: 60 });
  });
});
