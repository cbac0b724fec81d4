import { BufferPool } from 'plimsoll/pool';
import { expect, it } from 'vitest';
import { MIB, setUp } from '../governor/fake-meter.ts';

it('making ahead ends where one more would only take the place of another', () => {
  const { governor } = setUp({ limitBytes: 16 * MIB, meters: [] });
  const pool = new BufferPool({ name: 'buffers', maxBytes: MIB, maxIdleBytes: MIB, governor });
  const others = governor.consumer({ name: 'others', kind: 'external', maxBytes: 16 * MIB });
  using _held = others.reserve(governor.snapshot().availableBytes - 3 * 65_536);
  expect(pool.preallocate(65_536, 100)).toBeLessThan(10);
  expect(pool.stats.idle).toBeGreaterThan(0);
  expect(pool.stats.bytes).toBeLessThanOrEqual(3 * 65_536);
  pool[Symbol.dispose]();
});
