import { randomFillSync } from 'node:crypto';
import { LeakTracker, ManualClock } from 'plimsoll';
import { BufferPool, type BufferPoolOptions } from 'plimsoll/pool';
import { describe, expect, it } from 'vitest';
import { catchReclaimers } from '../adopt/catch-reclaimers.ts';
import { breakable } from '../contract/broken-governor.ts';
import { reclaimerContract } from '../contract/reclaimer.ts';
import { MIB, setUp } from '../governor/fake-meter.ts';

const KIB = 1_024;

function open(options: Partial<BufferPoolOptions> = {}) {
  const clock = new ManualClock();
  const pool = new BufferPool({ name: 'buffers', maxBytes: 4 * MIB, clock, ...options });
  return { pool, clock };
}

const code = (act: () => unknown): unknown => {
  try {
    act();
    return 'no error';
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
};

const row = (pool: BufferPool, classBytes: number) => pool.stats.classes.find((each) => each.classBytes === classBytes);

/** All that can be reached from a buffer. */
const whole = (buffer: Buffer) => new Uint8Array(buffer.buffer);

const isZero = (bytes: Uint8Array) => bytes.every((byte) => byte === 0);

describe('a pool of buffers', () => {
  it('lends a buffer of exactly the length that was asked for, of a class that fits', () => {
    const { pool } = open();
    for (const bytes of [1, 1_024, 1_025, 1_536, 1_537, 50_000, 65_536, 1_000_000, MIB]) {
      using lease = pool.lease(bytes);
      expect(lease.value).toBeInstanceOf(Buffer);
      expect(lease.value).toHaveLength(bytes);
      expect(lease.value.byteOffset).toBe(0);
    }
    expect(pool.stats.classes.filter(({ misses }) => misses > 0).map(({ classBytes }) => classBytes)).toEqual([
      1_024,
      1_536,
      2_048,
      65_536,
      MIB,
    ]);
  });

  it('hit and miss not told apart: both, and what was dropped, are counted by class', () => {
    const { pool } = open({ maxIdleBytes: 200_000 });
    const first = pool.lease(65_536);
    const second = pool.lease(65_536);
    first.release();
    second.release();
    for (let i = 0; i < 5; i++) pool.lease(60_000).release();
    pool.lease(4_096).release();
    pool.lease(2 * MIB).release();
    pool.clear();
    expect(row(pool, 65_536)).toEqual({ classBytes: 65_536, hits: 5, misses: 2, dropped: 2, leased: 0, idle: 0 });
    expect(row(pool, 4_096)).toEqual({ classBytes: 4_096, hits: 0, misses: 1, dropped: 1, leased: 0, idle: 0 });
    expect(row(pool, Number.POSITIVE_INFINITY)).toMatchObject({ hits: 0, misses: 1, dropped: 1, idle: 0 });
    expect(row(pool, 8_192)).toMatchObject({ hits: 0, misses: 0, dropped: 0 });
    expect(pool.stats).toMatchObject({ hits: 5, misses: 4, dropped: { cleared: 3, oversized: 1 }, bytes: 0 });
  });

  it.each([true, false])('copied on both ways: lending and taking back copy nothing (detach: %s)', (detach) => {
    const bytes = 64 * MIB;
    const { pool } = open({ detach, zero: false, maxBytes: bytes, maxPooledBytes: bytes });
    const source = pool.lease(bytes);
    source.value.fill(7);
    const started = performance.now();
    const copy = Buffer.from(source.value);
    const copiedMs = performance.now() - started;
    expect(copy).toHaveLength(bytes);
    source.release();
    const lending = performance.now();
    for (let i = 0; i < 100; i++) pool.lease(bytes).release();
    expect((performance.now() - lending) / 100).toBeLessThan(copiedMs / 4);
    // Not zeroed, because it was told so: they are the very bytes.
    expect(pool.lease(bytes).value[bytes - 1]).toBe(7);
    expect(pool.stats).toMatchObject({ hits: 101, misses: 1 });
  });

  it.each([true, false])(
    'stale bytes reused: a loan begins with zeros as far as anybody can reach from it (detach: %s)',
    (detach) => {
      const { pool } = open({ detach, maxBytes: MIB });
      for (let i = 0; i < 300; i++) {
        const bytes = 1 + Math.floor(Math.random() * 70_000);
        using lease = pool.lease(bytes);
        expect(isZero(whole(lease.value))).toBe(true);
        expect(lease.value.buffer.byteLength).toBeLessThanOrEqual(Math.max(1_024, bytes * 1.5));
        randomFillSync(whole(lease.value));
        if (i % 7 === 0) pool.clear();
      }
      expect(pool.stats.hits).toBeGreaterThan(100);
    },
  );

  it('stale bytes reused: what a borrower kept is empty after his loan, and neither reads nor writes the next one', () => {
    const { pool } = open({ detach: true });
    const first = pool.lease(5_000);
    const kept = first.value;
    const part = kept.subarray(10, 20);
    const words = new Float64Array(kept.buffer, 0, 4);
    const store = kept.buffer;
    first.release();
    expect([kept.length, part.length, words.length, store.byteLength]).toEqual([0, 0, 0, 0]);
    using second = pool.lease(5_000);
    kept[0] = part[0] = words[0] = 255;
    expect(() => kept.fill(255)).toThrow(TypeError);
    expect(isZero(whole(second.value))).toBe(true);
    second.value.fill(1);
    expect(kept[0]).toBeUndefined();
    expect(pool.stats.hits).toBe(1);
  });

  it('stale bytes reused: only who asks for it is lent what is not zeroed', () => {
    const { pool } = open({ detach: false });
    const fill = () => {
      using lease = pool.lease(5_000);
      lease.value.fill(9);
    };
    fill();
    using unzeroed = pool.lease(5_000, { zero: false });
    expect(unzeroed.value[4_999]).toBe(9);
    unzeroed.release();
    using zeroed = pool.lease(5_000);
    expect(isZero(whole(zeroed.value))).toBe(true);
    zeroed.release();
    fill();
    // Anything but false.
    using odd = pool.lease(5_000, { zero: 0 as unknown as boolean });
    expect(isZero(whole(odd.value))).toBe(true);

    const lax = open({ zero: false }).pool;
    expect(isZero(whole(lax.lease(5_000).value))).toBe(true);
    using dirty = lax.lease(7_000);
    dirty.value.fill(9);
    dirty.release();
    expect(lax.lease(7_000, { zero: true }).value[0]).toBe(0);
  });

  it('unbounded: no more than maxBytes, lent and at rest together, and no more at rest than maxIdleBytes', () => {
    const { pool } = open({ maxBytes: 256 * KIB, maxIdleBytes: 128 * KIB });
    const leases = [1, 2, 3, 4].map(() => pool.lease(64 * KIB));
    expect(pool.tryLease(1)).toBeUndefined();
    expect(code(() => pool.lease(64 * KIB))).toBe('PLIMSOLL_POOL_EXHAUSTED');
    expect(code(() => pool.lease(10 * MIB))).toBe('PLIMSOLL_POOL_EXHAUSTED');
    expect(() => pool.lease(64 * KIB)).toThrow('buffers has nothing to lend for 64KiB: 256KiB of 256KiB lent');
    // What can never come is not worth another try.
    const never = { message: 'buffers cannot lend 10MiB at all: its bound is 256KiB', recovery: 'fail' };
    expect(() => pool.lease(10 * MIB)).toThrow(expect.objectContaining(never));
    for (const lease of leases) lease.release();
    expect(pool.stats).toMatchObject({
      bytes: 128 * KIB,
      idleBytes: 128 * KIB,
      peakBytes: 256 * KIB,
      refused: { max: 5 },
    });
    expect(() => new BufferPool({ name: 'a' } as never)).toThrow(/maxBytes/);
  });

  it('lets what is at rest go for a loan of another class, and keeps it when that would not help', () => {
    const { pool } = open({ maxBytes: 256 * KIB });
    const leases = [1, 2, 3, 4].map(() => pool.lease(64 * KIB));
    leases[0]!.release();
    leases[1]!.release();
    expect(pool.tryLease(192 * KIB)).toBeUndefined();
    expect(pool.stats.idle).toBe(2);
    using other = pool.lease(96 * KIB);
    expect(other.value).toHaveLength(96 * KIB);
    expect(pool.stats).toMatchObject({ idle: 0, dropped: { evicted: 2 }, bytes: 224 * KIB });
  });

  it('no double-free check: a second release is an error and lends nothing twice', () => {
    for (const detach of [true, false]) {
      const { pool } = open({ detach });
      const first = pool.lease(65_536);
      const kept = first.value;
      first.release();
      expect(code(() => first.release())).toBe('PLIMSOLL_DOUBLE_RELEASE');
      expect(code(() => pool.release(kept))).toBe('PLIMSOLL_DOUBLE_RELEASE');
      first[Symbol.dispose]();
      const second = pool.lease(65_536);
      expect(code(() => first.release())).toBe('PLIMSOLL_DOUBLE_RELEASE');
      expect(code(() => pool.release(kept))).toBe('PLIMSOLL_DOUBLE_RELEASE');
      first[Symbol.dispose]();
      expect(second.released).toBe(false);
      expect(code(() => first.value)).toBe('PLIMSOLL_DISPOSED');
      const third = pool.lease(65_536);
      expect(third.value.buffer).not.toBe(second.value.buffer);
      expect(pool.stats).toMatchObject({ leased: 2, idle: 0, hits: 1, misses: 2 });
    }
  });

  it('takes back by the buffer too, and nothing that it has not lent', () => {
    const { pool } = open();
    const lease = pool.lease(1_000);
    expect(code(() => pool.release(lease.value.subarray(0, 10)))).toBe('PLIMSOLL_DOUBLE_RELEASE');
    pool.release(lease.value);
    expect(lease.released).toBe(true);
    expect(code(() => pool.release(Buffer.alloc(1_024)))).toBe('PLIMSOLL_FOREIGN_OBJECT');
    expect(code(() => pool.release(open().pool.lease(1_024).value))).toBe('PLIMSOLL_FOREIGN_OBJECT');
    const looksLikeOne = Object.create(Uint8Array.prototype);
    for (const other of ['buffer', looksLikeOne, new Proxy(Buffer.alloc(8), {})]) {
      expect(code(() => pool.release(other as never))).toBe('PLIMSOLL_FOREIGN_OBJECT');
    }
    expect(pool.stats).toMatchObject({ idle: 1, leased: 0 });
  });

  it('misses what a borrower has sent elsewhere with its memory', () => {
    for (const detach of [true, false]) {
      const { pool } = open({ detach });
      const lease = pool.lease(65_536);
      const buffer = lease.value.buffer as ArrayBuffer;
      structuredClone(buffer, { transfer: [buffer] });
      lease.release();
      expect(pool.stats).toMatchObject({ idle: 0, bytes: 0, dropped: { taken: 1 } });
      expect(pool.lease(65_536).value).toHaveLength(65_536);
    }
  });

  it('keeps memory that is given back too early from being freed while a view of it is alive', async () => {
    const { pool } = open({ detach: true, maxBytes: 64 * MIB, maxPooledBytes: 32 * MIB });
    const settle = async () => {
      for (let i = 0; i < 3; i++) {
        await new Promise((resolve) => setImmediate(resolve));
        globalThis.gc!();
      }
      return process.memoryUsage().arrayBuffers;
    };
    const before = await settle();
    let kept: Buffer | undefined = (() => {
      using lease = pool.lease(32 * MIB);
      return lease.value.subarray(5, 6);
    })();
    pool.clear();
    expect(kept).toHaveLength(0);
    expect((await settle()) - before).toBeGreaterThan(31 * MIB);
    kept = undefined;
    expect((await settle()) - before).toBeLessThan(MIB);
  });

  it('gives back the largest that fit first, the oldest of each first, and what has rested for long', () => {
    const { pool, clock } = open({ idleMs: 800 });
    for (const bytes of [16 * KIB, 64 * KIB, 256 * KIB]) {
      const leases = [pool.lease(bytes), pool.lease(bytes)];
      for (const lease of leases) lease.release();
    }
    pool.resize(pool.stats.bytes - 96 * KIB);
    expect([16, 64, 256].map((kib) => row(pool, kib * KIB)!.idle)).toEqual([0, 1, 2]);
    pool.resize(pool.stats.bytes - 1);
    expect([64, 256].map((kib) => row(pool, kib * KIB)!.idle)).toEqual([0, 2]);
    clock.advance(700);
    pool.lease(256 * KIB).release();
    clock.advance(200);
    expect(pool.stats).toMatchObject({ idle: 1, dropped: { expired: 1 } });
    clock.advance(1_000);
    expect(pool.stats).toMatchObject({ idle: 0, bytes: 0, dropped: { expired: 2 } });
    expect(clock.pending).toBe(0);
  });

  it('makes some ahead, by class, within its bounds', () => {
    const { pool } = open({
      preallocate: [
        { bytes: 60_000, count: 3 },
        { bytes: 4_096, count: 2 },
      ],
    });
    expect(pool.stats).toMatchObject({ idle: 5, misses: 0, bytes: 3 * 65_536 + 2 * 4_096 });
    expect(pool.preallocate(65_536, 5)).toBe(2);
    expect(pool.preallocate(MIB, 100)).toBe(3);
    expect(pool.stats.bytes).toBeLessThanOrEqual(4 * MIB);
    pool.lease(65_536);
    expect(pool.stats).toMatchObject({ hits: 1, misses: 0 });
  });

  it('says when V8 cannot allocate, and is as before', () => {
    const { pool } = open({ maxBytes: Number.MAX_SAFE_INTEGER });
    expect(code(() => pool.lease(2 ** 52))).toBe('PLIMSOLL_CREATE_FAILED');
    expect(pool.stats).toMatchObject({ bytes: 0, misses: 0, leased: 0 });
    expect(code(() => pool.tryLease(2 ** 52))).toBe('PLIMSOLL_CREATE_FAILED');
    for (const bytes of [0, -1, 1.5, Number.NaN, '5']) expect(() => pool.lease(bytes as number)).toThrow(RangeError);
  });

  it('drains: lends no more, and is done when the last is back', async () => {
    const { pool } = open({ preallocate: [{ bytes: 1_024, count: 2 }] });
    const lease = pool.lease(1_000);
    const drained = pool.drain();
    expect(code(() => pool.lease(1))).toBe('PLIMSOLL_DISPOSED');
    expect(pool.stats).toMatchObject({ idle: 0, bytes: 1_024 });
    const kept = lease.value;
    lease.release();
    await drained;
    expect(kept).toHaveLength(0);
    expect(pool.stats).toMatchObject({ bytes: 0, dropped: { closed: 2 } });
  });
});

describe('a governor', () => {
  const holder = (governor: ReturnType<typeof setUp>['governor']) =>
    governor.snapshot().consumers.find(({ name }) => name === 'buffers')?.holder;

  reclaimerContract({
    name: 'buffer pool',
    fill(plain, bytes) {
      const { governor, reclaimers } = catchReclaimers(plain);
      const preallocate = [16, 64, 256].map((kib) => ({ bytes: kib * KIB, count: Math.ceil(bytes / 3 / kib / KIB) }));
      open({ governor, preallocate });
      return { consumerName: 'buffers', reclaimer: reclaimers.get('buffers')! };
    },
  });

  it('is asked before one is made, refuses with its own error, and is given back those at rest', () => {
    const { governor } = setUp({ meters: [] });
    const { pool } = open({ governor, maxBytes: 100 * MIB });
    const others = governor.consumer({ name: 'others', kind: 'external', maxBytes: 200 * MIB });
    const held = others.reserve(99 * MIB - 1);
    const lease = pool.lease(MIB);
    expect(pool.tryLease(1)).toBeUndefined();
    expect(code(() => pool.lease(1))).toBe('PLIMSOLL_BUDGET_EXCEEDED');
    expect(pool.stats).toMatchObject({ refused: { max: 0, budget: 2 }, bytes: MIB });
    lease.release();
    // Its own go for another class of its own.
    const small = pool.lease(5_000);
    expect(pool.stats).toMatchObject({ bytes: 6_144, dropped: { evicted: 1 } });
    small.release();
    held.grow(MIB);
    expect(pool.stats).toMatchObject({ bytes: 0, dropped: { reclaimed: 1 } });
    expect(holder(governor)).toMatchObject({
      type: 'buffer pool',
      health: 'ok',
      counts: { misses: 2, hits: 0, reclaimed: 1 },
    });
  });

  it('hears of an allocation that failed', () => {
    const { governor } = setUp({ mode: 'observe' });
    const { pool } = open({ governor, maxBytes: Number.MAX_SAFE_INTEGER });
    expect(code(() => pool.lease(2 ** 52))).toBe('PLIMSOLL_CREATE_FAILED');
    expect(holder(governor)).toMatchObject({ health: 'failing' });
    pool.lease(5);
    expect(holder(governor)).toMatchObject({ health: 'ok' });
    expect(pool.stats.bytes).toBe(1_024);
  });

  it('broken from the start or later: the pool goes on within its own bound', () => {
    for (const when of ['start', 'later']) {
      const { governor, breakIt } = breakable(setUp().governor);
      if (when === 'start') breakIt();
      const { pool } = open({ governor, maxBytes: 256 * KIB });
      pool.lease(KIB).release();
      breakIt();
      const leases = [1, 2, 3, 4].map(() => pool.lease(64 * KIB));
      expect(code(() => pool.lease(1))).toBe('PLIMSOLL_POOL_EXHAUSTED');
      for (const lease of leases) lease.release();
      pool.clear();
      expect(pool.stats).toMatchObject({ bytes: 0, leased: 0 });
      expect(pool.stats.faults).toBeGreaterThan(0);
      pool[Symbol.dispose]();
      pool[Symbol.dispose]();
    }
  });

  it('keeps the consumer of a disposed pool as long as something is lent', () => {
    const { governor } = setUp();
    const { pool } = open({ governor });
    const lease = pool.lease(64 * KIB);
    pool[Symbol.dispose]();
    expect(governor.heldBytes).toBeGreaterThanOrEqual(64 * KIB);
    lease.release();
    expect(governor.heldBytes).toBe(0);
    expect(governor.snapshot().consumers.map(({ name }) => name)).toEqual(['runtime']);
  });
});

describe('a leak tracker', () => {
  it('names the borrower of a lease that was let go', async () => {
    const found: string[] = [];
    const leakTracker = new LeakTracker({
      level: 'advanced',
      sampleEvery: 1,
      onLeak: (leak) => void found.push(leak.what, leak.createdAt, leak.lastUsedAt!),
    });
    const { pool } = open({ leakTracker });
    for (let i = 0; i < 20; i++) pool.lease(100).release();
    expect(leakTracker.stats.open).toBe(0);
    (function forgetful() {
      pool.lease(100).value.fill(1);
    })();
    for (let i = 0; i < 50 && found.length === 0; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      globalThis.gc!();
    }
    expect(found[0]).toBe('lease of buffers');
    expect(found[1]).toContain('forgetful');
    expect(found[2]).toContain('forgetful');
    expect(pool.stats.leased).toBe(1);
  });
});

describe('unsound options of a pool of buffers', () => {
  it.each([
    [{ name: '' }, /name/],
    [{ maxBytes: 1_023 }, /maxBytes/],
    [{ minClassBytes: 32 }, /minClassBytes/],
    [{ maxBytes: Number.POSITIVE_INFINITY }, /maxBytes/],
    [{ maxIdleBytes: -1 }, /maxIdleBytes/],
    [{ maxPooledBytes: 2 ** 31 }, /maxPooledBytes/],
    [{ minClassBytes: 1_000 }, /power of two/],
    [{ minClassBytes: 4_096, maxPooledBytes: 2_048 }, /minClassBytes/],
    [{ halfSteps: 1 }, /halfSteps/],
    [{ zero: 'no' }, /zero/],
    [{ detach: 1 }, /detach/],
    [{ idleMs: 0 }, /idleMs/],
    [{ preallocate: { 1024: 5 } }, /preallocate/],
    [{ preallocate: [{ bytes: 2 * MIB, count: 1 }] }, /preallocate/],
    [{ preallocate: [{ size: 1 }] }, /size/],
    [{ importance: 0.5 }, /importance/],
    [{ governor: {} }, /governor/i],
    [{ leakTracker: {} }, /leakTracker/],
    [{ maxbytes: 1 }, /did you mean `maxBytes`/],
  ])('%o', (options, message) => {
    expect(() => open(options as never)).toThrow(message);
  });

  it.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '2'])('preallocate(1024, %s)', (count) => {
    const { pool } = open();
    expect(() => pool.preallocate(1_024, count as never)).toThrow(/count/);
    expect(pool.stats.bytes).toBe(0);
  });

  it.each([
    [{ signal: {} }, /signal/],
    [{ sginal: AbortSignal.abort() }, /did you mean `signal`/],
    [5, /options of BufferPool.drain/],
  ])('drain(%o) closes nothing', (options, message) => {
    const { pool } = open();
    expect(() => pool.drain(options as never)).toThrow(message);
    pool.lease(1).release();
  });
});
