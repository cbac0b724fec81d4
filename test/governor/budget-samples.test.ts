/** What a reservation makes the governor look at the machine for, and what it says when that has no room. */
import type { Reservation } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { BareBooks, settle, Watched } from './bare-books.ts';
import { MIB, setUp } from './fake-meter.ts';
import { free } from './scope-stage.ts';

const WIDE = { kind: 'external', maxBytes: Number.POSITIVE_INFINITY } as const;

describe('what is refused whatever the machine has', () => {
  it.each([
    ['by its scope', { maxBytes: 5 }, {}],
    ['by its share', {}, { fairShares: () => ({ mayTake: () => false }) }],
  ] as const)('%s is not coming: no sample, however often it is asked for', async (_, scope, options) => {
    const coming: number[] = [];
    const books = new BareBooks({ ...options, sampleEveryBytes: 20, onSampleDue: (bytes) => void coming.push(bytes) });
    const job = books.consumer('job', { fairShare: 'fairShares' in options });
    await books.scopes.run({ ...free, ...scope }, () => {
      for (let i = 0; i < 50; i++) expect(job.tryReserve(30)).toBeUndefined();
    });
    expect(coming).toEqual([]);
    books.consumer('other').reserve(19);
    expect(coming).toEqual([]);
    books.consumer('other').reserve(1);
    expect(coming).toEqual([20]);
  });

  it('by those who wait is not coming either', async () => {
    const coming: number[] = [];
    const books = new BareBooks({
      maxBypass: 0,
      sampleEveryBytes: 25,
      onSampleDue: (bytes) => void coming.push(bytes),
    });
    const job = books.consumer('job');
    for (let i = 0; i < 3; i++) job.reserve(20);
    const big = new Watched(job.admit(80));
    await settle();
    // That the one that waits was refused by the books has been looked at after this.
    expect(job.tryReserve(1)).toBeUndefined();
    coming.length = 0;
    for (let i = 0; i < 50; i++) expect(job.tryReserve(30)).toBeUndefined();
    expect([coming, big.state]).toEqual([[], 'waiting']);
  });

  it('by a block has the machine looked at, without it: a loop that is refused has to hear that it is over', () => {
    const coming: number[] = [];
    const books: BareBooks = new BareBooks({
      sampleEveryBytes: 20,
      onSampleDue: (bytes) => {
        coming.push(bytes);
        if (coming.length === 2) books.budget.blocked = false;
      },
    });
    const job = books.consumer('job');
    books.budget.blocked = true;
    const granted = Array.from({ length: 5 }, () => job.tryReserve(10) !== undefined);
    expect([granted, coming]).toEqual([
      [false, false, true, true, true],
      [0, 0, 20],
    ]);
  });

  it('makes nobody give back, far from the line', async () => {
    const { governor, rss } = setUp({ collect: false, trim: false });
    let asked = 0;
    const cached: Reservation = governor
      .consumer({
        ...WIDE,
        name: 'cache',
        reclaimer: {
          reclaimableBytes: () => cached.bytes,
          reclaimNow({ targetBytes }) {
            asked++;
            const back = Math.min(targetBytes, cached.bytes);
            cached.shrink(back);
            rss.bytes -= back;
            return back;
          },
        },
      })
      .reserve(60 * MIB);
    rss.bytes = 65 * MIB;
    governor.sample();
    const job = governor.consumer({ ...WIDE, name: 'job' });
    for (let i = 0; i < 20; i++) {
      await governor.scope({ name: 'tiny', maxBytes: MIB }, () => expect(job.tryReserve(38 * MIB)).toBeUndefined());
    }
    expect([asked, cached.bytes, governor.journal().length]).toEqual([0, 60 * MIB, 0]);
  });
});

describe('what pots have paid', () => {
  it('is coming when it is waited for, not again when it is used; but it is looked at then', async () => {
    const coming: number[] = [];
    const books = new BareBooks({ sampleEveryBytes: 20, onSampleDue: (bytes) => void coming.push(bytes) });
    const job = books.consumer('job');
    await books.scopes.run({ ...free, upFrontBytes: 60 }, () => {
      expect(coming).toEqual([60]);
      using _ = job.reserve(30);
      using __ = job.reserve(35);
      expect(coming).toEqual([60, 0, 5]);
    });
  });
});

describe('the machine has no room for what is coming', () => {
  it('is said by its own name, with what there is', () => {
    const { governor, rss } = setUp({ collect: false, trim: false });
    rss.bytes = 35 * MIB;
    governor.sample();
    const job = governor.consumer({ ...WIDE, name: 'job' });
    expect(() => job.reserve(62 * MIB)).toThrow(
      expect.objectContaining({
        code: 'PLIMSOLL_BUDGET_EXCEEDED',
        reason: 'machine',
        boundBy: 'the machine',
        availableBytes: 60 * MIB,
        message:
          'job asked for 62MiB and holds 0B: the machine has 60MiB left to grant before it is near the line, whatever is reserved',
      }),
    );
    expect(job.reserve(60 * MIB).bytes).toBe(60 * MIB);
  });
});

describe('near the line', () => {
  it('what is large has the machine looked at, however lately somebody was refused, and a scope that is full says so itself', async () => {
    const { governor, rss } = setUp({ collect: false, trim: false });
    rss.bytes = 96 * MIB;
    governor.sample();
    const feed = governor.consumer({ name: 'feed', ...WIDE });
    expect(feed.tryReserve(4_096)).toBeUndefined();
    await governor.scope({ name: 'small', maxBytes: 1_024 }, () => {
      expect(() => feed.reserve(4_096)).toThrow(expect.objectContaining({ reason: 'scope' }));
    });
    rss.bytes = 40 * MIB;
    expect(feed.tryReserve(MIB)?.bytes).toBe(MIB);
  });

  /** Reserves in steps, each of which the machine sees at once, until it is refused `most` times; the bytes that were granted. */
  function fill(stepBytes: number, most: number) {
    const { governor, rss } = setUp({ collect: false, trim: false });
    rss.bytes = 94.9 * MIB;
    governor.sample();
    const feed = governor.consumer({ name: 'feed', ...WIDE });
    let refused = 0;
    let granted = 0;
    while (refused < most && granted < 4 * MIB) {
      const room: Reservation | undefined = feed.tryReserve(stepBytes);
      if (room === undefined) refused++;
      else {
        granted += stepBytes;
        rss.bytes += stepBytes;
      }
    }
    return granted;
  }

  it('no more is granted between two looks than the machine has room for', () => {
    expect(fill(32_768, 1)).toBeLessThanOrEqual(0.1 * MIB);
  });

  it('one that is refused and asks for less at once has the machine looked at again: what it asked for slipped through', () => {
    expect(fill(16_384, 100)).toBeLessThanOrEqual(0.1 * MIB);
    const { governor, rss } = setUp({ collect: false, trim: false });
    rss.bytes = 96 * MIB;
    governor.sample();
    const feed = governor.consumer({ name: 'feed', ...WIDE });
    for (let i = 0; i < 50; i++) expect(feed.tryReserve(131_072) ?? feed.tryReserve(65_536)).toBeUndefined();
  });
});
