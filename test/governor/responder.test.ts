import { DEFAULT_THRESHOLDS, ManualClock, type Reservation, scopeAbortedEvents, type TrainReport } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { Faults } from '../../src/governor/faults.ts';
import { Responder } from '../../src/governor/responder.ts';
import { FakeMeter, MIB, setUp } from './fake-meter.ts';

/** Lets trains come to their end: they let the program have its turn between two parts. */
async function settle(): Promise<void> {
  for (let i = 0; i < 12; i++) await new Promise((resolve) => setImmediate(resolve));
}

function unreachable(): never {
  throw new Error('this was not to be called');
}

const whys = (reports: readonly TrainReport[]) => reports.map(({ why }) => why);

function holdBack(governor: ReturnType<typeof setUp>['governor'], rss: FakeMeter, bytes: number) {
  const held: Reservation = governor
    .consumer({
      name: 'cache',
      kind: 'external',
      maxBytes: bytes,
      reclaimer: {
        reclaimableBytes: () => held.bytes,
        reclaimNow({ targetBytes }) {
          const back = Math.min(targetBytes, held.bytes);
          held.shrink(back);
          rss.bytes -= back;
          return back;
        },
      },
    })
    .reserve(bytes);
  return held;
}

describe('trains by the clock', () => {
  it('at critical others give back, until the line is as far as the strategy wants it', async () => {
    const { governor, rss, clock } = setUp({ collect: false, trim: false });
    const held = holdBack(governor, rss, 50 * MIB);
    rss.bytes = 88 * MIB;
    clock.advance(1_100);
    await settle();
    const [report] = governor.journal();
    expect(report).toMatchObject({
      number: 1,
      why: 'pressure',
      decidingMeter: 'rss',
      level: 'critical',
      observed: false,
    });
    expect(rss.bytes).toBeLessThan(80 * MIB);
    expect(held.bytes).toBeLessThan(50 * MIB);
    expect(report!.seenBytes).toBe(88 * MIB - rss.bytes);
  });

  it('those that follow one another within seconds aim deeper, and as at first after a pause', async () => {
    const { governor, rss, clock } = setUp({ collect: false, trim: false });
    holdBack(governor, rss, 90 * MIB);
    const aims: number[] = [];
    for (const pauseMs of [0, 1_500, 1_500, 1_500, 60_000]) {
      rss.bytes = 40 * MIB;
      clock.advance(pauseMs);
      rss.bytes = 88 * MIB;
      governor.sample();
      await settle();
      aims.push(Math.round(governor.journal().at(-1)!.targetBytes / MIB));
    }
    expect(aims.map((aim) => aim - aims[0]!)).toEqual([0, 0, 5, 10, 0]);
  });

  it('nothing is done below that while use stands still, and nothing while it falls by itself', async () => {
    const { governor, rss, clock } = setUp({ collect: false, trim: false });
    holdBack(governor, rss, 50 * MIB);
    rss.bytes = 80 * MIB;
    for (let i = 0; i < 20; i++) {
      clock.advance(500);
      await settle();
    }
    expect(governor.journal()).toEqual([]);
    const falling = setUp({ collect: false, trim: false });
    holdBack(falling.governor, falling.rss, 50 * MIB);
    falling.rss.bytes = 84 * MIB;
    for (let i = 0; i < 60; i++) {
      falling.clock.advance(100);
      falling.rss.bytes -= MIB / 2;
    }
    falling.rss.bytes += 34 * MIB - 29 * MIB;
    expect(falling.governor.journal()).toEqual([]);
  });

  it('ahead of need when the line is near by the trend, by `smart` alone', async () => {
    for (const [strategy, expected] of [
      ['smart', ['prediction']],
      ['basic', []],
    ] as const) {
      const { governor, rss, clock } = setUp({ collect: false, trim: false, strategy });
      holdBack(governor, rss, 50 * MIB);
      for (rss.bytes = 40 * MIB; rss.bytes < 82 * MIB && governor.journal().length === 0; rss.bytes += MIB) {
        clock.advance(200);
        await settle();
      }
      expect(whys(governor.journal())).toEqual(expected);
    }
  });

  it('does not wait longer for use that grew meanwhile: a part that brought something was not in vain', async () => {
    const { governor, rss, clock } = setUp({ collect: false, trim: false, coolDownMs: 1_000 });
    const held = holdBack(governor, rss, 10 * MIB);
    const slow = governor.consumer({
      name: 'slow',
      kind: 'external',
      maxBytes: MIB,
      // While it is waited for the program takes as much again.
      reclaimer: {
        reclaimableBytes: () => MIB,
        async reclaim() {
          rss.bytes = 97 * MIB;
          return 0;
        },
      },
    });
    slow.reserve(MIB);
    rss.bytes = 97 * MIB;
    governor.sample();
    await settle();
    expect(governor.journal()).toHaveLength(1);
    expect(governor.journal()[0]!.seenBytes).toBeLessThanOrEqual(0);
    expect(held.bytes).toBe(0);
    clock.advance(1);
    governor.sample();
    await settle();
    expect(governor.journal()).toHaveLength(2);
  });

  it('cools down, and longer while nothing comes of it', async () => {
    const { governor, rss, clock } = setUp({ collect: false, trim: false, coolDownMs: 1_000 });
    rss.bytes = 90 * MIB;
    const trainsIn = async (seconds: number) => {
      const before = governor.journal().length;
      for (let i = 0; i < seconds * 10; i++) {
        clock.advance(100);
        await settle();
      }
      return governor.journal().length - before;
    };
    expect(await trainsIn(10)).toBeLessThanOrEqual(4);
    expect(await trainsIn(60)).toBeLessThanOrEqual(4);
  });

  it('the headroom that one below its share has taken is given back by those above theirs', async () => {
    const { governor, rss, clock } = setUp({ collect: false, trim: false, headroomShare: 0.1 });
    const shared = (name: string) => {
      const held: Reservation = governor
        .consumer({
          name,
          kind: 'external',
          maxBytes: 100 * MIB,
          fairShare: true,
          reclaimer: {
            reclaimableBytes: () => (name === 'first' ? held.bytes : 0),
            reclaimNow({ targetBytes }) {
              const back = Math.min(targetBytes, held.bytes);
              held.shrink(back);
              return back;
            },
          },
        })
        .reserve(0);
      return held;
    };
    const first = shared('first');
    const second = shared('second');
    expect([first.tryGrow(90 * MIB), first.tryGrow(MIB)]).toEqual([true, false]);
    // Below its share, and nobody had to give back for it.
    expect(second.tryGrow(5 * MIB)).toBe(true);
    rss.bytes = 10 * MIB;
    clock.advance(1_100);
    await settle();
    expect([first.bytes, governor.availableBytes]).toEqual([85 * MIB, 10 * MIB]);
  });

  it('full books ask holders, and nobody is aborted or turned away for them', async () => {
    const ledger = new FakeMeter('ledger');
    const rss = new FakeMeter('rss');
    const { governor, clock } = setUp({ collect: false, trim: false, meters: [ledger, rss] });
    const held = holdBack(governor, rss, 50 * MIB);
    ledger.bytes = 97 * MIB;
    rss.bytes = 50 * MIB;
    for (let i = 0; i < 200; i++) {
      clock.advance(100);
      await settle();
    }
    expect(governor.level).toBe('emergency');
    expect([governor.shouldShed('http.accept'), governor.snapshot().breaker.state]).toEqual([false, 'closed']);
    expect(held.bytes).toBeLessThan(50 * MIB);
    expect(governor.snapshot().scopeAborts).toBe(0);
  });
});

