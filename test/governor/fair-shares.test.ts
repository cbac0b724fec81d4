import fc from 'fast-check';
import { ManualClock } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { FairShares } from '../../src/governor/fair-shares.ts';
import { type Account, Ledger } from '../../src/governor/ledger.ts';

function setUp(limitBytes = 1_000, headroomShare = 0.1) {
  const clock = new ManualClock();
  const ledger = new Ledger(limitBytes, 100);
  const shares = new FairShares({ ledger, headroomShare, clock });
  let names = 0;
  const open = (options: { maxBytes?: number; fairShare?: boolean; parent?: Account } = {}) => {
    const { maxBytes = Number.POSITIVE_INFINITY, fairShare = true, parent } = options;
    return ledger.open({ name: `c${names++}`, kind: 'heap', maxBytes, fairShare }, parent);
  };
  /** What the budget does without anybody giving back. */
  const take = (account: Account, bytes: number) => {
    const isRoom = ledger.obstacle(account, bytes) === undefined;
    if (!isRoom) shares.noteWant(account, bytes);
    if (!isRoom || !shares.mayTake(account, bytes)) return false;
    ledger.charge(account, bytes);
    return true;
  };
  /** The same with others that give back all they are rightly asked for, those furthest beyond their share first. */
  const takeWithReclaim = (account: Account, bytes: number) => {
    if (take(account, bytes)) return true;
    for (const holder of [...ledger.accounts].sort((a, b) => shares.overShareBytes(b) - shares.overShareBytes(a))) {
      const missing = bytes - ledger.whole.room;
      if (missing <= 0) break;
      if (holder === account || !holder.fairShare || !shares.mayAskFor(account, holder)) continue;
      ledger.release(holder, Math.min(missing, shares.overShareBytes(holder)));
    }
    return take(account, bytes);
  };
  return { clock, ledger, shares, open, take, takeWithReclaim };
}

