/** When a coordinator cleans: between stages, within them, and when not. */
import { createGovernor } from 'plimsoll';
import { MemoryCleanupCoordinator, type MemoryCleanupOptions, Pipeline } from 'plimsoll/pipeline';
import { describe, expect, it } from 'vitest';
import { catchReclaimers } from '../adopt/catch-reclaimers.ts';
import { reclaimerContract } from '../contract/reclaimer.ts';
import { MIB, setUp } from '../governor/fake-meter.ts';
import { byHand } from '../lifetime/settle.ts';
import { ShelfOfBlocks } from './shelf-of-blocks.ts';

reclaimerContract({
  name: 'a registered cleanable',
  fill(given, bytes) {
    const { governor, reclaimers } = catchReclaimers(given);
    const cleanup = new MemoryCleanupCoordinator({ governor });
    cleanup.register(new ShelfOfBlocks('shelf', Math.ceil(bytes / 65_536)));
    return { consumerName: 'shelf', reclaimer: reclaimers.get('shelf')! };
  },
});

reclaimerContract({
  name: 'a registered cleanable that waits',
  fill(given, bytes) {
    const { governor, reclaimers } = catchReclaimers(given);
    const cleanup = new MemoryCleanupCoordinator({ governor });
    const shelf = new ShelfOfBlocks('shelf', Math.ceil(bytes / 65_536));
    cleanup.register({
      name: 'shelf',
      waits: true,
      estimate: () => shelf.estimate(),
      clean: async (strategy, help) => shelf.clean(strategy, help),
    });
    return { consumerName: 'shelf', reclaimer: reclaimers.get('shelf')! };
  },
});

function begin(options: Partial<MemoryCleanupOptions> = {}) {
  const made = setUp({ trim: false, collect: () => {} });
  made.rss.bytes = 20 * MIB;
  made.governor.sample();
  const { governor, clock } = made;
  const cleanup = new MemoryCleanupCoordinator({ governor, clock, historyCount: 64, ...options });
  return { ...made, cleanup, whys: () => cleanup.history().map(({ why }) => why) };
}

describe('between stages', () => {
  it('cleans at the end of each that left something, and not twice for nothing', async () => {
    const { cleanup, rss } = begin();
    expect(await cleanup.stageEnded('one')).toBeUndefined();
    expect(cleanup.report()).toMatchObject({ operations: 0, spared: 1 });
    rss.bytes += 10 * MIB;
    await cleanup.stageEnded('two');
    await cleanup.stageEnded('three');
    expect(cleanup.history()).toMatchObject([{ stage: 'two', why: 'between' }]);
    expect(cleanup.report()).toMatchObject({ operations: 1, spared: 2 });
  });

  it('while all is calm only what grew by `growthBytes`: from moderate on a megabyte is enough', async () => {
    const { cleanup, rss, governor } = begin({ growthBytes: 8 * MIB });
    rss.bytes += 7 * MIB;
    await cleanup.stageEnded('one');
    expect(cleanup.report().operations).toBe(0);
    rss.bytes = Math.ceil(governor.limitBytes * 0.55);
    governor.sample();
    await cleanup.stageEnded('two');
    expect(governor.level).toBe('moderate');
    rss.bytes += 2 * MIB;
    await cleanup.stageEnded('three');
    expect(cleanup.history().map(({ stage }) => stage)).toEqual(['two', 'three']);
  });

  it('by basic and aggressive also when a cleanable has something, by smart only when use has grown', async () => {
    for (const [strategy, operations] of [
      ['basic', 1],
      ['aggressive', 1],
      ['smart', 0],
    ] as const) {
      const { cleanup } = begin({ strategy });
      cleanup.register(new ShelfOfBlocks('shelf', 4));
      await cleanup.stageEnded('one');
      expect(cleanup.report().operations, strategy).toBe(operations);
    }
  });

  it('can be switched off, and on again', async () => {
    const { cleanup, rss } = begin({ betweenStages: false });
    rss.bytes += 9 * MIB;
    expect(cleanup.stageEnded('one')).toBeUndefined();
    cleanup.tune({ betweenStages: true });
    await cleanup.stageEnded('one');
    expect(cleanup.report().operations).toBe(1);
  });
});

