/** Many that wait, and one that waits for what the machine never has. */
import type { Reservation } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { BareBooks, settle, Watched } from './bare-books.ts';
import { FakeMeter, MIB, setUp } from './fake-meter.ts';

const WIDE = { kind: 'external', maxBytes: Number.POSITIVE_INFINITY } as const;
const CROWD = 4_096;

async function turn(): Promise<void> {
  for (let i = 0; i < 12; i++) await new Promise((resolve) => setImmediate(resolve));
}

describe('what the machine could never have room for', () => {
  it('is refused at once and not waited for, though the books would have it', async () => {
    const { governor, rss } = setUp({ runtimeBytes: 20 * MIB });
    rss.bytes = 20 * MIB;
    governor.sample();
    const job = governor.consumer({ ...WIDE, name: 'job' });
    const error = await job.admit(76 * MIB).catch((cause: unknown) => cause);
    expect(error).toMatchObject({
      code: 'PLIMSOLL_BUDGET_EXCEEDED',
      reason: 'machine',
      boundBy: 'the machine',
      availableBytes: 70 * MIB - 1,
    });
    expect(governor.snapshot().waiting).toBe(0);
    expect((await job.admit(60 * MIB)).bytes).toBe(60 * MIB);
  });

  it('leaves what a collection needs, in a small limit half of what lies between `critical` and `emergency`', async () => {
    for (const [limit, most] of [
      [100, 90],
      [1_000, 938],
    ] as const) {
      const { governor, rss, clock } = setUp({ limitBytes: limit * MIB, runtimeBytes: 20 * MIB });
      rss.bytes = (most - 20) * MIB;
      rss.limitBytes = limit * MIB;
      governor.sample();
      const job = governor.consumer({ ...WIDE, name: 'job' });
      const late = job.admit(21 * MIB, { timeoutMs: 50 }).catch((cause: { code: string }) => cause.code);
      expect(job.tryReserve(21 * MIB)?.bytes).toBe(21 * MIB);
      clock.advance(50);
      expect(await late).toBe('PLIMSOLL_ADMISSION_TIMEOUT');
      const { governor: other, rss: seen } = setUp({ limitBytes: limit * MIB, runtimeBytes: 20 * MIB });
      seen.bytes = (most - 20) * MIB;
      seen.limitBytes = limit * MIB;
      other.sample();
      expect((await other.consumer({ ...WIDE, name: 'job' }).admit(19 * MIB)).bytes).toBe(19 * MIB);
    }
  });

  it('is less while others that were let in have not shown what they need', async () => {
    const { governor, rss, clock } = setUp({ runtimeBytes: 20 * MIB });
    rss.bytes = 50 * MIB;
    governor.sample();
    const job = governor.consumer({ ...WIDE, name: 'job' });
    const first = await job.admit(10 * MIB);
    const second = job.admit(31 * MIB, { timeoutMs: 50 }).catch((cause: { code: string }) => cause.code);
    // 5% of it are kept, from those who wait only.
    expect(job.tryReserve(31 * MIB)?.bytes).toBe(31 * MIB);
    clock.advance(50);
    expect([first.bytes, await second]).toEqual([10 * MIB, 'PLIMSOLL_ADMISSION_TIMEOUT']);
  });

  it('is asked of what is declared up front as well, and not of what has been granted', async () => {
    const books = new BareBooks({ mostBytes: () => 95, fixedBytes: 20, mayGrant: () => true });
    const job = books.consumer('job');
    const upFront = (bytes: number) =>
      books.scopes.run(
        { name: 'request', maxBytes: 100, upFrontBytes: bytes },
        async () => (await job.admit(bytes)).bytes,
      );
    const held = job.reserve(10);
    await expect(upFront(76)).rejects.toMatchObject({ reason: 'machine', availableBytes: 75 });
    held[Symbol.dispose]();
    // There is room now: it is let in without a word.
    expect(await upFront(76)).toBe(76);
  });

  it('is anything while no meter would say so, or nobody acts on what it says', async () => {
    const { governor } = setUp({ meters: [new FakeMeter('ledger')] });
    const job = governor.consumer({ ...WIDE, name: 'job' });
    expect((await job.admit(40 * MIB)).bytes).toBe(40 * MIB);
    expect((await job.admit(60 * MIB)).bytes).toBe(60 * MIB);
  });
});

