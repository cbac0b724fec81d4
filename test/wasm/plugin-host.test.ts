import { type PluginEvent, pluginEvents } from 'plimsoll';
import { type Plugin, PluginHost, type PluginHostOptions } from 'plimsoll/wasm';
import { describe, expect, it } from 'vitest';
import { CAP_BYTES } from './hostile-modules.ts';
import { openSpill, plugin, STAGE, text } from './plugin-set-up.ts';
import type { GuestParts } from './wat.ts';

const BOUNDS = { maxPluginBytes: 2 * CAP_BYTES, maxTotalBytes: 4 * CAP_BYTES, warmInstances: 0 };

/** Says what it is asked, by logging a letter for each call. */
const TELLING: GuestParts = {
  fields: '(data (i32.const 16) "iprf")',
  init: '(call $log (i32.const 1) (i32.const 16) (i32.const 1)) (i32.const 0)',
  process: `(call $log (i32.const 1) (i32.const 17) (i32.const 1))
    (if (i32.eqz (local.get $len)) (then (unreachable)))
    (drop (call $emit (local.get $ptr) (local.get $len)))
    (i32.eq (local.get $len) (i32.const 13))`,
  pressure: '(call $log (local.get $level) (i32.const 18) (i32.const 1))',
  finalize: '(call $log (i32.const 1) (i32.const 19) (i32.const 1)) (call $emit (i32.const 16) (i32.const 4))',
};

function hostWithLog(options: Partial<PluginHostOptions> = {}) {
  const lines: string[] = [];
  const host = new PluginHost({ ...BOUNDS, onLog: (_, level, line) => lines.push(`${line}${level}`), ...options });
  return { host, lines };
}

describe.each(['worker', 'process'] as const)('an instance, isolation %s', (isolation) => {
  it('is asked init, process, pressure and finalize, in order, and puts out bytes', async () => {
    const { host, lines } = hostWithLog({ isolation });
    await using _ = host;
    const instance = await host.open(await plugin({ ...TELLING, memory: '(memory (export "memory") 2)' }), {
      ...STAGE,
      config: Buffer.from('{}'),
    });
    expect(text(await instance.process(Buffer.from('first')))).toBe('first');
    instance.pressure('critical');
    expect(text(await instance.process(Buffer.alloc(100_000, 'x')))).toBe('x'.repeat(100_000));
    expect(instance.memoryBytes).toBe(65_536 * 2);
    expect(text(await instance.finalize())).toBe('iprf');
    expect(lines).toEqual(['i1', 'p1', 'r3', 'p1', 'f1']);
    await expect(instance.process(new Uint8Array(1))).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
    expect(host.stats).toMatchObject({ running: 0, chargedBytes: 0, opened: 1, failures: 0 });
  });

  it('finalize is asked for after an error too, and after a trap, and once', async () => {
    const { host, lines } = hostWithLog({ isolation, maxFailures: 10 });
    await using _ = host;
    const failing = await host.open(await plugin(TELLING), STAGE);
    await expect(failing.process(new Uint8Array(13))).rejects.toMatchObject({ code: 'PLIMSOLL_PLUGIN_FAILED' });
    expect(failing.failure).toMatchObject({ code: 'PLIMSOLL_PLUGIN_FAILED' });
    const trapping = await host.open(await plugin(TELLING), STAGE);
    await expect(trapping.process(new Uint8Array(0))).rejects.toMatchObject({ code: 'PLIMSOLL_PLUGIN_TRAP' });
    await trapping[Symbol.asyncDispose]();
    await expect(trapping.finalize()).rejects.toBe(trapping.failure);
    expect(lines).toEqual(['i1', 'p1', 'f1', 'i1', 'p1', 'f1']);
    expect(host.stats).toMatchObject({ running: 0, chargedBytes: 0, failures: 2 });
  });

  it('a spinning guest is ended, and the charge is given back by the time that the call rejects', async () => {
    const { host } = hostWithLog({ isolation, timeoutMs: 200 });
    await using _ = host;
    const instance = await host.open(await plugin({ process: '(loop $l (br $l)) (unreachable)' }), STAGE);
    await expect(instance.process(new Uint8Array(1))).rejects.toMatchObject({
      code: 'PLIMSOLL_PLUGIN_TIMEOUT',
      timeoutMs: 200,
    });
    expect(host.stats).toMatchObject({ running: 0, chargedBytes: 0 });
  });

  it('spills, reads back and loses nothing', async () => {
    await using spill = await openSpill();
    const { host } = hostWithLog({ isolation, spill, maxSpillBytes: 2 ** 20 });
    await using _ = host;
    const spilling = await plugin({
      fields: '(global $h (mut i32) (i32.const -1))',
      process: `(global.set $h (call $spill_write (local.get $ptr) (local.get $len)))
        (memory.fill (local.get $ptr) (i32.const 0) (local.get $len)) (i32.const 0)`,
      finalize: `(drop (call $spill_read (global.get $h) (i32.const 2) (i32.const 2048) (i32.const 3)))
        (drop (call $emit (i32.const 2048) (i32.const 3)))
        (drop (call $spill_read (global.get $h) (i32.const 0) (i32.const 2048) (call $spill_size (global.get $h))))
        (call $emit (i32.const 2048) (i32.const 9))`,
    });
    const instance = await host.open(spilling, STAGE);
    await instance.process(Buffer.from('spilled: '));
    expect(host.stats.spilledBytes).toBeGreaterThan(0);
    expect(text(await instance.finalize())).toBe('illspilled: ');
    expect([spill.stats.puts, spill.stats.gets, spill.stats.recordCount]).toEqual([1, 1, 0]);
  });

  it('gets a smaller memory by reclaim, with its state', async () => {
    const { host } = hostWithLog({ isolation });
    await using _ = host;
    const instance = await host.open(await plugin(COUNTING), STAGE);
    await instance.process(Buffer.from([8]));
    expect(instance.memoryBytes).toBe(9 * 65_536);
    expect(await instance.reclaim()).toBe(8 * 65_536);
    expect(instance.memoryBytes).toBe(65_536);
    expect([...(await instance.process(Buffer.from([1])))]).toEqual([2, 7]);
    expect(host.stats).toMatchObject({ reclaims: 1, reclaimedBytes: 8 * 65_536, chargedBytes: CAP_BYTES });
  });

  it('a worker that cannot start is an error with a code, and counts', async () => {
    const beforeStart = () => {
      throw new Error('no more threads');
    };
    const { host } = hostWithLog({ isolation, beforeStart });
    await using _ = host;
    const guest = await plugin();
    await expect(host.open(guest, STAGE)).rejects.toMatchObject({
      code: 'PLIMSOLL_PLUGIN_WORKER',
      message: 'plugin guest: its worker could not be started: no more threads',
    });
    expect(host.failures(guest)).toBe(1);
    expect(host.stats).toMatchObject({ running: 0, chargedBytes: 0 });
  });
});

