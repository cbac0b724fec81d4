import fc from 'fast-check';
import { PRESSURE_LEVELS, type PressureLevel } from 'plimsoll';
import { formatReport, Pipeline, type PipelineOptions, type PluginStageOptions, pluginStage } from 'plimsoll/pipeline';
import { describe, expect, it } from 'vitest';
import { describeStages } from '../contract/stage.ts';
import { FakeMachine } from './fake-machine.ts';
import { FakePluginHost, type FakePluginOptions, fakePlugin, type Mishap } from './fake-plugin-host.ts';
import { type Numbers, noting, source, sum } from './numbers.ts';
import { switchesOf, weather } from './weather.ts';

const words = (values: readonly number[]) => new Uint8Array(Uint32Array.from(values).buffer);
const numbers = (bytes: Uint8Array) => [...new Uint32Array(Uint8Array.from(bytes).buffer)];

/** Numbers that are even, doubled. */
const done = (values: readonly number[]) => values.filter((value) => value % 2 === 0).map((value) => value * 2);
const behave = () => ({ process: (batch: Uint8Array) => words(done(numbers(batch))) });
const fake = (name: string, more: Partial<FakePluginOptions> = {}) =>
  fakePlugin(name, { stage: 'doubling', behave, ...more });

interface Trial {
  readonly machine: FakeMachine;
  readonly host: FakePluginHost;
  readonly natives: number[];
  stage(more?: Partial<PluginStageOptions<Numbers>>): ReturnType<typeof pluginStage<Numbers>>;
}

function trial(nativeMs = 0): Trial {
  const machine = new FakeMachine();
  const host = new FakePluginHost(machine);
  const natives: number[] = [];
  return {
    machine,
    host,
    natives,
    stage: (more = {}) =>
      pluginStage<Numbers>({
        name: 'Doubling',
        stage: 'doubling',
        host,
        plugins: [],
        clock: machine,
        encode: ({ values }) => words(values),
        apply(batch, output) {
          if (output.byteLength % 4 !== 0) throw new Error('no whole numbers');
          const values = numbers(output);
          const known = new Set(batch.values.map((value) => value * 2));
          if (values.some((value) => !known.has(value)) || values.length !== done(batch.values).length)
            throw new Error('numbers that nobody sent');
          batch.values = values;
        },
        native(batch) {
          machine.nowMs += nativeMs;
          natives.push(batch.values[0]!);
          batch.values = done(batch.values);
        },
        ...more,
      }),
  };
}

const pipelineOn = (machine: FakeMachine, more: Partial<PipelineOptions> = {}) =>
  new Pipeline({ governor: machine, probe: machine, clock: machine, sampleEveryMs: 1, ...more });

/** Runs so many batches of ten through the stage; the level before each as told. Gives all numbers that came out. */
async function run(
  { machine }: Trial,
  stage: ReturnType<typeof pluginStage<Numbers>>,
  batchCount: number,
  levels: readonly PressureLevel[] = ['optimal'],
  more: Partial<PipelineOptions> = {},
) {
  const out: number[] = [];
  const pipeline = pipelineOn(machine, more);
  await pipeline
    .from(source(machine, batchCount))
    .through(weather<Numbers>(machine, levels))
    .through(stage)
    .through(noting(out))
    .into(sum(machine));
  return { out, report: pipeline.report() };
}

