import fc from 'fast-check';
import { createGovernor, ManualClock, PRESSURE_LEVELS, pipelineModeEvents, pipelineWorkerEvents } from 'plimsoll';
import {
  formatReport,
  modeAt,
  PIPELINE_MODES,
  Pipeline,
  type PipelineMode,
  type PipelineOptions,
  type Stage,
  type StageCapabilities,
  type StageTraits,
} from 'plimsoll/pipeline';
import { describe, expect, it } from 'vitest';
import { FakeMachine } from './fake-machine.ts';
import { MEMORY, type Numbers, source, sum } from './numbers.ts';

const ALL: StageCapabilities = { streaming: true, compression: true, spilling: true };
const FULL = 800;

function on(machine: FakeMachine, more: Partial<PipelineOptions> = {}): Pipeline {
  return new Pipeline({
    governor: machine,
    probe: machine,
    clock: machine,
    sampleEveryMs: 1,
    batchBytes: FULL,
    ...more,
  });
}

/** Passes batches on; before each it moves the clock, sets the level as told, and notes the mode it finds after the sample. */
function watching(
  machine: FakeMachine,
  levels: readonly (typeof PRESSURE_LEVELS)[number][],
  seen: [PipelineMode, number][],
  more: Partial<StageTraits> = { can: ALL },
): Stage<Numbers, Numbers> {
  return {
    name: 'Watching',
    ...more,
    async *run(input, context) {
      let at = 0;
      for await (const batch of input) {
        machine.level = levels[at++ % levels.length]!;
        machine.nowMs += 1;
        context.advance({});
        expect(context.level).toBe(machine.level);
        seen.push([context.mode, context.batchBytes]);
        yield batch;
      }
    },
  };
}

