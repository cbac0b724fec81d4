import { createGovernor, type Governor, ManualClock, type Meter } from 'plimsoll';
import { ConnectionPool, type ConnectionPoolOptions } from 'plimsoll/pool';
import { describe, expect, it } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { reclaimerContract } from '../contract/reclaimer.ts';
import { FakeMeter } from '../governor/fake-meter.ts';
import { type FakeConnection, FakeManager, settle, watch } from './fake-manager.ts';

const BYTES = 65_536;

function governorOf(limitBytes: number, clock = new ManualClock(), meters: Meter[] = []): Governor {
  return createGovernor({ clock, meters, mode: 'on', runtimeBytes: 0, limitBytes });
}

function begin(governor: Governor, options: Partial<ConnectionPoolOptions> = {}) {
  const clock = new ManualClock();
  const manager = new FakeManager();
  const pool = new ConnectionPool<FakeConnection>(manager, {
    name: 'db',
    maxSize: 100,
    clock,
    random: () => 0,
    governor,
    ...options,
  });
  const fill = async (count: number) => {
    const leases = [];
    for (let i = 0; i < count; i++) leases.push(await pool.acquire());
    for (const lease of leases) lease.release();
  };
  return { clock, manager, pool, fill };
}

const rowOf = (governor: Governor) => governor.snapshot().consumers.find(({ name }) => name === 'db')!;

reclaimerContract({
  name: 'a connection pool',
  fill: async (governor, bytes) => {
    const consumer = governor.consumer.bind(governor);
    let reclaimer: Parameters<typeof consumer>[0]['reclaimer'];
    const { fill } = begin({
      consumer: (options: Parameters<typeof consumer>[0]) => {
        reclaimer = options.reclaimer;
        return consumer(options);
      },
      get availableBytes() {
        return governor.availableBytes;
      },
      get level() {
        return governor.level;
      },
      snapshot: () => governor.snapshot(),
      sample: () => governor.sample(),
    } as unknown as Governor);
    await fill(Math.ceil(bytes / BYTES));
    return { consumerName: 'db', reclaimer: reclaimer! };
  },
});

