import fc from 'fast-check';
import { type Sink, type Source, type Stage, StageError } from 'plimsoll/pipeline';
import { describe, expect, it } from 'vitest';
import { FakeMachine } from './fake-machine.ts';
import { MEMORY, type Numbers, pipelineOn, source, sum } from './numbers.ts';

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
