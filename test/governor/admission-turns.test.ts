/** Who may pass whom: ageing, those that do not wait, the gate, the block, the train. */
import fc from 'fast-check';
import { type Reclaimer, type Reservation, refusedEvents } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import type { AdmissionTrainCall } from '../../src/governor/admission.ts';
import { BareBooks, gate, LIMIT, settle, Watched } from './bare-books.ts';

const states = (waiting: readonly Watched<unknown>[]) => waiting.map((one) => one.state);

describe('ageing', () => {
  it('halves with each second how often one that waits may be passed', async () => {
    for (const [waitedMs, passes] of [
      [0, 8],
      [1_000, 4],
      [2_500, 2],
      [3_000, 1],
      [4_000, 0],
    ] as const) {
      const books = new BareBooks({ maxBypass: 8 });
      const job = books.consumer('job');
      job.reserve(50);
      const big = new Watched(job.admit(60));
      await settle();
      books.clock.advance(waitedMs);
      const passing = Array.from({ length: 9 }, () => new Watched(job.admit(1)));
      await settle();
      expect([waitedMs, states(passing).filter((state) => state === 'done').length]).toEqual([waitedMs, passes]);
      expect(big.state).toBe('waiting');
    }
  });
});

describe('those that wait behind it', () => {
  it('count as passing it as well', async () => {
    const books = new BareBooks({ maxBypass: 2 });
    const job = books.consumer('job');
    const held = job.reserve(100);
    const big = new Watched(job.admit(60));
    const small = Array.from({ length: 4 }, () => new Watched(job.admit(10)));
    await settle();
    held.shrink(50);
    await settle();
    expect([big.state, ...states(small)]).toEqual(['waiting', 'done', 'done', 'waiting', 'waiting']);
    held.shrink(50);
    await settle();
    expect([big.state, ...states(small)]).toEqual(['done', 'done', 'done', 'done', 'done']);
  });

  it('do not follow one whose wish ended while others gave back for it', async () => {
    const books = new BareBooks();
    const abort = new AbortController();
    const reclaimer: Reclaimer = {
      reclaimableBytes: () => 100,
      reclaimNow: () => {
        abort.abort(new Error('enough'));
        return 0;
      },
    };
    books.consumer('cache', { reclaimer }).reserve(100);
    const waiting = new Watched(books.consumer('job').admit(10, { signal: abort.signal }));
    await settle();
    expect([waiting.state, books.admission.waiting]).toEqual(['Error: enough', 0]);
  });
});

