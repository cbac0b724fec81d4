import { LeakTracker, leakEvents, ManualClock } from 'plimsoll';
import { ConnectionPool, type ConnectionPoolOptions } from 'plimsoll/pool';
import { describe, expect, it } from 'vitest';
import { type FakeConnection, FakeManager, settle } from './fake-manager.ts';

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
  const pass = async (ms: number, step = ms) => {
    for (let passed = 0; passed < ms; passed += step) {
      clock.advance(Math.min(step, ms - passed));
      await settle();
    }
  };
  const fill = async (count: number) => {
    const leases = [];
    for (let i = 0; i < count; i++) leases.push(await pool.acquire());
    for (const lease of leases) lease.release();
  };
  return { clock, manager, pool, pass, fill };
}

describe('idle connections', () => {
  it('are closed after idleTimeoutMs, the longest idle first, down to minSize', async () => {
    const { pool, manager, pass, fill } = begin({ minSize: 1, idleTimeoutMs: 1_000 });
    await fill(3);
    await pass(600);
    await pool.use((connection) => expect(connection.id).toBe(3));
    await pass(399);
    expect(pool.stats.size).toBe(3);
    await pass(1);
    expect(manager.open.map(({ id }) => id)).toEqual([3]);
    await pass(60_000, 1_000);
    expect(manager.open.map(({ id }) => id)).toEqual([3]);
    expect(pool.stats.destroyedBy.idle).toBe(2);
  });

  it.each(['one more is idle', 'one more may be made'])('a look that hangs keeps nobody waiting: %s', async (where) => {
    const { pool, manager, pass, fill } = begin({ healthCheckIntervalMs: 1_000, validateAfterMs: 500 });
    await fill(where === 'one more is idle' ? 2 : 1);
    manager.valid_ = 'hangs';
    await pass(1_000);
    expect(pool.stats.checking).toBe(1);
    manager.valid_ = 'at once';
    using lease = await pool.acquire();
    expect(lease.connection.open).toBe(true);
    expect(pool.stats).toMatchObject({ checking: 1, leased: 1, size: 2 });
    await pass(5_000);
    expect(pool.stats.destroyedBy.invalid).toBe(1);
    expect(pool.stats.checking).toBe(0);
  });

  it('are kept for ever with `Infinity`, and closed soon after that is tuned', async () => {
    const { pool, pass, fill } = begin({
      idleTimeoutMs: Number.POSITIVE_INFINITY,
      maxLifetimeMs: Number.POSITIVE_INFINITY,
      healthCheckIntervalMs: Number.POSITIVE_INFINITY,
    });
    await fill(2);
    await pass(10_000_000, 1_000_000);
    expect(pool.stats.idle).toBe(2);
    pool.tune({ idleTimeoutMs: 100 });
    expect(pool.stats.idle).toBe(0);
  });
});

describe('lifetime', () => {
  it('ends idle ones at their age, leased ones when they come back, and minSize is made anew', async () => {
    const { pool, manager, pass } = begin({ minSize: 2, maxLifetimeMs: 10_000, lifetimeJitter: 0 });
    const lease = await pool.acquire();
    await pass(10_000);
    expect(lease.connection.open).toBe(true);
    expect(manager.open.map(({ id }) => id).toSorted()).toEqual([2, 3]);
    lease.release();
    expect(manager.open.map(({ id }) => id)).toEqual([3, 4]);
    expect(pool.stats.destroyedBy.lifetime).toBe(2);
  });

  it('is made shorter at random, so that not all end at once', async () => {
    let seed = 0;
    const random = () => (seed += 0.25) % 1;
    const { pool, pass, fill } = begin({ maxLifetimeMs: 10_000, lifetimeJitter: 0.5, random, idleTimeoutMs: 100_000 });
    await fill(4);
    const sizes: number[] = [];
    for (let i = 0; i < 10; i++) {
      await pass(1_000, 100);
      sizes.push(pool.stats.size);
    }
    // Jitters of 0.25, 0.5, 0.75 and 0 of a half of 10 s.
    expect(sizes).toEqual([4, 4, 4, 4, 4, 4, 3, 2, 1, 0]);
  });

  it('one past its age is not lent, though no timer has come to it', async () => {
    const { pool, clock, fill } = begin({ maxLifetimeMs: 10_000 });
    await fill(1);
    Object.assign(clock, { after: () => ({ [Symbol.dispose]() {} }) });
    clock.advance(10_000);
    expect(pool.tryAcquire()).toBeUndefined();
    expect((await pool.acquire()).connection.id).toBe(2);
  });
});

