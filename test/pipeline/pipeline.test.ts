import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import fc from 'fast-check';
import { Pipeline, type PipelineProgress, PROGRESS_CHANNEL, type Sink, type Source } from 'plimsoll/pipeline';
import { describe, expect, it } from 'vitest';
import { FakeMachine } from './fake-machine.ts';
import { BATCH_BYTES, evens, MEMORY, Numbers, pipelineOn, source, sum } from './numbers.ts';

describe('a flow', () => {
  it('gives the result of its sink, counts what changes hands and keeps each stage to its own time', async () => {
    const machine = new FakeMachine();
    const pipeline = pipelineOn(machine);
    const result = await pipeline
      .from(source(machine, 4, 5, 100))
      .through(evens(machine, 3))
      .into(sum(machine, 2));
    expect(result).toBe(20 * 19);
    const report = pipeline.report();
    expect(report).toMatchObject({ elapsedMs: 40, rssDeltaBytes: 400 });
    expect(report.stages).toMatchObject([
      {
        name: 'Loading',
        elapsedMs: 20,
        itemsIn: 0,
        itemsOut: 40,
        bytesOut: 4000,
        rssDeltaBytes: 400,
        peakReservedBytes: 1000,
      },
      { name: 'Filtering', elapsedMs: 12, itemsIn: 40, itemsOut: 20, bytesIn: 4000, bytesOut: 4000, rssDeltaBytes: 0 },
      { name: 'Adding', elapsedMs: 8, itemsIn: 20, itemsOut: 20, bytesIn: 4000, rssDeltaBytes: 0 },
    ]);
    expect(report.stages).toHaveLength(3);
    expect(machine.consumers.every((consumer) => consumer.disposed)).toBe(true);
  });

  it('pulls: nothing runs ahead of the sink, and a sink that has enough closes the rest', async () => {
    const machine = new FakeMachine();
    let given = 0;
    let closed = false;
    const endless: Source<Numbers> = {
      name: 'Loading',
      memory: MEMORY,
      async *open({ memory }) {
        using _held = memory.reserve(BATCH_BYTES);
        try {
          for (;;) yield new Numbers([2 * ++given]);
        } finally {
          closed = true;
        }
      },
    };
    const enough: Sink<Numbers, number> = {
      name: 'Enough',
      async drain(input) {
        for await (const batch of input) if (batch.values[0] === 6) return given;
        return -1;
      },
    };
    expect(await pipelineOn(machine).from(endless).through(evens(machine)).into(enough)).toBe(3);
    expect(closed).toBe(true);
    expect(machine.heldBytes).toBe(0);
  });

  it('refuses a batch that nobody has reserved, and a reservation of a stage that declared nothing', async () => {
    const machine = new FakeMachine();
    const careless: Source<Numbers> = {
      name: 'Careless',
      async *open() {
        yield new Numbers([1]);
      },
    };
    await expect(pipelineOn(machine).from(careless).into(sum(machine))).rejects.toThrow(
      'Careless: handed on a batch of 1000 bytes while the stages of its flow had reserved 0: reserve from',
    );
    const undeclared: Source<Numbers> = {
      name: 'Undeclared',
      async *open({ memory }) {
        using _held = memory.reserve(1);
        yield new Numbers([1]);
      },
    };
    await expect(pipelineOn(machine).from(undeclared).into(sum(machine))).rejects.toThrow('Undeclared has no room');
  });

  it('releases what a stage forgot, and says so', async () => {
    const machine = new FakeMachine();
    const leaky: Source<Numbers> = {
      name: 'Leaky',
      memory: MEMORY,
      async *open({ memory }) {
        memory.reserve(BATCH_BYTES + 234);
        yield new Numbers([1]);
      },
    };
    const pipeline = pipelineOn(machine);
    await pipeline.from(leaky).into(sum(machine));
    expect(machine.heldBytes).toBe(0);
    expect(pipeline.report().stages[0]).toMatchObject({ name: 'Leaky', unreleasedBytes: 1234 });
  });
});

describe('phases', () => {
  it('stand in the same table as flows; one that runs twice has one line', async () => {
    const machine = new FakeMachine();
    const pipeline = pipelineOn(machine);
    machine.nowMs += 7;
    await pipeline.from(source(machine, 2, 5)).into(sum(machine));
    for (let i = 0; i < 2; i++) {
      const made = await pipeline.measure({
        name: 'Guide',
        run(context) {
          machine.nowMs += 10;
          context.advance({ itemsIn: 3, itemsOut: 2, bytesOut: 100 });
          return 'guide';
        },
      });
      expect(made).toBe('guide');
    }
    expect(pipeline.report()).toMatchObject({
      elapsedMs: 37,
      stages: [
        { name: 'Loading', elapsedMs: 10 },
        { name: 'Adding', elapsedMs: 0 },
        { name: 'Guide', elapsedMs: 20, itemsIn: 6, itemsOut: 4, bytesOut: 200 },
        { name: 'Between Stages', elapsedMs: 7 },
      ],
    });
  });
});