const expected = (batchCount: number) => done(Array.from({ length: batchCount * 10 }, (_, i) => i));
describe('a stage with a plugin', () => {
  it('has the plugin do each batch, tells it of the level, finalizes it, and says so in the report', async () => {
    const t = trial();
    const config = new Uint8Array([1, 2]);
    const stage = t.stage({ plugins: [fake('doubler')], config });
    const { out, report } = await run(t, stage, 6, ['optimal', 'optimal', 'moderate', 'moderate', 'high', 'high']);
    expect(out).toEqual(expected(6));
    expect(t.natives).toEqual([]);
    expect(t.host).toMatchObject({ opened: ['doubler'], configs: [config], calls: 6, finalized: 1, running: 0 });
    expect(t.host.levels).toEqual(['optimal', 'moderate', 'high']);
    expect(report).toMatchObject({ workerSwitchCount: 1 });
    expect(switchesOf(report)).toEqual(['nobody → doubler: chosen']);
    expect(formatReport(report, { title: 'Job', count: 1, noun: 'n', unit: 'n' })).toContain(
      '\nWorkers: 1 switch: Doubling nobody → doubler (chosen)',
    );
  });

  it('without a plugin, or with none for its stage, is the native one', async () => {
    for (const plugins of [[], [fake('other', { stage: 'sorting' })]]) {
      const t = trial();
      const { out } = await run(t, t.stage({ plugins }), 3);
      expect(out).toEqual(expected(3));
      expect([t.natives.length, t.host.opened.length]).toEqual([3, 0]);
    }
  });

  it.each<[Mishap, number, number]>([
    ['open', 0, 1],
    ['process', 2, 1],
    ['timeout', 3, 1],
    ['output limit', 4, 1],
    ['garbage', 2, 1],
    ['half', 2, 1],
  ])(
    'that goes wrong (%s) at call %i has the native way do that very batch, and goes on',
    async (mishap, at, count) => {
      const t = trial();
      const plugin = fake('doubler', { mishap: (call) => (call === at ? mishap : undefined) });
      const { out, report } = await run(t, t.stage({ plugins: [plugin] }), 6);
      expect(out).toEqual(expected(6));
      expect(t.natives).toHaveLength(count);
      expect(t.host.running).toBe(0);
      expect(report.workerSwitchCount).toBe(mishap === 'open' ? 2 : 3);
      expect(switchesOf(report).join()).toContain('→ native');
    },
  );

  it('is off after so many failures: native takes over, mid-run, and the plugin is not opened any more', async () => {
    const t = trial();
    const plugin = fake('doubler', { mishap: (call) => (call % 2 === 1 ? 'process' : undefined) });
    const stage = t.stage({ plugins: [plugin], maxFailures: 2 });
    const { out, report } = await run(t, stage, 10);
    expect(out).toEqual(expected(10));
    expect(t.host.opened).toEqual(['doubler', 'doubler']);
    expect(t.natives).toHaveLength(10);
    expect(switchesOf(report)).toEqual([
      'nobody → doubler: chosen',
      'doubler → native: TRAP of a fake',
      'native → doubler: chosen',
      'doubler → native: TRAP of a fake',
    ]);
  });

  it('is off when the host says so, whoever it failed for', async () => {
    const t = trial();
    t.host.maxFailures = 1;
    const plugin = fake('doubler', { mishap: (call) => (call === 2 ? 'timeout' : undefined) });
    const { out } = await run(t, t.stage({ plugins: [plugin] }), 10);
    expect(out).toEqual(expected(10));
    expect(t.host.opened).toEqual(['doubler']);
  });

  it('that is not for this configuration is asked once, and it is no failure', async () => {
    const t = trial();
    const plugins = [fake('refuses', { mishap: () => 'refused' }), fake('doubler', { maxHeapBytes: 2 ** 24 })];
    const { out, report } = await run(t, t.stage({ plugins }), 4);
    expect(out).toEqual(expected(4));
    expect(t.host.opened).toEqual(['doubler']);
    expect(switchesOf(report)).toEqual(['nobody → doubler: refuses could not begin: REFUSED of a fake']);
  });

  it('for which there is no room is asked again when the level changes', async () => {
    const t = trial();
    const plugin = fake('doubler', { mishap: (call) => (call === 0 ? 'no room' : undefined) });
    const levels = ['optimal', 'optimal', 'optimal', 'high', 'high', 'high'] as const;
    const { out } = await run(t, t.stage({ plugins: [plugin] }), 6, levels);
    expect(out).toEqual(expected(6));
    expect([t.natives.length, t.host.opened]).toEqual([3, ['doubler']]);
  });

  it.each<Mishap>(['finalize', 'rest'])('that goes wrong at its end (%s) changes nothing', async (mishap) => {
    const t = trial();
    const plugin = fake('doubler', { mishap: (call) => (call === 3 ? mishap : undefined) });
    const stage = t.stage({ plugins: [plugin], maxFailures: 1 });
    expect((await run(t, stage, 2)).out).toEqual(expected(2));
    expect([t.host.running, t.natives.length]).toEqual([0, 0]);
    // It counts: the stage used anew does not ask it any more.
    expect((await run(t, stage, 2)).out).toEqual(expected(2));
    expect(t.natives).toHaveLength(2);
  });

  it('without the native fallback: another plugin does the batch, and when there is none the run fails and says why', async () => {
    const t = trial();
    const broken = fake('broken', { mishap: (call) => (call === 1 ? 'process' : undefined) });
    const good = fake('good', { maxHeapBytes: 2 ** 24 });
    const options = { nativeFallback: false, maxFailures: 1 } as const;
    const { out } = await run(t, t.stage({ ...options, plugins: [broken, good] }), 3);
    expect(out).toEqual(expected(3));
    expect([t.natives.length, t.host.opened]).toEqual([0, ['broken', 'good']]);
    const alone = t.stage({ ...options, plugins: [fake('trapping', { mishap: () => 'open' })] });
    await expect(run(t, alone, 3)).rejects.toMatchObject({
      code: 'PLIMSOLL_STAGE_FAILED',
      cause: { code: 'PLIMSOLL_NO_PLUGIN', cause: { code: 'PLIMSOLL_PLUGIN_TRAP' } },
    });
    expect(t.host.running).toBe(0);
  });

  it('an abort is no failure of the plugin, and ends its instance', async () => {
    const t = trial();
    const abort = new AbortController();
    const plugin = fake('doubler', {
      mishap: (call) => {
        if (call === 3) abort.abort(new Error('enough'));
        return undefined;
      },
    });
    await expect(run(t, t.stage({ plugins: [plugin] }), 6, ['optimal'], { signal: abort.signal })).rejects.toThrow(
      'enough',
    );
    expect([t.host.running, t.host.failures(plugin), t.natives.length]).toEqual([0, 0, 0]);
  });

  it('what the program’s own encode throws is no failure of the plugin', async () => {
    const t = trial();
    const encode = () => {
      throw new Error('a bug of the program');
    };
    await expect(run(t, t.stage({ plugins: [fake('doubler')], encode }), 2)).rejects.toThrow(
      'Doubling: a bug of the program',
    );
    expect(t.host.running).toBe(0);
  });
});