describe('health checks', () => {
  it('look at each idle connection every healthCheckIntervalMs, one at a time, and close what is not sound', async () => {
    const { pool, manager, pass, fill } = begin({
      healthCheckIntervalMs: 1_000,
      idleTimeoutMs: 100_000,
      validateTimeoutMs: 50,
    });
    await fill(3);
    manager.valid_ = 'soon';
    await pass(1_000);
    await pass(20, 1);
    expect(manager.asked.isValid).toBe(3);
    expect(pool.stats).toMatchObject({ idle: 3, checking: 0 });
    manager.valid_ = 'hangs';
    await pass(1_000, 20);
    expect(pool.stats).toMatchObject({ checking: 1, idle: 2 });
    await pass(300, 10);
    expect(pool.stats).toMatchObject({ size: 0 });
    expect(pool.stats.destroyedBy.invalid).toBe(3);
  });

  it('do not count as use: what is only looked at times out all the same', async () => {
    const { pool, manager, pass, fill } = begin({ healthCheckIntervalMs: 300, idleTimeoutMs: 1_000 });
    await fill(2);
    await pass(990, 10);
    expect(manager.asked.isValid).toBe(6);
    expect(pool.stats).toMatchObject({ size: 2 });
    await pass(10);
    expect(pool.stats).toMatchObject({ size: 0 });
    expect(pool.stats.destroyedBy.idle).toBe(2);
  });

  it('do not count as use either when one is to go: the one that was used longest ago does', async () => {
    const { pool, manager, pass } = begin({ healthCheckIntervalMs: 450, idleTimeoutMs: 100_000 });
    const leases = [await pool.acquire(), await pool.acquire(), await pool.acquire()];
    for (const lease of leases) {
      await pass(100);
      lease.release();
    }
    // The first is looked at, and then the second.
    await pass(350, 50);
    expect(manager.asked.isValid).toBe(2);
    pool.tune({ maxSize: 2 });
    expect(manager.open.map(({ id }) => id)).toEqual([2, 3]);
    pool.tune({ maxSize: 1 });
    expect(manager.open.map(({ id }) => id)).toEqual([3]);
  });

  it('leave those alone that are in use', async () => {
    const { pool, manager, pass } = begin({ healthCheckIntervalMs: 300 });
    await pool.acquire();
    await pass(2_000, 100);
    expect(manager.asked.isValid).toBe(0);
  });
});

describe('leak detection', () => {
  it('reports a lease that lasts longer than leakDetectionMs, once, with the stack of its borrower', async () => {
    const reports: { what: string; createdAt: string; ageMs: number; count: number }[] = [];
    const heard: unknown[] = [];
    using _listening = leakEvents.subscribe((event) => heard.push(event));
    const { pool, pass } = begin({ leakDetectionMs: 2_000, onLeak: (report) => reports.push(report) });
    async function forgetful() {
      return await pool.acquire();
    }
    for (let times = 1; times <= 2; times++) {
      const lease = await forgetful();
      await pass(1_999);
      expect(reports).toHaveLength(times - 1);
      await pass(10_000, 500);
      expect(reports).toHaveLength(times);
      expect(reports.at(-1)).toMatchObject({ what: 'overdue lease of db', ageMs: 2_000, count: times });
      expect(reports.at(-1)!.createdAt).toContain('forgetful');
      expect(reports.at(-1)!.createdAt).not.toContain('src/pool/');
      lease.release();
    }
    expect(heard).toEqual(reports);
    expect(pool.stats.overdueLeases).toBe(2);
  });

  it('knows the borrower of a lease that was waited for, and of one in use', async () => {
    const places: string[] = [];
    const { pool, pass } = begin({
      maxSize: 1,
      leakDetectionMs: 100,
      onLeak: ({ createdAt }) => void places.push(createdAt),
    });
    async function impatient() {
      using lease = await pool.acquire();
      await new Promise(() => lease);
    }
    const first = await pool.acquire();
    void impatient();
    first.release();
    await pass(100);
    expect(places[0]).toContain('impatient');
    const other = begin({ leakDetectionMs: 100, onLeak: ({ createdAt }) => void places.push(createdAt) });
    void (function slowQuery() {
      void other.pool.use(() => new Promise(() => {}));
    })();
    await other.pass(100);
    expect(places[1]).toContain('slowQuery');
  });

  it('takes the stack of one in leakSampleEvery, and survives what onLeak throws', async () => {
    const places: string[] = [];
    const onLeak = ({ createdAt }: { createdAt: string }) => {
      places.push(createdAt);
      throw new Error('on purpose');
    };
    const { pool, pass } = begin({ leakDetectionMs: 100, leakSampleEvery: 2, onLeak });
    for (let i = 0; i < 4; i++) await pool.acquire();
    await pass(100);
    expect(places.map((place) => place.includes('connection-care'))).toEqual([true, false, true, false]);
  });

  it('a lease that was collected without having been given back is told by the leak tracker', async () => {
    const found: string[] = [];
    const leakTracker = new LeakTracker({ level: 'paranoid', onLeak: ({ what }) => void found.push(what) });
    const { pool } = begin({ leakTracker, name: 'orders' });
    await (async () => {
      await pool.acquire();
      (await pool.acquire()).release();
    })();
    expect(leakTracker.stats).toMatchObject({ sampled: 2, open: 1 });
    for (let i = 0; i < 50 && found.length === 0; i++) {
      globalThis.gc!();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(found).toEqual(['lease of orders']);
  });
});