/** Grows by as many pages as the first byte says; counts its calls in a global; keeps a 7 in memory. */
const COUNTING: GuestParts = {
  fields: '(global $calls (mut i32) (i32.const 0)) (data (i32.const 100) "\\07")',
  process: `(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (drop (memory.grow (i32.load8_u (local.get $ptr))))
    (i32.store8 (i32.const 99) (global.get $calls))
    (call $emit (i32.const 99) (i32.const 2))`,
};

describe('an instance', () => {
  it('calls are made one after the other, and outputs that nobody has looked at are not overwritten', async () => {
    await using host = new PluginHost(BOUNDS);
    const instance = await host.open(await plugin({ memory: '(memory (export "memory") 4)' }), STAGE);
    const batches = Array.from({ length: 20 }, (_, i) => Buffer.alloc(1_000 * i, i));
    const outputs = await Promise.all(batches.map((batch) => instance.process(batch)));
    expect(outputs.map((output, i) => Buffer.compare(output, batches[i]!))).toEqual(batches.map(() => 0));
  });

  it('a failed call leaves the batch as it was', async () => {
    await using host = new PluginHost(BOUNDS);
    const instance = await host.open(await plugin({ process: '(unreachable)' }), STAGE);
    const batch = Buffer.from('untouched');
    await expect(instance.process(batch)).rejects.toMatchObject({ code: 'PLIMSOLL_PLUGIN_TRAP' });
    expect(text(batch)).toBe('untouched');
  });

  it('all later calls of a failed one reject with the same error', async () => {
    await using host = new PluginHost(BOUNDS);
    const instance = await host.open(await plugin({ process: '(unreachable)' }), STAGE);
    const first = await instance.process(new Uint8Array(1)).catch((error: Error) => error);
    await expect(instance.process(new Uint8Array(1))).rejects.toBe(first);
    await expect(instance.reclaim()).rejects.toBe(first);
    expect(() => instance.pressure('high')).not.toThrow();
  });

  it('an abort ends it, and is no failure of the plugin', async () => {
    await using host = new PluginHost(BOUNDS);
    const guest = await plugin({ process: '(loop $l (br $l)) (unreachable)' });
    const instance = await host.open(guest, STAGE);
    const controller = new AbortController();
    const call = instance.process(new Uint8Array(1), { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    expect([host.failures(guest), host.stats.running, host.stats.chargedBytes]).toEqual([0, 0, 0]);
    await expect(host.open(guest, { ...STAGE, signal: controller.signal })).rejects.toThrow('enough');
  });

  it('pressure is told once for each change, and where it fails the next call says so', async () => {
    const { host, lines } = hostWithLog();
    await using _ = host;
    const instance = await host.open(await plugin(TELLING), { ...STAGE, level: 'moderate' });
    for (const level of ['moderate', 'high', 'critical', 'critical'] as const) instance.pressure(level);
    await instance.process(Buffer.from('x'));
    expect(lines).toEqual(['i1', 'r3', 'p1']);
    const bad = await host.open(await plugin({ pressure: '(unreachable)' }), STAGE);
    bad.pressure('emergency');
    await expect(bad.process(new Uint8Array(1))).rejects.toMatchObject({ code: 'PLIMSOLL_PLUGIN_TRAP' });
  });

  it('sees the level change in the middle of a call', async () => {
    const { host, lines } = hostWithLog();
    await using _ = host;
    const waiting = await plugin({
      process: `(call $log (call $pressure) (i32.const 0) (i32.const 1))
        (loop $l (br_if $l (i32.ne (call $pressure) (i32.const 4)))) (i32.const 0)`,
    });
    const instance = await host.open(waiting, { ...STAGE, level: 'moderate' });
    const call = instance.process(new Uint8Array(1));
    while (lines.length === 0) await new Promise(setImmediate);
    instance.pressure('emergency');
    await call;
    expect(lines).toEqual([' 1']);
  });

  it('disposing finalizes, gives everything back, and twice is safe', async () => {
    const { host, lines } = hostWithLog();
    const instance = await host.open(await plugin(TELLING), STAGE);
    const other = await host.open(await plugin(TELLING), STAGE);
    await instance[Symbol.asyncDispose]();
    await instance[Symbol.asyncDispose]();
    await host[Symbol.asyncDispose]();
    await host[Symbol.asyncDispose]();
    expect(lines).toEqual(['i1', 'i1', 'f1', 'f1']);
    await expect(other.process(new Uint8Array(1))).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
    await expect(host.open(await plugin(), STAGE)).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
  });
});

describe('the host', () => {
  it('after maxFailures a plugin is off, and says so by an event; others are not', async () => {
    const events: PluginEvent[] = [];
    using _listening = pluginEvents.subscribe((event) => events.push(event));
    await using host = new PluginHost({ ...BOUNDS, maxFailures: 2 });
    const bad = await plugin({ process: '(unreachable)' }, { name: 'bad' });
    for (let round = 1; round <= 2; round++) {
      const instance = await host.open(bad, STAGE);
      await expect(instance.process(new Uint8Array(1))).rejects.toMatchObject({ code: 'PLIMSOLL_PLUGIN_TRAP' });
      expect([host.failures(bad), host.isOff(bad)]).toEqual([round, round === 2]);
    }
    await expect(host.open(bad, STAGE)).rejects.toMatchObject({
      code: 'PLIMSOLL_PLUGIN_OFF',
      message: 'plugin bad: is off after 2 failures',
    });
    const good = await plugin();
    await (await host.open(good, STAGE)).finalize();
    expect([host.isOff(good), host.stats.off]).toEqual([false, 1]);
    expect(events.map(({ plugin: name, what, failures }) => [name, what, failures])).toEqual([
      ['bad', 'failed', 1],
      ['bad', 'off', 2],
    ]);
  });

  it('init that refuses is no failure, whatever it says in its own words', async () => {
    await using host = new PluginHost({ ...BOUNDS, maxFailures: 1 });
    const refusing = await plugin({
      fields: '(data (i32.const 0) "no such rule")',
      init: '(call $fail (i32.const 0) (i32.const 12)) (i32.const 1)',
    });
    for (let i = 0; i < 2; i++) {
      await expect(host.open(refusing, STAGE)).rejects.toMatchObject({
        code: 'PLIMSOLL_PLUGIN_REFUSED',
        message: 'plugin guest: no such rule',
      });
    }
    expect([host.failures(refusing), host.stats.chargedBytes]).toEqual([0, 0]);
  });

  it('memory of one plugin, of all together, and workers have bounds', async () => {
    await using host = new PluginHost({
      maxPluginBytes: CAP_BYTES,
      maxTotalBytes: 2 * CAP_BYTES,
      maxInstances: 3,
      warmInstances: 0,
    });
    const open = async (name: string, maxHeapBytes = CAP_BYTES) =>
      host.open(await plugin({}, { name, maxHeapBytes }), STAGE);
    const one = await open('one');
    await expect(open('one')).rejects.toMatchObject({ code: 'PLIMSOLL_PLUGIN_NO_ROOM', requestedBytes: CAP_BYTES });
    await open('two', CAP_BYTES / 2);
    await open('three', CAP_BYTES / 2);
    await expect(open('four', 65_536)).rejects.toThrow(/3 instances are running/);
    await one.finalize();
    await open('four', CAP_BYTES / 2);
    await expect(open('five')).rejects.toThrow(/3 instances/);
    expect(host.stats).toMatchObject({ running: 3, chargedBytes: 1.5 * CAP_BYTES, failures: 0 });
  });

  it('all together is a bound of its own', async () => {
    await using host = new PluginHost({
      maxPluginBytes: CAP_BYTES,
      maxTotalBytes: CAP_BYTES + 65_536,
      warmInstances: 0,
    });
    await host.open(await plugin({}, { name: 'one' }), STAGE);
    await expect(host.open(await plugin({}, { name: 'two' }), STAGE)).rejects.toThrow(
      /1048576 of 1114112 bytes for plugins/,
    );
    await host.open(await plugin({}, { name: 'two', maxHeapBytes: 65_536 }), STAGE);
  });

  it('a plugin that would have more gets what there is, unless it needs more', async () => {
    await using host = new PluginHost({ ...BOUNDS, maxPluginBytes: 4 * 65_536 });
    const grow: GuestParts = {
      process: `(loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        (i32.store (i32.const 0) (memory.size)) (call $emit (i32.const 0) (i32.const 1))`,
    };
    const instance = await host.open(await plugin(grow), STAGE);
    expect([...(await instance.process(new Uint8Array(0)))]).toEqual([4]);
    expect(host.stats.chargedBytes).toBe(4 * 65_536);
    await expect(host.open(await plugin(grow, { minHeapBytes: 5 * 65_536 }), STAGE)).rejects.toMatchObject({
      code: 'PLIMSOLL_PLUGIN_REJECTED',
      message: 'plugin guest: needs 327680 bytes of memory, and may have 262144',
    });
  });

  it('a warm worker is used for the next instance, and never one that has run', async () => {
    await using host = new PluginHost({ ...BOUNDS, warmInstances: 1 });
    const counting = await plugin(COUNTING);
    const first = await host.open(counting, STAGE);
    expect([...(await first.process(Buffer.from([0])))]).toEqual([1, 7]);
    expect(host.stats).toMatchObject({ warm: 1, warmStarts: 0 });
    await first.finalize();
    const second = await host.open(counting, STAGE);
    expect(host.stats).toMatchObject({ warm: 1, warmStarts: 1 });
    expect([...(await second.process(Buffer.from([0])))]).toEqual([1, 7]);
  });

  it('disposing it while an instance is being opened leaves nothing behind', async () => {
    const host = new PluginHost(BOUNDS);
    const opening = host.open(await plugin(), STAGE);
    await host[Symbol.asyncDispose]();
    await opening
      .then((instance) => instance.process(new Uint8Array(1)))
      .catch((error) => expect(error.code).toBe('PLIMSOLL_DISPOSED'));
    expect(host.stats).toMatchObject({ running: 0, chargedBytes: 0, warm: 0 });
  });

  it.each([
    ['no bound', {}, /maxPluginBytes/],
    ['no total', { maxPluginBytes: 65_536 }, /maxTotalBytes/],
    [
      'a total that has no room for one',
      { maxPluginBytes: 131_072, maxTotalBytes: 65_536 },
      /`maxTotalBytes` to be at least `maxPluginBytes` \(131072\)/,
    ],
    ['less than a page', { ...BOUNDS, maxPluginBytes: 1_000 }, /maxPluginBytes/],
    ['an unknown option', { ...BOUNDS, timeout: 5 }, /did you mean `timeoutMs`/],
    ['a spill without a quota', { ...BOUNDS, spill: { put() {} } }, /maxSpillBytes/],
    ['no governor', { ...BOUNDS, governor: {} }, /governor/],
    ['a mode that is none', { ...BOUNDS, isolation: 'thread' }, /isolation/],
  ])('refuses options that are not sound: %s', (_, options, message) => {
    expect(() => new PluginHost(options as unknown as PluginHostOptions)).toThrow(message as RegExp);
  });

  it('refuses a plugin that nobody checked, and a stage that it does not name', async () => {
    await using host = new PluginHost(BOUNDS);
    await expect(host.open({} as Plugin, STAGE)).rejects.toThrow(/`plugin`/);
    await expect(host.open(await plugin(), { stage: 'sorting' })).rejects.toThrow(/`stage` to be one of `filtering`/);
    await expect(host.open(await plugin(), { ...STAGE, config: new Uint8Array(2 ** 21) })).rejects.toThrow(/`config`/);
    await expect(host.open(await plugin(), { ...STAGE, stages: 1 } as never)).rejects.toThrow(
      /Unknown option `stages`/,
    );
  });
});
