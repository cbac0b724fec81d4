import { cleanupFailedEvents, createGovernor, LeakTracker } from 'plimsoll';
import { MemoryGuard } from 'plimsoll/lifetime';
import { describe, expect, it, vi } from 'vitest';
import { settle } from './settle.ts';

describe('a memory guard', () => {
  it("returns its value to its pool, once (guard's drop was empty)", () => {
    const pool: string[] = [];
    const release = vi.fn((value: string) => pool.push(value));
    {
      using guard = new MemoryGuard('a buffer', { release });
      expect(guard.value).toBe('a buffer');
      expect(pool).toEqual([]);
    }
    expect(pool).toEqual(['a buffer']);
    const guard = new MemoryGuard('b', (value: string) => void pool.push(value));
    guard.release();
    guard.release();
    guard[Symbol.dispose]();
    expect(pool).toEqual(['a buffer', 'b']);
    expect(() => guard.value).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DISPOSED' }));
  });

  it('does not return what was taken', () => {
    const release = vi.fn();
    const guard = new MemoryGuard(undefined, { release });
    expect(guard.owns).toBe(true);
    expect(guard.take()).toBeUndefined();
    guard[Symbol.dispose]();
    expect(release).not.toHaveBeenCalled();
  });

  it('has its bytes in the books until then, also when giving back throws', () => {
    using governor = createGovernor({ limitBytes: 1e6, runtimeBytes: 0, meters: [] });
    const consumer = governor.consumer({ name: 'buffers', kind: 'external', maxBytes: 1e6 });
    const guard = new MemoryGuard(1, () => fail(), { reservation: consumer.reserve(1_000), name: 'page' });
    const good = new MemoryGuard(1, () => expect(consumer.heldBytes).toBe(1_500), {
      reservation: consumer.reserve(500),
    });
    good.release();
    expect(consumer.heldBytes).toBe(1_000);
    expect(() => guard.release()).toThrow(
      expect.objectContaining({
        code: 'PLIMSOLL_CLEANUP_FAILED',
        resource: 'page',
        message: 'Cleaning up page failed: no',
      }),
    );
    expect(consumer.heldBytes).toBe(0);
    guard.release();
    const kept = consumer.reserve(10);
    new MemoryGuard(1, () => {}, { reservation: kept }).take();
    expect(consumer.heldBytes).toBe(10);
  });

  it('publishes what fails later, and ends nothing', async () => {
    const events: unknown[] = [];
    using _heard = cleanupFailedEvents.subscribe((event) => events.push(event));
    new MemoryGuard(1, () => Promise.reject(new Error('later')), { name: 'page' }).release();
    await settle();
    expect(events).toMatchObject([{ resource: 'page', message: 'Cleaning up page failed: later' }]);
  });

  it('is followed by a leak tracker', () => {
    const leakTracker = new LeakTracker({ level: 'advanced', sampleEvery: 1 });
    const guards = [1, 2].map((value) => new MemoryGuard(value, () => {}, { leakTracker }));
    expect(guards[0]!.value).toBe(1);
    expect(leakTracker.stats.open).toBe(2);
    guards[0]!.release();
    guards[1]!.take();
    expect(leakTracker.stats.open).toBe(0);
  });

  it('tells its leak tracker of no use where its value is taken: that walks a stack for nothing', () => {
    const [touch, close] = [vi.fn(), vi.fn()];
    const leakTracker = { track: () => ({ touch, close }) } as unknown as LeakTracker;
    new MemoryGuard(1, () => {}, { leakTracker }).take();
    expect(touch).not.toHaveBeenCalled();
    expect(close).toHaveBeenCalledTimes(1);
  });

  it('says what is wrong with an option', () => {
    expect(() => new MemoryGuard(1, {} as never)).toThrow('`pool`');
    expect(() => new MemoryGuard(1, () => {}, { reservation: {} as never })).toThrow('`reservation`');
    expect(() => new MemoryGuard(1, () => {}, { name: '' })).toThrow('`name`');
    expect(() => new MemoryGuard(1, () => {}, { leakTracker: {} as never })).toThrow('`leakTracker`');
  });
});

function fail(): never {
  throw new Error('no');
}
