import { createGovernor, type Governor, LeakTracker, ManualClock } from 'plimsoll';
import { ResourceRegistry, type ResourceRegistryOptions } from 'plimsoll/lifetime';
import { describe, expect, it } from 'vitest';
import { catchReclaimers } from '../adopt/catch-reclaimers.ts';
import { breakable } from '../contract/broken-governor.ts';
import { reclaimerContract } from '../contract/reclaimer.ts';
import { MIB, setUp } from '../governor/fake-meter.ts';
import { settle } from './settle.ts';

const KIB = 1024;

function open(options: Partial<ResourceRegistryOptions> = {}) {
  const { governor, clock, rss } = setUp();
  const registry = new ResourceRegistry({
    name: 'things',
    maxCount: 1_000,
    maxBytes: 60 * MIB,
    governor,
    clock,
    ...options,
  });
  const cleaned: string[] = [];
  const register = (name: string, bytes: number, more: object = {}) =>
    registry.register({ name, bytes, value: name, dispose: (value: string) => void cleaned.push(value), ...more });
  return { governor, clock, rss, registry, cleaned, register };
}

const row = (governor: Governor, name = 'things') =>
  governor.snapshot().consumers.find((consumer) => consumer.name === name);

/** Registers, from `governor`, 64 resources of a sixty-fourth of `bytes` each, and as many that are held. */
function fill(governor: Governor, bytes: number, sync: boolean) {
  const caught = catchReclaimers(governor);
  const clock = new ManualClock();
  const options = { name: 'things', maxCount: 1_000, maxBytes: 8 * bytes, governor: caught.governor, clock };
  const registry = new ResourceRegistry(options);
  const each = Math.ceil(bytes / 64);
  for (let i = 0; i < 64; i++) {
    const dispose = sync ? () => {} : () => settle(2);
    registry.register({ name: `${i}`, bytes: each, sync, dispose });
    registry.register({ name: `held ${i}`, bytes: 16, sync, dispose }).hold();
  }
  const { reclaimNow, ...reclaimer } = caught.reclaimers.get('things')!;
  const own = sync ? { ...reclaimer, reclaimNow: reclaimNow! } : reclaimer;
  return { consumerName: 'things', reclaimer: own, pinnedBytes: 64 * 16 };
}

describe('the reclaimer of a registry', () => {
  reclaimerContract({ name: 'disposers that do not wait', fill: (governor, bytes) => fill(governor, bytes, true) });
});

describe('the reclaimer of a registry with disposers that wait', () => {
  reclaimerContract({ name: 'disposers that wait', fill: (governor, bytes) => fill(governor, bytes, false) });
});

describe('the reclaimer of a registry, asked for everything', () => {
  const fillBy = (dispose: () => void, clock: ManualClock) => {
    const whole = createGovernor({ limitBytes: 10 * MIB, runtimeBytes: 0, meters: [] });
    const { governor, reclaimers } = catchReclaimers(whole);
    const registry = new ResourceRegistry({ name: 'things', maxCount: 1_000, maxBytes: MIB, governor, clock });
    for (let i = 0; i < 1_000; i++) registry.add({ name: `${i}`, bytes: 100, sync: true, dispose });
    const ask = () => reclaimers.get('things')!.reclaimNow!({ targetBytes: MIB, level: 'high', strategy: 'basic' });
    return { registry, ask };
  };

  it('looks for no longer than 4 ms', () => {
    let now = 0;
    const clock = Object.assign(new ManualClock(), { now: () => now });
    const { registry, ask } = fillBy(() => {}, clock);
    // Later by 5 ms at the second look at the clock, and no more after that.
    const times = [0];
    clock.now = () => times.shift() ?? (now = 5);
    ask();
    expect(registry.stats).toMatchObject({ cleaned: 63, count: 1_000 - 63 });
    expect(registry.stats.reasons.reclaimed).toBe(63);
  });

  it('begins no disposer any more when 8 ms are over', () => {
    let now = 0;
    const clock = Object.assign(new ManualClock(), { now: () => now });
    const { registry, ask } = fillBy(() => void now++, clock);
    ask();
    expect(registry.stats).toMatchObject({ cleaned: 9, count: 1_000 - 9 });
  });
});

