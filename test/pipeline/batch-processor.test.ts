import { createGovernor, ManualClock } from 'plimsoll';
import { BatchProcessor, type BatchProcessorOptions, type BatchResult } from 'plimsoll/pipeline';
import { describe, expect, it } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { byHand, settle } from '../lifetime/settle.ts';

const MIB = 1_048_576;

/** A processor whose work ends when the test says so. */
function byHands(options: Partial<BatchProcessorOptions<number, string>> = {}) {
  const clock = new ManualClock();
  const works = new Map<number, ReturnType<typeof byHand<string>>>();
  const signals = new Map<number, AbortSignal>();
  const processor = new BatchProcessor<number, string>({
    name: 'work',
    concurrency: 2,
    maxResults: 4,
    clock,
    process(item, { signal }) {
      const work = byHand<string>();
      works.set(item, work);
      signals.set(item, signal);
      return work.promise;
    },
    ...options,
  });
  const end = async (item: number) => {
    works.get(item)!.resolve(`done ${item}`);
    await settle();
  };
  const fail = async (item: number, cause: unknown = new Error(`no ${item}`)) => {
    works.get(item)!.reject(cause);
    await settle();
  };
  return { clock, processor, works, signals, end, fail, begun: () => [...works.keys()] };
}

function* count(until: number, onPull: (item: number) => void = () => {}): Generator<number> {
  for (let i = 0; i < until; i++) {
    onPull(i);
    yield i;
  }
}

async function readAll<Value>(results: AsyncIterable<BatchResult<Value>>) {
  const all: BatchResult<Value>[] = [];
  let error: unknown;
  try {
    for await (const result of results) all.push(result);
  } catch (cause) {
    error = cause;
  }
  return { all, error };
}

