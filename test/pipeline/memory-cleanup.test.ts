import type { GovernorOptions } from 'plimsoll';
import { type MemoryCleanable, MemoryCleanupCoordinator, type MemoryCleanupOptions } from 'plimsoll/pipeline';
import { describe, expect, it } from 'vitest';
import { EventChannel } from '../../src/events.ts';
import { breakable } from '../contract/broken-governor.ts';
import { MIB, setUp } from '../governor/fake-meter.ts';
import { byHand } from '../lifetime/settle.ts';
import { ShelfOfBlocks } from './shelf-of-blocks.ts';

type Given = Partial<MemoryCleanupOptions> & { readonly machine?: GovernorOptions };

/** A machine of 100 MiB of which 30 are in use, whose collections are noted and free nothing. */
function begin({ machine = {}, ...options }: Given = {}) {
  const collections: string[] = [];
  const made = setUp({ trim: false, collect: (type) => collections.push(type), ...machine });
  made.rss.bytes = 30 * MIB;
  const { governor, clock } = made;
  const cleanup = new MemoryCleanupCoordinator({ governor, clock, historyCount: 8, ...options });
  /** A shelf that the meter knows of. */
  const shelf = (name: string, blocks: number): ShelfOfBlocks => {
    const one = new ShelfOfBlocks(name, blocks);
    made.rss.bytes += one.bytes;
    one.onFreed = (bytes) => {
      made.rss.bytes -= bytes;
    };
    return one;
  };
  const row = (name: string) => governor.snapshot().consumers.find((one) => one.name === name);
  return { ...made, cleanup, collections, shelf, row };
}

/** Turns of the loop: a train gives the service its turn between two parts. */
const turns = async (count = 20) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe('a cleanable', () => {
  it('stands in the books under its name with its estimate, until it is unregistered', () => {
    const { cleanup, row } = begin();
    const table = new ShelfOfBlocks('table', 16);
    cleanup.register(table);
    expect(row('table')).toMatchObject({ kind: 'heap', heldBytes: MIB });
    expect(row('cleanup')).toMatchObject({ heldBytes: MIB, holder: { type: 'cleanup' } });
    expect(cleanup.unregister(table)).toBe(true);
    expect(row('table')).toBeUndefined();
    expect(row('cleanup')).toMatchObject({ heldBytes: 0 });
    expect(cleanup.unregister(table)).toBe(false);
    const registration = cleanup.register(table);
    registration[Symbol.dispose]();
    registration[Symbol.dispose]();
    expect(cleanup.size).toBe(0);
  });

  it('answers a train that the governor runs by itself, with no cleanup wanted', async () => {
    const { cleanup, governor, shelf } = begin();
    const table = shelf('table', 64);
    cleanup.register(table);
    await governor.reclaim({ strategy: 'basic', targetBytes: MIB });
    expect(table.bytes).toBe(3 * MIB);
    expect(cleanup.report().operations).toBe(0);
  });

  it('is refused when it is none, is there already, or is one too many', () => {
    const { cleanup } = begin({ maxCleanables: 2 });
    const table = new ShelfOfBlocks('table', 1);
    cleanup.register(table);
    const wrong: unknown[] = [undefined, {}, { ...table, name: '' }, { name: 'a', estimate: () => 1 }];
    wrong.push(
      { name: 'a', estimate: () => 1, clean: () => 1, waits: 1 },
      { ...wrong[3]!, clean: () => 1, kind: 'rss' },
    );
    for (const one of wrong) {
      expect(() => cleanup.register(one as MemoryCleanable)).toThrow(RangeError);
    }
    expect(() => cleanup.register(table)).toThrow('one that is not registered yet');
    cleanup.register(new ShelfOfBlocks('table', 1));
    expect(() => cleanup.register(new ShelfOfBlocks('third', 1))).toThrow('maxCleanables');
  });

  it('that holds what is reserved already is cleaned before the train and not booked twice', async () => {
    const { cleanup, governor, row } = begin();
    const own = governor.consumer({ name: 'own', kind: 'external', maxBytes: 8 * MIB });
    const held = own.reserve(4 * MIB);
    const clean = () => {
      held.shrink(3 * MIB);
      return { bytes: 3 * MIB, items: 3 };
    };
    cleanup.register({ name: 'reserved', isReserved: true, estimate: () => held.bytes, clean });
    expect(row('reserved')).toBeUndefined();
    const operation = await cleanup.cleanup({ strategy: 'basic' });
    expect(operation).toMatchObject({ claimedBytes: 3 * MIB, releasedBytes: 3 * MIB, items: 3 });
    expect(operation!.train).toBeGreaterThan(0);
  });
});

