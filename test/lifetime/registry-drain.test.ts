import { ManualClock } from 'plimsoll';
import { ResourceRegistry, type ResourceRegistryOptions } from 'plimsoll/lifetime';
import { describe, expect, it, vi } from 'vitest';
import { byHand, settle } from './settle.ts';

function open(options: Partial<ResourceRegistryOptions> = {}) {
  const clock = new ManualClock();
  const registry = new ResourceRegistry({ name: 'things', maxCount: 100, maxBytes: 10_000, clock, ...options });
  const cleaned: string[] = [];
  const register = (name: string, more: object = {}) =>
    registry.register({ name, value: name, dispose: (value: string) => void cleaned.push(value), ...more });
  return { clock, registry, cleaned, register };
}

const never = () => new Promise(() => {});

describe('draining', () => {
  it('does clean everything up, what is held too (shutdown refused its own cleanup)', async () => {
    const { registry, cleaned, register } = open({ concurrency: 4 });
    for (let i = 0; i < 20; i++) register(`${i}`, { bytes: 1, dispose: async (v: string) => void cleaned.push(v) });
    using _held = register('held').hold();
    const report = await registry.drain({ deadlineMs: 1_000 });
    expect(report).toMatchObject({ count: 21, cleaned: 21, failed: 0, hung: 0, complete: true, unfinished: [] });
    expect(new Set(cleaned).size).toBe(21);
    expect(registry.stats).toMatchObject({ count: 0, leavingCount: 0, bytes: 0, leavingBytes: 0 });
    expect(await registry.drain()).toMatchObject({ count: 0, complete: true });
  });

  it('begins at once, and takes nothing in from then on: that is still the caller’s', async () => {
    const { registry, cleaned, register } = open();
    const end = byHand();
    register('a', { dispose: () => end.promise });
    const drained = registry.drain();
    expect(registry.health.running).toBe(1);
    expect(registry.draining).toBe(true);
    expect(() => register('late')).toThrow(
      expect.objectContaining({ code: 'PLIMSOLL_REGISTRY_DRAINING', recovery: 'fail' }),
    );
    expect(registry.tryAdd({ name: 'late', dispose: () => {} })).toBeUndefined();
    const again = registry.drain();
    end.resolve();
    const report = await drained;
    expect(report).toMatchObject({ count: 1, cleaned: 1 });
    expect(await again).toBe(report);
    expect(cleaned).toEqual([]);
  });

  it('reports what it could not clean up: each is cleaned, failed, hung, taken, at work, waiting or held', async () => {
    const { clock, registry, register } = open({ concurrency: 2, maxAttempts: 2, timeoutMs: 5_000, backOffMs: 3_000 });
    register('good', { priority: 'critical' });
    register('bad', { priority: 'critical', dispose: () => Promise.reject(new Error('no')), kind: 'file', bytes: 3 });
    for (let i = 0; i < 4; i++) register(`hangs ${i}`, { priority: 'high', dispose: never });
    register('waits');
    const taken = register('taken', { priority: 'low' });
    const drained = registry.drain({ deadlineMs: 8_000 });
    await settle();
    taken.take();
    clock.advance(5_000);
    await settle();
    clock.advance(3_000);
    await settle();
    const report = await drained;
    expect(report).toMatchObject({
      count: 8,
      cleaned: 1,
      failed: 1,
      hung: 2,
      taken: 1,
      running: 2,
      waiting: 1,
      held: 0,
    });
    expect(report).toMatchObject({ complete: false, elapsedMs: 8_000, failuresLeftOut: 0, unfinishedLeftOut: 0 });
    // It failed once, and there was no time for another attempt.
    expect(report.failures.map(({ resource, outcome, attempts }) => [resource, outcome, attempts])).toEqual([
      ['hangs 0', 'hung', 1],
      ['hangs 1', 'hung', 1],
      ['bad', 'failed', 1],
    ]);
    expect(report.unfinished.map(({ resource, state }) => `${resource} ${state}`).toSorted()).toEqual([
      'hangs 2 running',
      'hangs 3 running',
      'waits waiting',
    ]);
  });

  it('goes on with what was left when it is called again', async () => {
    const { clock, registry, cleaned, register } = open({ concurrency: 1 });
    const end = byHand();
    register('slow', { priority: 'high', dispose: () => end.promise });
    register('after');
    const first = registry.drain({ deadlineMs: 100 });
    clock.advance(100);
    expect(await first).toMatchObject({ running: 1, waiting: 1, complete: false });
    end.resolve();
    await settle();
    expect(cleaned).toEqual([]);
    expect(await registry.drain()).toMatchObject({ count: 1, cleaned: 1, complete: true });
    expect(cleaned).toEqual(['after']);
    expect(clock.pending).toBe(0);
  });

  it('can still be asked to release one after a deadline', async () => {
    const { clock, registry, cleaned, register } = open({ concurrency: 1 });
    register('slow', { priority: 'high', dispose: never });
    const after = register('after');
    const drained = registry.drain({ deadlineMs: 100 });
    clock.advance(100);
    await drained;
    expect(await after.release()).toBe('cleaned');
    expect(cleaned).toEqual(['after']);
  });

  it('leaves what is held to those who use it for a while, when it is told to', async () => {
    const { clock, registry, cleaned, register } = open();
    const [a, b] = ['a', 'b'].map((name) => register(name).hold());
    register('idle');
    const drained = registry.drain({ deadlineMs: 2_000, graceMs: 1_000 });
    expect(cleaned).toEqual(['idle']);
    a![Symbol.dispose]();
    expect(cleaned).toEqual(['idle', 'a']);
    clock.advance(999);
    expect(registry.stats.heldCount).toBe(1);
    clock.advance(1);
    expect(await drained).toMatchObject({ count: 3, cleaned: 3, complete: true, elapsedMs: 1_000 });
    expect(cleaned).toEqual(['idle', 'a', 'b']);
    b![Symbol.dispose]();
  });

  it('leaves to its users what a disposer has begun to use meanwhile', async () => {
    const { clock, registry, cleaned, register } = open({ concurrency: 1 });
    const other = register('other');
    let hold: Disposable | undefined;
    register('first', { priority: 'critical', dispose: () => void (hold = other.hold()) });
    const drained = registry.drain({ deadlineMs: 2_000, graceMs: 1_000 });
    expect(cleaned).toEqual([]);
    clock.advance(500);
    hold![Symbol.dispose]();
    expect(cleaned).toEqual(['other']);
    expect(await drained).toMatchObject({ cleaned: 2, complete: true });
  });

  it('cleans everything up, whatever the clock says meanwhile', async () => {
    let now = 1_000;
    const clock = Object.assign(new ManualClock(), { now: () => now });
    const { registry, cleaned, register } = open({ clock });
    register('a');
    now = 0;
    expect(await registry.drain()).toMatchObject({ cleaned: 1, waiting: 0 });
    expect(cleaned).toEqual(['a']);
  });

  it('with a deadline of 0 says what is left', async () => {
    const { clock, registry, register } = open();
    register('a', { dispose: never });
    using _b = register('b').hold();
    const drained = registry.drain({ deadlineMs: 0, graceMs: 1 });
    clock.advance(0);
    expect(await drained).toMatchObject({ count: 2, running: 1, held: 1 });
  });

  it('is called from within a disposer, and by a disposer that waits for it', async () => {
    const { clock, registry, register } = open({ timeoutMs: 1_000 });
    let inner: Promise<unknown> | undefined;
    register('calls', { dispose: () => void (inner = registry.drain()) });
    register('waits', { dispose: () => registry.drain() });
    const drained = registry.drain({ deadlineMs: 5_000 });
    await settle();
    clock.advance(1_000);
    expect(await drained).toMatchObject({ count: 2, cleaned: 1, hung: 1, complete: true });
    expect(await inner).toMatchObject({ count: 2 });
  });

  it('lets the event loop go on between many disposers that do not wait', async () => {
    const { clock, registry, register } = open({ maxCount: 30_000 });
    const dispose = vi.fn();
    for (let i = 0; i < 25_000; i++) register('x', { dispose });
    const drained = registry.drain();
    expect(dispose.mock.calls.length).toBeLessThan(11_000);
    for (let i = 0; i < 3; i++) clock.advance(0);
    expect(await drained).toMatchObject({ cleaned: 25_000, complete: true });
  });

  it('ends with `await using`, and leaves no timer', async () => {
    const { clock, registry, cleaned, register } = open({ idleMs: 100 });
    {
      await using _registry = registry;
      register('a');
    }
    expect(cleaned).toEqual(['a']);
    await registry[Symbol.asyncDispose]();
    expect(clock.pending).toBe(0);
  });
});

