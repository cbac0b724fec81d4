import fc from 'fast-check';
import { ManualClock, MEMORY_KINDS, METER_NAMES } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { RECLAIM_STRATEGIES } from '../../src/governor/contract.ts';
import { Prices } from '../../src/governor/prices.ts';
import { aim, askBytes, partsOf, type StrategyView, spares, whyNot } from '../../src/governor/strategy.ts';
import type { TrainCall } from '../../src/governor/train-run.ts';
import { setUpTrain } from './fake-memory.ts';
import { MIB } from './fake-meter.ts';

function view(extra: Partial<StrategyView> = {}): StrategyView {
  return {
    strategy: 'smart',
    meter: 'rss',
    targetBytes: 100 * MIB,
    seenBytes: 0,
    releasedBytes: 0,
    prices: new Prices(new ManualClock()),
    measuredBytes: 500 * MIB,
    slackBytes: 0,
    ...extra,
  };
}

const PARTS = ['reclaim-now', 'reclaim', 'minor-collection', 'full-collection', 'trim'] as const;
const taken = (one: StrategyView) => PARTS.filter((part) => whyNot(part, one) === undefined);

/** Prices that know: no garbage, small buffers. */
function learned(garbage = 0): Prices {
  const clock = new ManualClock();
  const prices = new Prices(clock);
  for (let i = 0; i < 30; i++) {
    clock.advance(5_000);
    prices.noteStep('rss', 'minor', 0, 1, { measuredBytes: 500 * MIB });
    prices.noteStep('rss', 'full', garbage, 1, { measuredBytes: 500 * MIB });
    prices.noteStep('rss', 'trim', 0, 1, { measuredBytes: 500 * MIB, slackBytes: 500 * MIB });
  }
  clock.advance(5_000);
  return prices;
}

describe('a strategy decides', () => {
  it.each([
    ['basic', 'ledger', ['reclaim-now', 'reclaim']],
    ['basic', 'rss', ['reclaim-now', 'reclaim', 'minor-collection']],
    ['aggressive', 'ledger', ['reclaim-now', 'reclaim']],
    ['aggressive', 'heap', ['reclaim-now', 'reclaim', 'full-collection']],
    ['aggressive', 'cgroup', ['reclaim-now', 'reclaim', 'full-collection', 'trim']],
  ] as const)('%s, where %s decides: the parts', (strategy, meter, parts) => {
    expect(taken(view({ strategy, meter }))).toEqual(parts);
  });

  it('to stop when the target is seen; aggressive goes on', () => {
    const seen = { seenBytes: 100 * MIB };
    expect(taken(view({ strategy: 'basic', ...seen }))).toEqual([]);
    expect(taken(view({ strategy: 'smart', ...seen }))).toEqual([]);
    expect(taken(view({ strategy: 'aggressive', ...seen })).length).toBe(4);
  });

  it('smart: to leave out what is expected to bring nothing', () => {
    const prices = learned();
    expect(taken(view({ prices }))).toEqual(['reclaim-now', 'reclaim']);
    prices.noteReclaim('external', 100 * MIB, 1);
    expect(taken(view({ prices }))).toEqual(['reclaim-now', 'reclaim', 'full-collection', 'trim']);
    // Slack that nobody reserved: only the trim.
    expect(whyNot('trim', view({ slackBytes: 100 * MIB }))).toBeUndefined();
    expect(whyNot('trim', view())).toBe('expected to bring 0KiB');
  });

  it('smart: to collect first where garbage alone is expected to be enough, and then by a minor one if that will do', () => {
    expect(partsOf(view({ prices: learned(200 * MIB) }))[0]).toBe('full-collection');
    expect(partsOf(view({ prices: learned() }))[0]).toBe('reclaim-now');
    expect(partsOf(view({ prices: learned(200 * MIB), strategy: 'basic' }))[0]).toBe('reclaim-now');
    expect(partsOf(view({ meter: 'ledger', targetBytes: 0 }))[0]).toBe('reclaim-now');
    expect(whyNot('minor-collection', view({ targetBytes: 5 * MIB }))).toBeUndefined();
    expect(whyNot('minor-collection', view())).toBe('not expected to be enough by itself');
  });

  it('smart: to spare those whose kind of memory the meter does not see', () => {
    const prices = new Prices(new ManualClock());
    const spared = (strategy: (typeof RECLAIM_STRATEGIES)[number], meter: (typeof METER_NAMES)[number]) =>
      MEMORY_KINDS.filter((kind) => spares(strategy, meter, kind, prices));
    expect(spared('smart', 'heap')).toEqual(['external', 'mapped', 'wasm']);
    expect(spared('smart', 'external')).toEqual(['heap', 'mapped']);
    expect(spared('smart', 'rss')).toEqual([]);
    expect(spared('smart', 'ledger')).toEqual([]);
    expect(spared('aggressive', 'heap')).toEqual([]);
  });

  it('smart: to aim beyond the target where use grows, never below it', () => {
    expect(aim('smart', 10 * MIB, 5 * MIB)).toBe(20 * MIB);
    expect(aim('smart', 10 * MIB, -5 * MIB)).toBe(10 * MIB);
    expect(aim('smart', 10 * MIB, Number.NaN)).toBe(10 * MIB);
    expect(aim('basic', 10 * MIB, 5 * MIB)).toBe(10 * MIB);
  });

  it('how much to ask for: by what will be seen of it, less what is coming anyway', () => {
    const prices = learned();
    const offered = [0, 500 * MIB, 0, 0];
    expect(askBytes(view({ strategy: 'basic', releasedBytes: 30 * MIB }), offered)).toBe(70 * MIB);
    expect(askBytes(view({ prices }), offered) / MIB).toBeCloseTo(100 / 0.97, -1);
    prices.noteReclaim('external', 40 * MIB, 1);
    expect(askBytes(view({ prices }), offered) / MIB).toBeCloseTo(60 / 0.97, -1);
    // Little of it would be seen: three times as much at most.
    expect(askBytes(view({ meter: 'heap', prices: learned(), measuredBytes: 0 }), offered)).toBe(300 * MIB);
  });

  it('not to ask again for what was released lately and is not collected yet', () => {
    const waiting = { ...view(), unavailable: new Set(['full-collection', 'trim'] as const) };
    expect(askBytes({ ...waiting, uncollectedBytes: 0 }, [0, 100, 0, 0])).toBeGreaterThan(0);
    expect(askBytes({ ...waiting, uncollectedBytes: waiting.targetBytes }, [0, 100, 0, 0])).toBe(0);
  });

  it('something sound, whatever the figures', () => {
    const bytes = fc.double({ min: -1e13, max: 1e13, noNaN: true });
    fc.assert(
      fc.property(
        fc.constantFrom(...RECLAIM_STRATEGIES),
        fc.constantFrom(...METER_NAMES),
        fc.tuple(bytes, bytes, bytes, bytes, bytes),
        fc.array(fc.double({ min: 0, max: 1e13, noNaN: true }), { minLength: 4, maxLength: 4 }),
        (strategy, meter, [targetBytes, seenBytes, releasedBytes, measured, slack], byKind) => {
          const figures = { measuredBytes: Math.abs(measured), slackBytes: Math.abs(slack) };
          const one = view({ strategy, meter, targetBytes, seenBytes, releasedBytes, ...figures });
          expect(Number.isFinite(askBytes(one, byKind))).toBe(true);
          expect(partsOf(one).length).toBeGreaterThanOrEqual(5);
          if (meter === 'ledger') expect(taken(one)).not.toContain('full-collection');
        },
      ),
    );
  });
});