describe('who does not wait', () => {
  it('slips by with at most so many times the bytes waited for, and is then kept out, with the reason', async () => {
    const books = new BareBooks({ maxBypass: 3 });
    const job = books.consumer('job');
    job.reserve(90);
    const waiting = new Watched(job.admit(20));
    await settle();
    let slipped = 0;
    for (;;) {
      using one = job.tryReserve(5);
      if (one === undefined) break;
      slipped += one.bytes;
    }
    expect(slipped).toBe(60);
    expect(() => job.reserve(1)).toThrow(
      expect.objectContaining({ code: 'PLIMSOLL_BUDGET_EXCEEDED', reason: 'queue', availableBytes: 10 }),
    );
    expect(() => job.reserve(1)).toThrow('others have waited longer for the room that the whole has');
    expect(waiting.state).toBe('waiting');
  });

  it('is kept out for a second at a time, and let in for as long', async () => {
    const books = new BareBooks({ maxBypass: 0 });
    const job = books.consumer('job');
    job.reserve(90);
    const waiting = new Watched(job.admit(20));
    await settle();
    const pattern: boolean[] = [];
    for (let i = 0; i < 10; i++) {
      using one = job.tryReserve(1);
      pattern.push(one !== undefined);
      books.clock.advance(500);
    }
    expect(pattern).toEqual([false, false, true, true, false, false, true, true, false, false]);
    expect(waiting.state).toBe('waiting');
  });

  it('is not kept out of what nobody waits for, nor once the queue is empty', async () => {
    const books = new BareBooks({ maxBypass: 0 });
    const job = books.consumer('job');
    const pool = books.consumer('pool', { maxBytes: 10 });
    const held = pool.reserve(10);
    const own = new Watched(pool.admit(5));
    await settle();
    expect([job.tryReserve(50)?.bytes, pool.tryReserve(1)]).toEqual([50, undefined]);
    held.shrink(4);
    // There are 4 bytes in the pool, and who waits for 5 of them comes first.
    expect(pool.tryReserve(1)).toBeUndefined();
    held.shrink(1);
    await settle();
    expect([own.state, held.tryGrow(0)]).toEqual(['done', true]);
    held.shrink(2);
    expect(pool.tryReserve(2)?.bytes).toBe(2);
  });

  it('asks nobody to give back while it is kept out', async () => {
    const books = new BareBooks({ maxBypass: 0 });
    const job = books.consumer('job');
    job.reserve(60);
    let asked = 0;
    const reclaimer: Reclaimer = { reclaimableBytes: () => 5, reclaimNow: () => 0 * asked++ };
    books.consumer('cache', { reclaimer }).reserve(40);
    new Watched(job.admit(50));
    await settle();
    books.clock.advance(99);
    const before = asked;
    expect(job.tryReserve(2)).toBeUndefined();
    expect(asked).toBe(before);
  });

  it('counts against scopes only where the scope is what is waited for', async () => {
    const books = new BareBooks({ maxBypass: 0 });
    const job = books.consumer('job');
    const { opened, open } = gate();
    const inside: unknown[] = [];
    const request = new Watched(
      books.scopes.run({ name: 'request', maxBytes: 20, upFrontBytes: 20 }, async () => {
        using held = job.reserve(18);
        const more = new Watched(job.admit(10));
        await settle(20);
        inside.push(more.state, job.tryReserve(1));
        held.shrink(1);
        inside.push(job.tryReserve(1));
        await opened;
        inside.push(held.bytes);
      }),
    );
    await settle();
    expect(job.tryReserve(50)?.bytes).toBe(50);
    open();
    await settle();
    expect([request.error, inside]).toEqual([undefined, ['waiting', undefined, undefined, 17]]);
  });

  it('waits for nobody in mode observe', async () => {
    const books = new BareBooks({ mode: 'observe', maxBypass: 0 });
    const job = books.consumer('job');
    using _ = refusedEvents.subscribe(() => {});
    await job.admit(300);
    expect([job.tryReserve(1)?.bytes, books.admission.waiting, books.budget.refusals]).toEqual([1, 0, 2]);
  });
});

describe('nobody starves', () => {
  /** Small ones come for ever, waiting and not waiting, hold for a while and go; a big one waits. */
  const crowd = fc.record({
    big: fc.integer({ min: 50, max: LIMIT }),
    holdMs: fc.integer({ min: 10, max: 400 }),
    steps: fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 30 }), waits: fc.boolean(), grows: fc.boolean() }), {
      minLength: 10,
      maxLength: 30,
    }),
    maxBypass: fc.integer({ min: 0, max: 64 }),
  });

  it('whoever comes, as long as who holds gives back in time', async () => {
    await fc.assert(
      fc.asyncProperty(crowd, async ({ big, holdMs, steps, maxBypass }) => {
        const books = new BareBooks({ maxBypass });
        const job = books.consumer('job');
        const held: { readonly until: number; readonly room: Reservation }[] = [];
        const hold = (room: Reservation | undefined) => {
          if (room !== undefined) held.push({ until: books.clock.now() + holdMs, room });
        };
        hold(job.reserve(LIMIT));
        const waiting = new Watched(job.admit(big, { timeoutMs: 30_000 }));
        for (let i = 0; i < 1_500 && waiting.state === 'waiting'; i++) {
          const { bytes, waits, grows } = steps[i % steps.length]!;
          if (waits) job.admit(bytes, { timeoutMs: 5_000 }).then(hold, () => {});
          else if (grows) held.at(-1)?.room.tryGrow(bytes);
          else hold(job.tryReserve(bytes));
          await settle(10);
          books.clock.advance(10);
          for (const one of held.splice(0)) {
            if (one.until <= books.clock.now()) one.room[Symbol.dispose]();
            else held.push(one);
          }
        }
        await settle();
        expect(waiting.state).toBe('done');
        expect(books.heldBytes).toBeLessThanOrEqual(LIMIT);
      }),
      { numRuns: 60 },
    );
  });
});