describe('the hole: "aggressive" only logged, and nobody called it', () => {
  it.each([
    ['basic', ['minor'], 8],
    ['aggressive', ['full'], 0],
    ['smart', ['full'], 0],
  ] as const)('%s calls what is registered, through one train that the journal has', async (strategy, made, left) => {
    const { cleanup, governor, collections, shelf } = begin({ strategy, growthBytes: MIB });
    const table = shelf('table', 64);
    table.inUse = 8;
    cleanup.register(table);
    await cleanup.stageEnded('Loading');
    expect(table.calls).toHaveLength(1);
    expect(table.calls[0]!.strategy).toBe(strategy);
    expect(table.blocks).toBe(left);
    expect(collections).toEqual(made);
    const [operation] = cleanup.history();
    expect(operation).toMatchObject({ stage: 'Loading', why: 'between', strategy, meter: 'rss', items: 64 - left });
    const train = governor.journal().find(({ number }) => number === operation!.train)!;
    expect(train).toMatchObject({ why: 'asked', strategy, claimedBytes: operation!.claimedBytes });
    expect(train.parts.find(({ consumer }) => consumer === 'table')).toMatchObject({
      claimedBytes: (64 - left) * table.blockBytes,
      releasedBytes: (64 - left) * table.blockBytes,
    });
  });
});

describe('what came of it', () => {
  it('tells what was claimed from what the books and the machine saw', async () => {
    const { cleanup } = begin({ strategy: 'aggressive' });
    let bytes = 4 * MIB;
    const clean = () => {
      bytes = 3 * MIB;
      return { bytes: 4 * MIB, items: 7 };
    };
    cleanup.register({ name: 'boaster', estimate: () => bytes, clean });
    const operation = await cleanup.cleanup();
    expect(operation).toMatchObject({ claimedBytes: 4 * MIB, releasedBytes: MIB, freedBytes: 0, items: 7 });
    expect(operation!.cleaned).toMatchObject([{ name: 'boaster', claimedBytes: 4 * MIB, items: 7, faults: 0 }]);
  });

  it('is negative where use has grown meanwhile, and is not called anything better', async () => {
    const { cleanup, rss } = begin({ strategy: 'basic' });
    const clean = () => {
      rss.bytes += 5 * MIB;
      return { bytes: MIB };
    };
    cleanup.register({ name: 'grows', estimate: () => MIB, clean });
    expect(await cleanup.cleanup()).toMatchObject({ freedBytes: -5 * MIB, afterBytes: 35 * MIB });
    expect(cleanup.report()).toMatchObject({ freedBytes: -5 * MIB, operations: 1 });
  });

  it('is kept when asked for, and no more of it than was said', async () => {
    const { cleanup } = begin({ historyCount: 3 });
    for (let i = 0; i < 5; i++) await cleanup.cleanup({ stage: `stage ${i}` });
    expect(cleanup.history().map(({ number, stage }) => `${number} ${stage}`)).toEqual([
      '3 stage 2',
      '4 stage 3',
      '5 stage 4',
    ]);
    const forgetful = begin({ historyCount: 0 });
    await forgetful.cleanup.cleanup();
    expect(forgetful.cleanup.history()).toEqual([]);
    expect(forgetful.cleanup.report().operations).toBe(1);
  });

  it('is an event', async () => {
    const { cleanup } = begin({ name: 'playlist' });
    const heard: unknown[] = [];
    using _ = new EventChannel('plimsoll:cleanup').subscribe((event) => heard.push(event));
    await cleanup.cleanupWanted('Mapping', 'aggressive');
    expect(heard).toMatchObject([{ coordinator: 'playlist', stage: 'Mapping', why: 'asked', strategy: 'aggressive' }]);
  });

  it('has at most 256 stages apart, however many there are', async () => {
    const { cleanup } = begin();
    for (let i = 0; i < 300; i++) await cleanup.cleanup({ stage: `stage ${i}`, strategy: 'basic' });
    const { stages, operations } = cleanup.report();
    expect(stages).toHaveLength(256);
    expect(stages.at(-1)).toMatchObject({ stage: 'Other Stages', operations: 45 });
    expect(operations).toBe(300);
  });
});

