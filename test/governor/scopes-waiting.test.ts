import type { Consumer, Reservation } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import type { Scope, ScopeOptions } from '../../src/governor/contract.ts';
import { BareBooks, type BareOptions, gate, settle, Watched } from './bare-books.ts';

const free = { name: 'request', maxBytes: Number.POSITIVE_INFINITY };

class Stage {
  readonly books: BareBooks;
  readonly job: Consumer;

  constructor(options: BareOptions = {}) {
    this.books = new BareBooks(options);
    this.job = this.books.consumer('job');
  }

  run<T>(options: Partial<ScopeOptions>, fn: (scope: Scope) => T | Promise<T>): Watched<T> {
    return new Watched(this.books.scopes.run({ ...free, ...options }, fn));
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 100) {
      await settle(20);
      this.books.clock.advance(Math.min(100, left));
    }
    await settle();
  }
}

describe('what is declared up front', () => {
  it('is waited for as one, before the work begins', async () => {
    const stage = new Stage();
    const { books, job } = stage;
    const held = job.reserve(80);
    const request = stage.run({ upFrontBytes: 40 }, (scope) => scope.heldBytes);
    await settle();
    expect([request.state, books.admission.waiting, books.scopes.count]).toEqual(['waiting', 1, 1]);
    held.shrink(20);
    await settle();
    expect([request.state, request.value, books.heldBytes]).toEqual(['done', 40, 60]);
  });

  it('moves to the real consumer as it reserves, and what is left goes back', async () => {
    const stage = new Stage();
    const { books, job } = stage;
    let kept: Reservation | undefined;
    const request = stage.run({ upFrontBytes: 50, maxBytes: 70 }, async (scope) => {
      const row = () => {
        const { heldBytes, ownBytes, upFrontBytes } = books.scopes.rows()[0]!;
        return [heldBytes, ownBytes, upFrontBytes, job.heldBytes, books.heldBytes];
      };
      expect(row()).toEqual([50, 50, 50, 0, 50]);
      kept = job.reserve(20);
      expect(row()).toEqual([50, 50, 30, 20, 50]);
      const more = await job.admit(25);
      expect(row()).toEqual([50, 50, 5, 45, 50]);
      more.grow(15);
      expect(row()).toEqual([60, 60, 0, 60, 60]);
      expect(more.tryGrow(11)).toBe(false);
      more[Symbol.dispose]();
      expect(row()).toEqual([20, 20, 0, 20, 20]);
      return scope.peakBytes;
    });
    await settle();
    expect([request.state, request.value, books.heldBytes]).toEqual(['done', 60, 20]);
    const idle = stage.run({ upFrontBytes: 80 }, () => books.heldBytes);
    await settle();
    expect([idle.value, books.heldBytes]).toEqual([100, 20]);
    kept![Symbol.dispose]();
    expect(books.heldBytes).toBe(0);
  });

  it('is had without waiting when the rest of the line is full and others wait', async () => {
    const stage = new Stage({ maxBypass: 0 });
    const { books, job } = stage;
    const done: number[] = [];
    const request = stage.run({ upFrontBytes: 40 }, async () => {
      using rest = job.reserve(60);
      expect([rest.bytes, books.heldBytes]).toEqual([60, 60]);
    });
    await settle();
    // 40 of the 60 came from the pot: the line is not full yet.
    expect([request.state, books.heldBytes]).toEqual(['done', 0]);
    const other = books.consumer('other');
    const all = other.reserve(60);
    const { opened, open } = gate();
    const second = stage.run({ upFrontBytes: 40 }, async () => {
      await opened;
      const now = job.tryReserve(30)!;
      done.push(now.bytes);
      const soon = await job.admit(10);
      done.push(soon.bytes);
      expect([waiting.state, books.heldBytes]).toEqual(['waiting', 100]);
      now[Symbol.dispose]();
      soon[Symbol.dispose]();
    });
    await settle();
    const waiting = new Watched(other.admit(10));
    await settle();
    open();
    await settle();
    expect([second.error, second.state, done]).toEqual([undefined, 'done', [30, 10]]);
    waiting.value![Symbol.dispose]();
    all[Symbol.dispose]();
    expect(books.heldBytes).toBe(0);
  });

  it('does not lift the bound of the consumer that uses it', async () => {
    const stage = new Stage();
    const { books } = stage;
    const small = books.consumer('small', { maxBytes: 10 });
    const request = stage.run({ upFrontBytes: 90 }, () => {
      expect(() => small.reserve(11)).toThrow('small has 10B left of its own bound');
      expect([small.reserve(10).bytes, books.heldBytes]).toEqual([10, 90]);
    });
    await settle();
    expect([request.error, books.heldBytes]).toEqual([undefined, 10]);
  });

  it('inside another scope draws on what that declared', async () => {
    const stage = new Stage();
    const { books, job } = stage;
    const request = stage.run({ name: 'outer', upFrontBytes: 60, maxBytes: 80 }, async (outer) => {
      await books.scopes.run({ name: 'inner', upFrontBytes: 40, maxBytes: 50 }, (inner) => {
        expect([outer.heldBytes, inner.heldBytes, books.heldBytes]).toEqual([60, 40, 60]);
        using all = job.reserve(50);
        expect([outer.heldBytes, inner.heldBytes, books.heldBytes]).toEqual([60, 50, 60]);
        expect(job.tryReserve(1)).toBeUndefined();
        expect(all.bytes).toBe(50);
      });
      expect([outer.heldBytes, books.heldBytes]).toEqual([10, 10]);
    });
    await settle();
    expect([request.error, books.heldBytes]).toEqual([undefined, 0]);
  });

  it('is refused, or timed out, in the name of the scope', async () => {
    const stage = new Stage({ fixedBytes: 30 });
    const never = stage.run({ upFrontBytes: 71 }, () => 1);
    stage.job.reserve(70);
    const late = stage.run({ upFrontBytes: 5, timeoutMs: 400 }, () => 1);
    await stage.pass(500);
    expect(never.error).toMatchObject({ code: 'PLIMSOLL_BUDGET_EXCEEDED', reason: 'limit' });
    expect(late.error).toMatchObject({ message: 'the scope request waited 400ms for 5B and there was no room' });
    expect([stage.books.scopes.count, stage.books.heldBytes, stage.books.clock.pending]).toEqual([0, 100, 0]);
  });
});