describe('past the line by what the machine sees', () => {
  it('limits on tracked bytes are limits on RSS: what nobody reserved is held against everybody', async () => {
    const { governor, rss, clock } = setUp({ collect: false, trim: false });
    const feed = governor.consumer({ name: 'feed', kind: 'external', maxBytes: 100 * MIB });
    rss.bytes = 99 * MIB;
    clock.advance(1_100);
    await settle();
    expect(governor.heldBytes).toBe(0);
    expect(feed.tryReserve(1)).toBeUndefined();
    expect(() => feed.reserve(1)).toThrow(expect.objectContaining({ reason: 'emergency' }));
    const waiting = feed.admit(MIB, { timeoutMs: 60_000 });
    await settle();
    rss.bytes = 50 * MIB;
    clock.advance(1_000);
    await settle();
    expect((await waiting).bytes).toBe(MIB);
    expect(feed.tryReserve(1)?.bytes).toBe(1);
  });

  it('what is coming counts: a request that the machine has no room for is refused though the books have it', () => {
    const { governor, rss } = setUp({ collect: false, trim: false });
    const feed = governor.consumer({ name: 'feed', kind: 'external', maxBytes: 100 * MIB });
    rss.bytes = 60 * MIB;
    expect(feed.tryReserve(40 * MIB)).toBeUndefined();
    expect(feed.tryReserve(30 * MIB)?.bytes).toBe(30 * MIB);
  });

  it('the scope that holds most is aborted once giving back was not enough; in `observe` it is only named', async () => {
    for (const mode of ['on', 'observe'] as const) {
      const heard: unknown[] = [];
      using _ = scopeAbortedEvents.subscribe(({ scope, observed }) => heard.push([scope, observed]));
      const { governor, rss, clock } = setUp({ collect: false, trim: false, mode });
      const pages = governor.consumer({ name: 'pages', kind: 'external', maxBytes: 100 * MIB });
      let end = () => {};
      const work = (bytes: number) => (scope: { readonly signal: AbortSignal }) =>
        new Promise<string>((resolve) => {
          pages.reserve(bytes);
          scope.signal.addEventListener('abort', () => resolve(scope.signal.reason.code));
          end = () => resolve('ended');
        });
      const small = governor.scope({ name: 'small', maxBytes: MIB }, work(MIB));
      const endSmall = end;
      const large = governor.scope({ name: 'large', maxBytes: 9 * MIB }, work(8 * MIB));
      await settle();
      rss.bytes = 90 * MIB;
      clock.advance(1_100);
      await settle();
      expect(heard[0]).toEqual(['large', mode === 'observe']);
      end();
      endSmall();
      expect(await Promise.all([small, large])).toEqual(['ended', mode === 'on' ? 'PLIMSOLL_SCOPE_ABORTED' : 'ended']);
      expect(governor.snapshot().scopeAborts).toBe(mode === 'on' ? 1 : 0);
    }
  });
});

