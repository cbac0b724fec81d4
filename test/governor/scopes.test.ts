import { type Consumer, type Reclaimer, type Reservation, refusedEvents } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import type { Scope } from '../../src/governor/contract.ts';
import { BareBooks, gate, settle, Watched } from './bare-books.ts';

const free = { name: 'request', maxBytes: Number.POSITIVE_INFINITY };

describe('a scope', () => {
  it('counts what is reserved inside it, across awaits, and no other', async () => {
    const books = new BareBooks();
    const job = books.consumer('job');
    const outside = job.reserve(5);
    const result = await books.scopes.run({ name: 'request', maxBytes: 60 }, async (scope) => {
      expect([scope.name, scope.maxBytes, scope.heldBytes, scope.signal.aborted]).toEqual(['request', 60, 0, false]);
      const first = job.reserve(10);
      await Promise.resolve();
      const second = job.tryReserve(20)!;
      const third = await job.admit(5);
      expect(scope.heldBytes).toBe(35);
      outside.grow(7);
      expect(scope.heldBytes).toBe(35);
      first.grow(5);
      second.shrink(15);
      third.resize(1);
      expect([scope.heldBytes, scope.peakBytes]).toEqual([21, 40]);
      for (const one of [first, second, third, third]) one[Symbol.dispose]();
      expect([scope.heldBytes, scope.peakBytes]).toEqual([0, 40]);
      return 'answer';
    });
    expect([result, books.heldBytes, books.scopes.count]).toEqual(['answer', 12, 0]);
  });

  it('has a bound of its own, and says so', async () => {
    const books = new BareBooks();
    const job = books.consumer('job');
    const heard: unknown[] = [];
    using _ = refusedEvents.subscribe((event) => heard.push(event));
    await books.scopes.run({ name: 'request', maxBytes: 30 }, () => {
      const held = job.reserve(20);
      expect(job.tryReserve(11)).toBeUndefined();
      expect(held.tryGrow(11)).toBe(false);
      expect(() => held.grow(11)).toThrow(
        'job asked for 11B and holds 20B: the scope request has 10B left of its own bound; largest holders: job 20B (peak 20B)',
      );
      expect(() => job.reserve(11)).toThrow(
        expect.objectContaining({
          code: 'PLIMSOLL_BUDGET_EXCEEDED',
          reason: 'scope',
          boundBy: 'request',
          availableBytes: 10,
        }),
      );
      expect(books.scopes.rows()[0]).toMatchObject({ name: 'request', heldBytes: 20, maxBytes: 30, refusals: 4 });
      held.grow(10);
      held[Symbol.dispose]();
    });
    expect(heard[0]).toMatchObject({ consumer: 'job', reason: 'scope', boundBy: 'request', observed: false });
    expect(job.tryReserve(100)?.bytes).toBe(100);
  });

  it('refuses at once and makes nobody give back for what its bound forbids', async () => {
    const books = new BareBooks();
    let asked = 0;
    const reclaimer: Reclaimer = { reclaimableBytes: () => 80, reclaimNow: () => 0 * asked++ };
    books.consumer('cache', { reclaimer }).reserve(80);
    const job = books.consumer('job');
    await books.scopes.run({ name: 'request', maxBytes: 30 }, async () => {
      expect(job.tryReserve(31)).toBeUndefined();
      await expect(job.admit(31)).rejects.toMatchObject({ code: 'PLIMSOLL_BUDGET_EXCEEDED', reason: 'scope' });
      expect(asked).toBe(0);
      expect(job.tryReserve(21)).toBeUndefined();
      expect(asked).toBe(1);
    });
  });

  it('inside another counts against both', async () => {
    const books = new BareBooks();
    const job = books.consumer('job');
    await books.scopes.run({ name: 'tenant', maxBytes: 50 }, async (tenant) => {
      const own = job.reserve(10);
      await books.scopes.run({ name: 'request', maxBytes: 45 }, async (request) => {
        const held = job.reserve(30);
        expect([tenant.heldBytes, request.heldBytes]).toEqual([40, 30]);
        expect(() => held.grow(11)).toThrow('the scope tenant has 10B left of its own bound');
        expect(() => held.grow(16)).toThrow('the scope request has 15B left of its own bound');
        own.grow(10);
        expect([tenant.heldBytes, request.heldBytes]).toEqual([50, 30]);
        expect(books.scopes.rows()).toMatchObject([
          { name: 'tenant', heldBytes: 50, ownBytes: 20 },
          { name: 'request', within: 'tenant', heldBytes: 30, ownBytes: 30 },
        ]);
        held[Symbol.dispose]();
      });
      expect(tenant.heldBytes).toBe(20);
    });
  });

  it('loses what is transferred, also to the same consumer: then that one owns it', async () => {
    const books = new BareBooks();
    const job = books.consumer('job');
    const cache = books.consumer('cache');
    let entry: Reservation | undefined;
    await books.scopes.run({ name: 'request', maxBytes: 30 }, (scope) => {
      entry = job.reserve(30);
      entry.transfer(cache);
      expect([scope.heldBytes, cache.heldBytes]).toEqual([0, 30]);
      entry.grow(40);
      expect(scope.heldBytes).toBe(0);
      const own = job.reserve(20);
      own.transfer(job);
      expect([scope.heldBytes, job.heldBytes]).toEqual([0, 20]);
      own[Symbol.dispose]();
      expect(scope.heldBytes).toBe(0);
    });
    entry![Symbol.dispose]();
    expect(books.heldBytes).toBe(0);
  });

  it('keeps what a failed transfer did not move', async () => {
    const books = new BareBooks();
    const job = books.consumer('job');
    const small = books.consumer('small', { maxBytes: 5 });
    await books.scopes.run(free, (scope) => {
      const held = job.reserve(10);
      expect(() => held.transfer(small)).toThrow('small has 5B left of its own bound');
      expect([scope.heldBytes, job.heldBytes]).toEqual([10, 10]);
      held[Symbol.dispose]();
      expect(scope.heldBytes).toBe(0);
    });
  });

  it('loses what outlives it: that counts for the one around it, or for none', async () => {
    const books = new BareBooks();
    const job = books.consumer('job');
    let left: Reservation | undefined;
    await books.scopes.run({ name: 'tenant', maxBytes: 50 }, async (tenant) => {
      await books.scopes.run({ name: 'request', maxBytes: 30 }, () => {
        left = job.reserve(20);
        job.reserve(5)[Symbol.dispose]();
      });
      expect(tenant.heldBytes).toBe(20);
      left!.grow(15);
      expect(tenant.heldBytes).toBe(35);
      expect(left!.tryGrow(16)).toBe(false);
    });
    left!.grow(50);
    left!.shrink(80);
    expect([books.heldBytes, books.budget.scoping]).toEqual([5, undefined]);
    left![Symbol.dispose]();
    expect(books.heldBytes).toBe(0);
  });

  it('that ended is not that of work which runs on', async () => {
    const books = new BareBooks();
    const job = books.consumer('job');
    const { opened, open } = gate();
    let late: Promise<Reservation> | undefined;
    await books.scopes.run({ name: 'request', maxBytes: 10 }, () => {
      late = opened.then(() => job.reserve(90));
    });
    await books.scopes.run({ name: 'other', maxBytes: 10 }, async (other) => {
      open();
      expect((await late!).bytes).toBe(90);
      expect(other.heldBytes).toBe(0);
    });
  });

  it('inner work that outlives the outer scope still counts for itself', async () => {
    const books = new BareBooks();
    const job = books.consumer('job');
    const { opened, open } = gate();
    let inner: Promise<void> | undefined;
    await books.scopes.run({ name: 'outer', maxBytes: 20 }, () => {
      inner = books.scopes.run({ name: 'inner', maxBytes: 40 }, async (scope) => {
        const first = job.reserve(15);
        await opened;
        using second = job.reserve(25);
        expect([scope.heldBytes, second.bytes, job.tryReserve(1)]).toEqual([40, 25, undefined]);
        first[Symbol.dispose]();
        expect(scope.heldBytes).toBe(25);
      });
    });
    open();
    await inner;
    expect([books.heldBytes, books.scopes.count]).toEqual([0, 0]);
  });

  it('takes off what a consumer held that is disposed', async () => {
    const books = new BareBooks();
    const job = books.consumer('job');
    await books.scopes.run({ name: 'request', maxBytes: 50 }, (scope) => {
      const parent = books.consumer('parent');
      const child = books.consumer('child', { parent });
      const held = child.reserve(20);
      using kept = job.reserve(5);
      parent[Symbol.dispose]();
      expect([scope.heldBytes, kept.bytes, held.bytes]).toEqual([5, 5, 0]);
      held[Symbol.dispose]();
      expect(scope.heldBytes).toBe(5);
    });
    expect(books.heldBytes).toBe(0);
  });

  it('lets through what the work throws, and is gone then', async () => {
    const books = new BareBooks();
    const job = books.consumer('job');
    const sync = books.scopes.run(free, () => {
      job.reserve(10);
      throw new TypeError('no');
    });
    await expect(sync).rejects.toThrow('no');
    await expect(books.scopes.run(free, () => Promise.reject(new Error('later')))).rejects.toThrow('later');
    expect([books.scopes.count, books.heldBytes, books.faults.rows()]).toEqual([0, 10, []]);
  });

  it.each([
    [{ name: '' }, 'name'],
    [{ maxBytes: undefined }, 'maxBytes'],
    [{ maxBytes: 1.5 }, 'maxBytes'],
    [{ upFrontBytes: -1 }, 'upFrontBytes'],
    [{ maxBytes: 10, upFrontBytes: 11 }, 'upFrontBytes` to be a whole number from 0 to 10'],
    [{ timeoutMs: -1 }, 'timeoutMs'],
    [{ signal: {} }, 'signal'],
  ])('refuses %j', async (wrong, said) => {
    const books = new BareBooks();
    await expect(books.scopes.run({ ...free, ...wrong } as never, () => {})).rejects.toThrow(`Expected \`${said}`);
    await expect(books.scopes.run(free, undefined as never)).rejects.toThrow('Expected `fn` to be a function');
    expect([books.scopes.count, books.budget.scoping]).toEqual([0, undefined]);
  });

  it('has a bound on how many are open', async () => {
    const books = new BareBooks({ maxScopes: 2 });
    const { opened, open } = gate();
    const running = [1, 2].map(() => books.scopes.run(free, () => opened));
    await expect(books.scopes.run({ ...free, name: 'third' }, () => {})).rejects.toMatchObject({
      code: 'PLIMSOLL_TOO_MANY_SCOPES',
      recovery: 'circuit-break',
      message: 'the scope third was turned away: 2 are open already, which is `maxScopes`',
    });
    open();
    await Promise.all(running);
    await expect(books.scopes.run(free, () => 'again')).resolves.toBe('again');
  });

  it('none begins once the governor is disposed', async () => {
    const books = new BareBooks();
    books.budget.shut();
    await expect(books.scopes.run(free, () => {})).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
  });
});