describe('the mode of a stage', () => {
  it('is the strictest that the level calls for and the stage can do', () => {
    const modes = (can: StageCapabilities) => PRESSURE_LEVELS.map((level) => modeAt(level, can));
    expect(modes(ALL)).toEqual(['plain', 'plain', 'streaming', 'compressed', 'spill']);
    expect(modes({ streaming: true, spilling: true })).toEqual(['plain', 'plain', 'streaming', 'streaming', 'spill']);
    expect(modes({ compression: true })).toEqual(['plain', 'plain', 'plain', 'compressed', 'compressed']);
    expect(modes({})).toEqual(Array(5).fill('plain'));
  });

  it('follows the level at each sample, up and strictly back, in batches that become smaller; each switch is an event and in the report', async () => {
    const machine = new FakeMachine();
    const heard: unknown[] = [];
    using _listening = pipelineModeEvents.subscribe((event) => heard.push(event));
    const seen: [PipelineMode, number][] = [];
    const pipeline = on(machine, { name: 'job' });
    const levels = ['optimal', 'high', 'high', 'critical', 'emergency', 'high', 'moderate'] as const;
    const total = await pipeline
      .from(source(machine, 7))
      .through(watching(machine, levels, seen))
      .into(sum(machine));
    expect(total).toBe((70 * 69) / 2);
    expect(seen).toEqual([
      ['plain', 800],
      ['streaming', 400],
      ['streaming', 400],
      ['compressed', 200],
      ['spill', 100],
      ['streaming', 400],
      ['plain', 800],
    ]);
    const report = pipeline.report();
    expect(report.modeSwitchCount).toBe(5);
    expect(report.modeSwitches).toEqual([
      { atMs: 2, stage: 'Watching', from: 'plain', to: 'streaming', level: 'high', why: 'pressure' },
      { atMs: 4, stage: 'Watching', from: 'streaming', to: 'compressed', level: 'critical', why: 'pressure' },
      { atMs: 5, stage: 'Watching', from: 'compressed', to: 'spill', level: 'emergency', why: 'pressure' },
      { atMs: 6, stage: 'Watching', from: 'spill', to: 'streaming', level: 'high', why: 'pressure' },
      { atMs: 7, stage: 'Watching', from: 'streaming', to: 'plain', level: 'moderate', why: 'pressure' },
    ]);
    expect(heard).toEqual(report.modeSwitches.map(({ atMs, ...change }) => ({ pipeline: 'job', ...change })));
    const text = formatReport(report, { title: 'Job', count: 70, noun: 'numbers', unit: 'n' });
    expect(text.split('\n').at(-1)).toMatch(
      /^Modes: 5 switches: 1 before, Watching streaming → compressed at critical, /,
    );
  });

  it('of one that cannot do more stays plain whatever the level, and nothing is reported', async () => {
    const machine = new FakeMachine();
    const seen: [PipelineMode, number][] = [];
    const pipeline = on(machine);
    const levels = ['emergency', 'critical'] as const;
    await pipeline
      .from(source(machine, 2))
      .through(watching(machine, levels, seen, {}))
      .into(sum(machine));
    expect(seen).toEqual([
      ['plain', 100],
      ['plain', 200],
    ]);
    expect(pipeline.report()).toMatchObject({ modeSwitches: [], modeSwitchCount: 0 });
  });

  it('stands before the stage begins: one that begins under pressure has switched from plain', async () => {
    const machine = new FakeMachine();
    machine.level = 'critical';
    const pipeline = on(machine);
    const modes: PipelineMode[] = [];
    await pipeline.measure({ name: 'Guide', can: { compression: true }, run: ({ mode }) => void modes.push(mode) });
    machine.level = 'optimal';
    machine.nowMs += 5;
    await pipeline.measure({ name: 'Guide', can: { compression: true }, run: ({ mode }) => void modes.push(mode) });
    expect(modes).toEqual(['compressed', 'plain']);
    expect(pipeline.report().modeSwitches).toMatchObject([{ stage: 'Guide', from: 'plain', to: 'compressed' }]);
  });

  it('is never freer than the least that was asked for, which is no switch, and stricter where the level calls for it', async () => {
    const machine = new FakeMachine();
    const seen: [PipelineMode, number][] = [];
    const pipeline = on(machine, { leastMode: 'streaming' });
    const levels = ['optimal', 'high', 'emergency', 'optimal'] as const;
    await pipeline
      .from(source(machine, 4))
      .through(watching(machine, levels, seen))
      .into(sum(machine));
    expect(seen).toEqual([
      ['streaming', 400],
      ['streaming', 400],
      ['spill', 100],
      ['streaming', 400],
    ]);
    expect(pipeline.report().modeSwitches.map(({ from, to }) => [from, to])).toEqual([
      ['streaming', 'spill'],
      ['spill', 'streaming'],
    ]);
    const unable: [PipelineMode, number][] = [];
    const plain = on(new FakeMachine(), { leastMode: 'spill' });
    await plain
      .from(source(machine, 1))
      .through(watching(machine, ['optimal'], unable, { can: { compression: true } }))
      .into(sum(machine));
    expect(unable).toEqual([['compressed', 100]]);
    expect(plain.report().modeSwitchCount).toBe(0);
    expect(() => on(machine, { leastMode: 'auto' as PipelineMode })).toThrow(RangeError);
  });

  it('can be fixed, as far as a stage can: pressure then changes nothing and nothing is a switch', async () => {
    for (const mode of PIPELINE_MODES) {
      const machine = new FakeMachine();
      const seen: [PipelineMode, number][] = [];
      const pipeline = on(machine, { mode });
      await pipeline
        .from(source(machine, 3))
        .through(
          watching(machine, ['emergency', 'optimal', 'high'], seen, { can: { streaming: true, spilling: true } }),
        )
        .into(sum(machine));
      const expected = mode === 'compressed' ? 'streaming' : mode;
      const bytes = { plain: 800, streaming: 400, compressed: 200, spill: 100 }[mode];
      expect(seen).toEqual(Array(3).fill([expected, bytes]));
      expect(pipeline.report().modeSwitchCount).toBe(0);
    }
  });

  it('does not tremble: a level that trembles at a threshold has the governor’s hysteresis', async () => {
    const clock = new ManualClock();
    let used = 0;
    const meters = [{ name: 'rss' as const, limitBytes: 1_000_000, read: () => used }];
    using governor = createGovernor({ limitBytes: 1_000_000, runtimeBytes: 0, clock, meters, mode: 'observe' });
    const pipeline = new Pipeline({ governor, probe: governor, clock, sampleEveryMs: 1 });
    await pipeline.measure({
      name: 'Trembling',
      can: ALL,
      run(context) {
        for (let i = 0; i < 100; i++) {
          used = i % 2 === 0 ? 701_000 : 699_000;
          clock.advance(2);
          context.advance({});
        }
      },
    });
    expect(pipeline.report()).toMatchObject({ modeSwitchCount: 1, modeSwitches: [{ to: 'streaming' }] });
  });
});