describe('modes and faults', () => {
  it('observe journals what would have been done and does none of it', async () => {
    const { governor, rss, clock } = setUp({ collect: false, trim: false, mode: 'observe' });
    const held = holdBack(governor, rss, 50 * MIB);
    rss.bytes = 96 * MIB;
    clock.advance(1_100);
    await settle();
    expect(governor.journal()[0]).toMatchObject({ observed: true, seenBytes: 0 });
    expect([held.bytes, governor.shouldShed('http.accept')]).toEqual([50 * MIB, false]);
    expect(governor.consumer({ name: 'feed', kind: 'heap', maxBytes: MIB }).tryReserve(1)?.bytes).toBe(1);
  });

  it('a fault in acting switches it off, says so, and blocks nobody', async () => {
    const clock = new ManualClock();
    const rss = new FakeMeter('rss');
    const responder = new Responder({
      clock,
      faults: new Faults(),
      mode: () => 'on',
      thresholds: () => DEFAULT_THRESHOLDS,
      strategy: () => 'smart',
      coolDownMs: 1_000,
      reading: () => {
        throw new Error('broken');
      },
      roomBytes: () => Number.POSITIVE_INFINITY,
      mostBytes: () => Number.POSITIVE_INFINITY,
      releasedBytes: () => 0,
      outstandingBytes: () => 0,
      unseenBytes: () => 0,
      train: { running: false, run: () => Promise.reject(new Error('never')), runNow: () => unreachable() },
      headroomDebtBytes: unreachable,
      abortLargestScope: unreachable,
      prepare: unreachable,
      restartTrends: unreachable,
      onBlocked: (blocked) => expect(blocked).toBe(false),
      wake: () => {},
    });
    rss.bytes = 99 * MIB;
    responder.note();
    expect([responder.acting, responder.blocked, responder.noteInline(MIB), responder.fits(MIB)]).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });
});

describe('at the end', () => {
  it('nothing is turned away any more, whoever ended it and when', () => {
    for (const by of ['itself', 'a trigger'] as const) {
      const { governor, rss, clock } = setUp({ collect: false, trim: false });
      if (by === 'a trigger') governor.when({ level: 'emergency' }, () => governor[Symbol.dispose]());
      rss.bytes = 99 * MIB;
      for (let i = 0; i < 200; i++) clock.advance(50);
      governor[Symbol.dispose]();
      clock.advance(1_000_000);
      expect(Array.from({ length: 100 }, () => governor.shouldShed('http.accept'))).not.toContain(true);
    }
  });

  it('a larger limit is felt at once: nothing stays blocked or turned away until the next sample', async () => {
    const { governor, rss, clock } = setUp({ collect: false, trim: false });
    const feed = governor.consumer({ name: 'feed', kind: 'external', maxBytes: MIB });
    rss.bytes = 99 * MIB;
    clock.advance(1_100);
    await settle();
    expect(feed.tryReserve(MIB)).toBeUndefined();
    rss.limitBytes = 400 * MIB;
    governor.tune({ limitBytes: 400 * MIB });
    expect([governor.shouldShed('http.accept'), feed.tryReserve(MIB)?.bytes]).toEqual([false, MIB]);
  });
});