describe('a registry with a governor', () => {
  it('has its bytes in the books until the disposer has ended, and itself in the snapshot', async () => {
    const { governor, registry, register } = open();
    register('a', 3 * MIB);
    const b = register('b', 5 * MIB, { dispose: () => settle(3) });
    expect(row(governor)!.heldBytes).toBeGreaterThanOrEqual(8 * MIB);
    const ended = b.release();
    expect(row(governor)!.heldBytes).toBeGreaterThanOrEqual(8 * MIB);
    await ended;
    expect(row(governor)!.heldBytes).toBeLessThan(4 * MIB);
    expect(row(governor)!.holder).toMatchObject({
      type: 'registry',
      health: 'ok',
      counts: { count: 1, bytes: 3 * MIB, cleaned: 1, failed: 0, waiting: 0, failureRate: 0 },
    });
    await registry.drain();
    expect(row(governor)).toBeUndefined();
  });

  it('says in the snapshot that cleaning up fails', async () => {
    const { governor, register } = open({ maxAttempts: 1 });
    for (let i = 0; i < 4; i++) await register(`${i}`, 1, { dispose: () => Promise.reject(new Error('no')) }).release();
    expect(row(governor)!.holder).toMatchObject({ health: 'failing', why: '100% of 4 cleanups failed' });
  });

  it('gives back of its own before it says that the governor has no room', () => {
    const { governor, registry, cleaned, register } = open();
    const other = governor.consumer({ name: 'other', kind: 'heap', maxBytes: 90 * MIB });
    const reserved = other.reserve(80 * MIB);
    register('a', 9 * MIB);
    register('b', 9 * MIB);
    register('c', 9 * MIB);
    expect(cleaned).toEqual(['a']);
    using _b = registry.hold(register('d', 1 * MIB).id);
    expect(() => register('large', 30 * MIB)).toThrow(expect.objectContaining({ boundBy: 'governor' }));
    expect(registry.stats.refused).toBe(1);
    reserved[Symbol.dispose]();
    register('large', 30 * MIB);
    expect(registry.bytes).toBeGreaterThanOrEqual(31 * MIB);
  });

  it('has nothing in the books of what it did not take in', () => {
    const { governor, registry } = open({ maxCount: 1 });
    const dispose = () => void registry.tryRegister({ name: 'again', bytes: MIB, dispose });
    registry.register({ name: 'first', bytes: MIB, dispose });
    for (let i = 0; i < 5; i++) registry.tryRegister({ name: 'next', bytes: MIB, dispose });
    const { bytes, leavingBytes, refused } = registry.stats;
    expect(refused).toBeGreaterThan(0);
    expect(row(governor)!.heldBytes - bytes - leavingBytes).toBeLessThan(MIB / 2);
  });

  it('cleans up what is idle when the level comes to high, and while it stays there', async () => {
    const { governor, clock, rss, cleaned, register } = open({ pressureIdleMs: 2_000 });
    register('old', KIB);
    clock.advance(3_000);
    register('young', KIB);
    rss.bytes = 80 * MIB;
    governor.sample();
    expect(governor.level).toBe('high');
    // Not in the middle of whatever made the governor look.
    expect(cleaned).toEqual([]);
    clock.advance(0);
    expect(cleaned).toContain('old');
    expect(cleaned).not.toContain('young');
    clock.advance(4_000);
    expect(cleaned).toContain('young');
  });

  it('makes room inside a reservation of somebody else, with disposers that do not wait alone', () => {
    const { governor, cleaned, register } = open();
    for (const name of ['waits', 'is quick']) register(name, 30 * MIB, { sync: name === 'is quick' });
    const other = governor.consumer({ name: 'other', kind: 'heap', maxBytes: 90 * MIB });
    other.reserve(60 * MIB);
    expect(cleaned).toEqual(['is quick']);
  });

  it('goes on by its own bounds when the governor is broken', async () => {
    const { governor: sound, clock } = setUp();
    const { governor, breakIt } = breakable(sound);
    const registry = new ResourceRegistry({ name: 'things', maxCount: 2, maxBytes: MIB, governor, clock });
    const cleaned: string[] = [];
    const register = (name: string) =>
      registry.register({ name, bytes: 200 * KIB, value: name, dispose: (value) => void cleaned.push(value) });
    register('a');
    breakIt();
    register('b');
    const c = register('c');
    expect(cleaned).toEqual(['a']);
    expect(await c.release()).toBe('cleaned');
    expect(registry.stats.faults).toBeGreaterThan(0);
    expect(await registry.drain()).toMatchObject({ cleaned: 1, complete: true });
  });

  it('is broken from the start, and works all the same', async () => {
    const { governor, breakIt } = breakable(setUp().governor);
    breakIt();
    await using registry = new ResourceRegistry({ name: 'things', maxCount: 2, maxBytes: MIB, governor });
    expect(await registry.register({ name: 'a', bytes: 1, dispose: () => {} }).release()).toBe('cleaned');
  });

  it('refuses what is no governor', () => {
    const governor = {} as Governor;
    expect(() => new ResourceRegistry({ name: 'x', maxCount: 1, maxBytes: 1, governor })).toThrow('`governor`');
  });

  it('is told of by the books of a disposed governor no more', async () => {
    const governor = createGovernor({ limitBytes: 10 * MIB, runtimeBytes: 0, meters: [] });
    const registry = new ResourceRegistry({ name: 'things', maxCount: 9, maxBytes: MIB, governor });
    registry.register({ name: 'a', bytes: 9 * KIB, dispose: () => {} });
    expect(row(governor)!.heldBytes).toBeGreaterThanOrEqual(9 * KIB);
    governor[Symbol.dispose]();
    // More than was asked for ahead: nobody can be asked for it, so the registry goes on alone.
    registry.register({ name: 'b', bytes: 500 * KIB, dispose: () => {} });
    expect(registry.bytes).toBe(509 * KIB);
    expect(row(governor)).toBeUndefined();
    expect(governor.heldBytes).toBe(0);
    expect(await registry.drain()).toMatchObject({ cleaned: 2, complete: true });
  });
});