describe('estimates', () => {
  const needing = (bytesPerBatchByte: number, more: Partial<StageTraits> = {}) => ({
    can: ALL,
    memory: MEMORY,
    estimateBytes: (batchBytes: number) => bytesPerBatchByte * batchBytes,
    ...more,
  });

  it.each([
    [8_000, 'plain', 800],
    [7_999, 'streaming', 400],
    [3_999, 'compressed', 200],
    [1_999, 'spill', 100],
    [10, 'spill', 100],
  ] as const)(
    'with %i bytes free, ten for each of a batch begin as %s with batches of %i',
    async (free, mode, bytes) => {
      const machine = new FakeMachine();
      machine.totalBytes = free;
      const pipeline = on(machine);
      const begun: unknown[] = [];
      await pipeline.measure({
        name: 'Sorting',
        ...needing(10),
        run: (context) => void begun.push(context.mode, context.batchBytes),
      });
      expect(begun).toEqual([mode, bytes]);
      expect(pipeline.report().modeSwitches.map(({ why }) => why)).toEqual(mode === 'plain' ? [] : ['estimate']);
    },
  );

  it('of all stages of a flow count together, and each keeps within its own bound', async () => {
    const machine = new FakeMachine();
    machine.totalBytes = 10_000;
    const begin = async (...traits: Partial<StageTraits>[]): Promise<unknown> => {
      const seen: [PipelineMode, number][] = [];
      let flow = on(machine).from(source(machine, 1));
      for (const more of traits) flow = flow.through(watching(machine, ['optimal'], seen, more));
      await flow.into(sum(machine));
      return new Set(seen.map(([mode]) => mode));
    };
    expect(await begin(needing(6))).toEqual(new Set(['plain']));
    expect(await begin(needing(7), needing(7))).toEqual(new Set(['streaming']));
    const small = { memory: { kind: 'external', maxBytes: 3_000 } } as const;
    expect(await begin(needing(6, small))).toEqual(new Set(['streaming']));
  });

  it('that throw or are no number count as nothing', async () => {
    const machine = new FakeMachine();
    machine.totalBytes = 10;
    const odd = [
      () => {
        throw new Error('no idea');
      },
      () => Number.NaN,
      () => -5,
    ];
    for (const estimateBytes of odd) {
      const modes: PipelineMode[] = [];
      await on(machine).measure({ name: 'Odd', can: ALL, estimateBytes, run: ({ mode }) => void modes.push(mode) });
      expect(modes).toEqual(['plain']);
    }
  });

  it('let go again when there is room, and an eighth of it to spare, also in the middle of a run', async () => {
    const machine = new FakeMachine();
    machine.totalBytes = 5_000;
    const pipeline = on(machine);
    const modes: PipelineMode[] = [];
    await pipeline.measure({
      name: 'Sorting',
      ...needing(10),
      run(context) {
        for (const free of [5_000, 8_000, 9_000, 9_200, 5_000]) {
          machine.totalBytes = free;
          machine.nowMs += 1;
          context.advance({});
          modes.push(context.mode);
        }
      },
    });
    expect(modes).toEqual(['streaming', 'streaming', 'streaming', 'plain', 'plain']);
  });
});

it('a worker that is switched is an event and stands in the report, the last 64 of however many', async () => {
  const machine = new FakeMachine();
  const heard: unknown[] = [];
  using _listening = pipelineWorkerEvents.subscribe((event) => heard.push(event));
  const pipeline = on(machine, { name: 'job' });
  await pipeline.measure({
    name: 'Filtering',
    run(context) {
      for (let i = 0; i < 100; i++) context.switched({ from: `${i}`, to: 'native', why: 'it failed' });
    },
  });
  const { workerSwitches, workerSwitchCount } = pipeline.report();
  expect([workerSwitchCount, workerSwitches.length, heard.length]).toEqual([100, 64, 100]);
  expect(workerSwitches[0]).toEqual({
    atMs: 0,
    stage: 'Filtering',
    from: '36',
    to: 'native',
    why: 'it failed',
    level: 'optimal',
  });
});

it('gives the same numbers whatever the levels and modes, and as many switches as were seen', async () => {
  const property = fc.asyncProperty(
    fc.array(fc.constantFrom(...PRESSURE_LEVELS), { minLength: 1, maxLength: 30 }),
    fc.record({ streaming: fc.boolean(), compression: fc.boolean(), spilling: fc.boolean() }),
    async (levels, can) => {
      const machine = new FakeMachine();
      const seen: [PipelineMode, number][] = [];
      const pipeline = on(machine);
      const total = await pipeline
        .from(source(machine, levels.length))
        .through(watching(machine, levels, seen, { can }))
        .into(sum(machine));
      const count = levels.length * 10;
      expect(total).toBe((count * (count - 1)) / 2);
      expect(seen.map(([mode]) => mode)).toEqual(levels.map((level) => modeAt(level, can)));
      const changes = seen.filter(([mode], i) => mode !== (i === 0 ? 'plain' : seen[i - 1]![0])).length;
      expect(pipeline.report().modeSwitchCount).toBe(changes);
    },
  );
  await fc.assert(property, { numRuns: 200 });
});

it('unsound options are refused in one line', () => {
  const machine = new FakeMachine();
  const message = (more: object) => () => on(machine, more as Partial<PipelineOptions>);
  expect(message({ mode: 'fast' })).toThrow('Expected `mode` to be one of `auto`, `plain`, `streaming`');
  expect(message({ batchBytes: 0 })).toThrow('Expected `batchBytes` to be a whole number from 1 up, got `0` (number)');
  expect(message({ name: '' })).toThrow('Expected `name` to be a name of at most 120 characters');
});
