import fc from 'fast-check';
import { PRESSURE_LEVELS, type PressureLevel } from 'plimsoll';
import { Pipeline, pluginStage } from 'plimsoll/pipeline';
import type { Plugin } from 'plimsoll/wasm';
import { describe, expect, it } from 'vitest';
import { FakeMachine } from './fake-machine.ts';
import { FakePluginHost, type FakePluginOptions, fakePlugin, type Mishap } from './fake-plugin-host.ts';
import { type Numbers, noting, source, sum } from './numbers.ts';
import { switchesOf, weather } from './weather.ts';

const words = (values: readonly number[]) => new Uint8Array(Uint32Array.from(values).buffer);
const numbers = (bytes: Uint8Array) => [...new Uint32Array(Uint8Array.from(bytes).buffer)];

interface Trial {
  readonly machine: FakeMachine;
  readonly host: FakePluginHost;
  readonly natives: number[];
}

function trial(): Trial {
  const machine = new FakeMachine();
  return { machine, host: new FakePluginHost(machine), natives: [] };
}

/** Runs so many batches of ten, the level before each as told. Gives all that came out, and who was at work. */
async function run(
  { machine }: Trial,
  stage: ReturnType<typeof pluginStage<Numbers>>,
  batchCount: number,
  levels: readonly PressureLevel[],
) {
  const out: number[] = [];
  const pipeline = new Pipeline({ governor: machine, probe: machine, clock: machine, sampleEveryMs: 1 });
  await pipeline
    .from(source(machine, batchCount))
    .through(weather<Numbers>(machine, levels))
    .through(stage)
    .through(noting(out))
    .into(sum(machine));
  return { out, switches: switchesOf(pipeline.report()) };
}

/** Sums up all numbers so far: what a plugin is told first is what there was before it. */
function summingUp(t: Trial, plugins: readonly Plugin[], maxFailures = 3) {
  let total = 0;
  const summed = (values: readonly number[]): number[] => {
    let sum = total;
    return values.map((value) => (sum += value));
  };
  return pluginStage<Numbers>({
    name: 'Summing',
    stage: 'summing',
    host: t.host,
    plugins,
    maxFailures,
    clock: t.machine,
    encode: ({ values }) => words(values),
    apply(batch, output) {
      const sums = summed(batch.values);
      if (String(numbers(output)) !== String(sums)) throw new Error('another sum');
      batch.values = sums;
      total = sums.at(-1) ?? total;
    },
    native(batch) {
      t.natives.push(batch.values[0]!);
      batch.values = summed(batch.values);
      total = batch.values.at(-1) ?? total;
    },
    *catchUp() {
      if (total > 0) yield words([total]);
    },
  });
}

const fake = (name: string, more: Partial<FakePluginOptions> = {}) =>
  fakePlugin(name, { stage: 'summing', behave: summing, ...more });

const summing = () => {
  let total = 0;
  return { process: (batch: Uint8Array) => words(numbers(batch).map((value) => (total += value))) };
};
const sums = (batchCount: number) => {
  let total = 0;
  return Array.from({ length: batchCount * 10 }, (_, i) => (total += i));
};

describe('a plugin that keeps something of the batches before', () => {
  const levels = ['optimal', 'optimal', 'emergency', 'emergency', 'moderate', 'optimal'] as const;

  it('hole: comes back when pressure has fallen, knows nothing of what was done without it, and is off for that', async () => {
    const t = trial();
    const { out, switches } = await run(t, summingUp(t, [fake('summer')]), 18, levels);
    expect(out).toEqual(sums(18));
    expect(t.natives).toHaveLength(6);
    expect(t.host.opened).toEqual(Array(4).fill('summer'));
    expect(switches.slice(0, 3)).toEqual([
      'nobody → summer: chosen',
      'summer → native: pressure is emergency',
      'native → summer: pressure is moderate',
    ]);
    expect(t.host.running).toBe(0);
  });

  it('that fails over what it is told has failed, and native goes on', async () => {
    const t = trial();
    const plugin = fake('summer', { mishap: (call) => (call === 5 ? 'process' : undefined) });
    const { out } = await run(t, summingUp(t, [plugin], 1), 12, levels);
    expect(out).toEqual(sums(12));
    expect([t.natives.length, t.host.opened.length, t.host.running]).toEqual([10, 2, 0]);
  });

  it('gives what the native stage gives, whatever fails, whenever, at whatever levels', async () => {
    const mishaps = fc.array(
      fc.constantFrom<(Mishap | undefined)[]>(
        undefined,
        undefined,
        undefined,
        'open',
        'process',
        'garbage',
        'half',
        'rest',
      ),
      { minLength: 1, maxLength: 12 },
    );
    const property = fc.asyncProperty(
      fc.array(mishaps, { maxLength: 3 }),
      fc.array(fc.constantFrom(...PRESSURE_LEVELS), { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 40 }),
      async (plugins, weather, batchCount) => {
        const t = trial();
        const fakes = plugins.map((each, i) => fake(`plugin-${i}`, { mishap: (call) => each[call % each.length] }));
        const { out } = await run(t, summingUp(t, fakes), batchCount, weather);
        expect(out).toEqual(sums(batchCount));
        expect([t.host.running, t.machine.heldBytes]).toEqual([0, 0]);
      },
    );
    await fc.assert(property, { numRuns: 200 });
  });
});
