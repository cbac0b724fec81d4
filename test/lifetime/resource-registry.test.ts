import { cleanupFailedEvents, ManualClock } from 'plimsoll';
import { type CleanupFailure, ResourceRegistry, type ResourceRegistryOptions } from 'plimsoll/lifetime';
import { describe, expect, it, vi } from 'vitest';
import { byHand, settle } from './settle.ts';

function open(options: Partial<ResourceRegistryOptions> = {}) {
  const clock = new ManualClock();
  const registry = new ResourceRegistry({ name: 'things', maxCount: 10, maxBytes: 1_000, clock, ...options });
  const cleaned: string[] = [];
  const register = (name: string, more: object = {}) =>
    registry.register({ name, value: name, dispose: (value: string) => void cleaned.push(value), ...more });
  return { clock, registry, cleaned, register };
}

describe('a registry', () => {
  it('owns the disposers: what is released is disposed of (it held no disposer, so cleanup only forgot)', async () => {
    const { registry, cleaned, register } = open();
    const a = register('a', { bytes: 10 });
    register('b', { bytes: 5 });
    expect(registry.stats).toMatchObject({ count: 2, bytes: 15 });
    expect(await a.release()).toBe('cleaned');
    expect(cleaned).toEqual(['a']);
    expect(registry.stats).toMatchObject({ count: 1, bytes: 5, cleaned: 1 });
    expect(await a.release()).toBe('gone');
    expect(a.registered).toBe(false);
    expect((await registry.cleanup()).cleaned).toBe(1);
    expect(cleaned).toEqual(['a', 'b']);
  });

  it('gives back what is taken, undisposed, and never once its disposer was called', async () => {
    const { registry, cleaned, register } = open();
    const a = register('a');
    expect(a.take()).toEqual({ value: 'a' });
    expect(a.take()).toBeUndefined();
    const end = byHand();
    const b = registry.register({ name: 'b', dispose: () => end.promise });
    const ended = b.release();
    expect(b.take()).toBeUndefined();
    expect(b.touch()).toBe(false);
    expect(b.tryHold()).toBeUndefined();
    expect(() => b.hold()).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DISPOSED' }));
    end.resolve();
    expect(await ended).toBe('cleaned');
    await registry.drain();
    expect(cleaned).toEqual([]);
  });

  it('does not take an id of before for the one that is there now', async () => {
    const { registry, cleaned, register } = open({ maxCount: 1 });
    const ids: number[] = [];
    for (let i = 0; i < 100; i++) ids.push(register(`${i}`).id);
    expect(new Set(ids).size).toBe(100);
    for (const id of ids.slice(0, -1)) {
      expect(registry.touch(id)).toBe(false);
      expect(await registry.release(id)).toBe('gone');
      expect(registry.take(id)).toBeUndefined();
    }
    expect(registry.has(ids.at(-1)!)).toBe(true);
    expect(cleaned).toHaveLength(99);
    for (const id of [-1, 0.5, Number.NaN, 2 ** 60, Number.POSITIVE_INFINITY]) expect(registry.has(id)).toBe(false);
  });

  it('does not take an id of before it was emptied for one of afterwards', async () => {
    const { registry, register } = open({ maxCount: 4_000, maxBytes: 1 });
    const before = Array.from({ length: 3_000 }, (_, i) => register(`${i}`).id);
    await registry.cleanup();
    for (let i = 0; i < 3_000; i++) register(`${i}`);
    expect(before.filter((id) => registry.has(id))).toEqual([]);
  });

  it('says what is wrong with an option', () => {
    const { registry } = open();
    const wrong = (options: object) => () => new ResourceRegistry({ name: 'x', maxCount: 1, maxBytes: 1, ...options });
    expect(wrong({ maxCount: undefined })).toThrow(RangeError);
    expect(wrong({ maxBytes: 0 })).toThrow('`maxBytes`');
    expect(wrong({ idlems: 1 })).toThrow('did you mean `idleMs`?');
    expect(wrong({ concurrency: 0 })).toThrow('`concurrency`');
    expect(wrong({ maxAttempts: 17 })).toThrow('`maxAttempts`');
    expect(wrong({ leakTracker: {} })).toThrow('`leakTracker`');
    const dispose = () => {};
    expect(() => registry.register({ name: '', dispose })).toThrow('`name`');
    expect(() => registry.register({ name: 'a', dispose, bytes: -1 })).toThrow('`bytes`');
    expect(() => registry.register({ name: 'a', dispose: 1 as never })).toThrow('`dispose`');
    expect(() => registry.register({ name: 'a', dispose, priority: 'urgent' as never })).toThrow('`priority`');
    expect(() => registry.register({ name: 'a', dispose, priorty: 'low' } as never)).toThrow('did you mean `priority`');
    expect(registry.stats.registered).toBe(0);
  });
});