describe('hold and wait', () => {
  it('is refused at once, and says what to do', async () => {
    const stage = new Stage();
    const { books, job } = stage;
    const rest = books.consumer('other').reserve(70);
    const request = stage.run({ name: 'checkout' }, async () => {
      using _ = job.reserve(20);
      expect((await job.admit(10)).bytes).toBe(10);
      await job.admit(5);
    });
    await settle();
    expect(request.error).toMatchObject({
      code: 'PLIMSOLL_HOLD_AND_WAIT',
      message:
        'job would have to wait for 5B while the scope checkout holds 30B that it did not declare: give `upFrontBytes` for all that it ' +
        'needs at a time, or release that first',
    });
    rest[Symbol.dispose]();
    expect(books.admission.waiting).toBe(0);
  });

  it('is none while the scope holds nothing, or what it declared', async () => {
    const stage = new Stage();
    const { books, job } = stage;
    const rest = books.consumer('other').reserve(70);
    const empty = stage.run({}, async () => {
      job.reserve(30)[Symbol.dispose]();
      return (await job.admit(40)).bytes;
    });
    const declared = stage.run({ upFrontBytes: 20 }, async () => {
      using held = job.reserve(20);
      return held.bytes + (await job.admit(40)).bytes;
    });
    await settle();
    expect([empty.state, declared.state]).toEqual(['waiting', 'waiting']);
    rest[Symbol.dispose]();
    await settle();
    expect([empty.value, declared.value]).toEqual([40, 60]);
  });

  it('looks at the scopes around, and not at their other branches', async () => {
    const stage = new Stage();
    const { books, job } = stage;
    const rest = books.consumer('other').reserve(80);
    const tenant = stage.run({ name: 'tenant' }, async () => {
      const { opened, open } = gate();
      const holder = stage.run({ name: 'a' }, async () => {
        using _ = job.reserve(10);
        await opened;
      });
      const waits = stage.run({ name: 'b' }, async () => (await job.admit(50)).bytes);
      await settle(20);
      expect([holder.state, waits.state]).toEqual(['waiting', 'waiting']);
      rest[Symbol.dispose]();
      await settle(20);
      open();
      await holder.promise;
      return waits.value;
    });
    await settle();
    expect(tenant.value).toBe(50);
    const holds = stage.run({ name: 'tenant' }, async () => {
      using _ = job.reserve(10);
      await books.scopes.run({ ...free, name: 'inner' }, () => job.admit(60));
    });
    await settle();
    expect(holds.error).toMatchObject({ code: 'PLIMSOLL_HOLD_AND_WAIT', scope: 'tenant', undeclaredBytes: 10 });
  });
});

