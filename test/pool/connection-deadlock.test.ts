import { ManualClock } from 'plimsoll';
import { ConnectionPool, type ConnectionPoolOptions } from 'plimsoll/pool';
import { describe, expect, it } from 'vitest';
import { LeaseHolder } from '../../src/pool/connection-deadlocks.ts';
import { type FakeConnection, FakeManager, settle, watch } from './fake-manager.ts';

function begin(options: Partial<ConnectionPoolOptions> = {}) {
  const clock = new ManualClock();
  const pool = new ConnectionPool<FakeConnection>(new FakeManager(), { name: 'db', maxSize: 2, clock, ...options });
  const pass = async (ms: number) => {
    clock.advance(ms);
    await settle();
  };
  return { clock, pool, pass };
}

describe('a nested acquire that would deadlock', () => {
  it('is found and named, and the youngest fails so that the others go on', async () => {
    const { pool, pass } = begin({ leakDetectionMs: 60_000 });
    async function transfer(from: number) {
      return await pool.use(async () => {
        await null;
        return await pool.use(async function audit() {
          return from;
        });
      });
    }
    const first = watch(transfer(1));
    const second = watch(transfer(2));
    await settle();
    await pass(999);
    expect([first.state, second.state]).toEqual(['waits', 'waits']);
    await pass(1);
    expect(second.error).toMatchObject({ code: 'PLIMSOLL_POOL_DEADLOCK', recovery: 'retry', waitedMs: 1_000 });
    const { waits, holds } = second.error as unknown as { waits: string[]; holds: string[] };
    expect(waits).toHaveLength(2);
    for (const stack of [...waits, ...holds]) expect(stack).toContain('transfer');
    expect(second.error!.message).toMatch(/^db: all 2 connections are held by work that waits/);
    expect(first).toMatchObject({ state: 'done', value: 1 });
    expect(pool.stats).toMatchObject({ deadlocks: 1, leased: 0, idle: 2, waiting: 0 });
  });

  it('keeps the stack of a wait no longer than the wait', async () => {
    const places: string[] = [];
    const { pool, pass } = begin({ onLeak: ({ createdAt }) => void places.push(createdAt) });
    const first = await pool.acquire();
    const held = pool.use(() => pool.use(() => new Promise(() => {})));
    await settle();
    first.release();
    await settle();
    expect(pool.stats).toMatchObject({ leased: 2, waiting: 0 });
    pool.tune({ leakDetectionMs: 100 });
    await pass(100);
    expect(places).toEqual(Array(2).fill('(no stack was taken of this lease)'));
    void held;
  });

  it('is looked for where `Error` is frozen', async () => {
    const { pool } = begin({ maxSize: 1 });
    const limit = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')!;
    const waits = await pool.use(async () => {
      Object.defineProperty(Error, 'stackTraceLimit', { ...limit, writable: false });
      let inner: ReturnType<typeof watch>;
      try {
        inner = watch(pool.acquire());
      } finally {
        Object.defineProperty(Error, 'stackTraceLimit', limit);
      }
      await settle();
      expect(inner.state).toBe('waits');
      return inner;
    });
    await settle();
    expect(waits.state).toBe('done');
  });

  it('in a pool of one: the work that waits for itself', async () => {
    const { pool, pass } = begin({ maxSize: 1 });
    const outer = watch(pool.use(() => pool.use(() => 'never')));
    await settle();
    await pass(1_000);
    expect(outer.error!.code).toBe('PLIMSOLL_POOL_DEADLOCK');
    expect(await pool.use(() => 'goes on')).toBe('goes on');
  });

  it('is found through a bare acquire inside use, and through `holding` between bare leases', async () => {
    const { pool, pass } = begin({ maxSize: 2 });
    const inUse = watch(pool.use(() => pool.acquire()));
    const bare = await pool.acquire();
    await settle();
    await pass(5_000);
    // Nothing says that the bare lease will not come back.
    expect(inUse.state).toBe('waits');
    const nested = watch(pool.acquire({ holding: bare }));
    await pass(1_000);
    expect(nested.error!.code).toBe('PLIMSOLL_POOL_DEADLOCK');
    bare.release();
    await settle();
    expect(inUse.state).toBe('done');
  });

  it('also when everybody is one level deeper', async () => {
    const { pool, pass } = begin({ maxSize: 4 });
    const works = Array.from({ length: 2 }, () => watch(pool.use(() => pool.use(() => pool.use(() => 'deep')))));
    await settle();
    await pass(1_000);
    expect(works.map(({ state }) => state).toSorted()).toEqual(['done', 'failed']);
  });
});

