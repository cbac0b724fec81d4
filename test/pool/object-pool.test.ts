import { createGovernor, LeakTracker, ManualClock } from 'plimsoll';
import { ObjectPool } from 'plimsoll/pool';
import { describe, expect, it, vi } from 'vitest';
import { catchReclaimers } from '../adopt/catch-reclaimers.ts';
import { breakable } from '../contract/broken-governor.ts';
import { reclaimerContract } from '../contract/reclaimer.ts';
import { MIB, setUp } from '../governor/fake-meter.ts';
import { codeOf, holderOf, openThings, type Thing } from './open-things.ts';

describe('a pool of objects', () => {
  it('hit and miss not told apart: a loan of what was there is a hit, one that had to be made a miss, and nothing else is either', () => {
    const { pool } = openThings({ maxSize: 2, preallocate: 1 });
    const first = pool.lease();
    expect(pool.stats).toMatchObject({ hits: 1, misses: 0 });
    const second = pool.lease();
    expect(pool.stats).toMatchObject({ hits: 1, misses: 1 });
    expect(pool.tryLease()).toBeUndefined();
    expect(codeOf(() => pool.lease())).toBe('PLIMSOLL_POOL_EXHAUSTED');
    expect(pool.stats).toMatchObject({ hits: 1, misses: 1, refused: { max: 2, budget: 0 } });
    expect(() => pool.lease()).toThrow('has nothing to lend: 2 of 2 lent');
    first.release();
    second.release();
    pool.lease().release();
    expect(pool.stats).toMatchObject({ hits: 2, misses: 1, leased: 0, peakLeased: 2, idle: 2, size: 2 });
  });

  it('copied on both ways: the borrower has the very object, and the next one has it again', () => {
    const { pool } = openThings();
    const first = pool.lease();
    const { value } = first;
    first.release();
    using second = pool.lease();
    expect(second.value).toBe(value);
  });

  it('stale bytes reused: what reset takes out is not there for the next one, and what it could not take out is not lent', () => {
    let fails = false;
    const reset = (thing: Thing) => {
      if (fails) throw new Error('no');
      thing.note = '';
    };
    const { pool, destroyed } = openThings({ reset });
    {
      using lease = pool.lease();
      lease.value.note = 'secret';
    }
    fails = true;
    {
      using lease = pool.lease();
      expect(lease.value).toEqual({ id: 0, note: '' });
      lease.value.note = 'secret';
    }
    expect(destroyed).toEqual([0]);
    using next = pool.lease();
    expect(next.value).toEqual({ id: 1, note: '' });
    expect(pool.stats).toMatchObject({ dropped: { spoiled: 1 }, failures: { reset: 1 } });
  });

  it('unbounded: there are never more than maxSize, whoever asks, and none more at rest than maxIdle', () => {
    const { pool } = openThings({ maxSize: 3, maxIdle: 1 });
    const leases = [pool.lease(), pool.lease(), pool.lease()];
    for (let i = 0; i < 10; i++) expect(pool.tryLease()).toBeUndefined();
    for (const lease of leases) lease.release();
    expect(pool.stats).toMatchObject({ size: 1, idle: 1, dropped: { evicted: 2 } });
    expect(() => new ObjectPool({ name: 'a', create: () => ({}) } as never)).toThrow(/maxSize/);
  });

  it('no double-free check: a second release is an error and lends nothing twice', () => {
    const { pool } = openThings();
    const first = pool.lease();
    const { value } = first;
    first.release();
    expect(codeOf(() => first.release())).toBe('PLIMSOLL_DOUBLE_RELEASE');
    expect(codeOf(() => pool.release(value))).toBe('PLIMSOLL_DOUBLE_RELEASE');
    first[Symbol.dispose]();
    expect(pool.stats).toMatchObject({ idle: 1, leased: 0 });
    // The same object is somebody else's now: the old lease cannot take it away from him.
    const second = pool.lease();
    expect(second.value).toBe(value);
    expect(codeOf(() => first.release())).toBe('PLIMSOLL_DOUBLE_RELEASE');
    first[Symbol.dispose]();
    expect(second.released).toBe(false);
    expect(pool.stats.leased).toBe(1);
    expect(pool.lease().value).not.toBe(value);
    expect(codeOf(() => first.value)).toBe('PLIMSOLL_DISPOSED');
  });

  it('takes back by the object too, and that ends the lease', () => {
    const { pool } = openThings();
    const lease = pool.lease();
    pool.release(lease.value);
    expect(lease.released).toBe(true);
    expect(codeOf(() => lease.release())).toBe('PLIMSOLL_DOUBLE_RELEASE');
    lease[Symbol.dispose]();
    expect(pool.stats).toMatchObject({ idle: 1, leased: 0 });
  });

  it('does not take what is not its own', () => {
    const { pool } = openThings();
    const other = openThings();
    const strange = other.pool.lease();
    expect(codeOf(() => pool.release(strange.value))).toBe('PLIMSOLL_FOREIGN_OBJECT');
    expect(codeOf(() => pool.release({ id: 7, note: '' }))).toBe('PLIMSOLL_FOREIGN_OBJECT');
    expect(pool.stats.size).toBe(0);
    const { value } = pool.lease();
    pool.release(value);
    pool.clear();
    expect(codeOf(() => pool.release(value))).toBe('PLIMSOLL_FOREIGN_OBJECT');
  });

  it('uses the youngest again and lets the oldest go', () => {
    const { pool, destroyed } = openThings();
    const [a, b, c] = [pool.lease(), pool.lease(), pool.lease()];
    for (const lease of [b, a, c]) lease.release();
    expect(pool.lease().value.id).toBe(2);
    pool.resize(2);
    expect(destroyed).toEqual([1]);
    expect(pool.lease().value.id).toBe(0);
  });

  it('lets go what has been at rest for idleMs, an eighth later at most, and has no timer then', () => {
    const { pool, clock, destroyed } = openThings({ idleMs: 800 });
    const before = clock.pending;
    const [a, b] = [pool.lease(), pool.lease()];
    a.release();
    clock.advance(590);
    b.release();
    clock.advance(209);
    expect(destroyed).toEqual([]);
    clock.advance(101);
    expect(destroyed).toEqual([0]);
    // Between two ticks: not before its time either.
    clock.advance(489);
    expect(destroyed).toEqual([0]);
    clock.advance(102);
    expect(destroyed).toEqual([0, 1]);
    clock.advance(1_000);
    expect(clock.pending).toBe(before);
    expect(pool.stats).toMatchObject({ dropped: { expired: 2 }, size: 0 });
    pool.lease().release();
    expect(clock.pending).toBe(before + 1);
    pool[Symbol.dispose]();
    expect(clock.pending).toBe(before);
  });

  it('keeps for ever what it is told to keep for ever', () => {
    const { pool, clock } = openThings({ idleMs: Number.POSITIVE_INFINITY, preallocate: 3 });
    expect(clock.pending).toBe(0);
    clock.advance(1e9);
    expect(pool.stats.idle).toBe(3);
  });

  it('lends only what is valid, and makes one when nothing is', () => {
    const bad = new Set([0, 1]);
    const { pool, destroyed } = openThings({ preallocate: 2, validate: ({ id }) => !bad.has(id) });
    using lease = pool.lease();
    expect(lease.value.id).toBe(2);
    expect(destroyed).toEqual([1, 0]);
    expect(pool.stats).toMatchObject({ dropped: { invalid: 2 }, misses: 1, hits: 0 });
  });

  it('shrinks while everything is lent: what is too much goes when it comes back', () => {
    const { pool, destroyed } = openThings();
    const leases = [pool.lease(), pool.lease(), pool.lease()];
    pool.resize(1);
    expect(pool.stats).toMatchObject({ size: 3, maxSize: 1 });
    for (const lease of leases) lease.release();
    expect(destroyed).toEqual([0, 1]);
    expect(pool.stats).toMatchObject({ size: 1, idle: 1 });
    pool.resize(5);
    expect(pool.preallocate(9)).toBe(4);
    expect(() => pool.resize(0)).toThrow(RangeError);
  });

  it('drains: lends no more, and is done when the last is back', async () => {
    const { pool, destroyed } = openThings({ preallocate: 2 });
    const lease = pool.lease();
    const done = vi.fn();
    const drained = pool.drain().then(done);
    expect(destroyed).toEqual([0]);
    expect(codeOf(() => pool.lease())).toBe('PLIMSOLL_DISPOSED');
    expect(codeOf(() => pool.tryLease())).toBe('PLIMSOLL_DISPOSED');
    await Promise.resolve();
    expect(done).not.toHaveBeenCalled();
    lease.release();
    await drained;
    expect(destroyed).toEqual([0, 1]);
    await pool.drain();
    expect(pool.stats).toMatchObject({ size: 0, dropped: { closed: 2 } });
  });

  it('drains no longer than the signal allows', async () => {
    const { pool } = openThings();
    const lease = pool.lease();
    const abort = new AbortController();
    const drained = pool.drain({ signal: abort.signal });
    abort.abort(new Error('too long'));
    await expect(drained).rejects.toThrow('too long');
    await expect(pool.drain({ signal: abort.signal })).rejects.toThrow('too long');
    lease.release();
    await pool.drain({ signal: abort.signal });
  });
});

