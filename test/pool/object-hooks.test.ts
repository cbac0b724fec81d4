import type { ObjectPool } from 'plimsoll/pool';
import { describe, expect, it } from 'vitest';
import { setUp } from '../governor/fake-meter.ts';
import { codeOf, holderOf, openThings, type Thing } from './open-things.ts';

describe('functions that fail', () => {
  it('create: the loan fails with a code, and the pool is as before', () => {
    let fails = true;
    const create = () => {
      if (fails) throw new Error('no memory for it');
      return { id: 1, note: '' };
    };
    const { governor } = setUp();
    const { pool } = openThings({ create, governor, objectBytes: 1_000, maxSize: 1 });
    expect(codeOf(() => pool.lease())).toBe('PLIMSOLL_CREATE_FAILED');
    expect(codeOf(() => pool.tryLease())).toBe('PLIMSOLL_CREATE_FAILED');
    expect(() => pool.lease()).toThrow(expect.objectContaining({ cause: new Error('no memory for it') }));
    expect(pool.stats).toMatchObject({ size: 0, bytes: 0, misses: 0, failures: { create: 3 } });
    expect(holderOf(governor)).toMatchObject({ health: 'failing', why: 'create: no memory for it' });
    fails = false;
    pool.lease();
    expect(holderOf(governor)).toMatchObject({ health: 'ok', counts: { misses: 1, leased: 1 } });
    expect(
      codeOf(() =>
        openThings({
          create: () => {
            throw new Error();
          },
          preallocate: 1,
        }),
      ),
    ).toBe('PLIMSOLL_CREATE_FAILED');
  });

  it.each([
    ['null', () => null],
    ['a number', () => 5],
    ['nothing', () => undefined],
    ['a promise, which may reject later', async () => Promise.reject(new Error('later'))],
  ])('create that gives %s', (_, create) => {
    const { pool } = openThings({ create: create as never });
    expect(codeOf(() => pool.lease())).toBe('PLIMSOLL_CREATE_FAILED');
    expect(pool.stats.size).toBe(0);
  });

  it('create that gives the same object again', () => {
    const one = { id: 1, note: '' };
    const { pool } = openThings({ create: () => one });
    pool.lease();
    expect(codeOf(() => pool.lease())).toBe('PLIMSOLL_CREATE_FAILED');
    expect(pool.stats).toMatchObject({ size: 1, leased: 1 });
  });

  it('reset, validate and destroy: held in, counted, and seen in the snapshot', () => {
    const fail = () => {
      throw new Error('broken');
    };
    for (const hook of ['reset', 'validate', 'destroy'] as const) {
      const { governor } = setUp();
      const { pool } = openThings({ governor, objectBytes: 1_000, [hook]: fail });
      pool.lease().release();
      using lease = pool.lease();
      pool.clear();
      lease.release();
      pool.clear();
      expect(pool.stats.failures[hook]).toBeGreaterThan(0);
      expect(pool.stats.bytes).toBe(0);
      expect(holderOf(governor)).toMatchObject({ health: 'degraded', why: `${hook}: broken` });
    }
  });

  it('that return a promise have failed: the object may still be in the making', async () => {
    const late = async () => {
      throw new Error('late');
    };
    const { pool } = openThings({ reset: late as never, destroy: late as never });
    pool.lease().release();
    expect(pool.stats).toMatchObject({ idle: 0, failures: { reset: 1, destroy: 1 } });
    const checked = openThings({ validate: late as never });
    checked.pool.lease().release();
    checked.pool.lease().release();
    expect(checked.pool.stats).toMatchObject({ hits: 0, misses: 2, failures: { validate: 1 } });
    await new Promise((resolve) => setImmediate(resolve));
  });

  it('that use the pool meanwhile: the bound and the books hold', () => {
    const { governor } = setUp();
    let pool: ObjectPool<Thing>;
    const deeper: unknown[] = [];
    const use = () => {
      if (deeper.length < 20) deeper.push(pool?.tryLease());
    };
    let made = 0;
    const create = () => {
      use();
      return { id: made++, note: '' };
    };
    const validate = () => {
      use();
      return true;
    };
    ({ pool } = openThings({ governor, objectBytes: 1_000, create, validate, reset: use, destroy: use }));
    for (let i = 0; i < 10; i++) {
      pool.tryLease()?.release();
      pool.clear();
      const { size, leased, idle, bytes } = pool.stats;
      expect(size).toBeLessThanOrEqual(4);
      expect(leased + idle).toBe(size);
      expect(bytes).toBe(size * 1_000);
    }
    pool[Symbol.dispose]();
  });

  it('that dispose the pool meanwhile: nothing is left behind', () => {
    for (const hook of ['create', 'reset', 'validate', 'destroy'] as const) {
      const { governor } = setUp();
      let pool: ObjectPool<Thing>;
      const act = () => {
        pool[Symbol.dispose]();
        return hook === 'create' ? { id: 0, note: '' } : (true as never);
      };
      ({ pool } = openThings({ governor, objectBytes: 1_000, maxSize: 2, [hook]: act }));
      for (let i = 0; i < 3; i++) {
        try {
          pool.lease().release();
          if (hook === 'destroy') pool.clear();
        } catch (error) {
          expect(error).toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
        }
      }
      expect(pool.stats).toMatchObject({ size: 0, leased: 0, idle: 0, bytes: 0 });
      expect(governor.snapshot().consumers.map(({ name }) => name)).toEqual(['runtime']);
    }
  });
});