describe('a fair share', () => {
  it('is what the others leave, less the headroom, by those that hold or want something', () => {
    const { ledger, shares, open } = setUp();
    const runtime = open({ fairShare: false });
    ledger.charge(runtime, 100);
    const [a, b, idle] = [open(), open(), open()];
    expect([a, b, idle].map((account) => shares.shareBytes(account))).toEqual([800, 800, 800]);
    ledger.charge(a, 1);
    expect([a, b].map((account) => shares.shareBytes(account))).toEqual([800, 400]);
    ledger.charge(b, 1);
    expect([a, b, idle].map((account) => shares.shareBytes(account))).toEqual([400, 400, 266]);
    expect(shares.shareBytes(runtime)).toBe(Number.POSITIVE_INFINITY);
  });

  it('one alone, and one among idle ones, may use all but the headroom', () => {
    const { open, take } = setUp();
    const [alone] = [open(), open(), open()];
    expect(take(alone!, 901)).toBe(false);
    expect(take(alone!, 900)).toBe(true);
    expect(take(alone!, 1)).toBe(false);
  });

  it('those that cannot give back may use the headroom', () => {
    const { open, take, shares } = setUp();
    const [sorter, parser] = [open(), open({ fairShare: false })];
    take(sorter, 900);
    expect([take(parser, 100), shares.overShareBytes(sorter), shares.overShareBytes(parser)]).toEqual([true, 100, 0]);
  });

  it('beyond its share one is granted what is free beyond the headroom, and nothing is asked back for it', () => {
    const { open, take, shares } = setUp();
    const [a, b] = [open(), open()];
    take(b, 200);
    expect(take(a, 650)).toBe(true);
    expect([shares.shareBytes(a), shares.overShareBytes(a), take(a, 51), take(a, 50)]).toEqual([450, 200, false, true]);
    expect([shares.mayAskFor(a, b), shares.mayAskFor(b, a)]).toEqual([false, true]);
    shares.noteWant(b, 250);
    expect(shares.mayAskFor(b, a)).toBe(true);
    shares.noteWant(b, 251);
    expect(shares.mayAskFor(b, a)).toBe(false);
  });

  it('up to its share one may use the headroom too: who is beyond his is asked to give it back', () => {
    const { open, take, shares, ledger } = setUp();
    const [a, b] = [open(), open()];
    take(a, 900);
    expect(shares.headroomDebtBytes()).toBe(0);
    expect([take(b, 60), shares.headroomDebtBytes(), take(b, 40), take(b, 1)]).toEqual([true, 60, true, false]);
    expect(shares.headroomDebtBytes()).toBe(100);
    ledger.release(a, 500);
    ledger.charge(open({ fairShare: false }), 450);
    // The shares are 225 now: what is missing is more than the one holds beyond his.
    expect([shares.overShareBytes(a), shares.headroomDebtBytes()]).toEqual([175, 50]);
    ledger.release(a, 175);
    ledger.charge(open({ fairShare: false }), 225);
    expect(shares.headroomDebtBytes()).toBe(100);
  });

  it('nobody is asked on behalf of one beyond its share; who does not share may ask all', () => {
    const { open, take, shares, ledger } = setUp();
    const [a, b, cache] = [open(), open(), open({ fairShare: false })];
    ledger.charge(cache, 100);
    take(a, 500);
    take(b, 300);
    expect([shares.mayAskFor(a, cache), shares.mayAskFor(b, cache), shares.mayAskFor(b, a)]).toEqual([
      false,
      true,
      true,
    ]);
    expect([shares.mayAskFor(cache, b), shares.mayAskFor(undefined, b)]).toEqual([true, true]);
    const c = open();
    ledger.charge(c, 265);
    // Three shares of 266: the second is 34 beyond, the third one short.
    expect([shares.mayAskFor(b, a), shares.mayAskFor(c, b)]).toEqual([false, true]);
    ledger.charge(c, 1);
    expect(shares.mayAskFor(c, b)).toBe(false);
    ledger.release(b, 100);
    expect([shares.mayAskFor(b, a), shares.mayAskFor(b, c)]).toEqual([true, false]);
  });

  it('what one cannot use by its own bound is divided among the others', () => {
    const { open, ledger, shares } = setUp();
    const accounts = [open({ maxBytes: 100 }), open({ maxBytes: 250 }), open(), open()];
    for (const account of accounts) ledger.charge(account, 1);
    expect(accounts.map((account) => shares.shareBytes(account))).toEqual([100, 250, 275, 275]);
    const { open: openSmall, ledger: other, shares: small } = setUp();
    const two = [openSmall({ maxBytes: 10 }), openSmall({ maxBytes: 20 })];
    for (const account of two) other.charge(account, 1);
    expect(two.map((account) => small.shareBytes(account))).toEqual([10, 20]);
  });

  it('of nested ones the outermost counts, with what its children hold', () => {
    const { open, ledger, shares, take } = setUp();
    const outer = open();
    const inner = open({ parent: outer });
    const leaf = open({ parent: inner, fairShare: false });
    const other = open();
    ledger.charge(leaf, 700);
    ledger.charge(other, 1);
    expect([leaf, inner, outer].map((account) => shares.overShareBytes(account))).toEqual([250, 250, 250]);
    expect([take(leaf, 200), take(leaf, 199), shares.mayAskFor(leaf, inner)]).toEqual([false, true, true]);
  });

  it('is nothing when the others are over the line', () => {
    const { open, ledger, shares, take } = setUp();
    const [a, cache] = [open(), open({ fairShare: false })];
    ledger.charge(cache, 950);
    expect([shares.shareBytes(a), take(a, 1)]).toEqual([0, false]);
    ledger.whole.maxBytes = 10;
    expect([shares.shareBytes(a), shares.overShareBytes(a)]).toEqual([0, 0]);
  });

  it('sees who comes and goes', () => {
    const { open, ledger, shares } = setUp();
    const [a, b] = [open(), open()];
    ledger.charge(a, 10);
    ledger.charge(b, 10);
    expect(shares.shareBytes(a)).toBe(450);
    ledger.close(a);
    expect(shares.shareBytes(b)).toBe(900);
    const c = open();
    ledger.charge(c, 10);
    expect(shares.shareBytes(b)).toBe(450);
    ledger.close(c);
    const unshared = open({ fairShare: false });
    ledger.charge(unshared, 10);
    expect(shares.shareBytes(b)).toBe(890);
    ledger.close(unshared);
    ledger.charge(open(), 10);
    expect(shares.shareBytes(b)).toBe(450);
  });
});

describe('who was refused below its share', () => {
  it('has kept for it what comes free, from those beyond theirs, until it is granted or a second is over', () => {
    const { open, take, ledger, clock, shares } = setUp();
    const [a, b] = [open(), open()];
    take(a, 900);
    take(b, 100);
    expect(take(b, 200)).toBe(false);
    ledger.release(a, 350);
    // 350 are free: 100 of them are the headroom, 200 are wanted.
    expect([take(a, 51), take(a, 50)]).toEqual([false, true]);
    expect(take(b, 200)).toBe(true);
    expect(shares.overShareBytes(a)).toBe(150);
    ledger.release(a, 100);
    expect(take(a, 100)).toBe(true);
    take(b, 120);
    ledger.release(a, 120);
    expect(take(a, 10)).toBe(false);
    clock.advance(999);
    expect(take(a, 10)).toBe(false);
    clock.advance(1);
    expect(take(a, 10)).toBe(true);
  });

  it('has kept for it what it is not granted yet, however often others ask', () => {
    const { open, take, ledger, shares } = setUp();
    const [a, b] = [open(), open()];
    take(a, 900);
    take(b, 100);
    take(b, 200);
    ledger.release(a, 350);
    expect(take(b, 80)).toBe(true);
    // 270 are free: 100 are the headroom, 120 of 200 are still wanted.
    for (let i = 0; i < 3; i++) expect([shares.mayTake(a, 51), shares.mayTake(a, 50)]).toEqual([false, true]);
  });

  it('counts although it holds nothing yet', () => {
    const { open, take, ledger, shares } = setUp(1_000, 0);
    const [a, b] = [open(), open()];
    take(a, 1_000);
    expect(shares.overShareBytes(a)).toBe(0);
    take(b, 10);
    expect(shares.overShareBytes(a)).toBe(500);
    ledger.close(b);
    expect(shares.overShareBytes(a)).toBe(0);
  });

  it('is kept no more than its share', () => {
    const { open, take, ledger } = setUp();
    const [a, b] = [open(), open()];
    take(a, 900);
    take(b, 5_000);
    ledger.release(a, 600);
    // 700 are free: 100 are the headroom, 450 the share of the other.
    expect([take(a, 151), take(a, 150)]).toEqual([false, true]);
  });
});