const memoryOf = (limitBytes: number) => {
  const clock = new ManualClock();
  const governor = createGovernor({ limitBytes, runtimeBytes: 0, meters: [], clock, mode: 'on' });
  const memory = governor.consumer({ name: 'batches', kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
  return { clock, governor, memory };
};

describe('the hole: one failure killed all', () => {
  it('each failure is a result with its index, and the rest goes on', async () => {
    const processor = new BatchProcessor({
      name: 'halves',
      concurrency: 3,
      maxResults: 3,
      process(item: number) {
        if (item % 3 === 0) throw new Error(`no ${item}`);
        return item / 2;
      },
    });
    const { all, error } = await readAll(processor.run(count(7)));
    expect(error).toBeUndefined();
    expect(all.map(({ index, ok }) => `${index} ${ok}`)).toEqual([
      '0 false',
      '1 true',
      '2 true',
      '3 false',
      '4 true',
      '5 true',
      '6 false',
    ]);
    expect(all[3]).toMatchObject({ error: new Error('no 3') });
    expect(processor.stats).toMatchObject({ begun: 7, succeeded: 4, failed: 3, running: 0, unused: 0 });
  });

  it('unless asked: then results before it come first, nothing more is begun, and what comes after is told', async () => {
    const { processor, signals, end, fail, begun } = byHands({ onError: 'stop', concurrency: 3 });
    const reading = readAll(processor.run(count(10)));
    await settle();
    await fail(1);
    expect(signals.get(0)!.aborted).toBe(false);
    expect(signals.get(2)!.aborted).toBe(true);
    await fail(2, signals.get(2)!.reason);
    await end(0);
    const { all, error } = await reading;
    expect(all).toEqual([{ index: 0, ok: true, value: 'done 0' }]);
    expect(error).toMatchObject({ code: 'PLIMSOLL_BATCH_FAILED', index: 1, message: 'work: batch 1: no 1' });
    expect(begun()).toEqual([0, 1, 2]);
  });

  it('as they come, the failure comes after what had ended before it', async () => {
    const { processor, signals, end, fail } = byHands({ onError: 'stop', order: 'completion' });
    const reading = readAll(processor.run(count(10)));
    await settle();
    await end(1);
    await fail(0);
    expect(signals.get(2)!.aborted).toBe(true);
    await end(2);
    const { all, error } = await reading;
    expect(all.map(({ index }) => index)).toEqual([1]);
    expect(error).toMatchObject({ code: 'PLIMSOLL_BATCH_FAILED', index: 0 });
  });
});

describe('the hole: no bound on results', () => {
  it('reads its input no faster than results are used', async () => {
    const pulled: number[] = [];
    const processor = new BatchProcessor({
      name: 'same',
      concurrency: 2,
      maxResults: 5,
      process: (item: number) => item,
    });
    const results = processor.run(count(1_000, (item) => pulled.push(item)));
    await settle();
    expect(pulled).toEqual([]);
    await results.next();
    await settle(400);
    // The one that the reader has, and four more.
    expect(pulled).toHaveLength(5);
    await results.next();
    await settle(400);
    expect(pulled).toHaveLength(6);
    expect(processor.stats).toMatchObject({ unused: 5, mostUnused: 5 });
    await results.return();
    expect(processor.stats).toMatchObject({ unused: 0, running: 0 });
  });

  it('works on no more than `concurrency`, and a slow first one holds the rest back', async () => {
    const { processor, end, begun } = byHands({ maxResults: 3 });
    const reading = readAll(processor.run(count(6)));
    await settle();
    expect(begun()).toEqual([0, 1]);
    await end(1);
    expect(begun()).toEqual([0, 1, 2]);
    await end(2);
    // Places for results are taken: the first has not come.
    expect(begun()).toEqual([0, 1, 2]);
    await end(0);
    expect(begun()).toEqual([0, 1, 2, 3, 4]);
    for (const item of [4, 3, 5]) await end(item);
    expect((await reading).all.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('as they come, results are handed out in the order of their ends', async () => {
    const { processor, end } = byHands({ order: 'completion', concurrency: 3 });
    const reading = readAll(processor.run(count(4)));
    await settle();
    for (const item of [2, 0, 3, 1]) await end(item);
    expect((await reading).all.map(({ index }) => index)).toEqual([2, 0, 3, 1]);
  });
});

describe('memory', () => {
  it('is waited for before a batch begins, and given back when its result has been used', async () => {
    const { memory } = memoryOf(10 * MIB);
    const { processor, end, begun } = byHands({ concurrency: 4, memory, estimateBytes: () => 4 * MIB });
    const results = processor.run(count(3));
    const first = results.next();
    await settle();
    expect(begun()).toEqual([0, 1]);
    await end(0);
    expect(await first).toMatchObject({ value: { index: 0 } });
    expect(memory.heldBytes).toBe(8 * MIB);
    const second = results.next();
    await settle();
    // The reader came back for the next: it is done with the first.
    expect(begun()).toEqual([0, 1, 2]);
    await end(1);
    await end(2);
    await second;
    await results.next();
    expect(memory.heldBytes).toBe(4 * MIB);
    expect(await results.next()).toMatchObject({ done: true });
    expect(memory.heldBytes).toBe(0);
  });

  it('that is refused is the failure of that batch', async () => {
    const { memory } = memoryOf(10 * MIB);
    const estimateBytes = (item: number) => [1, 11, 1][item]! * MIB;
    const processor = new BatchProcessor({
      name: 'same',
      concurrency: 2,
      maxResults: 2,
      memory,
      estimateBytes,
      process: (item: number) => item,
    });
    const { all } = await readAll(processor.run(count(3)));
    expect(all.map(({ ok }) => ok)).toEqual([true, false, true]);
    expect(all[1]).toMatchObject({ error: { code: 'PLIMSOLL_BUDGET_EXCEEDED' } });
    expect(memory.heldBytes).toBe(0);
  });

  it('of nonsense is the failure of that batch', async () => {
    const { memory } = memoryOf(10 * MIB);
    const estimateBytes = (item: number) => (item === 1 ? Number.NaN : MIB);
    const processor = new BatchProcessor({
      name: 'same',
      concurrency: 2,
      maxResults: 2,
      memory,
      estimateBytes,
      process: (item: number) => item,
    });
    const { all } = await readAll(processor.run(count(3)));
    expect(all.map(({ ok }) => ok)).toEqual([true, false, true]);
  });

  it('inside a scope is had one after the other: nobody holds and waits', async () => {
    const { governor, memory } = memoryOf(10 * MIB);
    const all = await governor.scope({ name: 'request', maxBytes: 10 * MIB }, async () => {
      const processor = new BatchProcessor({
        name: 'same',
        concurrency: 3,
        maxResults: 3,
        memory,
        estimateBytes: () => 6 * MIB,
        process: async (item: number) => item,
      });
      return (await readAll(processor.run(count(4)))).all;
    });
    expect(all.map(({ ok }) => ok)).toEqual([true, true, true, true]);
    expect(memory.heldBytes).toBe(0);
  });

  it('with a governor that breaks goes on without', async () => {
    const { governor } = memoryOf(10 * MIB);
    const broken = breakable(governor);
    const memory = broken.governor.consumer({ name: 'batches', kind: 'external', maxBytes: 10 * MIB });
    const processor = new BatchProcessor({
      name: 'same',
      concurrency: 2,
      maxResults: 2,
      memory,
      estimateBytes: () => MIB,
      process(item: number, { reservation }) {
        if (item === 1) broken.breakIt();
        return reservation?.constructor.name ?? 'none';
      },
    });
    const { all, error } = await readAll(processor.run(count(4)));
    expect(error).toBeUndefined();
    expect(all.map(({ ok }) => ok)).toEqual([true, true, true, true]);
    expect(all[3]).toMatchObject({ value: 'none' });
    expect(processor.stats.faults).toBeGreaterThan(0);
  });
});

describe('time', () => {
  it('that is over fails the batch alone; its memory stays reserved until it has really ended', async () => {
    const { memory } = memoryOf(100 * MIB);
    const { processor, clock, signals, end, begun } = byHands({ timeoutMs: 100, memory, estimateBytes: () => MIB });
    const reading = readAll(processor.run(count(3)));
    await settle();
    clock.advance(50);
    await end(1);
    clock.advance(50);
    await settle();
    expect(signals.get(0)!.reason).toMatchObject({ code: 'PLIMSOLL_BATCH_TIMEOUT', index: 0, timeoutMs: 100 });
    expect(begun()).toEqual([0, 1, 2]);
    await end(2);
    const { all } = await reading;
    expect(all.map(({ ok }) => ok)).toEqual([false, true, true]);
    expect(memory.heldBytes).toBe(MIB);
    expect(processor.stats).toMatchObject({ timedOut: 1, stuck: 1, running: 0, unused: 0 });
    await end(0);
    expect(memory.heldBytes).toBe(0);
    expect(processor.stats.stuck).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('that is over for more than are borne ends the run', async () => {
    const { processor, clock, begun } = byHands({ timeoutMs: 100, maxStuck: 1 });
    const reading = readAll(processor.run(count(100)));
    await settle();
    clock.advance(100);
    await settle();
    const { all, error } = await reading;
    expect(all.map(({ ok }) => ok)).toEqual([false, false]);
    expect(error).toMatchObject({ code: 'PLIMSOLL_BATCHES_STUCK', stuckCount: 2 });
    expect(begun()).toEqual([0, 1]);
  });
});

describe('an early end', () => {
  it('by abort: reading rejects with the reason at once, what is under way is told, nothing stays held', async () => {
    const { memory } = memoryOf(100 * MIB);
    const abort = new AbortController();
    const { processor, clock, signals, begun } = byHands({ memory, estimateBytes: () => MIB });
    const reading = readAll(processor.run(count(9), { signal: abort.signal }));
    await settle();
    const reason = new Error('enough');
    abort.abort(reason);
    await settle();
    expect([...signals.values()].map((signal) => signal.reason)).toEqual([reason, reason]);
    // They do not listen.
    clock.advance(5_000);
    const { all, error } = await reading;
    expect([all, error]).toEqual([[], reason]);
    expect(begun()).toEqual([0, 1]);
  });

  it('by leaving the loop: waits for what is under way, and tells the input', async () => {
    let left = false;
    function* items() {
      try {
        yield* count(100);
      } finally {
        left = true;
      }
    }
    const { processor, end, works } = byHands();
    const results = processor.run(items());
    const first = results.next();
    await settle();
    await end(0);
    await first;
    let isOver = false;
    const leaving = results.return().then(() => {
      isOver = true;
    });
    await settle();
    expect(isOver).toBe(false);
    for (const item of works.keys()) await end(item);
    await leaving;
    expect(left).toBe(true);
    expect(processor.stats).toMatchObject({ running: 0, unused: 0 });
  });

  it('by disposal: who reads is told, and it is safe twice', async () => {
    const { processor, end, works } = byHands();
    const reading = readAll(processor.run(count(9)));
    await settle();
    const disposing = processor[Symbol.asyncDispose]();
    for (const item of works.keys()) await end(item);
    await disposing;
    await processor[Symbol.asyncDispose]();
    expect(await reading).toMatchObject({ all: [], error: { code: 'PLIMSOLL_DISPOSED' } });
    expect(await readAll(processor.run(count(1)))).toMatchObject({ error: { code: 'PLIMSOLL_DISPOSED' } });
  });

  it('by the input: what it gave before comes first', async () => {
    async function* items() {
      yield 1;
      yield 2;
      throw new Error('no more');
    }
    const processor = new BatchProcessor({
      name: 'same',
      concurrency: 1,
      maxResults: 1,
      process: (item: number) => item,
    });
    const { all, error } = await readAll(processor.run(items()));
    expect(all.map(({ index }) => index)).toEqual([0, 1]);
    expect(error).toEqual(new Error('no more'));
  });

  it('with an input that hangs is over all the same', async () => {
    async function* items() {
      yield 1;
      await new Promise(() => {});
    }
    const clock = new ManualClock();
    const processor = new BatchProcessor({
      name: 'same',
      concurrency: 2,
      maxResults: 2,
      clock,
      process: (item: number) => item,
    });
    const results = processor.run(items());
    expect(await results.next()).toMatchObject({ value: { index: 0 } });
    const leaving = results.return();
    await settle();
    clock.advance(5_000);
    expect(await leaving).toMatchObject({ done: true });
  });
});

it('takes sound options only', () => {
  const sound = { name: 'same', concurrency: 2, maxResults: 2, process: () => 1 };
  const wrong: Record<string, unknown>[] = [
    { concurrency: 0 },
    { concurrency: undefined },
    { maxResults: 1 },
    { maxResults: undefined },
    { process: 1 },
    { order: 'any' },
    { onError: 'ignore' },
    { timeoutMs: 0 },
    { closeMs: -1 },
    { maxStuck: -1 },
    { name: '' },
    { estimateBytes: () => 1 },
    { concurency: 2 },
  ];
  for (const one of wrong) {
    expect(() => new BatchProcessor({ ...sound, ...one } as never), JSON.stringify(one)).toThrow(RangeError);
  }
  const processor = new BatchProcessor(sound);
  expect(() => processor.run(5 as never)).toThrow(RangeError);
  expect(() => processor.run([], { signal: 1 as never })).toThrow(RangeError);
});