describe('a registry with a leak tracker', () => {
  const track = () => {
    const leakTracker = new LeakTracker({ level: 'paranoid' });
    return { leakTracker, ...open({ leakTracker, maxCount: 4 }) };
  };

  it('follows handles until the resource has left, however it does', async () => {
    const { leakTracker, registry, register } = track();
    const handles = ['a', 'b', 'c', 'd'].map((name) => register(name, 1));
    expect(leakTracker.stats.open).toBe(4);
    await handles[0]!.release();
    handles[1]!.take();
    expect(leakTracker.stats.open).toBe(2);
    for (let i = 0; i < 4; i++) register(`${i}`, 1);
    expect(handles[2]!.registered).toBe(false);
    expect(leakTracker.stats.open).toBe(4);
    await registry.drain();
    expect(leakTracker.stats).toMatchObject({ open: 0, leaked: 0, sampled: 8 });
  });

  it('reports a handle that was forgotten; the resource is not lost with it', async () => {
    const { leakTracker, registry, cleaned, register } = track();
    (() => void register('forgotten', 1))();
    for (let i = 0; i < 100 && leakTracker.stats.leaked === 0; i++) {
      globalThis.gc!();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(leakTracker.stats).toMatchObject({ leaked: 1, open: 0 });
    expect(await registry.drain()).toMatchObject({ cleaned: 1 });
    expect(cleaned).toEqual(['forgotten']);
  });

  it('follows holds until they are let go, and nothing of what is added by id', async () => {
    const { leakTracker, registry } = track();
    const id = registry.add({ name: 'a', dispose: () => {} });
    expect(leakTracker.stats.open).toBe(0);
    const hold = registry.hold(id);
    expect(leakTracker.stats.open).toBe(1);
    hold[Symbol.dispose]();
    expect(leakTracker.stats.open).toBe(0);
  });
});