describe('a governor', () => {
  reclaimerContract({
    name: 'object pool',
    bytes: MIB,
    fill(plain, bytes) {
      const { governor, reclaimers } = catchReclaimers(plain);
      const count = Math.ceil(bytes / 10_000);
      openThings({ governor, objectBytes: 10_000, maxSize: count, preallocate: count });
      return { consumerName: 'things', reclaimer: reclaimers.get('things')! };
    },
  });

  it('is asked before one is made, refuses with its own error, and is given back those at rest', () => {
    const { governor } = setUp();
    const { pool, destroyed } = openThings({ governor, objectBytes: 10 * MIB, maxSize: 10 });
    const others = governor.consumer({ name: 'others', kind: 'external', maxBytes: 200 * MIB });
    const held = others.reserve(75 * MIB);
    const leases = [pool.lease(), pool.lease()];
    expect(pool.tryLease()).toBeUndefined();
    expect(codeOf(() => pool.lease())).toBe('PLIMSOLL_BUDGET_EXCEEDED');
    expect(pool.stats).toMatchObject({ refused: { max: 0, budget: 2 }, size: 2 });
    for (const lease of leases) lease.release();
    held.grow(20 * MIB);
    expect(destroyed).toEqual([0, 1]);
    expect(pool.stats).toMatchObject({ size: 0, dropped: { reclaimed: 2 } });
    expect(holderOf(governor)).toMatchObject({
      type: 'object pool',
      health: 'ok',
      counts: { reclaimed: 2, misses: 2 },
    });
  });

  it('must know what an object takes', () => {
    const { governor } = setUp();
    expect(() => openThings({ governor })).toThrow(/objectBytes/);
  });

  it('has no room: fewer are made ahead', () => {
    const { governor } = setUp();
    const { pool } = openThings({ governor, objectBytes: 30 * MIB, maxSize: 9, preallocate: 9 });
    expect(pool.stats).toMatchObject({ idle: 3, size: 3 });
  });

  it('broken from the start or later: the pool goes on within its own bound', () => {
    for (const when of ['start', 'later']) {
      const { governor, breakIt } = breakable(setUp().governor);
      if (when === 'start') breakIt();
      const { pool } = openThings({ governor, objectBytes: MIB });
      pool.lease().release();
      breakIt();
      const leases = [1, 2, 3, 4].map(() => pool.lease());
      expect(codeOf(() => pool.lease())).toBe('PLIMSOLL_POOL_EXHAUSTED');
      for (const lease of leases) lease.release();
      pool.clear();
      expect(pool.stats).toMatchObject({ size: 0, bytes: 0 });
      expect(pool.stats.faults).toBeGreaterThan(0);
      pool[Symbol.dispose]();
      pool[Symbol.dispose]();
    }
  });

  it('is disposed: the pool goes on within its own bound', () => {
    const { governor } = setUp();
    const { pool } = openThings({ governor, objectBytes: 30 * MIB });
    const lease = pool.lease();
    governor[Symbol.dispose]();
    const more = [1, 2, 3].map(() => pool.lease());
    expect(pool.tryLease()).toBeUndefined();
    for (const each of [lease, ...more]) each.release();
    expect(pool.stats.idle).toBe(4);
  });

  it('keeps the consumer of a disposed pool as long as something is lent', () => {
    const { governor } = setUp();
    const { pool } = openThings({ governor, objectBytes: MIB, preallocate: 3 });
    const lease = pool.lease();
    pool[Symbol.dispose]();
    expect(pool.stats).toMatchObject({ size: 1, bytes: MIB });
    expect(governor.heldBytes).toBeGreaterThanOrEqual(MIB);
    expect(lease.value.id).toBe(2);
    lease.release();
    expect(governor.snapshot().consumers.map(({ name }) => name)).toEqual(['runtime']);
    expect(governor.heldBytes).toBe(0);
  });

  it('is one of a request: the pool is not', async () => {
    const governor = createGovernor({ limitBytes: 100 * MIB, runtimeBytes: 0, meters: [], clock: new ManualClock() });
    const { pool } = openThings({ governor, objectBytes: MIB });
    await governor.scope({ name: 'GET /', maxBytes: 1_024 }, (scope) => {
      pool.lease().release();
      expect(scope.heldBytes).toBe(0);
    });
  });
});

