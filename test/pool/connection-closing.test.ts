import { ManualClock } from 'plimsoll';
import { ConnectionPool, type ConnectionPoolOptions } from 'plimsoll/pool';
import { describe, expect, it } from 'vitest';
import { type FakeConnection, FakeManager, settle, watch } from './fake-manager.ts';

function begin(options: Partial<ConnectionPoolOptions> = {}) {
  const clock = new ManualClock();
  const manager = new FakeManager();
  const pool = new ConnectionPool<FakeConnection>(manager, {
    name: 'db',
    maxSize: 4,
    clock,
    random: () => 0,
    ...options,
  });
  const pass = async (ms: number) => {
    clock.advance(ms);
    await settle();
  };
  return { clock, manager, pool, pass };
}

describe('resize while running', () => {
  it('raised: those who wait are served at once', async () => {
    const { pool } = begin({ maxSize: 1 });
    await pool.acquire();
    const waits = [watch(pool.acquire()), watch(pool.acquire())];
    await settle();
    pool.tune({ maxSize: 2 });
    await settle();
    expect(waits.map(({ state }) => state)).toEqual(['done', 'waits']);
  });

  it('lowered under load: idle ones go at once, leased ones when they come back, and no more than that', async () => {
    const { pool, manager } = begin();
    manager.destroy_ = 'soon';
    const leases = [];
    for (let i = 0; i < 4; i++) leases.push(await pool.acquire());
    leases.pop()!.release();
    pool.tune({ maxSize: 2 });
    await settle();
    expect(pool.stats).toMatchObject({ size: 3, leased: 3, idle: 0 });
    for (const lease of leases) lease.release();
    await settle();
    expect(pool.stats).toMatchObject({ size: 2, idle: 2 });
    expect(pool.stats.destroyedBy.surplus).toBe(2);
  });

  it('lowered while creating: what comes too many is closed', async () => {
    const { pool, manager } = begin();
    manager.create_ = 'by hand';
    const waits = [watch(pool.acquire()), watch(pool.acquire()), watch(pool.acquire())];
    pool.tune({ maxSize: 1 });
    while (manager.pending.length > 0) {
      manager.pending[0]!.succeed();
      await settle();
    }
    expect(pool.stats).toMatchObject({ size: 1, leased: 1, waiting: 2 });
    expect(waits[0]!.state).toBe('done');
  });

  it('raises minSize, and refuses what is unsound together without changing anything', () => {
    const { pool, manager } = begin();
    pool.tune({ minSize: 3 });
    expect(manager.open).toHaveLength(3);
    expect(() => pool.tune({ maxSize: 2 })).toThrow(RangeError);
    expect(() => pool.tune({ name: 'other' } as never)).toThrow(RangeError);
    expect(pool.tuning.maxSize).toBe(4);
    expect(pool.stats.size).toBe(3);
  });
});