describe('a nested acquire that would not deadlock', () => {
  it('succeeds while there is room, and waits while somebody works', async () => {
    const { pool, pass } = begin({ maxSize: 3 });
    expect(await pool.use(() => pool.use(() => pool.use(() => 'three deep')))).toBe('three deep');
    let finish = () => {};
    const works = watch(pool.use(() => new Promise<void>((resolve) => (finish = resolve))));
    const nested = async (answer: string) => {
      await null;
      return await pool.use(() => answer);
    };
    const nests = [watch(pool.use(() => nested('a'))), watch(pool.use(() => nested('b')))];
    await settle();
    await pass(10_000);
    expect([works, ...nests].map(({ state }) => state)).toEqual(['waits', 'waits', 'waits']);
    finish();
    await settle();
    expect(nests.map(({ value }) => value)).toEqual(['a', 'b']);
    expect(pool.stats.deadlocks).toBe(0);
  });

  it('one that fans out to more than there are connections goes through', async () => {
    const { pool } = begin({ maxSize: 3 });
    const parts = await pool.use(() =>
      Promise.all(Array.from({ length: 20 }, (_, i) => pool.use(() => Promise.resolve(i)))),
    );
    expect(parts).toHaveLength(20);
  });

  it('a holder that begins a wait and does something else beside it has deadlockAfterMs to end', async () => {
    const { pool, pass } = begin({ maxSize: 1, deadlockAfterMs: 500 });
    let finish = () => {};
    let aside: ReturnType<typeof watch<string>> | undefined;
    const outer = watch(
      pool.use(() => {
        aside = watch(pool.use(() => 'later'));
        return new Promise<void>((resolve) => (finish = resolve));
      }),
    );
    await pass(499);
    finish();
    await settle();
    await pass(1_000);
    expect(outer.state).toBe('done');
    expect(aside).toMatchObject({ state: 'done', value: 'later' });
    expect(pool.stats.deadlocks).toBe(0);
  });

  it('the time begins anew when anything moves', async () => {
    const { pool, pass } = begin({ maxSize: 1 });
    const gives = (timeoutMs: number) =>
      watch(pool.use(() => pool.use(() => 'never', { timeoutMs }).catch(() => 'gave up')));
    const first = gives(500);
    const second = gives(20_000);
    await settle();
    await pass(500);
    expect(first.value).toBe('gave up');
    await pass(500);
    expect(second.state).toBe('waits');
    await pass(500);
    expect(pool.stats.deadlocks).toBe(0);
    await pass(500);
    expect(second.value).toBe('gave up');
    expect(pool.stats.deadlocks).toBe(1);
  });

  it('saturation is none: everybody holds and works, others wait', async () => {
    const { pool, pass } = begin({ maxSize: 2 });
    for (let i = 0; i < 2; i++) void pool.use(() => new Promise(() => {}));
    const waits = watch(pool.use(() => {}));
    await pass(20_000);
    expect(waits.state).toBe('waits');
  });

  it('work begun in a use that is over is nobody’s', async () => {
    const { pool, pass } = begin({ maxSize: 1 });
    const later = Promise.withResolvers<void>();
    let after: ReturnType<typeof watch<string>> | undefined;
    await pool.use(() => {
      void later.promise.then(() => {
        after = watch(pool.use(() => 'served'));
      });
    });
    void pool.use(() => new Promise(() => {}));
    later.resolve();
    await pass(10_000);
    expect(after!.state).toBe('waits');
    expect(pool.stats.deadlocks).toBe(0);
  });

  it('work that begins work for ever makes no endless chain', async () => {
    let holder = new LeaseHolder(undefined);
    const seen: WeakRef<LeaseHolder>[] = [];
    for (let i = 0; i < 1_000; i++) {
      holder.leases = 1;
      const next = new LeaseHolder(holder);
      holder.leases = 0;
      holder = next;
      seen.push(new WeakRef(holder));
    }
    await new Promise((resolve) => setImmediate(resolve));
    globalThis.gc!();
    expect(seen.filter((reference) => reference.deref() !== undefined).length).toBeLessThan(5);
    expect(holder.holds).toBe(false);
  });

  it('`Infinity` switches it off: then the time of the wait ends it', async () => {
    const { pool, pass } = begin({ maxSize: 1, deadlockAfterMs: Number.POSITIVE_INFINITY, acquireTimeoutMs: 3_000 });
    const outer = watch(pool.use(() => pool.use(() => 'never')));
    await settle();
    await pass(2_999);
    expect(outer.state).toBe('waits');
    await pass(1);
    expect(outer.error!.code).toBe('PLIMSOLL_POOL_TIMEOUT');
  });
});