describe('which plugin is taken', () => {
  const three = () => [
    fake('small', { maxHeapBytes: 2 ** 20 }),
    fake('stream', { maxHeapBytes: 2 ** 22, streams: true }),
    fake('compress', { maxHeapBytes: 2 ** 23, compresses: true }),
  ];

  it('at high one that streams, at critical one that compresses, at emergency native with an aggressive cleanup, and back', async () => {
    const t = trial();
    const cleaned: string[] = [];
    const cleanup = {
      stageEnded: () => undefined,
      whileRunning: () => undefined,
      cleanupWanted: async (stage: string, strategy: string) => void cleaned.push(`${stage} ${strategy}`),
    };
    const levels = ['optimal', 'high', 'critical', 'emergency', 'emergency', 'critical', 'moderate'] as const;
    const { out, report } = await run(t, t.stage({ plugins: three() }), 7, levels, { cleanup });
    expect(out).toEqual(expected(7));
    expect(cleaned).toEqual(['Doubling aggressive']);
    expect(t.host.opened).toEqual(['small', 'stream', 'compress', 'compress', 'small']);
    expect(t.host.finalized).toBe(5);
    expect(switchesOf(report)).toEqual([
      'nobody → small: chosen',
      'small → stream: pressure is high',
      'stream → compress: pressure is critical',
      'compress → native: pressure is emergency',
      'native → compress: pressure is critical',
      'compress → small: pressure is moderate',
    ]);
  });

  it.each([
    [['high'], [{ compresses: true }], ['plugin']],
    [['high'], [{}], ['plugin']],
    [['critical'], [{ streams: true }], ['plugin']],
    [['critical'], [{}], []],
    [['emergency'], [{ streams: true, compresses: true }], []],
  ] as const)('at %s, of %j, is %j', async (levels, plugins, opened) => {
    const t = trial();
    await run(t, t.stage({ plugins: plugins.map((more) => fake('plugin', more)) }), 2, levels);
    expect(t.host.opened).toEqual(opened);
  });

  it('memory-efficient is the one that may take least, of those that failed least', async () => {
    const t = trial();
    const plugins = [
      fake('large', { maxHeapBytes: 2 ** 24 }),
      fake('small', { maxHeapBytes: 2 ** 20, mishap: (call) => (call === 2 ? 'process' : undefined) }),
    ];
    await run(t, t.stage({ plugins }), 6);
    expect(t.host.opened).toEqual(['small', 'large']);
  });

  it.each([
    [[5, 2], 9, 'second'],
    [[2, 5], 9, 'first'],
    [[5, 4], 1, 'native'],
  ] as const)(
    'fastest, of plugins of %j ms and native of %i ms, is the %s after each was tried',
    async (ms, nativeMs, best) => {
      const t = trial(nativeMs);
      const plugins = [fake('first', { ms: ms[0] }), fake('second', { ms: ms[1] })];
      const { out, report } = await run(t, t.stage({ plugins, selection: 'fastest' }), 60);
      expect(out).toEqual(expected(60));
      expect(report.workerSwitches.at(-1)!.to).toBe(best);
      expect(report.workerSwitchCount).toBeLessThan(6);
      expect(t.natives.length).toBeGreaterThanOrEqual(4);
    },
  );
});

