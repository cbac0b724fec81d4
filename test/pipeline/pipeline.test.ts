import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import fc from 'fast-check';
import {
  type Batch,
  Pipeline,
  type PipelineProgress,
  PROGRESS_CHANNEL,
  type Sink,
  type Source,
  type Stage,
  StageError,
} from 'plimsoll/pipeline';
import { describe, expect, it } from 'vitest';
import { FakeMachine } from './fake-machine.ts';

const MEMORY = { kind: 'external', maxBytes: 1_000_000 } as const;
const BATCH_BYTES = 1000;

class Numbers implements Batch {
  readonly byteLength = BATCH_BYTES;
  values: number[];

  constructor(values: number[]) {
    this.values = values;
  }

  get itemCount(): number {
    return this.values.length;
  }
}

/** Gives batches of ten, taking `ms` and `rssBytes` for each. */
function source(machine: FakeMachine, batchCount: number, ms = 0, rssBytes = 0): Source<Numbers> {
  return {
    name: 'Loading',
    memory: MEMORY,
    async *open({ memory }) {
      using _held = memory.reserve(BATCH_BYTES);
      for (let i = 0; i < batchCount; i++) {
        machine.nowMs += ms;
        machine.rssBytes += rssBytes;
        yield new Numbers(Array.from({ length: 10 }, (_, j) => i * 10 + j));
      }
    },
  };
}

function evens(machine: FakeMachine, ms = 0, rssBytes = 0): Stage<Numbers, Numbers> {
  return {
    name: 'Filtering',
    async *run(input) {
      for await (const batch of input) {
        machine.nowMs += ms;
        machine.rssBytes += rssBytes;
        batch.values = batch.values.filter((value) => value % 2 === 0);
        yield batch;
      }
    },
  };
}

function sum(machine: FakeMachine, ms = 0): Sink<Numbers, number> {
  return {
    name: 'Adding',
    async drain(input, context) {
      let total = 0;
      for await (const batch of input) {
        machine.nowMs += ms;
        for (const value of batch.values) total += value;
        context.advance({ itemsOut: batch.itemCount });
      }
      return total;
    },
  };
}

function pipelineOn(
  machine: FakeMachine,
  more: { signal?: AbortSignal; onProgress?: (p: PipelineProgress) => void } = {},
) {
  return new Pipeline({ governor: machine, probe: machine, clock: machine, sampleEveryMs: 1, ...more });
}

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
      rssBytes: 50_000_000,
      ledgerBytes: BATCH_BYTES,
    });
  });
});