describe('disposers that call the registry', () => {
  it('may release, take, touch and register others, and themselves', async () => {
    const { registry, cleaned, register } = open({ maxCount: 3 });
    const other = register('other');
    const taken = register('taken');
    const outcomes: unknown[] = [];
    const self = register('self', {
      dispose: () => {
        outcomes.push(self.take(), self.touch(), self.tryHold(), taken.take());
        void other.release().then((outcome) => outcomes.push(outcome));
        register('new');
        void self.release().then((outcome) => outcomes.push(`self ${outcome}`));
      },
    });
    expect(await self.release()).toBe('cleaned');
    await settle();
    expect(outcomes).toEqual([undefined, false, undefined, { value: 'taken' }, 'self cleaned', 'cleaned']);
    expect(cleaned).toEqual(['other']);
    expect(registry.count).toBe(1);
    expect(registry.stats).toMatchObject({ registered: 4, cleaned: 2, taken: 1, leavingCount: 0 });
  });

  it('that wait for their own release are given up', async () => {
    const { clock, register } = open({ timeoutMs: 1_000 });
    const self = register('self', { dispose: () => self.release() });
    const ended = self.release();
    clock.advance(1_000);
    expect(await ended).toBe('hung');
  });

  it('do not go deep: each that is registered by the one before is cleaned up from one place', () => {
    const { registry } = open({ maxCount: 1 });
    let made = 0;
    const dispose = () => {
      if (++made < 5_000) registry.tryRegister({ name: 'x', dispose });
    };
    registry.register({ name: 'x', dispose });
    for (let i = 0; i < 2_000; i++) registry.tryRegister({ name: 'x', dispose });
    expect(made).toBeGreaterThan(1_000);
  });
});