describe('what code of others does inside a request for room', () => {
  it('belongs to no scope: reclaimers, samples, trains, retries', async () => {
    let job: Consumer;
    const seen: (string | undefined)[] = [];
    const look = () => seen.push(books.scopes.current()?.name);
    const train = async () => {
      await Promise.resolve();
      look();
    };
    const books: BareBooks = new BareBooks({ train, sampleEveryBytes: 60, onSampleDue: look });
    job = books.consumer('job');
    const notes = books.consumer('notes');
    const reclaimer: Reclaimer = {
      reclaimableBytes: () => 100,
      reclaimNow: () => {
        look();
        notes.reserve(1);
        return 0;
      },
    };
    books.consumer('cache', { reclaimer }).reserve(50);
    const waiting = new Watched(
      books.scopes.run({ ...free, timeoutMs: 1_000 }, async (scope) => {
        await job.admit(60, { timeoutMs: 500 }).catch(() => {});
        return scope.peakBytes;
      }),
    );
    for (let i = 0; i < 6; i++) {
      await settle();
      books.clock.advance(100);
    }
    await settle();
    expect([waiting.state, waiting.value]).toEqual(['done', 0]);
    expect(seen.length).toBeGreaterThan(4);
    expect(new Set(seen)).toEqual(new Set([undefined]));
  });
});

