import { ManualClock } from 'plimsoll';
import { ConnectionPool, type ConnectionPoolOptions } from 'plimsoll/pool';
import { describe, expect, it } from 'vitest';
import { type FakeConnection, FakeManager, settle, watch } from './fake-manager.ts';

function begin(options: Partial<ConnectionPoolOptions> = {}) {
  const clock = new ManualClock();
  const manager = new FakeManager();
  const pool = new ConnectionPool<FakeConnection>(manager, {
    name: 'db',
    maxSize: 2,
    clock,
    random: () => 0,
    ...options,
  });
  /** Lets time pass, and whatever happens in it. */
  const pass = async (ms: number, step = ms) => {
    for (let passed = 0; passed < ms; passed += step) {
      clock.advance(Math.min(step, ms - passed));
      await settle();
    }
  };
  return { clock, manager, pool, pass };
}

describe('saturation', () => {
  it('who waits too long gets an error that says how the pool stands, and takes nothing along', async () => {
    const { pool, pass } = begin({ acquireTimeoutMs: 1_000 });
    const held = [await pool.acquire(), await pool.acquire()];
    const late = watch(pool.acquire());
    const later = watch(pool.acquire({ timeoutMs: 5_000 }));
    await pass(1_000);
    expect(late.error).toMatchObject({
      code: 'PLIMSOLL_POOL_TIMEOUT',
      recovery: 'retry',
      leased: 2,
      waiting: 1,
      waitedMs: 1_000,
    });
    expect(late.error!.message).toBe('db: no connection within 1000ms (2 leased, 2 of 2 open, 1 waiting)');
    held[0]!.release();
    await settle();
    expect(later.state).toBe('done');
    expect(pool.stats).toMatchObject({ timeouts: 1, waiting: 0, leased: 2 });
  });

  it('short waits end on time among long ones, in whatever order they came', async () => {
    const { pool, pass, clock } = begin();
    await pool.acquire();
    await pool.acquire();
    const waits = [500, 100, 300, 100, 400, 200].map((timeoutMs) => ({
      timeoutMs,
      seen: watch(pool.acquire({ timeoutMs })),
    }));
    for (let now = 0; now < 500; now += 50) {
      await pass(50);
      for (const { timeoutMs, seen } of waits) expect(seen.state).toBe(timeoutMs <= clock.now() ? 'failed' : 'waits');
    }
    expect(pool.stats.waiting).toBe(0);
  });

  it('a queue at maxWaiting turns away at once', async () => {
    const { pool } = begin({ maxWaiting: 2 });
    await pool.acquire();
    await pool.acquire();
    const waits = [watch(pool.acquire()), watch(pool.acquire()), watch(pool.acquire())];
    await settle();
    expect(waits.map(({ state }) => state)).toEqual(['waits', 'waits', 'failed']);
    expect(waits[2]!.error).toMatchObject({ code: 'PLIMSOLL_POOL_QUEUE_FULL', recovery: 'circuit-break', waiting: 2 });
  });

  it('no timer is set for a time that has passed, though time goes on while it is looked at', async () => {
    const clock = new ManualClock();
    const now = clock.now.bind(clock);
    let ticks = 0;
    const delays: number[] = [];
    const after = clock.after.bind(clock);
    Object.assign(clock, {
      now: () => now() + (ticks += 0.4),
      after: (delayMs: number, action: () => void) => {
        delays.push(delayMs);
        return after(delayMs, action);
      },
    });
    const { pool } = begin({ clock, maxSize: 1 });
    await pool.acquire();
    const waits = Array.from({ length: 20 }, (_, i) => watch(pool.acquire({ timeoutMs: 20 + i })));
    for (let i = 0; i < 100; i++) clock.advance(1);
    await settle();
    expect(waits.every(({ state }) => state === 'failed')).toBe(true);
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(0);
  });

  it('no timer is left when nobody waits and nothing is open', async () => {
    const { pool, clock, pass } = begin({ maxSize: 1, idleTimeoutMs: 1_000 });
    const lease = await pool.acquire();
    const next = watch(pool.acquire());
    lease.release();
    await settle();
    next.value!.release();
    await pass(3_000, 100);
    expect(pool.stats.size).toBe(0);
    expect(clock.pending).toBe(0);
  });
});

