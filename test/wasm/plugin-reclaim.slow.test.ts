import { PluginHost } from 'plimsoll/wasm';
import { describe, expect, it } from 'vitest';
import { CAP_BYTES } from './hostile-modules.ts';
import { openSpill, plugin, STAGE } from './plugin-set-up.ts';
import type { GuestParts } from './wat.ts';

const BOUNDS = { maxPluginBytes: CAP_BYTES, maxTotalBytes: 4 * CAP_BYTES, warmInstances: 0 };
const PAGE = 65_536;

async function opened(parts: GuestParts) {
  const host = new PluginHost(BOUNDS);
  return { host, instance: await host.open(await plugin(parts), STAGE) };
}

/** Twelve pages, filled; the batch says how much of it is in use from then on. */
const FILLED: GuestParts = {
  memory: '(memory (export "memory") 1 16)',
  fields: '(global $used (mut i32) (i32.const 0))',
  process: `(if (i32.eq (memory.size) (i32.const 1)) (then (drop (memory.grow (i32.const 11)))))
    (memory.fill (i32.const 65536) (i32.const 170) (i32.const 720896))
    (global.set $used (i32.load (local.get $ptr)))
    (call $emit (i32.const 65536) (i32.const 16))`,
};

describe('reclaim: snapshot, fresh instance, restore', () => {
  it('does nothing where there is nothing to be had', async () => {
    const { host, instance } = await opened(FILLED);
    await using _ = host;
    expect(await instance.reclaim()).toBe(0);
    await instance.process(Buffer.alloc(4));
    expect(instance.memoryBytes).toBe(12 * PAGE);
    expect(await instance.reclaim()).toBe(0);
    expect(host.stats).toMatchObject({ reclaims: 0, chargedBytes: CAP_BYTES, bufferBytes: expect.any(Number) });
  });

  it('a guest that clears what it does not use gets rid of it', async () => {
    const trim = `(memory.fill (i32.add (i32.const 65536) (global.get $used)) (i32.const 0)
      (i32.sub (i32.const 720896) (global.get $used)))`;
    const { host, instance } = await opened({ ...FILLED, trim });
    await using _ = host;
    await instance.process(Buffer.from(new Uint32Array([PAGE + 5]).buffer));
    expect(await instance.reclaim()).toBe(9 * PAGE);
    expect(instance.memoryBytes).toBe(3 * PAGE);
  });

  it('memory and globals of every sort of number survive, to the bit', async () => {
    const { host, instance } = await opened({
      fields: `(global $a (mut i32) (i32.const 0)) (global $b (mut i64) (i64.const 0))
        (global $c (mut f32) (f32.const 0)) (global $d (mut f64) (f64.const 0))`,
      process: `(if (i32.eqz (global.get $a))
          (then (global.set $a (i32.const -2147483648)) (global.set $b (i64.const -9223372036854775807))
            (global.set $c (f32.const -0x1.fffffep-3)) (global.set $d (f64.const -0))
            (drop (memory.grow (i32.const 2)))
            (i64.store (i32.const 70000) (i64.const 0x0123456789abcdef))))
        (i32.store (i32.const 0) (global.get $a)) (i64.store (i32.const 4) (global.get $b))
        (f32.store (i32.const 12) (global.get $c)) (f64.store (i32.const 16) (global.get $d))
        (i64.store (i32.const 24) (i64.load (i32.const 70000)))
        (call $emit (i32.const 0) (i32.const 32))`,
    });
    await using _ = host;
    const before = (await instance.process(new Uint8Array(1))).slice();
    expect(await instance.reclaim()).toBe(PAGE);
    expect(await instance.process(new Uint8Array(1))).toEqual(before);
  });

  it('init and the start section leave no trace on what is restored', async () => {
    const { host, instance } = await opened({
      fields: `(global $g (mut i32) (i32.const 1)) (func $s (i32.store (i32.const 8) (i32.const 77))) (start $s)
        (data (i32.const 12) "data")`,
      init: '(i32.store (i32.const 16) (i32.const 5)) (global.set $g (i32.const 9)) (i32.const 0)',
      process: `(i32.store (i32.const 8) (i32.const 0)) (i32.store (i32.const 12) (i32.const 0)) (drop (memory.grow (i32.const 3)))
        (i32.const 0)`,
      finalize: '(i32.store (i32.const 20) (global.get $g)) (call $emit (i32.const 8) (i32.const 16))',
    });
    await using _ = host;
    await instance.process(new Uint8Array(0));
    expect(await instance.reclaim()).toBe(3 * PAGE);
    expect([...new Uint32Array((await instance.finalize()).slice().buffer)]).toEqual([0, 0, 5, 9]);
  });

  it.each([
    [
      'has changed its table',
      '(table $t 2 funcref) (elem (i32.const 0) $now)',
      '(table.set $t (i32.const 1) (table.get $t (i32.const 0)))',
    ],
    ['has grown its table', '(table $t 2 funcref)', '(drop (table.grow $t (ref.null func) (i32.const 1)))'],
    ['has globals whose values cannot be seen', '(global (mut v128) (v128.const i32x4 1 2 3 4))', ''],
    ['has globals of references', '(global (mut funcref) (ref.null func))', ''],
  ])('a guest that %s goes on as it is', async (_, fields, does) => {
    const { host, instance } = await opened({
      fields: `(global $calls (mut i32) (i32.const 0)) ${fields}`,
      process: `(if (i32.eqz (global.get $calls)) (then (drop (memory.grow (i32.const 3))) ${does}))
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (i32.store (i32.const 0) (global.get $calls)) (call $emit (i32.const 0) (i32.const 4))`,
    });
    await using _host = host;
    await instance.process(new Uint8Array(0));
    expect(await instance.reclaim()).toBe(0);
    expect(instance.failure).toBeUndefined();
    expect((await instance.process(new Uint8Array(0)))[0]).toBe(2);
  });

  it('a table that is as it was does not stand in the way', async () => {
    const { host, instance } = await opened({
      fields:
        '(table $t 3 funcref) (elem (i32.const 1) $f $now) (func $f (result i32) (i32.const 42)) (type $f (func (result i32)))',
      process: `(drop (memory.grow (i32.const 1)))
        (i32.store (i32.const 0) (call_indirect (type $f) (i32.const 1))) (call $emit (i32.const 0) (i32.const 4))`,
    });
    await using _ = host;
    await instance.process(new Uint8Array(0));
    expect(await instance.reclaim()).toBe(PAGE);
    expect((await instance.process(new Uint8Array(0)))[0]).toBe(42);
  });

  it('what was spilled is still there', async () => {
    await using spill = await openSpill();
    await using host = new PluginHost({ ...BOUNDS, spill, maxSpillBytes: 2 ** 20 });
    const instance = await host.open(
      await plugin({
        fields: '(global $h (mut i32) (i32.const 0))',
        process: `(drop (memory.grow (i32.const 1)))
          (global.set $h (call $spill_write (local.get $ptr) (local.get $len))) (i32.const 0)`,
        finalize: `(drop (call $spill_read (global.get $h) (i32.const 0) (i32.const 0) (i32.const 7)))
          (call $emit (i32.const 0) (i32.const 7))`,
      }),
      STAGE,
    );
    await instance.process(Buffer.from('spilled'));
    expect(await instance.reclaim()).toBe(PAGE);
    expect(Buffer.from(await instance.finalize()).toString()).toBe('spilled');
  });

  it('a guest that traps while it tidies up fails, and its memory is given back', async () => {
    const { host, instance } = await opened({ ...FILLED, trim: '(unreachable)' });
    await using _ = host;
    await expect(instance.reclaim()).rejects.toMatchObject({ code: 'PLIMSOLL_PLUGIN_TRAP' });
    expect(host.stats).toMatchObject({ running: 0, chargedBytes: 0, failures: 1 });
  });

  it('where no fresh worker can be had the instance fails, so that the native stage takes over', async () => {
    let starts = 0;
    const beforeStart = () => {
      if (++starts === 2) throw new Error('no more threads');
    };
    await using host = new PluginHost({ ...BOUNDS, beforeStart });
    const trim = '(memory.fill (i32.const 65536) (i32.const 0) (i32.const 720896))';
    const instance = await host.open(await plugin({ ...FILLED, trim }), STAGE);
    await instance.process(Buffer.alloc(4));
    await expect(instance.reclaim()).rejects.toMatchObject({ code: 'PLIMSOLL_PLUGIN_WORKER' });
    expect(host.stats).toMatchObject({ running: 0, chargedBytes: 0, bufferBytes: 0 });
  });

  it('the host reclaims from all that are idle', async () => {
    await using host = new PluginHost({ ...BOUNDS, maxPluginBytes: 2 * CAP_BYTES, warmInstances: 1 });
    const trim = '(memory.fill (i32.const 65536) (i32.const 0) (i32.const 720896))';
    const filled = await plugin({ ...FILLED, trim });
    const instances = [await host.open(filled, STAGE), await host.open(filled, STAGE)];
    for (const instance of instances) await instance.process(Buffer.alloc(4));
    expect(host.stats).toMatchObject({ warm: 1, memoryBytes: 24 * PAGE });
    expect(await host.reclaim()).toBe(22 * PAGE);
    expect(host.stats).toMatchObject({ warm: 0, memoryBytes: 2 * PAGE, reclaims: 2 });
  });
});