describe('a fault of scopes', () => {
  const missing = () => {
    throw new Error('no AsyncLocalStorage here');
  };

  it('runs the work without one, and is noted once', async () => {
    const books = new BareBooks({ makeStorage: missing });
    const job = books.consumer('job');
    const work = (scope: Scope) => [scope.name, scope.heldBytes, scope.signal.aborted, job.reserve(20).bytes];
    for (let i = 0; i < 3; i++) {
      expect(await books.scopes.run({ name: 'request', maxBytes: 10, upFrontBytes: 10 }, work)).toEqual([
        'request',
        0,
        false,
        20,
      ]);
    }
    expect(books.faults.rows()).toEqual([
      { part: 'scopes', message: 'no AsyncLocalStorage here', count: 1, off: true },
    ]);
  });

  it('in running or in looking costs the work nothing', async () => {
    let ran = 0;
    const books = new BareBooks({ makeStorage: () => ({ run: missing, getStore: () => undefined }) });
    await books.scopes.run(free, () => ran++);
    const blind = new BareBooks({ makeStorage: () => ({ run: (_, work) => work(), getStore: missing }) });
    const job = blind.consumer('job');
    await blind.scopes.run(free, () => {
      ran++;
      job.reserve(5)[Symbol.dispose]();
    });
    const late = new BareBooks({
      makeStorage: () => ({
        getStore: () => undefined,
        run: (_, work) => {
          work();
          throw new Error('late');
        },
      }),
    });
    expect(await late.scopes.run(free, () => ++ran)).toBe(3);
    expect([books, blind].map((one) => one.faults.rows().length)).toEqual([1, 1]);
  });
});