describe('one that only the machine has no room for', () => {
  it('holds back others for a second at a time, and lets them by for as long', async () => {
    const books = new BareBooks({ maxBypass: 0, mayGrant: (bytes) => bytes < 50 });
    const job = books.consumer('job');
    const big = new Watched(job.admit(60));
    await settle();
    const pattern: string[] = [];
    for (let i = 0; i < 8; i++) {
      const small = new Watched(job.admit(1, { timeoutMs: 400 }));
      await settle();
      pattern.push(small.state);
      small.value?.[Symbol.dispose]();
      books.clock.advance(500);
      await settle();
    }
    expect(pattern).toEqual(['waiting', 'waiting', 'done', 'done', 'waiting', 'waiting', 'done', 'done']);
    expect(big.state).toBe('waiting');
  });

  it('does not keep those behind it waiting for all of its time', async () => {
    const books = new BareBooks({ maxBypass: 0, mayGrant: (bytes) => bytes < 50 });
    const job = books.consumer('job');
    const big = new Watched(job.admit(60));
    const small = new Watched(job.admit(1));
    await settle();
    expect([big.state, small.state]).toEqual(['waiting', 'waiting']);
    for (let i = 0; i < 12; i++) {
      books.clock.advance(100);
      await settle();
    }
    expect([big.state, small.state]).toEqual(['waiting', 'done']);
  });

  it('is passed no more than the bound says as soon as the machine has room for it', async () => {
    let roomBytes = 50;
    const books = new BareBooks({ maxBypass: 0, mayGrant: (bytes) => bytes <= roomBytes });
    const job = books.consumer('job');
    const held = job.reserve(50);
    const big = new Watched(job.admit(60));
    await settle();
    roomBytes = 100;
    const small = new Watched(job.admit(1));
    await settle();
    held.shrink(9);
    await settle();
    expect([big.state, small.state]).toEqual(['waiting', 'waiting']);
    held.shrink(1);
    await settle();
    expect([big.state, small.state]).toEqual(['done', 'waiting']);
  });

  it('has fewer and fewer trains run for it when none of them brings it nearer', async () => {
    const rss = new FakeMeter('rss');
    const { governor, clock } = setUp({ meters: [rss], collect: false, trim: false, coolDownMs: 1_000 });
    rss.bytes = 30 * MIB;
    governor.sample();
    const cached: Reservation = governor
      .consumer({
        ...WIDE,
        name: 'cache',
        reclaimer: {
          reclaimableBytes: () => cached.bytes,
          reclaimNow({ targetBytes }) {
            const back = Math.min(targetBytes, cached.bytes);
            cached.shrink(back);
            rss.bytes -= back;
            return back;
          },
        },
      })
      .reserve(10 * MIB);
    rss.bytes += 10 * MIB;
    const big = new Watched(governor.consumer({ ...WIDE, name: 'job' }).admit(80 * MIB, { timeoutMs: 60_000 }));
    await turn();
    let flushed = 0;
    for (let i = 0; i < 500; i++) {
      clock.advance(100);
      await turn();
      // Whoever had to give back fetches it all again.
      if (cached.bytes < 10 * MIB) {
        flushed++;
        rss.bytes += 10 * MIB - cached.bytes;
        cached.resize(10 * MIB);
      }
    }
    expect(big.state).toBe('waiting');
    expect(flushed).toBeGreaterThan(0);
    expect(flushed).toBeLessThan(12);
  });
});

describe('a crowd', () => {
  /** How often something was looked at, for one that comes or one release. */
  it.each(['the machine', 'the books'])(
    'that waits for %s costs next to nothing for each that comes and each release',
    async (what) => {
      let asked = 0;
      const mayGrant = () => {
        asked++;
        return what === 'the books';
      };
      const books = new BareBooks({ maxWaiters: CROWD, mayGrant });
      const job = books.consumer('job');
      const held = job.reserve(what === 'the books' ? 100 : 10);
      const looks = countLooks(books);
      for (let i = 0; i < CROWD; i++) job.admit(50 + (i % 7), { timeoutMs: 1_000_000 }).catch(() => {});
      expect(books.admission.waiting).toBe(CROWD);
      expect(asked).toBeLessThanOrEqual(2 * CROWD);
      expect(looks.count).toBeLessThan(64 * CROWD);
      asked = looks.count = 0;
      held.shrink(1);
      expect(asked).toBeLessThanOrEqual(8);
      expect(looks.count).toBeLessThanOrEqual(CROWD + 16);
      // While all is blocked, nothing at all.
      books.budget.blocked = true;
      looks.count = 0;
      held.shrink(1);
      expect(looks.count).toBe(0);
      books.admission.shut();
      await settle();
      expect(books.clock.pending).toBe(0);
    },
  );

  it('under a bound of its own is not looked at one by one by those who pass it', async () => {
    const books = new BareBooks({ maxWaiters: CROWD, maxBypass: 0, limitBytes: 1_000 });
    const pool = books.consumer('pool', { maxBytes: 10 });
    pool.reserve(10);
    const job = books.consumer('job');
    for (let i = 0; i < CROWD; i++) pool.admit(5, { timeoutMs: 1_000_000 }).catch(() => {});
    await settle();
    const looks = countLooks(books);
    expect((await job.admit(20)).bytes).toBe(20);
    expect(looks.count).toBeLessThan(100);
    books.admission.shut();
    await settle();
  });

  it('is let in, those that fit, past those that the machine has no room for', async () => {
    const books = new BareBooks({ limitBytes: 10_000, mayGrant: (bytes) => open && bytes < 50 });
    let open = false;
    const job = books.consumer('job');
    const waiting = [60, 5, 55, 7].map((bytes) => new Watched(job.admit(bytes)));
    await settle();
    open = true;
    books.admission.wake();
    await settle();
    expect(waiting.map(({ state }) => state)).toEqual(['waiting', 'done', 'waiting', 'done']);
  });
});

/** Counts how often the books are asked whether there is room. */
function countLooks(books: BareBooks): { count: number } {
  const looks = { count: 0 };
  const { ledger } = books;
  const obstacleBeside = ledger.obstacleBeside.bind(ledger);
  ledger.obstacleBeside = (...request) => {
    looks.count++;
    return obstacleBeside(...request);
  };
  return looks;
}