describe('hold and wait, again', () => {
  it('what an inner scope left behind was not declared by the outer one', async () => {
    const stage = new Stage();
    const { books, job } = stage;
    books.consumer('other').reserve(70);
    const outer = stage.run({ name: 'outer' }, async () => {
      await books.scopes.run({ ...free, name: 'inner' }, () => job.reserve(10));
      await job.admit(50);
    });
    await settle();
    expect(outer.error).toMatchObject({ code: 'PLIMSOLL_HOLD_AND_WAIT', scope: 'outer', undeclaredBytes: 10 });
  });
});

describe('deadlock', () => {
  it('is broken: of those that hold something the one that came last is turned away, and the other goes on', async () => {
    const stage = new Stage({ fixedBytes: 10 });
    const { books, job } = stage;
    const scope = (name: string, more: number) =>
      stage.run({ name, upFrontBytes: 45 }, async () => {
        using _ = job.reserve(45);
        await settle(20);
        using extra = await job.admit(more);
        return extra.bytes;
      });
    const first = scope('first', 30);
    const second = scope('second', 20);
    await settle();
    const third = stage.run({ name: 'third' }, () => job.admit(5));
    await stage.pass(900);
    expect([first.state, second.state, third.state]).toEqual(['waiting', 'waiting', 'waiting']);
    await stage.pass(300);
    expect([first.state, second.state, third.state]).toEqual(['done', 'PLIMSOLL_DEADLOCK', 'done']);
    expect(second.error).toMatchObject({ scope: 'second', requestedBytes: 20, recovery: 'retry' });
    third.value![Symbol.dispose]();
    expect([books.admission.waiting, books.heldBytes, books.clock.pending]).toEqual([0, 10, 0]);
  });

  it('is none while anybody else holds something that may come back', async () => {
    const stage = new Stage();
    const { books, job } = stage;
    const kept = books.consumer('cache').reserve(10);
    const scope = (name: string) =>
      stage.run({ name, upFrontBytes: 45 }, async () => {
        using _ = job.reserve(45);
        await settle(20);
        using extra = await job.admit(10);
        return extra.bytes;
      });
    const both = [scope('a'), scope('b')];
    await stage.pass(5_000);
    expect(both.map((one) => one.state)).toEqual(['waiting', 'waiting']);
    kept[Symbol.dispose]();
    await settle();
    expect(both.map((one) => one.value)).toEqual([10, 10]);
  });

  it('is none while bytes still move', async () => {
    const stage = new Stage();
    const { job } = stage;
    const held: Reservation[] = [];
    const scope = (name: string) =>
      stage.run({ name, upFrontBytes: 50 }, async () => {
        const own = job.reserve(50);
        held.push(own);
        await settle(20);
        await job.admit(40, { timeoutMs: 20_000 });
      });
    const both = [scope('a'), scope('b')];
    await settle();
    for (let i = 0; i < 20; i++) {
      await stage.pass(500);
      expect(both.map((one) => one.state)).toEqual(['waiting', 'waiting']);
      held[0]!.shrink(1);
    }
    await stage.pass(1_300);
    expect(both.map((one) => one.state)).toEqual(['waiting', 'PLIMSOLL_DEADLOCK']);
  });

  it('under the bound of a consumer is seen as well', async () => {
    const stage = new Stage();
    const pool = stage.books.consumer('pool', { maxBytes: 20 });
    const scope = (name: string) =>
      stage.run({ name, upFrontBytes: 10 }, async () => {
        using _ = pool.reserve(10);
        await settle(20);
        (await pool.admit(5))[Symbol.dispose]();
      });
    const both = [scope('a'), scope('b')];
    await stage.pass(1_300);
    expect(both.map((one) => one.state)).toEqual(['done', 'PLIMSOLL_DEADLOCK']);
  });
});

