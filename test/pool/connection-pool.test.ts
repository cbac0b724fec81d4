import { DisposedError, ManualClock, slowAcquireEvents } from 'plimsoll';
import { CONNECTION_POOL_DEFAULTS, ConnectionPool, type ConnectionPoolOptions } from 'plimsoll/pool';
import { describe, expect, it } from 'vitest';
import { type FakeConnection, FakeManager, settle, watch } from './fake-manager.ts';

function begin(options: Partial<ConnectionPoolOptions> = {}, manager = new FakeManager()) {
  const clock = new ManualClock();
  const pool = new ConnectionPool<FakeConnection>(manager, { maxSize: 3, clock, random: () => 0, ...options });
  return { clock, manager, pool };
}

describe('borrowing', () => {
  it('opens a connection for the first, and lends it again to the second', async () => {
    const { pool, manager } = begin();
    const first = await pool.acquire();
    expect(first.connection.id).toBe(1);
    first.release();
    const second = await pool.acquire();
    expect(second.connection.id).toBe(1);
    expect(manager.asked).toMatchObject({ create: 1, recycle: 1, destroy: 0 });
    expect(pool.stats).toMatchObject({ size: 1, idle: 0, leased: 1, acquired: 2, waited: 1, created: 1 });
  });

  it('lends the one that was used last, so that the others can time out', async () => {
    const { pool } = begin();
    const leases = [await pool.acquire(), await pool.acquire(), await pool.acquire()];
    for (const lease of leases) lease.release();
    expect((await pool.acquire()).connection.id).toBe(3);
  });

  it('opens minSize at the start, and waits for nobody to ask', () => {
    const { pool, manager } = begin({ minSize: 2 });
    expect(manager.open).toHaveLength(2);
    expect(pool.stats).toMatchObject({ size: 2, idle: 2 });
  });

  it('gives back with `using` and `await using`, once', async () => {
    const { pool } = begin();
    {
      using lease = await pool.acquire();
      expect(lease.connection.open).toBe(true);
      await using other = await pool.acquire();
      expect(other.released).toBe(false);
    }
    expect(pool.stats).toMatchObject({ idle: 2, leased: 0 });
  });

  it('calls a double release an error, disposing twice safe, and a connection after its lease out of reach', async () => {
    const { pool, manager } = begin();
    const lease = await pool.acquire();
    lease.release();
    expect(() => lease.release()).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DOUBLE_RELEASE' }));
    expect(() => lease.discard()).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DOUBLE_RELEASE' }));
    lease[Symbol.dispose]();
    await lease[Symbol.asyncDispose]();
    expect(() => lease.connection).toThrow(DisposedError);
    expect(manager.asked.recycle).toBe(1);
    expect(pool.stats).toMatchObject({ idle: 1, leased: 0, size: 1 });
  });

  it('does not let an old lease give back what somebody else has now', async () => {
    const { pool } = begin({ maxSize: 1 });
    const old = await pool.acquire();
    old.release();
    const lease = await pool.acquire();
    expect(() => old.release()).toThrow();
    old[Symbol.dispose]();
    old.suspect();
    expect(lease.released).toBe(false);
    expect(pool.stats.leased).toBe(1);
  });

  it('tryAcquire lends what is idle, and jumps no queue', async () => {
    const { pool } = begin({ maxSize: 1 });
    expect(pool.tryAcquire()).toBeUndefined();
    const lease = await pool.acquire();
    const next = watch(pool.acquire());
    lease.release();
    expect(pool.tryAcquire()).toBeUndefined();
    await settle();
    next.value!.release();
    expect(pool.tryAcquire()?.connection.id).toBe(1);
  });

  it('use gives back whatever comes of it, and looks at the connection after a failure', async () => {
    const { pool, manager } = begin();
    expect(await pool.use((connection) => connection.id)).toBe(1);
    expect(manager.asked.isValid).toBe(0);
    await expect(pool.use(() => Promise.reject(new Error('bad query')))).rejects.toThrow('bad query');
    expect(pool.stats).toMatchObject({ idle: 1, leased: 0 });
    await pool.use(() => {});
    expect(manager.asked.isValid).toBe(1);
    await pool.use(() => {});
    expect(manager.asked.isValid).toBe(1);
  });

  it('looks at what failed also when somebody waits for it, and gives him another one where it is broken', async () => {
    const { pool, manager } = begin({ maxSize: 1 });
    for (const [valid, id] of [
      ['soon', 1],
      ['no', 2],
    ] as const) {
      manager.valid_ = valid;
      const asked = manager.asked.isValid;
      const failing = pool.use(() => Promise.reject(new Error('terminated')));
      const next = pool.use((connection) => connection.id);
      await expect(failing).rejects.toThrow('terminated');
      expect(await next).toBe(id);
      expect(manager.asked.isValid).toBe(asked + 1);
    }
    expect(pool.stats.destroyedBy.invalid).toBe(1);
  });

  it('with validateAfterMs 0 asks each time, also of what goes from hand to hand', async () => {
    const { pool, manager } = begin({ maxSize: 1, validateAfterMs: 0 });
    await Promise.all(Array.from({ length: 3 }, () => pool.use(() => {})));
    // A new one is sound.
    expect(manager.asked.isValid).toBe(2);
  });

  it('use lets its work discard the connection', async () => {
    const { pool, manager } = begin();
    await pool.use((_connection, lease) => lease.discard());
    expect(manager.open).toHaveLength(0);
    expect(pool.stats.destroyedBy.discarded).toBe(1);
  });
});