describe('the order of cleanup', () => {
  it('is by priority, higher first (priority had no effect and was reversed)', async () => {
    const { registry, cleaned, register } = open({ concurrency: 1 });
    for (const priority of ['low', 'critical', 'normal', 'high'] as const) register(priority, { priority });
    await registry.drain();
    expect(cleaned).toEqual(['critical', 'high', 'normal', 'low']);
  });

  it('lets a low one have its turn when it has waited long: it is not starved', async () => {
    const { clock, registry, register } = open({ concurrency: 1, maxCount: 100, agingMs: 1_000, timeoutMs: 60_000 });
    const order: string[] = [];
    let end = byHand();
    const dispose = (value: string) => {
      order.push(value);
      end = byHand();
      return end.promise;
    };
    const put = (name: string, priority: 'low' | 'critical') =>
      void register(name, { priority, value: name, dispose }).release();
    put('first', 'critical');
    put('low', 'low');
    for (let i = 0; i < 8; i++) {
      put(`critical ${i}`, 'critical');
      clock.advance(500);
      end.resolve();
      await settle();
    }
    expect(order).toContain('low');
    expect(order.indexOf('low')).toBeGreaterThan(3);
    expect(registry.health.oldestWaitingMs).toBeGreaterThan(0);
    const drained = registry.drain();
    for (let i = 0; i < 20; i++) {
      end.resolve();
      await settle();
    }
    expect((await drained).complete).toBe(true);
  });

  it('has no more disposers at work than `concurrency`', async () => {
    const { registry, register } = open({ concurrency: 3 });
    let atWork = 0;
    let most = 0;
    const dispose = async () => {
      most = Math.max(most, ++atWork);
      await settle(3);
      atWork--;
    };
    for (let i = 0; i < 10; i++) register(`${i}`, { dispose });
    await registry.drain();
    expect(most).toBe(3);
    expect(atWork).toBe(0);
  });
});