describe('the gate', () => {
  it('keeps who waits waiting while it is shut, whatever room there is, and is asked at each grant', async () => {
    let shut = true;
    let asked = 0;
    const mayGrant = () => {
      asked++;
      return !shut;
    };
    const books = new BareBooks({ mayGrant });
    const job = books.consumer('job');
    const waiting = [new Watched(job.admit(10)), new Watched(job.admit(20))];
    await settle();
    expect([states(waiting), job.tryReserve(5)?.bytes, (await job.admit(0)).bytes]).toEqual([
      ['waiting', 'waiting'],
      5,
      0,
    ]);
    shut = false;
    asked = 0;
    books.admission.wake();
    await settle();
    expect([states(waiting), asked]).toEqual([['done', 'done'], 2]);
  });

  it('is looked at again by itself', async () => {
    let shut = true;
    const books = new BareBooks({ mayGrant: () => !shut });
    const waiting = new Watched(books.consumer('job').admit(10));
    await settle();
    shut = false;
    books.clock.advance(100);
    await settle();
    expect([waiting.state, books.clock.pending]).toEqual(['done', 0]);
  });

  it('does not stand before what was declared and granted', async () => {
    let shut = false;
    const books = new BareBooks({ mayGrant: () => !shut });
    const job = books.consumer('job');
    const got = new Watched(
      books.scopes.run({ name: 'request', maxBytes: 50, upFrontBytes: 30 }, async () => {
        shut = true;
        return (await job.admit(30)).bytes;
      }),
    );
    await settle();
    expect(got.value).toBe(30);
  });
});

describe('the block', () => {
  it('refuses every reservation, with the reason, until it is lifted', async () => {
    const books = new BareBooks();
    const job = books.consumer('job');
    const held = job.reserve(10);
    const inside: unknown[] = [];
    const declared = new Watched(
      books.scopes.run({ name: 'request', maxBytes: 30, upFrontBytes: 20 }, async () => {
        await settle(20);
        inside.push(job.tryReserve(10));
        inside.push((await job.admit(10)).bytes);
      }),
    );
    books.budget.blocked = true;
    expect([job.tryReserve(1), held.tryGrow(1), job.tryReserve(0)?.bytes]).toEqual([undefined, false, 0]);
    expect(() => job.reserve(1)).toThrow(
      'memory is past the line, whatever is reserved, and giving back has not helped',
    );
    expect(() => job.reserve(1)).toThrow(expect.objectContaining({ reason: 'emergency' }));
    const waiting = new Watched(job.admit(5));
    await settle();
    held.shrink(5);
    expect([states([waiting, declared]), inside]).toEqual([['waiting', 'waiting'], [undefined]]);
    books.budget.blocked = false;
    books.admission.wake();
    await settle();
    expect([states([waiting, declared]), inside]).toEqual([
      ['done', 'done'],
      [undefined, 10],
    ]);
  });

  it('is looked into when something was given back since: the sample may lift it', () => {
    let worthIt = false;
    const coming: number[] = [];
    const books: BareBooks = new BareBooks({
      mayUnblock: () => worthIt,
      onSampleDue: (bytes) => {
        coming.push(bytes);
        books.budget.blocked = false;
      },
    });
    const job = books.consumer('job');
    job.reserve(10);
    books.budget.blocked = true;
    expect([job.tryReserve(5), coming]).toEqual([undefined, []]);
    worthIt = true;
    expect([job.tryReserve(5)?.bytes, coming]).toEqual([5, [10]]);
  });

  it.each([
    ['on', undefined, 1],
    ['observe', 30, 1],
    ['off', 30, 0],
  ] as const)('a sample that sees no room for what is coming: mode %s', (mode, bytes, refusals) => {
    const books = new BareBooks({ mode, sampleEveryBytes: 20, onSampleDue: () => false });
    const job = books.consumer('job', { maxBytes: 25 });
    using room = job.tryReserve(30);
    expect([room?.bytes, books.heldBytes, books.budget.refusals]).toEqual([bytes, bytes ?? 0, refusals]);
    if (mode === 'on') expect(() => job.reserve(30)).toThrow(expect.objectContaining({ reason: 'machine' }));
    room?.[Symbol.dispose]();
    expect(books.heldBytes).toBe(0);
  });

  it('counts only, in the other modes', () => {
    for (const [mode, refusals] of [
      ['observe', 1],
      ['off', 0],
    ] as const) {
      const books = new BareBooks({ mode });
      books.budget.blocked = true;
      expect([books.consumer('job').tryReserve(1)?.bytes, books.budget.refusals]).toEqual([1, refusals]);
    }
  });
});