describe('what is sampled', () => {
  it('is charged to the stage at work, at a bounded rate, and at least once to each', async () => {
    const machine = new FakeMachine();
    const pipeline = new Pipeline({ governor: machine, probe: machine, clock: machine, sampleEveryMs: 1_000_000 });
    await pipeline
      .from(source(machine, 500, 1, 10))
      .through(evens(machine, 1, 20))
      .into(sum(machine, 1));
    // One at the start and one at the end of each of three.
    expect(machine.sampleCount).toBe(4);
    const report = pipeline.report();
    for (const stage of report.stages) expect(stage.peakRssBytes).toBeGreaterThan(0);
    expect(report.rssDeltaBytes).toBe(500 * 30);
    expect(report.stages.reduce((total, stage) => total + stage.rssDeltaBytes, 0)).toBe(report.rssDeltaBytes);
  });

  it('sees a peak in the stage where it stood, though it is gone at the end', async () => {
    const machine = new FakeMachine();
    const pipeline = pipelineOn(machine);
    await pipeline.from(source(machine, 2, 5)).into(sum(machine, 5));
    await pipeline.measure({
      name: 'Heavy',
      run(context) {
        machine.rssBytes += 70_000_000;
        machine.nowMs += 5;
        context.advance({});
        machine.rssBytes -= 70_000_000;
      },
    });
    const report = pipeline.report();
    expect(report.peakRssBytes).toBe(120_000_000);
    expect(report.stages.find((stage) => stage.peakRssBytes === report.peakRssBytes)?.name).toBe('Heavy');
    expect(report.rssDeltaBytes).toBe(0);
  });

  it('adds up whatever the stages take and whenever they are looked at', async () => {
    const step = fc.record({
      ms: fc.double({ min: 0, max: 50, noNaN: true }),
      rss: fc.integer({ min: -9999, max: 9999 }),
    });
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 0, max: 20 }),
      fc.integer({ min: 1, max: 40 }),
      async (steps, batchCount, sampleEveryMs) => {
        const machine = new FakeMachine();
        const pipeline = new Pipeline({ governor: machine, probe: machine, clock: machine, sampleEveryMs });
        let flow = pipeline.from(source(machine, batchCount, 0.3, 11));
        for (const [index, { ms, rss }] of steps.entries()) {
          flow = flow.through({ ...evens(machine, ms, rss), name: `Step ${index}` });
        }
        await flow.into(sum(machine, 0.7));
        machine.nowMs += 3.3;
        await pipeline.measure({ name: 'Publish', run: () => void (machine.nowMs += 1.1) });
        const { stages, ...whole } = pipeline.report();
        const add = (figure: 'elapsedMs' | 'rssDeltaBytes') =>
          stages.reduce((total, stage) => total + stage[figure], 0);
        expect(whole.elapsedMs).toBe(Math.round(machine.nowMs));
        expect(add('elapsedMs')).toBe(whole.elapsedMs);
        expect(stages.every((stage) => Number.isInteger(stage.elapsedMs))).toBe(true);
        expect(whole.rssDeltaBytes).toBe(machine.rssBytes - 50_000_000);
        expect(add('rssDeltaBytes')).toBe(whole.rssDeltaBytes);
        expect(Math.max(...stages.map((stage) => stage.peakRssBytes))).toBe(whole.peakRssBytes);
      },
    );
    await fc.assert(property, { numRuns: 200 });
  });
});

describe('progress', () => {
  it('comes at a bounded rate, by callback and by channel, and a callback that throws is let be', async () => {
    const machine = new FakeMachine();
    const published: PipelineProgress[] = [];
    const called: PipelineProgress[] = [];
    const listen = (message: unknown) => void published.push(message as PipelineProgress);
    subscribe(PROGRESS_CHANNEL, listen);
    const onProgress = (progress: PipelineProgress) => {
      called.push(progress);
      if (called.length === 3) throw new Error('a broken display');
    };
    await pipelineOn(machine, { onProgress })
      .from(source(machine, 100, 10))
      .into(sum(machine));
    unsubscribe(PROGRESS_CHANNEL, listen);
    expect(published).toHaveLength(10);
    expect(called).toHaveLength(3);
    expect(published[0]).toEqual({
      stage: 'Loading',
      itemsIn: 0,
      itemsOut: 100,
      bytesIn: 0,
      bytesOut: 10_000,
      elapsedMs: 100,
      stageElapsedMs: 100,
      rssBytes: 50_000_000,
      ledgerBytes: BATCH_BYTES,
    });
  });

  it('a callback whose promise rejects is let be, too', async () => {
    const machine = new FakeMachine();
    let calls = 0;
    const onProgress = async () => {
      if (++calls === 2) throw new Error('a broken display');
    };
    const pipeline = pipelineOn(machine, { onProgress });
    for (let i = 0; i < 2; i++) {
      await pipeline.from(source(machine, 50, 10)).into(sum(machine));
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    const before = calls;
    await pipeline.from(source(machine, 50, 10)).into(sum(machine));
    expect([before >= 2, calls]).toEqual([true, before]);
  });
});

it('options out of range are refused in one line', () => {
  const machine = new FakeMachine();
  expect(() => new Pipeline({ governor: machine, probe: machine, sampleEveryMs: 0 })).toThrow(
    'Expected `sampleEveryMs` to be a whole number from 1 up, got `0` (number)',
  );
});

it('unsound options are refused in one line', () => {
  const machine = new FakeMachine();
  const message = (options: object) => () => new Pipeline({ governor: machine, probe: machine, ...options });
  expect(() => new Pipeline(undefined as never)).toThrow('Expected `options of Pipeline` to be an object');
  expect(message({ governor: undefined })).toThrow('Expected `governor` to be a governor');
  expect(message({ probe: undefined })).toThrow('Expected `probe` to be what samples the meters');
  expect(message({ spill: '/tmp' })).toThrow('Expected `spill` to be a SpillFolder, got `/tmp`');
  expect(message({ signal: {} })).toThrow('Expected `signal` to be an AbortSignal');
  expect(message({ mode: 'fast' })).toThrow('Expected `mode` to be one of');
  expect(message({ batchbytes: 1 })).toThrow('Unknown option `batchbytes` of Pipeline: did you mean `batchBytes`?');
});