describe('limits', () => {
  it('has the count limit enforced (it never was), used longest ago first', () => {
    const { registry, cleaned, register } = open({ maxCount: 3 });
    const [a] = ['a', 'b', 'c'].map((name) => register(name));
    a!.touch();
    register('d');
    expect(cleaned).toEqual(['b']);
    expect(registry.count).toBe(3);
  });

  it('cleans up no more than needed (1 byte over evicted 80%)', () => {
    const { registry, cleaned, register } = open({ maxBytes: 100, maxCount: 100 });
    for (let i = 0; i < 10; i++) register(`${i}`, { bytes: 10 });
    register('one byte over', { bytes: 1 });
    expect(cleaned).toEqual(['0']);
    expect(registry.bytes).toBe(91);
    register('fits', { bytes: 9 });
    expect(cleaned).toEqual(['0']);
  });

  it('passes over what weighs nothing when only bytes are too many', () => {
    const { cleaned, register } = open({ maxBytes: 100 });
    register('weighs nothing');
    register('weighs', { bytes: 100 });
    register('more', { bytes: 1 });
    expect(cleaned).toEqual(['weighs']);
  });

  it('reads each option of a resource once: what was checked is what is booked', () => {
    const { registry } = open();
    let reads = 0;
    registry.add({
      name: 'shifty',
      dispose: () => {},
      get bytes() {
        return reads++ === 0 ? 3 : -1_000;
      },
    });
    expect(registry.bytes).toBe(3);
  });

  it('does not touch what is held, and says no when that is all there is; the resource stays the caller’s', () => {
    const { registry, cleaned, register } = open({ maxCount: 2, maxBytes: 100 });
    const a = register('a', { bytes: 60 });
    register('b', { bytes: 40 });
    const held = a.hold();
    const again = a.hold();
    expect(() => register('large', { bytes: 41 })).toThrow(
      expect.objectContaining({ code: 'PLIMSOLL_REGISTRY_FULL', boundBy: 'bytes', recovery: 'retry' }),
    );
    expect(cleaned).toEqual([]);
    register('c', { bytes: 40 });
    expect(cleaned).toEqual(['b']);
    using other = registry.register({ name: 'd', dispose: () => {} }).hold();
    expect(cleaned).toEqual(['b', 'c']);
    expect(() => register('e')).toThrow(expect.objectContaining({ boundBy: 'count' }));
    expect(registry.tryRegister({ name: 'e', dispose: () => {} })).toBeUndefined();
    held[Symbol.dispose]();
    held[Symbol.dispose]();
    expect(registry.stats).toMatchObject({ heldCount: 2, refused: 3 });
    again[Symbol.dispose]();
    register('f', { bytes: 100 });
    expect(cleaned).toEqual(['b', 'c', 'a']);
    expect(other).toBeDefined();
  });

  it('has as much again on its way out at most, where disposers hang', () => {
    const { registry, register } = open({ maxCount: 4, maxBytes: 100, concurrency: 2 });
    const dispose = () => new Promise(() => {});
    for (let i = 0; i < 8; i++) register(`${i}`, { bytes: 10, dispose });
    expect(registry.stats).toMatchObject({ count: 4, leavingCount: 4, leavingBytes: 40 });
    expect(() => register('one more', { dispose })).toThrow(expect.objectContaining({ boundBy: 'cleanup' }));
    expect(registry.stats).toMatchObject({ count: 4, leavingCount: 4 });
    expect(registry.health.running).toBe(2);
  });

  it('cleans up what was not used for long, by the clock', async () => {
    const { clock, registry, cleaned, register } = open({ idleMs: 5_000 });
    const a = register('a');
    const held = register('held').hold();
    register('b');
    clock.advance(4_000);
    a.touch();
    clock.advance(2_000);
    expect(cleaned).toEqual(['b']);
    clock.advance(4_000);
    expect(cleaned).toEqual(['b', 'a']);
    clock.advance(60_000);
    held[Symbol.dispose]();
    clock.advance(4_000);
    expect(registry.count).toBe(1);
    clock.advance(2_000);
    expect(cleaned).toEqual(['b', 'a', 'held']);
    expect(registry.stats.reasons.idle).toBe(3);
    // Nothing to look at, so nothing looks.
    clock.advance(10_000);
    expect(clock.pending).toBe(0);
  });

  it('is bounded by its tries when a disposer registers another', () => {
    const { registry } = open({ maxCount: 1 });
    const dispose = () => void registry.tryRegister({ name: 'again', dispose });
    registry.register({ name: 'a', dispose });
    for (let i = 0; i < 10; i++) registry.tryRegister({ name: 'b', dispose });
    expect(registry.count).toBeLessThanOrEqual(1);
    expect(registry.stats.leavingCount).toBeLessThanOrEqual(1);
  });
});