describeStages('a stage with a plugin', {
  make() {
    const t = trial();
    const mishap = (call: number): Mishap | undefined => (call === 4 ? 'garbage' : undefined);
    return {
      source: source(t.machine, 12),
      stages: [t.stage({ plugins: [fake('doubler', { mishap })] })],
      sink: sum(t.machine),
    } as never;
  },
});

it('gives what the native stage gives, whatever fails, whenever, at whatever levels', async () => {
  const mishap = fc.constantFrom<(Mishap | undefined)[]>(
    undefined,
    undefined,
    undefined,
    'open',
    'refused',
    'no room',
    'process',
    'timeout',
    'output limit',
    'garbage',
    'half',
    'finalize',
    'rest',
  );
  const plugin = fc.record({
    mishaps: fc.array(mishap, { minLength: 1, maxLength: 12 }),
    streams: fc.boolean(),
    compresses: fc.boolean(),
    maxHeapBytes: fc.constantFrom(2 ** 20, 2 ** 22),
    ms: fc.integer({ min: 0, max: 5 }),
  });
  const property = fc.asyncProperty(
    fc.array(plugin, { maxLength: 3 }),
    fc.array(fc.constantFrom(...PRESSURE_LEVELS), { minLength: 1, maxLength: 12 }),
    fc.constantFrom('memory-efficient' as const, 'fastest' as const),
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 0, max: 40 }),
    async (plugins, levels, selection, maxFailures, batchCount) => {
      const t = trial(1);
      const fakes = plugins.map(({ mishaps, ...more }, i) =>
        fake(`plugin-${i}`, { ...more, mishap: (call) => mishaps[call % mishaps.length] }),
      );
      const stage = t.stage({ plugins: fakes, selection, maxFailures });
      const { out } = await run(t, stage, batchCount, levels);
      expect(out).toEqual(expected(batchCount));
      expect(t.host.running).toBe(0);
      expect(t.machine.heldBytes).toBe(0);
    },
  );
  await fc.assert(property, { numRuns: 300 });
});

it('each failure of a plugin is told with its cause: of a call, of an answer that is refused, and of its end; a teller that throws changes nothing', async () => {
  const test = trial();
  const mishaps: (Mishap | undefined)[] = [undefined, undefined, 'garbage', undefined, 'process', undefined, 'rest'];
  const told: string[] = [];
  const stage = test.stage({
    plugins: [fake('doubler', { mishap: (call) => mishaps[call] })],
    maxFailures: 10,
    onFailure({ manifest }, cause) {
      told.push(`${manifest.name}: ${(cause as Error).message}`);
      throw new Error('not here');
    },
  });
  await run(test, stage, 4);
  expect(told).toEqual(['doubler: no whole numbers', 'doubler: TRAP of a fake']);
});

it('unsound options are refused in one line', () => {
  const t = trial();
  const message = (more: object) => () => t.stage(more as never);
  expect(message({ selection: 'best' })).toThrow('Expected `selection` to be one of `memory-efficient`, `fastest`');
  expect(message({ catchUp: 5 })).toThrow('Expected `catchUp` to be a function, got `5` (number)');
  expect(message({ host: {} })).toThrow('Expected `host` to be a PluginHost');
  expect(message({ plugins: 5 })).toThrow('Expected `plugins` to be an array of plugins, got `5` (number)');
  expect(message({ native: undefined })).toThrow('Expected `native` to be a function');
  expect(message({ nativ: 1 })).toThrow('Unknown option `nativ` of pluginStage: did you mean `native`?');
});