describe('in the books', () => {
  it('each connection stands there from before it is opened until it is closed', async () => {
    const governor = governorOf(1_000 * BYTES);
    const { pool, manager } = begin(governor);
    manager.create_ = 'by hand';
    const waits = watch(pool.acquire());
    expect(rowOf(governor).heldBytes).toBe(BYTES);
    manager.pending[0]!.succeed();
    await settle();
    expect(rowOf(governor).heldBytes).toBe(BYTES);
    manager.destroy_ = 'soon';
    waits.value!.discard();
    expect(rowOf(governor).heldBytes).toBe(BYTES);
    await settle();
    expect(rowOf(governor).heldBytes).toBe(0);
    manager.create_ = 'throws';
    watch(pool.acquire());
    expect(rowOf(governor).heldBytes).toBe(0);
  });

  it('where there is no room none is opened, those who wait are told why, and are served when there is', async () => {
    const governor = governorOf(1_000 * BYTES);
    const other = governor.consumer({ name: 'other', kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
    const { pool, manager, clock } = begin(governor, { acquireTimeoutMs: 1_000, backoffMs: 100 });
    const all = other.reserve(governor.availableBytes);
    const late = watch(pool.acquire());
    const patient = watch(pool.acquire({ timeoutMs: 5_000 }));
    clock.advance(1_000);
    await settle();
    expect(manager.asked.create).toBe(0);
    expect(late.error).toMatchObject({ code: 'PLIMSOLL_POOL_TIMEOUT', cause: { code: 'PLIMSOLL_BUDGET_EXCEEDED' } });
    expect(pool.stats.budgetRefusals).toBeGreaterThan(0);
    expect(rowOf(governor).holder).toMatchObject({ health: 'failing' });
    all[Symbol.dispose]();
    clock.advance(2_000);
    await settle();
    expect(patient.state).toBe('done');
  });

  it('idle connections go back first, down to minSize, and at emergency all of them, and come back when that is over', async () => {
    const clock = new ManualClock();
    const meter = new FakeMeter('rss');
    const governor = governorOf(16 * BYTES, clock, [meter]);
    const { pool, manager, fill } = begin(governor, { minSize: 2, clock, idleTimeoutMs: Number.POSITIVE_INFINITY });
    const pass = async (ms: number) => {
      for (let passed = 0; passed < ms; passed += 500) {
        clock.advance(500);
        // A train takes turns of the event loop.
        for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await fill(8);
    const lease = await pool.acquire();
    const other = governor.consumer({ name: 'other', kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
    const admitted = async (bytes: number) => {
      const seen = watch(other.admit(bytes));
      await pass(20_000);
      expect(seen.state).toBe('done');
      return seen.value!;
    };
    await admitted(12 * BYTES);
    expect(pool.stats).toMatchObject({ size: 4, leased: 1, idle: 3 });
    expect(pool.stats.destroyedBy.reclaimed).toBe(4);
    const more = await admitted(2 * BYTES);
    expect(pool.stats).toMatchObject({ size: 2, leased: 1, idle: 1 });
    lease.release();
    expect(manager.open).toHaveLength(2);
    more[Symbol.dispose]();
    meter.bytes = meter.limitBytes;
    await pass(20_000);
    expect(governor.level).toBe('emergency');
    expect(pool.stats.size).toBe(0);
    expect(rowOf(governor).holder!.health).toBe('ok');
    meter.bytes = 0;
    await pass(60_000);
    expect(pool.stats).toMatchObject({ size: 2, idle: 2 });
  });

  it('a governor that is broken takes nothing down', async () => {
    const { governor, breakIt } = breakable(governorOf(1_000 * BYTES));
    const { pool, fill, clock, manager } = begin(governor, { minSize: 1 });
    await fill(2);
    breakIt();
    await fill(4);
    clock.advance(100_000);
    await settle();
    expect(pool.stats.faults).toBeGreaterThan(0);
    expect(await pool.use((connection) => connection.open)).toBe(true);
    expect(await pool.drain()).toMatchObject({ forced: 0, unfinished: 0 });
    expect(manager.open).toHaveLength(0);
  });

  it('a governor that is disposed ends nothing', async () => {
    const governor = governorOf(1_000 * BYTES);
    const { pool, fill } = begin(governor);
    await fill(2);
    governor[Symbol.dispose]();
    await fill(5);
    expect(pool.stats.size).toBe(5);
  });
});

describe('connection pool: its metrics in the snapshot', () => {
  it('say how many there are, who waits, how long it takes, and how it does', async () => {
    const governor = governorOf(1_000 * BYTES);
    const { pool, manager, clock } = begin(governor, { maxSize: 2, slowAcquireMs: 100, leakDetectionMs: 5_000 });
    const leases = [await pool.acquire(), await pool.acquire()];
    expect(rowOf(governor).holder).toMatchObject({
      type: 'connection pool',
      health: 'ok',
      counts: { size: 2, leased: 2, idle: 0, waiting: 0, acquired: 2, created: 2, destroyed: 0, acquireP99Ms: 0 },
    });
    watch(pool.acquire());
    clock.advance(101);
    expect(rowOf(governor).holder).toMatchObject({
      health: 'degraded',
      why: 'somebody has waited 101ms for a connection',
      counts: { waiting: 1 },
    });
    leases[0]!.release();
    expect(rowOf(governor).holder).toMatchObject({ health: 'ok', counts: { slowAcquires: 1, acquireMaxMs: 101 } });
    clock.advance(5_000);
    await settle();
    expect(rowOf(governor).holder).toMatchObject({ health: 'degraded', why: '2 leases are overdue' });
    manager.create_ = 'throws';
    leases[1]!.discard();
    watch(pool.acquire());
    expect(rowOf(governor).holder).toMatchObject({
      health: 'failing',
      why: 'connections cannot be made, 1 times in a row',
    });
    const { acquireMs: _times, destroyedBy: _reasons, ...counts } = pool.stats;
    expect(rowOf(governor).holder!.counts).toMatchObject(counts);
  });

  it('are degraded while connections are missing to minSize', () => {
    const governor = governorOf(1_000 * BYTES);
    const { pool, manager } = begin(governor, { minSize: 1, maxCreating: 1 });
    manager.create_ = 'by hand';
    expect(rowOf(governor).holder!.health).toBe('ok');
    pool.tune({ minSize: 3 });
    expect(rowOf(governor).holder).toMatchObject({ health: 'degraded', why: '1 of 3 connections are open' });
  });
});