describe('a cleanable that misbehaves is contained, and the others are cleaned', () => {
  const cases: Record<string, Partial<MemoryCleanable>> = {
    throws: {
      clean() {
        throw new Error('no');
      },
    },
    'throws nothing': {
      clean() {
        throw undefined;
      },
    },
    rejects: { waits: true, clean: () => Promise.reject(new Error('no')) },
    'claims nonsense': { clean: () => ({ bytes: Number.NaN }) },
    'claims nothing at all': { clean: () => undefined as never },
    'gives a promise without saying that it waits': { clean: () => Promise.resolve({ bytes: 1 }) },
    'has a fault in its estimate': {
      estimate() {
        throw new Error('no');
      },
    },
    'estimates nonsense': { estimate: () => -1 },
    'estimates more than there is': { estimate: () => Number.POSITIVE_INFINITY },
  };

  it.each(Object.entries(cases))('%s', async (_, part) => {
    const { cleanup, shelf } = begin({ strategy: 'aggressive' });
    cleanup.register({ name: 'bad', importance: -1, estimate: () => MIB, clean: () => ({ bytes: 0 }), ...part });
    const table = shelf('table', 16);
    cleanup.register(table);
    const operation = await cleanup.cleanup();
    expect(table.blocks).toBe(0);
    expect(operation).toMatchObject({ freedBytes: MIB, items: 16 });
  });

  it('hangs: it is waited for until its time is over, and not called again before it has ended', async () => {
    const { cleanup, clock, shelf } = begin({ strategy: 'aggressive', deadlineMs: 500 });
    const work = byHand<{ bytes: number }>();
    const signals: AbortSignal[] = [];
    const clean: MemoryCleanable['clean'] = (_, { signal }) => {
      signals.push(signal);
      return work.promise;
    };
    cleanup.register({ name: 'hangs', waits: true, estimate: () => MIB, clean });
    const table = shelf('table', 16);
    cleanup.register(table);
    const running = cleanup.cleanup();
    await turns();
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    clock.advance(500);
    const operation = await running;
    expect(signals[0]!.aborted).toBe(true);
    expect(operation).toMatchObject({ items: 16, elapsedMs: 500 });
    expect(operation!.cleaned.find(({ name }) => name === 'hangs')).toMatchObject({ faults: 1, claimedBytes: 0 });
    clock.advance(60_000);
    await cleanup.cleanup();
    expect(signals).toHaveLength(1);
    work.resolve({ bytes: MIB });
    await turns();
    clock.advance(60_000);
    await cleanup.cleanup();
    expect(signals).toHaveLength(2);
  });

  it('asks for a cleanup inside its own: it gets the one under way, and nothing waits for itself for ever', async () => {
    const { cleanup, clock } = begin({ strategy: 'aggressive', deadlineMs: 100 });
    const clean = async () => {
      await cleanup.cleanup();
      return { bytes: MIB };
    };
    cleanup.register({ name: 'calls back', waits: true, estimate: () => MIB, clean });
    const running = cleanup.cleanup();
    await turns();
    clock.advance(100);
    expect(await running).toMatchObject({ number: 1 });
    expect(cleanup.report().operations).toBe(1);
  });
});

describe('fails open:', () => {
  it('with a governor that breaks, cleanables are called all the same, and what was freed is not known', async () => {
    const made = begin();
    const broken = breakable(made.governor);
    const { clock } = made;
    const cleanup = new MemoryCleanupCoordinator({
      governor: broken.governor,
      clock,
      strategy: 'aggressive',
      historyCount: 1,
    });
    const table = new ShelfOfBlocks('table', 16);
    cleanup.register(table);
    broken.breakIt();
    const late = new ShelfOfBlocks('late', 16);
    cleanup.register(late);
    await cleanup.stageEnded('Loading');
    expect([table.blocks, late.blocks]).toEqual([0, 0]);
    const [operation] = cleanup.history();
    expect(operation).toMatchObject({ claimedBytes: 2 * MIB, items: 32, freedBytes: 0, releasedBytes: 0, train: 0 });
    expect(operation!.meter).toBeUndefined();
    expect(cleanup.faults).toBeGreaterThan(0);
    expect(cleanup.shouldCleanup()).toBe(false);
    clock.advance(60_000);
    expect(() => cleanup.whileRunning('Loading')).not.toThrow();
    cleanup.unregister(table);
    cleanup[Symbol.dispose]();
  });

  it('with one that was broken from the start', async () => {
    const broken = breakable(begin().governor);
    const { governor } = broken;
    broken.breakIt();
    using cleanup = new MemoryCleanupCoordinator({ governor, strategy: 'basic' });
    const table = new ShelfOfBlocks('table', 16);
    cleanup.register(table);
    await cleanup.cleanup();
    expect(table.blocks).toBe(0);
  });

  it('with one that breaks in the middle of a cleanup', async () => {
    const broken = breakable(begin().governor);
    const cleanup = new MemoryCleanupCoordinator({ governor: broken.governor, strategy: 'aggressive' });
    const table = new ShelfOfBlocks('table', 16);
    table.onFreed = () => broken.breakIt();
    cleanup.register(table);
    const operation = await cleanup.cleanup();
    // After the first figure there is no second: that is not the same as nothing left.
    expect(operation).toMatchObject({ items: 16, freedBytes: 0, releasedBytes: 0 });
    expect(operation!.meter).toBeUndefined();
  });

  it.each(['off', 'observe'] as const)('in mode %s nothing is cleaned', async (mode) => {
    const { cleanup, governor } = begin({ machine: { mode } });
    const table = new ShelfOfBlocks('table', 16);
    cleanup.register(table);
    expect(await cleanup.cleanup({ strategy: 'aggressive' })).toBeUndefined();
    // What would have been done stands in the governor's journal.
    const would = governor
      .journal()
      .flatMap(({ observed, parts }) => parts.map((part) => [observed, part.consumer, part.claimedBytes]));
    expect(would).toEqual(mode === 'observe' ? expect.arrayContaining([[true, 'table', MIB]]) : []);
    expect(table.calls).toEqual([]);
    expect(cleanup.report()).toMatchObject({ operations: 0, observed: mode === 'observe' ? 1 : 0 });
  });
});