describe('abort', () => {
  /** A scope that holds `bytes` until its signal, or the test, ends it. */
  function holder(stage: Stage, name: string, bytes: number, options: Partial<ScopeOptions> = {}) {
    const { opened, open } = gate();
    let scope: Scope | undefined;
    const watched = stage.run({ name, ...options }, async (own) => {
      scope = own;
      using held = bytes > 0 ? stage.job.reserve(bytes) : undefined;
      await Promise.race([opened, new Promise((resolve) => own.signal.addEventListener('abort', resolve))]);
      own.signal.throwIfAborted();
      return held?.bytes ?? 0;
    });
    return Object.assign(watched, { open, scope: () => scope! });
  }

  it('ends the scope that holds most, with its reason, and only that', async () => {
    const stage = new Stage();
    const { books } = stage;
    const small = holder(stage, 'small', 20);
    const large = holder(stage, 'large', 50);
    expect(books.scopes.abortLargest('rss is past the line')).toMatchObject({
      name: 'large',
      heldBytes: 50,
      aborted: true,
    });
    expect(large.scope().signal.aborted).toBe(true);
    await settle();
    expect(large.error).toMatchObject({
      code: 'PLIMSOLL_SCOPE_ABORTED',
      recovery: 'retry',
      scope: 'large',
      level: 'critical',
      heldBytes: 50,
      message: 'the scope large was aborted at critical: it held 50B, more than any other (rss is past the line)',
    });
    expect([small.state, books.heldBytes, books.scopes.aborts]).toEqual(['waiting', 20, 1]);
    small.open();
    await settle();
    expect(small.value).toBe(20);
  });

  it('lets nothing more be reserved inside, wakes who waits inside, and gives back what was declared', async () => {
    const stage = new Stage();
    const { books, job } = stage;
    const tried: unknown[] = [];
    const request = stage.run({ name: 'big', upFrontBytes: 60 }, async () => {
      const held = job.reserve(10);
      const waiting = new Watched(job.admit(95, { timeoutMs: 9_000 }));
      await settle(20);
      expect(books.scopes.abortLargest('test')?.heldBytes).toBe(60);
      tried.push(books.heldBytes, job.tryReserve(1), held.tryGrow(1), job.tryReserve(0)?.bytes);
      for (const use of [() => job.reserve(1), () => held.grow(1), () => held.resize(20)]) {
        expect(use).toThrow(expect.objectContaining({ code: 'PLIMSOLL_SCOPE_ABORTED' }));
      }
      await expect(job.admit(1)).rejects.toMatchObject({ code: 'PLIMSOLL_SCOPE_ABORTED' });
      await expect(books.scopes.run(free, () => 1)).rejects.toMatchObject({ code: 'PLIMSOLL_SCOPE_ABORTED' });
      await settle(20);
      tried.push(waiting.state);
      held.shrink(4);
      held.resize(3);
      held[Symbol.dispose]();
    });
    await settle();
    expect([request.error, tried]).toEqual([undefined, [10, undefined, false, 0, 'PLIMSOLL_SCOPE_ABORTED']]);
    expect([books.heldBytes, books.admission.waiting, job.tryReserve(100)?.bytes]).toEqual([0, 0, 100]);
  });

  it('of one that waits for what it declares turns it away', async () => {
    const stage = new Stage();
    const abort = new AbortController();
    stage.job.reserve(80);
    const request = stage.run({ upFrontBytes: 40, signal: abort.signal }, () => 1);
    await settle();
    expect(stage.books.scopes.abortLargest('test')).toBeUndefined();
    abort.abort(new Error('the client is gone'));
    await settle();
    expect([request.state, stage.books.admission.waiting, stage.books.heldBytes]).toEqual([
      'Error: the client is gone',
      0,
      80,
    ]);
    await stage.pass(200);
    expect([stage.books.clock.pending, stage.books.scopes.count]).toEqual([0, 0]);
  });

  it('between the grant of what was declared and the work leaves nothing behind', async () => {
    const stage = new Stage();
    const abort = new AbortController();
    const held = stage.job.reserve(80);
    let ran = false;
    const request = stage.run({ upFrontBytes: 40, signal: abort.signal }, () => {
      ran = true;
    });
    await settle();
    held[Symbol.dispose]();
    abort.abort(new Error('gone'));
    await settle();
    expect([request.state, ran, stage.books.heldBytes]).toEqual(['Error: gone', false, 0]);
  });

  it('never takes one that holds nothing, and one at a time: until it has ended, or 5 s are over', async () => {
    const stage = new Stage();
    const { books } = stage;
    const empty = holder(stage, 'empty', 0);
    expect(books.scopes.abortLargest('test')).toBeUndefined();
    const { opened, open } = gate();
    const deaf = stage.run({ name: 'deaf' }, async () => {
      using _ = stage.job.reserve(50);
      await opened;
    });
    const second = holder(stage, 'second', 30);
    const third = holder(stage, 'third', 15);
    expect(books.scopes.abortLargest('test')?.name).toBe('deaf');
    expect(books.scopes.abortLargest('test')).toBeUndefined();
    books.clock.advance(4_999);
    expect(books.scopes.abortLargest('test')).toBeUndefined();
    books.clock.advance(1);
    expect(books.scopes.abortLargest('test')?.name).toBe('second');
    await settle();
    expect(second.state).toBe('PLIMSOLL_SCOPE_ABORTED');
    expect(books.scopes.abortLargest('test')?.name).toBe('third');
    await settle();
    expect([third.state, books.scopes.abortLargest('test')]).toEqual(['PLIMSOLL_SCOPE_ABORTED', undefined]);
    open();
    empty.open();
    await settle();
    expect([deaf.state, empty.value, books.scopes.aborts]).toEqual(['done', 0, 3]);
  });

  it('goes by what a scope holds itself: a tenant is not ended for its requests', async () => {
    const stage = new Stage();
    const { books, job } = stage;
    const inside: ReturnType<typeof holder>[] = [];
    const tenant = stage.run({ name: 'tenant' }, async () => {
      using _ = job.reserve(20);
      inside.push(holder(stage, 'one', 25), holder(stage, 'two', 30));
      await Promise.allSettled(inside.map((one) => one.promise));
    });
    await settle();
    expect(books.scopes.rows()[0]).toMatchObject({ name: 'tenant', heldBytes: 75, ownBytes: 20 });
    expect(books.scopes.abortLargest('test')?.name).toBe('two');
    inside[0]!.open();
    await settle();
    expect([inside.map((one) => one.state), tenant.state]).toEqual([['done', 'PLIMSOLL_SCOPE_ABORTED'], 'done']);
  });

  it('by somebody who gives back in the middle of a request for room leaves that request without', async () => {
    const stage = new Stage();
    const { books, job } = stage;
    const reclaimer = {
      reclaimableBytes: () => 60,
      reclaimNow: () => {
        books.scopes.abortLargest('in between');
        cached.shrink(60);
        return 60;
      },
    };
    const cached: Reservation = books.consumer('cache', { reclaimer }).reserve(60);
    const request = stage.run({}, () => {
      using held = job.reserve(20);
      expect([held.tryGrow(30), held.bytes, books.heldBytes]).toEqual([false, 20, 20]);
      expect(() => job.reserve(1)).toThrow(expect.objectContaining({ code: 'PLIMSOLL_SCOPE_ABORTED' }));
    });
    await settle();
    expect([request.error, books.heldBytes]).toEqual([undefined, 0]);
  });

  it('of an outer scope ends those inside', async () => {
    const stage = new Stage();
    const { books, job } = stage;
    let inner: ReturnType<typeof holder> | undefined;
    const outer = stage.run({ name: 'outer' }, async (scope) => {
      using _ = job.reserve(40);
      inner = holder(stage, 'inner', 20);
      await inner.promise.catch(() => {});
      scope.signal.throwIfAborted();
    });
    await settle();
    expect(books.scopes.abortLargest('test')?.name).toBe('outer');
    await settle();
    expect([outer.state, inner!.state, books.heldBytes]).toEqual([
      'PLIMSOLL_SCOPE_ABORTED',
      'PLIMSOLL_SCOPE_ABORTED',
      0,
    ]);
    expect(inner!.error).toBe(outer.error);
  });

  it('from outside goes by the signal it was given, with that reason', async () => {
    const stage = new Stage();
    const abort = new AbortController();
    const request = holder(stage, 'request', 10, { signal: abort.signal });
    abort.abort(new Error('the client is gone'));
    await settle();
    expect([request.state, stage.books.heldBytes]).toEqual(['Error: the client is gone', 0]);
    const late = stage.run({ signal: abort.signal }, () => 1);
    await settle();
    expect(late.state).toBe('Error: the client is gone');
  });
});
