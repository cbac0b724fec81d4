/** When a pipeline tells whoever cleans up, and what it waits for. */
import { createGovernor, ManualClock } from 'plimsoll';
import { type BetweenStages, Pipeline, type PipelineOptions } from 'plimsoll/pipeline';
import { expect, it } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { FakeMachine } from './fake-machine.ts';
import { evens, source, sum } from './numbers.ts';

const on = (machine: FakeMachine, more: Partial<PipelineOptions> = {}) =>
  new Pipeline({ governor: machine, probe: machine, clock: machine, sampleEveryMs: 10, ...more });

const QUIET: BetweenStages = {
  stageEnded: () => undefined,
  whileRunning: () => undefined,
  cleanupWanted: async () => {},
};

it('tells of each stage that has ended, in order, and of stages at work when a sample was taken, and waits for both between batches', async () => {
  const machine = new FakeMachine();
  const ended: string[] = [];
  const running: string[] = [];
  const waiting = async () => {
    await Promise.resolve();
    machine.nowMs += 4;
  };
  const cleanup: BetweenStages = {
    ...QUIET,
    stageEnded(stage) {
      ended.push(stage);
      return waiting();
    },
    whileRunning(stage) {
      running.push(stage);
      return waiting();
    },
  };
  const pipeline = on(machine, { cleanup });
  await pipeline
    .from(source(machine, 4, 5))
    .through(evens(machine))
    .into(sum(machine));
  await pipeline.measure({ name: 'Publish', run: () => {} });
  expect(ended).toEqual(['Loading', 'Filtering', 'Adding', 'Publish']);
  expect(running.length).toBeGreaterThan(0);
  expect(running.length).toBeLessThanOrEqual(machine.sampleCount);
  const { stages, elapsedMs } = pipeline.report();
  expect(stages.map(({ name }) => name)).toContain('Cleanup');
  expect(stages.reduce((total, stage) => total + stage.elapsedMs, 0)).toBe(elapsedMs);
  expect(stages.find(({ name }) => name === 'Loading')!.elapsedMs).toBe(20);
});

it('one that does nothing has no line, and one that throws, rejects or hangs until the abort is passed over', async () => {
  const quiet = on(new FakeMachine(), { cleanup: QUIET });
  await quiet.measure({ name: 'Guide', run: () => {} });
  expect(quiet.report().stages.map(({ name }) => name)).toEqual(['Guide']);
  const abort = new AbortController();
  const broken: BetweenStages[] = [
    {
      stageEnded: () => {
        throw new Error('broken');
      },
      whileRunning: () => {
        throw new Error('broken');
      },
      cleanupWanted: () => {
        throw new Error('broken');
      },
    },
    {
      stageEnded: async () => Promise.reject(new Error('broken')),
      whileRunning: async () => Promise.reject(new Error('broken')),
      cleanupWanted: async () => Promise.reject(new Error('broken')),
    },
  ];
  for (const cleanup of broken) {
    const machine = new FakeMachine();
    const pipeline = on(machine, { cleanup });
    expect(await pipeline.from(source(machine, 4, 20)).into(sum(machine))).toBe(780);
    await pipeline.measure({ name: 'Guide', run: (context) => context.cleanUp('aggressive') });
  }
  const hanging = { ...QUIET, stageEnded: () => new Promise<void>(() => setImmediate(() => abort.abort())) };
  const pipeline = on(new FakeMachine(), { cleanup: hanging, signal: abort.signal });
  await pipeline.measure({ name: 'Guide', run: () => {} });
  expect(abort.signal.aborted).toBe(true);
});

it('nobody is told of a stage that failed', async () => {
  const ended: string[] = [];
  const cleanup = { ...QUIET, stageEnded: (stage: string) => void ended.push(stage) as undefined };
  const run = () => {
    throw new Error('no');
  };
  await expect(on(new FakeMachine(), { cleanup }).measure({ name: 'Guide', run })).rejects.toThrow('Guide: no');
  expect(ended).toEqual([]);
});

it('a governor of which nobody knows what is available any more changes no mode', async () => {
  const clock = new ManualClock();
  const { governor, breakIt } = breakable(createGovernor({ limitBytes: 2 ** 30, runtimeBytes: 0, meters: [], clock }));
  const machine = new FakeMachine();
  const pipeline = new Pipeline({
    governor: {
      consumer: (options) => machine.consumer(options),
      get availableBytes() {
        return governor.availableBytes;
      },
    },
    probe: machine,
    clock: machine,
  });
  breakIt();
  const modes: string[] = [];
  await pipeline.measure({
    name: 'Sorting',
    can: { spilling: true },
    estimateBytes: () => 2 ** 40,
    run: ({ mode }) => void modes.push(mode),
  });
  expect(modes).toEqual(['plain']);
});
