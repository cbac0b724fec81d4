import type { Reservation } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import type { Scope, ScopeOptions } from '../../src/governor/contract.ts';
import { gate, settle, Watched } from './bare-books.ts';
import { free, Stage } from './scope-stage.ts';

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

  it('by what a sample brought about, once the books had room, leaves that request without as well', async () => {
    let samples = 0;
    const stage = new Stage({
      sampleEveryBytes: 30,
      onSampleDue: () => {
        // The first one is for what came before; the second is for what the books have just made room for.
        if (++samples === 2) stage.books.scopes.abortLargest('the sample was bad');
      },
    });
    const { books, job } = stage;
    const reclaimer = { reclaimableBytes: () => 60, reclaimNow: () => cached.shrink(60) ?? 60 };
    const cached: Reservation = books.consumer('cache', { reclaimer }).reserve(29);
    cached.grow(31);
    const request = stage.run({}, () => {
      using held = job.reserve(20);
      samples = 0;
      expect([held.tryGrow(40), held.bytes, books.scopes.aborts]).toEqual([false, 20, 1]);
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