describe('a leak tracker', () => {
  it('names the borrower of a lease that was let go, and nobody who gave back', async () => {
    const found: string[] = [];
    const leakTracker = new LeakTracker({
      level: 'paranoid',
      onLeak: ({ what, createdAt }) => void found.push(what, createdAt),
    });
    const { pool } = openThings({ leakTracker, maxSize: 50 });
    (function careful() {
      for (let i = 0; i < 20; i++) pool.lease().release();
      for (let i = 0; i < 20; i++) pool.release(pool.lease().value);
    })();
    expect(leakTracker.stats.open).toBe(0);
    (function forgetful() {
      pool.lease();
    })();
    for (let i = 0; i < 50 && found.length === 0; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      globalThis.gc!();
    }
    expect(found[0]).toBe('lease of things');
    expect(found[1]).toContain('forgetful');
    expect(found).toHaveLength(2);
    expect(pool.stats.leased).toBe(1);
  });
});

describe('unsound options of a pool of objects', () => {
  it.each([
    [{ name: '' }, /name/],
    [{ maxSize: 0 }, /maxSize/],
    [{ maxSize: Number.POSITIVE_INFINITY }, /maxSize/],
    [{ create: undefined }, /create/],
    [{ reset: 5 }, /reset/],
    [{ maxIdle: -1 }, /maxIdle/],
    [{ idleMs: 0 }, /idleMs/],
    [{ idleMs: 2 ** 31 }, /idleMs/],
    [{ preallocate: 5 }, /preallocate/],
    [{ preallocate: 3, maxIdle: 2 }, /preallocate/],
    [{ objectBytes: -1 }, /objectBytes/],
    [{ kind: 'mapped' }, /kind/],
    [{ importance: 0.5 }, /importance/],
    [{ governor: {} }, /governor/i],
    [{ leakTracker: {} }, /leakTracker/],
    [{ maxsize: 1 }, /did you mean `maxSize`/],
  ])('%o', (options, message) => {
    expect(() => openThings(options as never)).toThrow(message);
  });

  it.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '2'])('preallocate(%s)', (count) => {
    const { pool } = openThings();
    expect(() => pool.preallocate(count as never)).toThrow(/count/);
    expect(pool.stats.size).toBe(0);
  });

  it.each([
    [{ signal: {} }, /signal/],
    [{ sginal: AbortSignal.abort() }, /did you mean `signal`/],
    [5, /options of ObjectPool.drain/],
  ])('drain(%o) closes nothing', (options, message) => {
    const { pool } = openThings();
    expect(() => pool.drain(options as never)).toThrow(message);
    pool.lease().release();
  });
});
