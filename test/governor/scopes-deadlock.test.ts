import type { Reservation } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { gate, settle } from './bare-books.ts';
import { free, Stage } from './scope-stage.ts';

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
        using extra = await job.admit(more, { timeoutMs: 2_000 });
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
        await job.admit(40, { timeoutMs: 40_000 });
      });
    const both = [scope('a'), scope('b')];
    await settle();
    for (let i = 0; i < 20; i++) {
      await stage.pass(500);
      expect(both.map((one) => one.state)).toEqual(['waiting', 'waiting']);
      held[0]!.shrink(1);
    }
    await stage.pass(20_300);
    expect(both.map((one) => one.state)).toEqual(['waiting', 'PLIMSOLL_DEADLOCK']);
  });

  it('under the bound of a consumer is seen as well', async () => {
    const stage = new Stage();
    const pool = stage.books.consumer('pool', { maxBytes: 20 });
    const scope = (name: string) =>
      stage.run({ name, upFrontBytes: 10 }, async () => {
        using _ = pool.reserve(10);
        await settle(20);
        (await pool.admit(5, { timeoutMs: 2_000 }))[Symbol.dispose]();
      });
    const both = [scope('a'), scope('b')];
    await stage.pass(1_300);
    expect(both.map((one) => one.state)).toEqual(['done', 'PLIMSOLL_DEADLOCK']);
  });

  it('is none while another branch of the work may give back: half of the time that there is to wait', async () => {
    const stage = new Stage();
    const { job, books } = stage;
    const request = stage.run({ upFrontBytes: 80 }, async () => {
      const big = job.reserve(80);
      const computing = gate();
      books.clock.after(3_000, computing.open);
      const [more] = await Promise.all([job.admit(50), computing.opened.then(() => big[Symbol.dispose]())]);
      using _ = more;
      return more.bytes;
    });
    await stage.pass(3_200);
    expect([request.state, request.value]).toEqual(['done', 50]);
  });

  it('is none before that half is over, and a second at least', async () => {
    for (const [timeoutMs, soonMs, lateMs] of [
      [30_000, 15_000, 15_300],
      [1_500, 1_000, 1_300],
    ] as const) {
      const stage = new Stage();
      const request = stage.run({ upFrontBytes: 80 }, async () => {
        using _ = stage.job.reserve(80);
        await stage.job.admit(50, { timeoutMs });
      });
      await stage.pass(soonMs);
      expect([timeoutMs, request.state]).toEqual([timeoutMs, 'waiting']);
      await stage.pass(lateMs - soonMs);
      expect([timeoutMs, request.state]).toEqual([timeoutMs, 'PLIMSOLL_DEADLOCK']);
    }
  });
});