describe('the ladder', () => {
  it('goes from own room over reclaimNow to one train for all who wait, and then waits', async () => {
    const calls: AdmissionTrainCall[] = [];
    const ends: (() => void)[] = [];
    const train = (call: AdmissionTrainCall) => {
      calls.push(call);
      const { opened, open } = gate();
      ends.push(open);
      return opened;
    };
    const books = new BareBooks({ train });
    const job = books.consumer('job');
    const steps: string[] = [];
    let cached: Reservation | undefined;
    const reclaimer: Reclaimer = {
      reclaimableBytes: () => 10,
      reclaimNow: () => {
        steps.push('now');
        cached!.shrink(10);
        return 10;
      },
    };
    const cache = books.consumer('cache', { reclaimer });
    cached = cache.reserve(50);
    expect([(await job.admit(50)).bytes, steps, calls.length]).toEqual([50, [], 0]);
    const first = new Watched(job.admit(10));
    await settle();
    expect([first.state, steps, calls.length]).toEqual(['done', ['now'], 0]);
    const waiting = [new Watched(job.admit(25)), new Watched(job.admit(5))];
    await settle();
    expect(calls.length).toBe(1);
    expect(calls[0]).toMatchObject({ branch: books.ledger.whole, level: 'critical' });
    expect(calls[0]!.requester.name).toBe('job');
    books.clock.advance(100);
    await settle();
    expect([calls.length, states(waiting)]).toEqual([1, ['waiting', 'done']]);
    ends[0]!();
    await settle();
    books.clock.advance(100);
    await settle();
    expect([calls.length, states(waiting)[0]]).toEqual([2, 'done']);
  });

  it('a train that throws or rejects is noted, and the next one comes', async () => {
    let runs = 0;
    const train = (): Promise<number> => {
      runs++;
      if (runs === 1) throw new Error('no fuel');
      return Promise.reject(new Error('derailed'));
    };
    const books = new BareBooks({ train });
    const job = books.consumer('job');
    const held = job.reserve(100);
    const waiting = new Watched(job.admit(10));
    for (let i = 0; i < 3; i++) {
      await settle();
      books.clock.advance(100);
    }
    await settle();
    expect([waiting.state, runs]).toEqual(['waiting', 4]);
    expect(books.faults.rows()).toMatchObject([{ part: 'train for admission', message: 'derailed', count: 4 }]);
    held.shrink(10);
    await settle();
    expect(waiting.state).toBe('done');
  });
});

describe('shares', () => {
  it('are asked where there is room, for those that share alone, and a refusal says so', async () => {
    const asked: string[] = [];
    const wanted: string[] = [];
    const books = new BareBooks({
      fairShares: () => ({
        mayTake: (account, bytes) => {
          asked.push(`${account.name} ${bytes}`);
          return account.total + bytes <= 30;
        },
        noteWant: (account, bytes) => void wanted.push(`${account.name} ${bytes}`),
      }),
    });
    const plain = books.consumer('plain');
    const sorter = books.consumer('sorter', { fairShare: true });
    const run = books.consumer('run', { parent: sorter, fairShare: true });
    const rest = plain.reserve(60);
    const held = run.reserve(30);
    expect(asked).toEqual(['sorter 30']);
    expect([run.tryReserve(1), held.tryGrow(1), wanted]).toEqual([undefined, false, []]);
    expect(() => run.reserve(1)).toThrow('run asked for 1B and holds 30B: sorter has had its fair share');
    expect(() => run.reserve(1)).toThrow(expect.objectContaining({ reason: 'share', boundBy: 'sorter' }));
    expect([run.tryReserve(11), wanted]).toEqual([undefined, ['sorter 11']]);
    const waiting = new Watched(run.admit(10));
    await settle();
    // Who waits for its share holds up nobody.
    expect([waiting.state, (await plain.admit(9)).bytes, plain.tryReserve(1)?.bytes]).toEqual(['waiting', 9, 1]);
    rest.shrink(30);
    await settle();
    expect(waiting.state).toBe('waiting');
    held.shrink(10);
    await settle();
    expect(waiting.state).toBe('done');
  });

  it('are only noted in mode observe', () => {
    const books = new BareBooks({ mode: 'observe', fairShares: () => ({ mayTake: () => false }) });
    const heard: unknown[] = [];
    using _ = refusedEvents.subscribe(({ reason, observed }) => heard.push([reason, observed]));
    expect(books.consumer('sorter', { fairShare: true }).tryReserve(5)?.bytes).toBe(5);
    expect(heard).toEqual([['share', true]]);
  });
});