describe('cancellation', () => {
  it('while waiting: rejects with the reason of the signal, and the next one is served', async () => {
    const { pool } = begin({ maxSize: 1 });
    const lease = await pool.acquire();
    const gone = new AbortController();
    const stays = new AbortController();
    const first = watch(pool.acquire({ signal: gone.signal }));
    const second = watch(pool.acquire({ signal: stays.signal }));
    gone.abort(new Error('no longer needed'));
    await settle();
    expect(first.error!.message).toBe('no longer needed');
    lease.release();
    await settle();
    expect(second.state).toBe('done');
    stays.abort();
    expect(second.value!.released).toBe(false);
    expect(pool.stats).toMatchObject({ aborted: 1, leased: 1, waiting: 0 });
  });

  it('before it begins: an aborted signal takes no connection', async () => {
    const { pool, manager } = begin();
    await expect(pool.acquire({ signal: AbortSignal.abort(new Error('too late')) })).rejects.toThrow('too late');
    expect(manager.asked.create).toBe(0);
  });

  it('while creating: the connection goes to the next one who waits', async () => {
    const { pool, manager } = begin();
    manager.create_ = 'by hand';
    const gone = new AbortController();
    const first = watch(pool.acquire({ signal: gone.signal }));
    const second = watch(pool.acquire());
    gone.abort();
    expect(manager.pending).toHaveLength(2);
    manager.pending[0]!.succeed();
    await settle();
    expect(first.state).toBe('failed');
    expect(second.value!.connection.id).toBe(1);
    manager.pending[0]!.succeed();
    await settle();
    expect(pool.stats).toMatchObject({ size: 2, idle: 1, leased: 1, creating: 0 });
  });

  it('while creating, with nobody else: the connection lies idle and is lent to the next that comes', async () => {
    const { pool, manager, pass } = begin();
    manager.create_ = 'by hand';
    const first = watch(pool.acquire({ timeoutMs: 50 }));
    await pass(50);
    expect(first.error!.code).toBe('PLIMSOLL_POOL_TIMEOUT');
    manager.pending[0]!.succeed();
    await settle();
    expect(pool.stats).toMatchObject({ idle: 1, size: 1 });
    expect(pool.tryAcquire()?.connection.id).toBe(1);
  });

  it('while it is looked at: a sound connection lies idle again', async () => {
    const { pool, manager, pass } = begin({ validateAfterMs: 0, maxSize: 1 });
    await pool.use(() => {});
    manager.valid_ = 'soon';
    const gone = new AbortController();
    const first = watch(pool.acquire({ signal: gone.signal }));
    gone.abort();
    await pass(1);
    expect(first.state).toBe('failed');
    expect(pool.stats).toMatchObject({ idle: 1, checking: 0 });
  });
});