describe('within stages', () => {
  it('what was reserved meanwhile is held and no garbage: growth is what has come beside it', async () => {
    const { cleanup, rss, clock, governor, whys } = begin({ growthBytes: 8 * MIB });
    using table = governor.consumer({ name: 'table', kind: 'external', maxBytes: 64 * MIB });
    using held = table.reserve(12 * MIB);
    rss.bytes += 12 * MIB;
    clock.advance(1_000);
    expect(cleanup.shouldCleanup()).toBe(false);
    await cleanup.stageEnded('one');
    expect(cleanup.report().operations).toBe(0);
    rss.bytes += 8 * MIB;
    clock.advance(1_000);
    expect(cleanup.shouldCleanup()).toBe(true);
    await cleanup.whileRunning('two');
    expect(whys()).toEqual(['growth']);
    // Let go of and still in use: now it is garbage.
    held.shrink(12 * MIB);
    rss.bytes += 4 * MIB;
    await cleanup.stageEnded('three');
    expect(whys()).toEqual(['growth']);
    rss.bytes += 4 * MIB;
    await cleanup.stageEnded('four');
    expect(whys()).toEqual(['growth', 'between']);
  });

  it('what cleanables hold counts as growth: a cleanup takes it', async () => {
    const { cleanup, rss, clock, governor } = begin({ growthBytes: 8 * MIB });
    const before = governor.heldBytes;
    cleanup.register(new ShelfOfBlocks('shelf', 160));
    expect(governor.heldBytes - before).toBe(10 * MIB);
    rss.bytes += 10 * MIB;
    clock.advance(1_000);
    expect(cleanup.shouldCleanup()).toBe(true);
  });

  it('is due by level, by growth and by time, and then only', async () => {
    const { cleanup, rss, clock, governor, whys } = begin({ growthBytes: 8 * MIB, everyMs: 10_000 });
    const look = async () => {
      clock.advance(1_000);
      await cleanup.whileRunning('Mapping');
    };
    await look();
    expect(cleanup.shouldCleanup()).toBe(false);
    rss.bytes += 7 * MIB;
    await look();
    expect(whys()).toEqual([]);
    rss.bytes += MIB;
    await look();
    expect(whys()).toEqual(['growth']);
    rss.bytes = 72 * MIB;
    governor.sample();
    await look();
    expect(whys()).toEqual(['growth', 'level']);
    rss.bytes = 20 * MIB;
    for (let i = 0; i < 9; i++) await look();
    expect(whys()).toEqual(['growth', 'level']);
    await look();
    expect(whys()).toEqual(['growth', 'level', 'time']);
  });

  it('looks at the meters once every checkEveryMs however often it is asked, and says the same in between', () => {
    const { cleanup, rss, clock } = begin({ checkEveryMs: 100, growthBytes: MIB });
    const before = rss.reads;
    for (let i = 0; i < 1_000; i++) cleanup.shouldCleanup();
    expect(rss.reads).toBe(before);
    rss.bytes += 5 * MIB;
    clock.advance(100);
    expect(cleanup.shouldCleanup()).toBe(true);
    const once = rss.reads;
    rss.bytes -= 5 * MIB;
    for (let i = 0; i < 1_000; i++) expect(cleanup.shouldCleanup()).toBe(true);
    expect(rss.reads).toBe(once);
    clock.advance(100);
    expect(cleanup.shouldCleanup()).toBe(false);
  });

  it('waits twice as long after each that was in vain, and not when one has helped', async () => {
    const { cleanup, rss, clock, governor, whys } = begin({ checkEveryMs: 100, everyMs: Number.POSITIVE_INFINITY });
    rss.bytes = 75 * MIB;
    governor.sample();
    const at: number[] = [];
    const started = clock.now();
    for (let i = 0; i < 200; i++) {
      clock.advance(100);
      const { length } = whys();
      await cleanup.whileRunning('Mapping');
      if (whys().length > length) at.push(clock.now() - started);
    }
    // 100, then 200, 400, ... behind each.
    expect(at).toEqual([100, 300, 700, 1_500, 3_100, 6_300, 12_700]);
    const shelf = new ShelfOfBlocks('shelf', 64);
    shelf.onFreed = (bytes) => {
      rss.bytes -= bytes;
    };
    rss.bytes += shelf.bytes;
    cleanup.register(shelf);
    clock.advance(30_000);
    await cleanup.whileRunning('Mapping');
    expect(shelf.blocks).toBe(0);
    clock.advance(100);
    expect(cleanup.shouldCleanup()).toBe(true);
  });

  it('takes a tenth of the time at most', async () => {
    const { cleanup, rss, clock, governor, whys } = begin({ checkEveryMs: 100, strategy: 'basic' });
    rss.bytes = 75 * MIB;
    governor.sample();
    const shelf = new ShelfOfBlocks('shelf', 6_400, 1_024);
    cleanup.register(shelf);
    shelf.onFreed = () => clock.advance(1_000);
    clock.advance(100);
    await cleanup.whileRunning('Mapping');
    expect(cleanup.history()).toMatchObject([{ elapsedMs: 1_000 }]);
    clock.advance(8_999);
    await cleanup.whileRunning('Mapping');
    expect(whys()).toHaveLength(1);
    clock.advance(1);
    await cleanup.whileRunning('Mapping');
    expect(whys()).toHaveLength(2);
  });

  it('can be switched off', () => {
    const { cleanup, rss, clock } = begin({ withinStages: false });
    rss.bytes = 90 * MIB;
    clock.advance(60_000);
    expect(cleanup.whileRunning('Mapping')).toBeUndefined();
    expect(cleanup.shouldCleanup()).toBe(true);
  });
});