describe('drain', () => {
  it('serves those who wait, lends to nobody new, and ends when all is closed', async () => {
    const { pool, manager } = begin({ maxSize: 1 });
    const lease = await pool.acquire();
    const waits = watch(pool.acquire());
    const drained = watch(pool.drain({ deadlineMs: 1_000 }));
    const late = watch(pool.acquire());
    await settle();
    expect(late.error!.code).toBe('PLIMSOLL_POOL_CLOSED');
    expect(pool.tryAcquire()).toBeUndefined();
    lease.release();
    await settle();
    expect(waits.state).toBe('done');
    expect(drained.state).toBe('waits');
    waits.value!.release();
    await settle();
    expect(drained.value).toEqual({ rejected: 0, forced: 0, unfinished: 0, elapsedMs: 0 });
    expect(manager.open).toHaveLength(0);
  });

  it('at the deadline refuses those who wait, and closes what is still out under its borrower, who may let go of it all the same', async () => {
    const { pool, manager, pass, clock } = begin({ maxSize: 1 });
    const lease = await pool.acquire();
    const waits = watch(pool.acquire());
    const drained = watch(pool.drain({ deadlineMs: 1_000 }));
    await pass(999);
    expect(drained.state).toBe('waits');
    await pass(1);
    expect(drained.value).toEqual({ rejected: 1, forced: 1, unfinished: 0, elapsedMs: 1_000 });
    expect(waits.error!.code).toBe('PLIMSOLL_POOL_CLOSED');
    expect(manager.open).toHaveLength(0);
    expect(() => lease.connection).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DISPOSED' }));
    lease.release();
    expect(manager.asked.destroy).toBe(1);
    expect(clock.pending).toBe(0);
  });

  it('ends in time though closing hangs and creating hangs, and says what is unfinished', async () => {
    const { pool, manager, pass } = begin({ maxSize: 2, destroyTimeoutMs: 60_000 });
    (await pool.acquire()).release();
    manager.create_ = 'hangs';
    manager.destroy_ = 'hangs';
    watch(pool.acquire());
    watch(pool.acquire());
    const drained = watch(pool.drain({ deadlineMs: 1_000 }));
    await pass(1_000);
    expect(drained.value).toMatchObject({ rejected: 1, forced: 1, unfinished: 2 });
    expect(manager.pending[0]!.call.signal.reason).toMatchObject({ code: 'PLIMSOLL_POOL_CLOSED' });
  });

  it('a second call gets the answer of the first, and disposing twice is safe', async () => {
    const { pool, manager } = begin({ minSize: 2 });
    expect(pool.drain()).toBe(pool.drain({ deadlineMs: 5 }));
    await pool.drain();
    pool[Symbol.dispose]();
    pool[Symbol.dispose]();
    await pool[Symbol.asyncDispose]();
    expect(manager.asked).toMatchObject({ create: 2, destroy: 2 });
  });

  it('under load: a thousand users, half of whom come too late, and no connection is left', async () => {
    const { pool, manager, pass } = begin({ maxSize: 5 });
    manager.recycle_ = manager.create_ = manager.destroy_ = 'soon';
    let served = 0;
    let refused = 0;
    const user = async () => {
      try {
        await pool.use(async () => void (await null));
        served++;
      } catch (cause) {
        expect(cause).toMatchObject({ code: 'PLIMSOLL_POOL_CLOSED' });
        refused++;
      }
    };
    const users = Array.from({ length: 500 }, user);
    const drained = pool.drain({ deadlineMs: 1_000 });
    users.push(...Array.from({ length: 500 }, user));
    await pass(1);
    await Promise.all(users);
    expect(await drained).toMatchObject({ rejected: 0, forced: 0, unfinished: 0 });
    expect([served, refused]).toEqual([500, 500]);
    expect(manager.open).toHaveLength(0);
  });
});

describe('dispose', () => {
  it('refuses those who wait and closes idle ones at once, leased ones when they come back', async () => {
    const { pool, manager, clock } = begin({ maxSize: 2, minSize: 1 });
    const lease = await pool.acquire();
    const other = await pool.acquire();
    const waits = watch(pool.acquire());
    other.release();
    await settle();
    waits.value!.release();
    manager.create_ = 'by hand';
    pool[Symbol.dispose]();
    expect(manager.open.map(({ id }) => id)).toEqual([1]);
    await expect(pool.acquire()).rejects.toMatchObject({ code: 'PLIMSOLL_POOL_CLOSED' });
    const { recycle } = manager.asked;
    lease.release();
    expect(manager.asked.recycle).toBe(recycle);
    expect(manager.open).toHaveLength(0);
    expect(clock.pending).toBe(0);
    expect(() => pool.tune({ maxSize: 3, minSize: 3 })).not.toThrow();
    expect(manager.asked.create).toBe(2);
  });

  it('aborts what is being made, and closes it when it comes all the same', async () => {
    const { pool, manager } = begin({ minSize: 1 });
    manager.create_ = 'by hand';
    pool.tune({ minSize: 2 });
    pool[Symbol.dispose]();
    const [pending] = manager.pending;
    expect(pending!.call.signal.aborted).toBe(true);
    pending!.succeed();
    await settle();
    expect(manager.open).toHaveLength(0);
    expect(pool.stats.size).toBe(0);
  });
});