describe('whatever happens', () => {
  const step = fc.record({
    who: fc.nat(5),
    bytes: fc.integer({ min: 1, max: 400 }),
    gives: fc.boolean(),
    ms: fc.nat(400),
  });

  /** Five accounts, of which the last two do not share, and one of the others has a bound. */
  const play = (steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[], headroomShare: number) => {
    const world = setUp(1_000, headroomShare);
    const { open, ledger, shares, takeWithReclaim, clock } = world;
    const accounts = [
      open(),
      open(),
      open({ maxBytes: 150 }),
      open(),
      open({ fairShare: false }),
      open({ fairShare: false }),
    ];
    const headroom = Math.floor(1_000 * headroomShare);
    for (const { who, bytes, gives, ms } of steps) {
      clock.advance(ms);
      const account = accounts[who]!;
      if (gives) {
        ledger.release(account, Math.min(bytes, account.own));
        continue;
      }
      const within = account.fairShare && account.total + bytes <= shares.shareBytes(account);
      const shared = account.fairShare && account.total + bytes <= account.maxBytes;
      const over = accounts.reduce((sum, each) => sum + shares.overShareBytes(each), 0);
      const couldBeFree = ledger.whole.room + over;
      const granted = takeWithReclaim(account, bytes);
      if (within) expect(granted).toBe(true);
      if (granted && shared && !within) expect(ledger.whole.room).toBeGreaterThanOrEqual(headroom);
      if (!account.fairShare) expect(granted).toBe(bytes <= couldBeFree);
      expect(ledger.whole.total).toBeLessThanOrEqual(1_000);
    }
    return { ...world, accounts, headroom };
  };

  it('the sum is never over the limit, and who asks within its share is never refused while the others give back', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(0, 0.1, 0.5), (steps, headroom) => {
        play(steps, headroom);
      }),
      { numRuns: 1_000 },
    );
  });

  it('the shares of those that count fit into what the others leave, and one more byte for each would not', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
        const { accounts, shares, ledger, headroom } = play(steps, 0.1);
        const sharing = accounts.filter((account) => account.fairShare && account.total > 0);
        const others = accounts.filter((account) => !account.fairShare).reduce((sum, { total }) => sum + total, 0);
        const pool = Math.max(0, ledger.whole.maxBytes - headroom - others);
        const divided = sharing.map((account) => shares.shareBytes(account));
        const sum = divided.reduce((all, bytes) => all + bytes, 0);
        expect(sum).toBeLessThanOrEqual(pool);
        const wants = sharing.some((account, i) => divided[i]! < account.maxBytes);
        // Those that were refused within the last second count as well and hold nothing.
        const refused = accounts.some((account) => account.fairShare && account.total === 0);
        if (wants && !refused) expect(sum).toBeGreaterThan(pool - sharing.length);
      }),
    );
  });

  it('greedy ones that give back what is asked come to equal parts, whoever was first', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 8 }), fc.integer({ min: 1, max: 20 }), fc.nat(), (count, chunk, seed) => {
        const { open, ledger, takeWithReclaim, shares } = setUp(1_000, 0.1);
        const accounts = Array.from({ length: count }, () => open());
        ledger.charge(accounts[seed % count]!, 900);
        for (let round = 0; round < 1_000; round++) {
          for (let i = 0; i < count; i++) takeWithReclaim(accounts[(i + seed) % count]!, chunk);
          for (const account of accounts) {
            ledger.release(account, Math.min(shares.headroomDebtBytes(), shares.overShareBytes(account)));
          }
        }
        expect(ledger.whole.room).toBeGreaterThanOrEqual(100);
        for (const account of accounts) {
          // Nobody is short of a whole piece; what the others are short of one may hold beyond his share.
          expect(account.total).toBeGreaterThan(shares.shareBytes(account) - chunk);
          expect(account.total).toBeLessThan(shares.shareBytes(account) + chunk * count);
        }
      }),
      { numRuns: 30 },
    );
  });
});