describe('failure', () => {
  /** A stage that reserves, fails at its nth batch (or never), and records that it was closed. */
  function fragile(name: string, failAt: number, closed: string[], failOnClose = false): Stage<Numbers, Numbers> {
    return {
      name,
      memory: MEMORY,
      async *run(input, { memory }) {
        using _held = memory.reserve(100);
        using _close = {
          [Symbol.dispose]() {
            closed.push(name);
            if (failOnClose) throw new Error(`${name} did not close`);
          },
        };
        let count = 0;
        for await (const batch of input) {
          if (++count === failAt) throw new Error(`broke at ${count}`);
          yield batch;
        }
      },
    };
  }

  it('anywhere names the stage and releases everything', async () => {
    const property = fc.asyncProperty(
      fc.integer({ min: 0, max: 4 }),
      fc.integer({ min: 1, max: 5 }),
      async (where, failAt) => {
        const machine = new FakeMachine();
        const closed: string[] = [];
        let flow = pipelineOn(machine).from(source(machine, 5));
        for (let i = 0; i < 4; i++) flow = flow.through(fragile(`Step ${i}`, i === where ? failAt : -1, closed));
        const breaking: Sink<Numbers, number> = {
          name: 'Last',
          async drain(input) {
            let count = 0;
            for await (const _batch of input)
              if (where === 4 && ++count === failAt) throw new Error(`broke at ${count}`);
            return 1;
          },
        };
        const error = await flow.into(breaking).catch((caught: unknown) => caught);
        expect(error).toBeInstanceOf(StageError);
        const stage = where === 4 ? 'Last' : `Step ${where}`;
        expect(error).toMatchObject({ code: 'PLIMSOLL_STAGE_FAILED', stage, message: `${stage}: broke at ${failAt}` });
        expect(closed.toSorted()).toEqual(['Step 0', 'Step 1', 'Step 2', 'Step 3']);
        expect(machine.heldBytes).toBe(0);
        expect(machine.consumers.every((consumer) => consumer.disposed)).toBe(true);
      },
    );
    await fc.assert(property, { numRuns: 50 });
  });

  it('while closing is kept beside the first, or is the error when there is no other', async () => {
    const machine = new FakeMachine();
    const closed: string[] = [];
    const flow = pipelineOn(machine)
      .from(source(machine, 2))
      .through(fragile('Up', -1, closed, true));
    const byHand: Sink<Numbers, number> = {
      name: 'By hand',
      async drain(input) {
        await input[Symbol.asyncIterator]().next();
        throw new Error('gone');
      },
    };
    const error = await flow.into(byHand).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ stage: 'By hand', closeErrors: [{ message: 'Up: Up did not close' }] });
    const alone: Sink<Numbers, number> = {
      ...byHand,
      drain: async (input) => +!!(await input[Symbol.asyncIterator]().next()),
    };
    await expect(flow.into(alone)).rejects.toThrow('Up: Up did not close');
    expect(machine.heldBytes).toBe(0);
  });

  it('in a phase names it and releases what it held', async () => {
    const machine = new FakeMachine();
    const failing = pipelineOn(machine).measure({
      name: 'Publish',
      memory: MEMORY,
      run({ memory }) {
        memory.reserve(5);
        throw new Error('disk full');
      },
    });
    await expect(failing).rejects.toMatchObject({ stage: 'Publish', message: 'Publish: disk full' });
    expect(machine.heldBytes).toBe(0);
  });

  it('to open is the failure of that stage', async () => {
    const machine = new FakeMachine();
    const shut: Source<Numbers> = {
      name: 'Shut',
      open() {
        throw new Error('no such file');
      },
    };
    await expect(pipelineOn(machine).from(shut).into(sum(machine))).rejects.toThrow('Shut: no such file');
    expect(machine.consumers[0]?.disposed).toBe(true);
  });
});

describe('abort', () => {
  it('is seen between batches, rejects with its own reason and releases everything', async () => {
    const machine = new FakeMachine();
    const abort = new AbortController();
    const reason = new Error('interrupted');
    let seen = 0;
    const stopping: Stage<Numbers, Numbers> = {
      name: 'Stopping',
      async *run(input) {
        for await (const batch of input) {
          if (++seen === 3) abort.abort(reason);
          yield batch;
        }
      },
    };
    const flow = pipelineOn(machine, { signal: abort.signal }).from(source(machine, 1000)).through(stopping);
    await expect(flow.into(sum(machine))).rejects.toBe(reason);
    expect(seen).toBe(3);
    expect(machine.heldBytes).toBe(0);
  });

  it('is seen in a phase when it advances, and before anything begins', async () => {
    const machine = new FakeMachine();
    const abort = new AbortController();
    const pipeline = pipelineOn(machine, { signal: abort.signal });
    const looping = pipeline.measure({
      name: 'Looping',
      run(context) {
        for (let i = 0; ; i++) {
          if (i === 10) abort.abort();
          context.advance({ itemsOut: 1 });
        }
      },
    });
    await expect(looping).rejects.toBe(abort.signal.reason);
    expect(pipeline.report().stages[0]?.itemsOut).toBe(11);
    await expect(pipeline.from(source(machine, 1)).into(sum(machine))).rejects.toBe(abort.signal.reason);
    await expect(pipeline.measure({ name: 'Never', run: () => 1 })).rejects.toBe(abort.signal.reason);
    expect(pipeline.report().stages.map((stage) => stage.name)).toEqual(['Looping']);
  });
});

it('options out of range are refused in one line', () => {
  const machine = new FakeMachine();
  expect(() => new Pipeline({ governor: machine, probe: machine, sampleEveryMs: 0 })).toThrow(
    'Expected `sampleEveryMs` to be a whole number from 1 up, got `0` (number)',
  );
});
