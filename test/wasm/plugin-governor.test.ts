import { createGovernor, type Governor, ManualClock, type Reclaimer } from 'plimsoll';
import { PluginHost } from 'plimsoll/wasm';
import { afterEach, describe, expect, it } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { reclaimerContract } from '../contract/reclaimer.ts';
import { CAP_BYTES } from './hostile-modules.ts';
import { plugin, STAGE, text } from './plugin-set-up.ts';

const BOUNDS = { maxPluginBytes: 2 * CAP_BYTES, maxTotalBytes: 4 * CAP_BYTES, warmInstances: 0 };
const MIB = 2 ** 20;
const WORKER_BYTES = 10 * MIB;

function governed(limitBytes = 2 ** 30): Governor {
  return createGovernor({ limitBytes, runtimeBytes: 0, clock: new ManualClock(), meters: [], mode: 'on' });
}
const rows = (governor: Governor) =>
  Object.fromEntries(governor.snapshot().consumers.map(({ name, kind, heldBytes }) => [name, [kind, heldBytes]]));

describe('what plugins hold in the ledger', () => {
  it('the declared maximum is charged up front, whatever is used, and given back when the worker is gone', async () => {
    using governor = governed();
    await using host = new PluginHost({ ...BOUNDS, governor });
    const instance = await host.open(await plugin(), STAGE);
    expect(instance.memoryBytes).toBe(65_536);
    expect(rows(governor)).toMatchObject({
      plugins: ['wasm', CAP_BYTES],
      'plugins: guest': ['wasm', CAP_BYTES],
      'plugins (workers)': ['external', WORKER_BYTES],
    });
    await instance.process(Buffer.alloc(50_000));
    expect(rows(governor)['plugins (workers)']![1]).toBeGreaterThan(WORKER_BYTES + 100_000);
    await instance.finalize();
    expect(rows(governor)).toMatchObject({ plugins: ['wasm', 0], 'plugins (workers)': ['external', 0] });
  });

  it('where the governor has no room nothing is started, and it is no failure', async () => {
    using governor = governed(WORKER_BYTES + CAP_BYTES / 2);
    await using host = new PluginHost({ ...BOUNDS, governor });
    const guest = await plugin();
    await expect(host.open(guest, STAGE)).rejects.toMatchObject({
      code: 'PLIMSOLL_PLUGIN_NO_ROOM',
      recovery: 'fallback',
    });
    await expect(host.open(guest, STAGE)).rejects.toThrow(/the governor has no room/);
    expect([host.failures(guest), host.stats.chargedBytes, host.stats.running]).toEqual([0, 0, 0]);
    const small = await host.open(await plugin({}, { maxHeapBytes: 65_536 }), STAGE);
    expect(text(await small.process(Buffer.from('small')))).toBe('small');
  });

  it('no warm worker is kept that others would have to make room for', async () => {
    using governor = governed(2 * WORKER_BYTES + CAP_BYTES);
    await using host = new PluginHost({ ...BOUNDS, governor, warmInstances: 2 });
    await host.open(await plugin(), STAGE);
    expect(host.stats.warm).toBe(0);
  });

  it('a governor that breaks takes nothing down: the host goes on by its own bounds', async () => {
    const { governor, breakIt } = breakable(governed());
    await using host = new PluginHost({ ...BOUNDS, governor });
    const first = await host.open(await plugin(), STAGE);
    breakIt();
    expect(text(await first.process(Buffer.from('first')))).toBe('first');
    const second = await host.open(await plugin(), STAGE);
    expect(text(await second.process(Buffer.from('second')))).toBe('second');
    await expect(host.open(await plugin(), STAGE)).rejects.toMatchObject({ code: 'PLIMSOLL_PLUGIN_NO_ROOM' });
    await first.finalize();
    await second.finalize();
    expect(host.stats).toMatchObject({ running: 0, chargedBytes: 0 });
    expect(host.stats.faults).toBeGreaterThan(0);
  });

  it('a governor that is disposed under it changes nothing either', async () => {
    const governor = governed();
    await using host = new PluginHost({ ...BOUNDS, governor });
    const instance = await host.open(await plugin(), STAGE);
    governor[Symbol.dispose]();
    expect(text(await instance.process(Buffer.from('on')))).toBe('on');
    await instance.finalize();
    await (await host.open(await plugin(), STAGE)).finalize();
  });

  it('says in the snapshot what it runs, and that a plugin is off', async () => {
    using governor = governed();
    await using host = new PluginHost({ ...BOUNDS, governor, maxFailures: 1 });
    await host.open(await plugin({}, { name: 'good' }), STAGE);
    const bad = await host.open(await plugin({ process: '(unreachable)' }, { name: 'bad' }), STAGE);
    await bad.process(new Uint8Array(1)).catch(() => {});
    const row = governor.snapshot().consumers.find(({ name }) => name === 'plugins');
    expect(row).toMatchObject({
      holder: {
        type: 'plugin host',
        health: 'degraded',
        why: '1 plugin is off',
        counts: { running: 1, failures: 1, off: 1 },
      },
    });
  });
});

describe('warm workers give back', () => {
  const hosts: PluginHost[] = [];
  afterEach(async () => {
    for (const host of hosts.splice(0)) await host[Symbol.asyncDispose]();
  });

  reclaimerContract({
    name: 'plugin host',
    bytes: 2 * WORKER_BYTES,
    async fill(governor) {
      let reclaimer: Reclaimer | undefined;
      const consumer = governor.consumer.bind(governor);
      governor.consumer = (options) => {
        reclaimer ??= options.reclaimer;
        return consumer(options);
      };
      const host = new PluginHost({ ...BOUNDS, governor, warmInstances: 2 });
      hosts.push(host);
      await host.open(await plugin(), STAGE);
      return { consumerName: 'plugins (workers)', reclaimer: reclaimer!, pinnedBytes: WORKER_BYTES };
    },
  });

  it('idle warm ones go first, and what runs is put into smaller memories', async () => {
    using governor = governed();
    const host = new PluginHost({ ...BOUNDS, governor, warmInstances: 2 });
    hosts.push(host);
    const growing = await plugin({ process: '(drop (memory.grow (i32.const 8))) (i32.const 0)' });
    const instance = await host.open(growing, STAGE);
    await instance.process(new Uint8Array(0));
    expect(host.stats.warm).toBe(2);
    await governor.reclaim({ targetBytes: 1, strategy: 'basic' });
    expect([host.stats.warm, instance.memoryBytes]).toEqual([1, 9 * 65_536]);
    await governor.reclaim({ targetBytes: 5 * WORKER_BYTES, strategy: 'aggressive' });
    expect([host.stats.warm, instance.memoryBytes]).toEqual([0, 65_536]);
    expect(instance.failure).toBeUndefined();
  });
});