describe('managers that fail', () => {
  it.each(['throws', 'rejects'] as const)(
    'create that %s: those who wait go on waiting, and get the cause when their time is over',
    async (mode) => {
      const { pool, manager, pass } = begin({ acquireTimeoutMs: 1_000 });
      manager.create_ = mode;
      const waits = watch(pool.acquire());
      await pass(999, 1);
      expect(waits.state).toBe('waits');
      await pass(1);
      expect(waits.error).toMatchObject({ code: 'PLIMSOLL_POOL_TIMEOUT', cause: { message: 'the server is down' } });
      expect(waits.error!.message).toContain('the last one could not be made: the server is down');
    },
  );

  it('back-off: pauses double up to maxBackoffMs, and a random half of them is left off', async () => {
    const times: number[] = [];
    const { pool, manager, pass, clock } = begin({
      backoffMs: 100,
      maxBackoffMs: 1_000,
      random: () => 0.5,
      acquireTimeoutMs: 10_000,
    });
    manager.create_ = 'throws';
    const create = manager.create.bind(manager);
    manager.create = (call) => {
      times.push(clock.now());
      return create(call);
    };
    watch(pool.acquire());
    await pass(4_000, 5);
    expect(times.slice(1).map((time, i) => time - times[i]!)).toEqual([75, 150, 300, 600, 750, 750, 750]);
  });

  it('storm after an outage: one is tried at a time until one succeeds, then all that are needed, maxCreating at most', async () => {
    const { pool, manager, pass } = begin({
      maxSize: 25,
      maxCreating: 4,
      maxWaiting: 1_000,
      backoffMs: 100,
      maxBackoffMs: 400,
    });
    manager.create_ = 'rejects';
    const waits = Array.from({ length: 500 }, () => watch(pool.acquire()));
    await settle();
    const atOnce = manager.asked.create;
    expect(atOnce).toBe(4);
    await pass(10_000, 50);
    // 100, 200, 400 and then every 400 ms one.
    expect(manager.asked.create - atOnce).toBeLessThanOrEqual(27);
    expect(manager.asked.create - atOnce).toBeGreaterThanOrEqual(20);
    manager.create_ = 'by hand';
    await pass(400, 50);
    expect(manager.pending).toHaveLength(1);
    manager.pending[0]!.succeed();
    await settle();
    expect(manager.pending).toHaveLength(4);
    for (let i = 0; i < 24; i++) {
      manager.pending[0]!.succeed();
      await settle();
      expect(manager.pending.length).toBeLessThanOrEqual(4);
    }
    expect(pool.stats).toMatchObject({ size: 25, leased: 25, creating: 0, waiting: 475 });
    expect(waits.slice(0, 25).every(({ state }) => state === 'done')).toBe(true);
  });

  it('create that hangs: ends by createTimeoutMs, its signal is aborted, and what comes late is closed', async () => {
    const { pool, manager, pass } = begin({ createTimeoutMs: 1_000, backoffMs: 1, maxSize: 1 });
    manager.create_ = 'hangs';
    const waits = watch(pool.acquire());
    const [hung] = manager.pending;
    const { signal } = hung!.call;
    expect(signal.aborted).toBe(false);
    manager.create_ = 'at once';
    await pass(1_000);
    expect(signal.reason).toMatchObject({ code: 'PLIMSOLL_MANAGER_TIMEOUT', call: 'create' });
    await pass(1);
    expect(waits.value!.connection.id).toBe(1);
    const late = hung!.succeed();
    await settle();
    expect(late.open).toBe(false);
    late.lost();
    expect(pool.stats).toMatchObject({ size: 1, leased: 1, createTimeouts: 1, destroyed: 1 });
    expect(pool.stats.destroyedBy.late).toBe(1);
  });

  it.each(['no', 'throws', 'rejects', 'hangs'] as const)(
    'isValid that says %s: the connection is closed and another one is lent',
    async (mode) => {
      const { pool, manager, pass } = begin({ validateAfterMs: 0, validateTimeoutMs: 200, maxSize: 1 });
      await pool.use(() => {});
      manager.valid_ = mode;
      const waits = watch(pool.acquire());
      await pass(200);
      expect(waits.value!.connection.id).toBe(2);
      expect(pool.stats.destroyedBy.invalid).toBe(1);
      if (mode === 'hangs') expect(manager.calls[1]!.signal.reason).toMatchObject({ call: 'isValid' });
    },
  );

  it.each(['no', 'throws', 'rejects', 'hangs'] as const)(
    'recycle that says %s: the connection is closed',
    async (mode) => {
      const { pool, manager, pass } = begin({ recycleTimeoutMs: 200, maxSize: 1 });
      manager.recycle_ = mode;
      (await pool.acquire()).release();
      const waits = watch(pool.acquire());
      await pass(200);
      expect(waits.value!.connection.id).toBe(2);
      expect(pool.stats).toMatchObject({ recycleFailures: 1, size: 1 });
    },
  );

  it('destroy that hangs: its place is free after destroyTimeoutMs, and no sooner', async () => {
    const { pool, manager, pass } = begin({ destroyTimeoutMs: 500, maxSize: 1 });
    manager.destroy_ = 'hangs';
    (await pool.acquire()).discard();
    const waits = watch(pool.acquire());
    await pass(499);
    expect(waits.state).toBe('waits');
    expect(pool.stats).toMatchObject({ size: 0, closing: 1 });
    await pass(1);
    expect(waits.value!.connection.id).toBe(2);
    expect(pool.stats).toMatchObject({ closing: 0, destroyTimeouts: 1 });
  });

  it.each(['throws', 'rejects'] as const)('destroy that %s is counted, and the place is free', async (mode) => {
    const { pool, manager, pass } = begin({ maxSize: 1 });
    manager.destroy_ = mode;
    (await pool.acquire()).discard();
    await pass(1);
    expect((await pool.acquire()).connection.id).toBe(2);
    expect(pool.stats.destroyFailures).toBe(1);
  });

  it('a manager that calls back into the pool from every call does no harm', async () => {
    const { pool, manager } = begin({ maxSize: 2, validateAfterMs: 0 });
    const inside: Promise<unknown>[] = [];
    for (const name of ['create', 'isValid', 'recycle', 'destroy'] as const) {
      const own = manager[name].bind(manager) as (...args: unknown[]) => unknown;
      let calls = 0;
      (manager as unknown as Record<string, unknown>)[name] = (...args: unknown[]) => {
        if (calls++ < 3) inside.push(pool.use(() => {}));
        pool.tryAcquire()?.release();
        pool.tune({ maxSize: 2 });
        return own(...args);
      };
    }
    for (let i = 0; i < 10; i++) await pool.use((_connection, lease) => (i % 3 === 0 ? lease.discard() : undefined));
    await Promise.all(inside);
    expect(manager.mostOpen).toBeLessThanOrEqual(2);
    expect(pool.stats).toMatchObject({ leased: 0, waiting: 0 });
    expect(pool.stats.size).toBe(manager.open.length);
  });
});

