import { ManualClock } from 'plimsoll';
import { BufferPool } from 'plimsoll/pool';
import { describe, expect, it } from 'vitest';

const KIB = 1_024;
const MIB = 2 ** 20;

function open(options: { readonly detach?: boolean } = {}) {
  return { pool: new BufferPool({ name: 'buffers', maxBytes: 4 * MIB, clock: new ManualClock(), ...options }) };
}

describe('a pool of buffers whose borrowers do not behave', () => {
  it('lends nothing that a borrower of before has sent elsewhere while it was at rest', () => {
    const { pool } = open({ detach: false });
    const first = pool.lease(KIB);
    const store = first.value.buffer as ArrayBuffer;
    first.release();
    structuredClone(store, { transfer: [store] });
    using second = pool.lease(KIB);
    expect(second.value).toHaveLength(KIB);
    const { leased, bytes, idleBytes, hits, dropped } = pool.stats;
    expect({ leased, bytes, idleBytes, hits, taken: dropped.taken }).toEqual({
      leased: 1,
      bytes: KIB,
      idleBytes: 0,
      hits: 0,
      taken: 1,
    });
  });

  it('is as before when an option of a loan cannot be read', () => {
    const { pool } = open();
    const options = {
      get zero(): boolean {
        throw new Error('no');
      },
    };
    expect(() => pool.lease(KIB, options)).toThrow('no');
    expect(() => pool.tryLease(KIB, options)).toThrow('no');
    expect(pool.stats).toMatchObject({ leased: 0, bytes: 0, leasedBytes: 0 });
  });

  it('keeps its own bounds however long that takes', () => {
    let now = 0;
    const clock = Object.assign(new ManualClock(), { now: () => (now += 10) });
    const pool = new BufferPool({ name: 'buffers', maxBytes: MIB, clock });
    pool.preallocate(KIB, 1_000);
    pool.resize(KIB);
    expect(pool.stats).toMatchObject({ idle: 1, bytes: KIB });
  });
});