describe('one at a time', () => {
  /** With a cleanable that takes as long as the test says. */
  const slow = (strategy: MemoryCleanupOptions['strategy'] & string) => {
    const made = begin({ strategy });
    const work = byHand<{ bytes: number }>();
    made.cleanup.register({ name: 'slow', waits: true, estimate: () => MIB, clean: () => work.promise });
    return { ...made, end: () => work.resolve({ bytes: 0 }) };
  };

  it('who wants the same, or less, gets the one under way; who wants more waits for it and has its own', async () => {
    const { cleanup, end } = slow('basic');
    const first = cleanup.cleanup();
    const same = cleanup.cleanup({ strategy: 'basic' });
    const more = cleanup.cleanup({ strategy: 'aggressive' });
    end();
    expect(await first).toBe(await same);
    expect(await more).toMatchObject({ number: 2, strategy: 'aggressive' });
    expect(cleanup.report().operations).toBe(2);
  });

  it('a stage at work hears of the one under way, and an abort ends the waiting, not the cleanup', async () => {
    const { cleanup, end } = slow('basic');
    const abort = new AbortController();
    const first = cleanup.cleanup();
    const beside = cleanup.whileRunning('Mapping', abort.signal);
    const after = cleanup.stageEnded('Mapping', abort.signal);
    const asked = cleanup.cleanup({ signal: abort.signal });
    expect(beside).toBeInstanceOf(Promise);
    abort.abort();
    expect(await beside).toBeUndefined();
    expect(await after).toBeUndefined();
    expect(await asked).toBeUndefined();
    expect(cleanup.report().operations).toBe(0);
    end();
    expect(await first).toMatchObject({ number: 1 });
  });
});

it('a pipeline has it clean between its stages and while they work, each on the account of its stage', async () => {
  const { cleanup, governor, rss, clock } = begin({ growthBytes: 4 * MIB, checkEveryMs: 1, strategy: 'basic' });
  const shelf = new ShelfOfBlocks('shelf', 0);
  shelf.onFreed = (bytes) => {
    rss.bytes -= bytes;
  };
  cleanup.register(shelf);
  const pipeline = new Pipeline({ governor, probe: governor, clock, cleanup, sampleEveryMs: 1 });
  const count = await pipeline
    .from({
      name: 'Loading',
      async *open() {
        for (let i = 0; i < 22; i++) {
          shelf.blocks += 16;
          rss.bytes += MIB;
          clock.advance(10);
          yield { byteLength: 0, itemCount: 1 };
        }
      },
    })
    .into({
      name: 'Counting',
      async drain(input) {
        let items = 0;
        for await (const { itemCount } of input) items += itemCount;
        return items;
      },
    });
  expect(count).toBe(22);
  const { stages, items, freedBytes } = cleanup.report();
  expect(stages.map(({ stage }) => stage)).toContain('Loading');
  expect(new Set(cleanup.history().map(({ why }) => why))).toEqual(new Set(['growth', 'between']));
  expect(items).toBe(352);
  expect(freedBytes).toBe(22 * MIB);
});

it('asked with nothing due costs next to nothing', () => {
  const governor = createGovernor({ limitBytes: 1_000 * MIB, mode: 'on' });
  using cleanup = new MemoryCleanupCoordinator({ governor, checkEveryMs: 60_000 });
  const started = performance.now();
  for (let i = 0; i < 100_000; i++) cleanup.whileRunning('Mapping');
  // 5 ms on a quiet machine.
  expect(performance.now() - started).toBeLessThan(250);
  governor[Symbol.dispose]();
});