describe('first come, first served', () => {
  it('serves in order of arrival, newcomers behind those who wait', async () => {
    const { pool } = begin({ maxSize: 2 });
    const held = [await pool.acquire(), await pool.acquire()];
    const order: number[] = [];
    const users = Array.from({ length: 20 }, async (_, i) => {
      const lease = await pool.acquire(i % 3 === 0 ? { timeoutMs: 1_000 + i } : undefined);
      order.push(i);
      await null;
      lease.release();
    });
    held[1]!.release();
    held[0]!.release();
    await Promise.all(users);
    expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it('keeps the order through validation, slow recycling and reconnecting', async () => {
    const { pool, manager, clock } = begin({ maxSize: 2, validateAfterMs: 0 });
    manager.create_ = 'soon';
    manager.valid_ = 'soon';
    manager.recycle_ = 'soon';
    const order: number[] = [];
    const users = Array.from({ length: 30 }, async (_, i) => {
      const lease = await pool.acquire();
      order.push(i);
      await null;
      if (i % 5 === 0) lease.connection.lost();
      if (i % 7 === 0) lease.discard();
      else lease.release();
    });
    for (let i = 0; i < 40; i++) {
      await settle();
      clock.advance(1);
    }
    await Promise.all(users);
    expect(order).toEqual(Array.from({ length: 30 }, (_, i) => i));
    expect(manager.mostOpen).toBeLessThanOrEqual(2);
  });

  it('tryAcquire passes nobody, not even from inside a call of the manager', async () => {
    const { pool, manager } = begin({ maxSize: 2 });
    const leases = [await pool.acquire(), await pool.acquire()];
    leases[1]!.suspect();
    for (const lease of leases) lease.release();
    const stolen: unknown[] = [];
    manager.valid_ = 'soon';
    const isValid = manager.isValid.bind(manager);
    manager.isValid = (connection, call) => {
      stolen.push(pool.tryAcquire());
      return isValid(connection, call);
    };
    await pool.acquire();
    expect(stolen).toEqual([undefined]);
  });

  it('asks isValid only of what lay for validateAfterMs', async () => {
    const { pool, manager, clock } = begin({ validateAfterMs: 500 });
    await pool.use(() => {});
    clock.advance(499);
    await pool.use(() => {});
    expect(manager.asked.isValid).toBe(0);
    clock.advance(500);
    await pool.use(() => {});
    expect(manager.asked.isValid).toBe(1);
  });
});

describe('what it says of itself', () => {
  it('counts waits and their times, slow ones apart, and publishes those', async () => {
    const { pool, clock } = begin({ maxSize: 1, name: 'db', slowAcquireMs: 100 });
    const heard: unknown[] = [];
    using _listening = slowAcquireEvents.subscribe((event) => heard.push(event));
    const lease = await pool.acquire();
    const quick = watch(pool.acquire());
    clock.advance(100);
    lease.release();
    await settle();
    expect(heard).toEqual([]);
    const slow = watch(pool.acquire());
    clock.advance(200);
    quick.value!.release();
    await settle();
    expect(slow.state).toBe('done');
    expect(heard).toEqual([{ pool: 'db', waitedMs: 200, waiting: 0, size: 1 }]);
    expect(pool.stats).toMatchObject({ acquired: 3, waited: 3, slowAcquires: 1 });
    expect(pool.stats.acquireMs).toMatchObject({ count: 3, max: 200, mean: 100 });
    expect(pool.stats.acquireMs.p50).toBeGreaterThanOrEqual(100);
    expect(pool.stats.acquireMs.p50).toBeLessThanOrEqual(112.5);
  });

  it('a listener that borrows while it hears of a slow wait gets no connection that is lent', async () => {
    const { pool, clock } = begin({ maxSize: 2 });
    const lease = await pool.acquire();
    const other = await pool.acquire();
    const stolen: unknown[] = [];
    using _listening = slowAcquireEvents.subscribe(() => stolen.push(pool.tryAcquire()));
    const slow = watch(pool.acquire());
    clock.advance(500);
    lease.release();
    await settle();
    expect(stolen).toEqual([undefined]);
    expect(slow.value!.connection).not.toBe(other.connection);
  });
});

describe('options', () => {
  it.each([
    [{ maxSize: 0 }, 'maxSize'],
    [{}, 'maxSize'],
    [{ maxSize: 2, minSize: 3 }, 'minSize'],
    [{ maxSize: 2, acquireTimeoutMs: Number.POSITIVE_INFINITY }, 'acquireTimeoutMs'],
    [{ maxSize: 2, idleTimeoutMs: 0 }, 'idleTimeoutMs'],
    [{ maxSize: 2, lifetimeJitter: 1 }, 'lifetimeJitter'],
    [{ maxSize: 2, maxWaiting: 0 }, 'maxWaiting'],
    [{ maxSize: 2, random: 4 }, 'random'],
    [{ maxSize: 2, maxsize: 4 }, 'maxSize'],
    [{ maxSize: 2, governor: {} }, 'governor'],
    [{ maxSize: 2, leakTracker: {} }, 'leakTracker'],
  ])('refuses %j and names %s', (options, name) => {
    const make = () => new ConnectionPool(new FakeManager(), options as unknown as ConnectionPoolOptions);
    expect(make).toThrow(RangeError);
    expect(make).toThrow(name);
  });

  it.each([undefined, {}, { create() {} }, { create() {}, destroy() {}, isValid: true }])(
    'refuses %s as a manager',
    (manager) => {
      expect(() => new ConnectionPool(manager as never, { maxSize: 1 })).toThrow(RangeError);
    },
  );

  it.each([{ timeoutMs: 0 }, { signal: {} }, { holding: {} }, { timeout: 5 }])(
    'rejects acquire(%j)',
    async (options) => {
      const { pool } = begin();
      await expect(pool.acquire(options as never)).rejects.toBeInstanceOf(RangeError);
      expect(pool.stats).toMatchObject({ waiting: 0, leased: 0 });
    },
  );

  it('refuses to hold the lease of another pool', async () => {
    const { pool } = begin();
    const other = begin().pool;
    const holding = await other.acquire();
    for (const released of [false, true]) {
      if (released) holding.release();
      await expect(pool.acquire({ holding })).rejects.toThrow('`holding` to be a lease of this pool');
    }
    expect(pool.stats).toMatchObject({ waiting: 0, acquired: 0, size: 0 });
    await pool.acquire({ holding: await pool.acquire() });
  });

  it('stand in the pool as they were resolved', () => {
    const {
      name: _name,
      deadlockAfterMs: _grace,
      connectionBytes: _bytes,
      importance: _importance,
      ...tunable
    } = CONNECTION_POOL_DEFAULTS;
    expect(begin({ maxSize: 7 }).pool.tuning).toEqual({ ...tunable, maxSize: 7 });
  });
});

describe('mistakes', () => {
  it('a `create` that forgets to return is a failure, and nobody is lent what is no connection', async () => {
    const clock = new ManualClock();
    const pool = new ConnectionPool<unknown>(
      { create: () => undefined, destroy: () => {} },
      { name: 'db', maxSize: 2, clock, acquireTimeoutMs: 1_000, random: () => 0 },
    );
    const late = watch(pool.acquire());
    await settle();
    clock.advance(1_000);
    await settle();
    expect(late.error).toMatchObject({ code: 'PLIMSOLL_POOL_TIMEOUT' });
    expect(String((late.error as Error).cause)).toContain('create gave undefined, which is no connection');
    expect(pool.stats).toMatchObject({ size: 0, created: 0 });
  });

  it('`use` without work to do is told so before a connection is taken', async () => {
    const { pool, manager } = begin();
    await expect(pool.use('select 1' as never)).rejects.toThrow('Expected `act` to be a function');
    expect(manager.asked).toMatchObject({ create: 0 });
  });
});