describe('mode', () => {
  it('observe grants, and counts what would have been refused', async () => {
    const books = new BareBooks({ mode: 'observe' });
    const job = books.consumer('job');
    const heard: unknown[] = [];
    using _ = refusedEvents.subscribe(({ reason, observed }) => heard.push([reason, observed]));
    await books.scopes.run({ name: 'request', maxBytes: 10, upFrontBytes: 10 }, (scope) => {
      using held = job.reserve(15);
      held.grow(200);
      expect([scope.heldBytes, books.heldBytes]).toEqual([215, 215]);
      expect(books.scopes.abortLargest('test')).toMatchObject({ name: 'request', aborted: false });
      expect(scope.signal.aborted).toBe(false);
      expect(job.tryReserve(1)?.bytes).toBe(1);
    });
    expect(heard).toEqual([
      ['scope', true],
      ['scope', true],
      ['scope', true],
    ]);
    expect([books.budget.refusals, books.scopes.aborts]).toEqual([3, 0]);
  });

  it('off only counts', async () => {
    const books = new BareBooks({ mode: 'off' });
    const job = books.consumer('job');
    await books.scopes.run({ name: 'request', maxBytes: 10 }, (scope) => {
      using _ = job.reserve(500);
      expect([scope.heldBytes, books.scopes.abortLargest('test')]).toEqual([500, undefined]);
    });
    expect([books.budget.refusals, books.heldBytes]).toEqual([0, 0]);
  });
});

describe('rows', () => {
  it('are the sixteen that hold most, largest first', async () => {
    const books = new BareBooks({ limitBytes: 10_000 });
    const job = books.consumer('job');
    const { opened, open } = gate();
    const running = Array.from({ length: 40 }, (_, i) =>
      books.scopes.run({ ...free, name: `s${i}` }, async () => {
        using held = job.reserve((i * 7) % 40);
        await opened;
        return held;
      }),
    );
    books.clock.advance(25);
    const rows = books.scopes.rows();
    expect(rows.map(({ heldBytes }) => heldBytes)).toEqual(Array.from({ length: 16 }, (_, i) => 39 - i));
    expect(rows[0]).toEqual({
      name: 's17',
      heldBytes: 39,
      ownBytes: 39,
      peakBytes: 39,
      upFrontBytes: 0,
      refusals: 0,
      runningMs: 25,
      aborted: false,
    });
    open();
    await Promise.all(running);
    expect(books.scopes.rows()).toEqual([]);
  });
});