describe('a disposer that does not do its work', () => {
  it('is tried again with back-off, and reported when that did not help (no retry; errors were lost)', async () => {
    const failures: CleanupFailure[] = [];
    const onCleanupFailed = (failure: CleanupFailure) => {
      failures.push(failure);
      throw new Error('listeners may throw');
    };
    const { clock, registry, register } = open({ maxAttempts: 3, backOffMs: 100, onCleanupFailed });
    const events: unknown[] = [];
    using _heard = cleanupFailedEvents.subscribe((event) => events.push(event));
    const fails = vi.fn(() => {
      throw new Error(`no ${fails.mock.calls.length}`);
    });
    const works = vi.fn().mockRejectedValueOnce(new Error('once'));
    const ended = [fails, works].map((dispose, i) => register(`${i}`, { bytes: 7, kind: 'file', dispose }).release());
    await settle();
    expect(registry.health.retrying).toBe(2);
    clock.advance(99);
    expect(fails).toHaveBeenCalledTimes(1);
    clock.advance(1);
    await settle();
    expect(await ended[1]).toBe('cleaned');
    clock.advance(199);
    expect(fails).toHaveBeenCalledTimes(2);
    clock.advance(1);
    expect(await ended[0]).toBe('failed');
    expect(fails).toHaveBeenCalledTimes(3);
    const failure = { resource: '0', kind: 'file', bytes: 7, outcome: 'failed', attempts: 3 };
    expect(failures).toMatchObject([{ ...failure, error: { code: 'PLIMSOLL_CLEANUP_FAILED' } }]);
    expect((failures[0]!.error.cause as Error).message).toBe('no 3');
    expect(registry.failures).toMatchObject({ latest: [failure], leftOut: 0 });
    expect(registry.stats).toMatchObject({ cleaned: 1, failed: 1, retries: 3, count: 0, leavingCount: 0 });
    expect(events).toMatchObject([{ registry: 'things', resource: '0', kind: 'file', bytes: 7, attempts: 3 }]);
  });

  it('is given up when it hangs, and not called again; what it does later is counted (no timeout)', async () => {
    const { clock, registry, register } = open({ timeoutMs: 1_000 });
    const end = byHand();
    const dispose = vi.fn(() => end.promise);
    const ended = register('a', { dispose }).release();
    await settle();
    clock.advance(999);
    expect(registry.health.running).toBe(1);
    clock.advance(1);
    expect(await ended).toBe('hung');
    expect(registry.failures.latest).toMatchObject([{ outcome: 'hung', error: { code: 'PLIMSOLL_CLEANUP_TIMEOUT' } }]);
    clock.advance(100_000);
    expect(dispose).toHaveBeenCalledTimes(1);
    end.reject(new Error('too late'));
    await settle();
    expect(registry.stats).toMatchObject({ hung: 1, failed: 0, late: 1 });
    expect(clock.pending).toBe(0);
  });

  it('keeps the latest failures, and says how many there were before', async () => {
    const { registry, register } = open({ maxFailures: 2, maxAttempts: 1 });
    const dispose = () => Promise.reject(new Error('no'));
    for (let i = 0; i < 5; i++) await register(`${i}`, { dispose }).release();
    expect(registry.failures.latest.map(({ resource }) => resource)).toEqual(['3', '4']);
    expect(registry.failures.leftOut).toBe(3);
  });

  it.each([
    ['throws nothing', () => Promise.reject(undefined)],
    ['has a then that throws', () => Object.defineProperty({}, 'then', { value: fail })],
    ['cannot be looked at', () => Object.defineProperty({}, 'then', { get: fail })],
  ])('is contained when it %s', async (_, dispose) => {
    const { registry, register } = open({ maxAttempts: 1 });
    expect(await register('a', { dispose }).release()).toBe('failed');
    expect(registry.stats.leavingCount).toBe(0);
  });

  it('shows in the health: how many wait, the oldest, the failure rate of late', async () => {
    const { clock, registry, register } = open({ concurrency: 1, maxAttempts: 1, healthWindowMs: 12_000 });
    expect(registry.health).toEqual(expect.objectContaining({ state: 'ok', failureRate: 0, waiting: 0 }));
    for (let i = 0; i < 4; i++) await register(`${i}`, { dispose: i % 2 === 0 ? fail : () => {} }).release();
    expect(registry.health).toMatchObject({ state: 'failing', failureRate: 0.5, endedLately: 4 });
    expect(registry.health.why).toBe('50% of 4 cleanups failed');
    clock.advance(13_000);
    expect(registry.health).toMatchObject({ state: 'ok', failureRate: 0, endedLately: 0 });
    void register('hangs', { dispose: () => new Promise(() => {}) }).release();
    void register('waits').release();
    clock.advance(12_000);
    expect(registry.health).toMatchObject({ state: 'degraded', waiting: 1, running: 1, oldestWaitingMs: 12_000 });
  });
});

