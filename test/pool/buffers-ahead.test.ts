import { BufferPool } from 'plimsoll/pool';
import { expect, it } from 'vitest';
import { MIB, setUp } from '../governor/fake-meter.ts';

it('making ahead lets none of its own go: it ends where the governor has no more room', () => {
  const { governor } = setUp({ limitBytes: 16 * MIB, meters: [] });
  const pool = new BufferPool({ name: 'buffers', maxBytes: MIB, maxIdleBytes: MIB, governor });
  const others = governor.consumer({ name: 'others', kind: 'external', maxBytes: 16 * MIB });
  using _held = others.reserve(governor.snapshot().availableBytes - 3 * 65_536);
  const made = pool.preallocate(65_536, 100);
  expect(made).toBeGreaterThan(0);
  expect(pool.stats).toMatchObject({ idle: made, bytes: made * 65_536, dropped: { evicted: 0 } });
  expect(made).toBeLessThanOrEqual(3);
  pool[Symbol.dispose]();
});