describe('connections that are lost', () => {
  it('an idle one is taken out at once, and minSize is kept', async () => {
    const { pool, manager } = begin({ minSize: 1 });
    const [first] = manager.all;
    first!.lost(new Error('terminated by administrator'));
    first!.lost();
    expect(first!.open).toBe(false);
    expect(pool.stats).toMatchObject({ size: 1, idle: 1, created: 2 });
    expect(pool.tryAcquire()?.connection.id).toBe(2);
  });

  it('a leased one is closed when it comes back, and its borrower keeps it until then', async () => {
    const { pool, manager } = begin();
    const lease = await pool.acquire();
    lease.connection.lost();
    expect(lease.connection.open).toBe(true);
    lease.release();
    expect(manager.asked).toMatchObject({ recycle: 0, destroy: 1 });
    expect(pool.stats.destroyedBy.lost).toBe(1);
  });

  it('one that is lost while it is looked at or made good is not lent', async () => {
    const { pool, manager, pass } = begin({ validateAfterMs: 0, maxSize: 1 });
    await pool.use(() => {});
    manager.valid_ = 'soon';
    const first = watch(pool.acquire());
    manager.all[0]!.lost();
    await pass(1);
    expect(first.value!.connection.id).toBe(2);
    manager.recycle_ = 'soon';
    first.value!.release();
    manager.all[1]!.lost();
    await pass(1);
    expect(pool.stats).toMatchObject({ size: 0, idle: 0 });
  });

  it('one that is lost before it is ready counts as one that could not be made', async () => {
    const { pool, manager, pass } = begin({ maxSize: 1, backoffMs: 10 });
    manager.create_ = 'by hand';
    const waits = watch(pool.acquire());
    manager.pending[0]!.call.lost(new Error('too many clients'));
    manager.pending[0]!.succeed();
    await settle();
    expect(manager.open).toHaveLength(0);
    expect(pool.stats).toMatchObject({ createFailures: 1, created: 0, size: 0 });
    await pass(10);
    manager.pending[0]!.succeed();
    await settle();
    expect(waits.value!.connection.id).toBe(2);
  });
});