describe('the health of a registry', () => {
  it.each([
    [1, 1, 'degraded'],
    [1, 20, 'degraded'],
    [1, 21, 'ok'],
    [3, 3, 'degraded'],
    [4, 4, 'failing'],
    [2, 4, 'failing'],
    [2, 5, 'degraded'],
  ])('after %i of %i failed is %s', async (failures, ended, state) => {
    const { registry, register } = open({ maxAttempts: 1 });
    for (let i = 0; i < ended; i++) await register(`${i}`, { dispose: i < failures ? fail : () => {} }).release();
    expect(registry.health).toMatchObject({ state, endedLately: ended });
    expect(registry.health.why).toBe(
      state === 'ok' ? undefined : `${((failures / ended) * 100).toFixed(0)}% of ${ended} cleanups failed`,
    );
  });

  it('is degraded when one waits for longer than ten times `agingMs`, and not before', () => {
    const { clock, registry, register } = open({ concurrency: 1, agingMs: 100 });
    for (let i = 0; i < 2; i++) void register(`${i}`, { dispose: () => new Promise(() => {}) }).release();
    clock.advance(1_000);
    expect(registry.health.state).toBe('ok');
    clock.advance(1);
    expect(registry.health).toMatchObject({ state: 'degraded', why: 'one waits to be cleaned up for 1001 ms' });
  });
});

describe('a cleanup that is asked for', () => {
  it('cleans up what is idle, of a kind, or whatever there is when forced', async () => {
    const { clock, registry, cleaned, register } = open();
    register('file', { kind: 'file' });
    register('socket', { kind: 'socket' });
    using _held = register('held', { kind: 'file' }).hold();
    clock.advance(1_000);
    register('young', { kind: 'file', bytes: 3 });
    await expect(registry.cleanup({ kind: '' })).rejects.toThrow('Expected `kind` to be');
    expect(await registry.cleanup({ kind: 'nothing of the kind' })).toMatchObject({ count: 0 });
    expect(await registry.cleanup({ kind: 'file', idleMs: 500 })).toMatchObject({ count: 1, cleaned: 1 });
    expect(cleaned).toEqual(['file']);
    expect(await registry.cleanup({ kind: 'file' })).toMatchObject({ count: 1, cleanedBytes: 3 });
    expect(await registry.cleanup({ force: true })).toMatchObject({ count: 2, cleaned: 2, failed: 0 });
    expect(cleaned.toSorted()).toEqual(['file', 'held', 'socket', 'young']);
  });

  it('says what could not be cleaned up', async () => {
    const { registry, register } = open({ maxAttempts: 1, maxFailures: 1 });
    for (let i = 0; i < 3; i++) register(`${i}`, { dispose: fail });
    const { count, failed, failures, failuresLeftOut } = await registry.cleanup();
    expect({ count, failed, failuresLeftOut }).toEqual({ count: 3, failed: 3, failuresLeftOut: 2 });
    expect(failures).toMatchObject([{ resource: '2' }]);
  });
});

function fail(): never {
  throw new Error('no');
}