describe('who is asked', () => {
  /** A cache of somebody else, warm. */
  const warm = (given: ReturnType<typeof begin>) => {
    const consumer = given.governor.consumer({
      name: 'cache',
      kind: 'heap',
      maxBytes: 50 * MIB,
      reclaimer: {
        reclaimableBytes: () => held.bytes,
        reclaimNow: ({ targetBytes }) => {
          const bytes = Math.min(held.bytes, targetBytes);
          held.shrink(bytes);
          given.rss.bytes -= bytes;
          return bytes;
        },
      },
    });
    const held = consumer.reserve(20 * MIB);
    given.rss.bytes += held.bytes;
    return held;
  };

  it.each(['basic', 'aggressive', 'smart'] as const)(
    'below high nobody but the cleanables, by %s',
    async (strategy) => {
      const given = begin({ strategy });
      const held = warm(given);
      given.cleanup.register(given.shelf('table', 16));
      await given.cleanup.cleanup();
      expect(held.bytes).toBe(20 * MIB);
    },
  );

  it('from high on all, for what is beyond the aim', async () => {
    const given = begin({ strategy: 'basic' });
    const held = warm(given);
    given.rss.bytes = 80 * MIB;
    given.governor.sample();
    await given.cleanup.cleanup();
    expect(given.rss.bytes).toBeLessThanOrEqual(65 * MIB);
    expect(held.bytes).toBeGreaterThan(0);
  });

  it('at emergency of the machine by aggressive, whatever was wanted', async () => {
    const given = begin({ strategy: 'basic' });
    given.rss.bytes = 97 * MIB;
    given.governor.sample();
    expect(await given.cleanup.cleanup()).toMatchObject({ strategy: 'aggressive', level: 'emergency' });
  });
});

it('goes on to the next when disposed in the middle, and lets nothing in afterwards', async () => {
  const { cleanup, row } = begin({ strategy: 'aggressive' });
  const table = new ShelfOfBlocks('table', 16);
  table.onFreed = () => cleanup[Symbol.dispose]();
  cleanup.register(table);
  await cleanup.cleanup();
  cleanup[Symbol.dispose]();
  expect(row('cleanup')).toBeUndefined();
  expect(() => cleanup.register(table)).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DISPOSED' }));
  expect(await cleanup.cleanup()).toBeUndefined();
  expect(cleanup.stageEnded('Loading')).toBeUndefined();
});

it('takes sound options only', async () => {
  const wrong: Record<string, unknown>[] = [
    { strategy: 'hard' },
    { name: '' },
    { checkEveryMs: 0 },
    { everyMs: -1 },
    { growthBytes: 0.5 },
    { fromLevel: 'low' },
    { historyCount: 5_000 },
    { maxCleanables: 0 },
    { betweenStages: 'no' },
    { governor: {} },
    { chekEveryMs: 5 },
  ];
  for (const one of wrong) {
    expect(() => begin(one as Given), Object.keys(one)[0]).toThrow(RangeError);
  }
  const { cleanup } = begin();
  expect(() => cleanup.tune({ strategy: 'hard' as never })).toThrow(RangeError);
  expect(() => cleanup.tune({ historyCount: 1 } as never)).toThrow(RangeError);
  await expect(cleanup.cleanup({ strategy: 'hard' as never })).rejects.toThrow(RangeError);
  await expect(cleanup.cleanup({ stage: '' })).rejects.toThrow(RangeError);
});