describe('the same load under each strategy', () => {
  const call = (strategy: TrainCall['strategy']): TrainCall => {
    return { why: 'pressure', targetBytes: 100 * MIB, level: 'critical', strategy };
  };
  const runEach = async (strategy: TrainCall['strategy'], rounds = 1) => {
    const world = setUpTrain();
    const { holder, memory, clock, train } = world;
    const cache = holder('cache', 400 * MIB);
    let report = await train.run(call(strategy));
    for (let i = 1; i < rounds; i++) {
      clock.advance(10_000);
      report = await train.run(call(strategy));
    }
    return { ...world, cache, report, rss: memory.rss() / MIB };
  };

  it('basic asks for what is missing and leaves collecting to V8; aggressive takes all; smart takes what is missing, and sees it', async () => {
    const [basic, aggressive, smart] = [await runEach('basic'), await runEach('aggressive'), await runEach('smart')];
    expect(basic.cache.heldBytes).toBe(300 * MIB);
    expect(aggressive.cache.heldBytes).toBe(0);
    expect(smart.cache.heldBytes).toBeGreaterThan(250 * MIB);
    expect(smart.cache.heldBytes).toBeLessThan(400 * MIB);
    expect(basic.rss).toBe(450);
    expect(aggressive.rss).toBe(50);
    expect(smart.rss).toBeLessThanOrEqual(350);
    expect(smart.rss).toBeGreaterThan(250);
    expect([basic, aggressive, smart].map(({ memory }) => [memory.collections, memory.trims])).toEqual([
      [['minor'], 0],
      [['full'], 1],
      [['full', 'full'], 2],
    ]);
    expect(basic.report.elapsedMs).toBeLessThan(smart.report.elapsedMs);
  });

  it('smart finds out that large buffers need no trim, and leaves it out', async () => {
    const { holder, memory, clock, train } = setUpTrain();
    memory.keptShare = 0;
    holder('cache', 900 * MIB);
    const trims: number[] = [];
    for (let i = 0; i < 8; i++) {
      const before = memory.trims;
      await train.run({ ...call('smart'), targetBytes: 50 * MIB });
      trims.push(memory.trims - before);
      clock.advance(2_000);
    }
    expect(trims.slice(4)).toEqual([0, 0, 0, 0]);
  });

  it('smart drops what lies about before it takes anything from anybody', async () => {
    const { holder, memory, train, prices, clock } = setUpTrain();
    const cache = holder('cache', 200 * MIB);
    for (let i = 0; i < 10; i++) {
      clock.advance(5_000);
      prices.noteStep('rss', 'full', 250 * MIB, 10, { measuredBytes: 500 * MIB });
    }
    clock.advance(5_000);
    memory.garbageBytes = 250 * MIB;
    memory.keptShare = 0;
    const report = await train.run(call('smart'));
    expect([report.seenBytes, cache.heldBytes]).toEqual([250 * MIB, 200 * MIB]);
    expect(report.parts.find(({ skipped }) => skipped === undefined)!.part).toBe('full-collection');
  });
});
