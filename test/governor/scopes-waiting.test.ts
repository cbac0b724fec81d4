import type { Reservation } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { gate, settle, Watched } from './bare-books.ts';
import { Stage } from './scope-stage.ts';

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
