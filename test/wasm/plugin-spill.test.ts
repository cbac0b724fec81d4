import { nodeSpillFs, SpillFolder, type SpillFs } from 'plimsoll/spill';
import { PluginHost } from 'plimsoll/wasm';
import { describe, expect, it } from 'vitest';
import { MAX_SPILL_RECORD_BYTES, SPILL_ERROR } from '../../src/wasm/abi-contract.ts';
import { PluginSpill } from '../../src/wasm/plugin-spill.ts';
import { CAP_BYTES } from './hostile-modules.ts';
import { openSpill, plugin, STAGE } from './plugin-set-up.ts';

const bytesOf = (text: string | Uint8Array) => new Uint8Array(Buffer.from(text)).buffer;
const write = (spill: PluginSpill, bytes: string | Uint8Array) =>
  spill.answer({ verb: 'write', handle: -1, bytes: bytesOf(bytes) });
const read = (spill: PluginSpill, handle: number) => spill.answer({ verb: 'read', handle });

/** A spill folder whose file system does as it is told. */
async function openFaulty(fault: { code: string | undefined; flip: boolean }) {
  const fs: SpillFs = {
    ...nodeSpillFs,
    async open(...args: Parameters<SpillFs['open']>) {
      const file = await nodeSpillFs.open(...args);
      return new Proxy(file, {
        get(target, name) {
          const member = Reflect.get(target, name) as unknown;
          if (typeof member !== 'function') return member;
          return async (...rest: unknown[]) => {
            if (fault.code !== undefined && /^write/.test(String(name))) {
              throw Object.assign(new Error('told to fail'), { code: fault.code });
            }
            const result = await (member as (...all: unknown[]) => unknown).apply(target, rest);
            if (fault.flip && name === 'read') (rest[0] as Uint8Array)[25]! ^= 1;
            return result;
          };
        },
      });
    },
  };
  const home = await openSpill();
  const folder = await SpillFolder.open(home.parent, { maxBytes: 2 ** 22, allowMemoryBacked: true, fs });
  return Object.assign(folder, { home });
}

describe('what an instance has on disk', () => {
  it('comes back as it was, by handles that are never given twice', async () => {
    await using folder = await openSpill();
    const spill = new PluginSpill(folder, 2 ** 20);
    const handles = [
      (await write(spill, 'one')).result,
      (await write(spill, '')).result,
      (await write(spill, 'three')).result,
    ];
    expect(handles).toEqual([0, 1, 2]);
    expect(Buffer.from((await read(spill, 2)).bytes!).toString()).toBe('three');
    expect((await read(spill, 1)).bytes!.byteLength).toBe(0);
    expect((await spill.answer({ verb: 'size', handle: 0 })).result).toBe(3);
    expect((await spill.answer({ verb: 'free', handle: 0 })).result).toBe(0);
    expect((await write(spill, 'four')).result).toBe(3);
    for (const verb of ['size', 'read', 'free'] as const) {
      for (const handle of [0, -1, 4, 1.5, Number.NaN]) {
        expect((await spill.answer({ verb, handle })).result, `${verb} ${handle}`).toBe(SPILL_ERROR.noHandle);
      }
    }
    await spill.close();
    expect([spill.bytes, spill.recordCount, folder.stats.recordCount]).toEqual([0, 0, 0]);
  });

  it('has a quota of its own, and room that was let go can be used again', async () => {
    await using folder = await openSpill();
    const spill = new PluginSpill(folder, 1_000);
    expect((await write(spill, Buffer.alloc(600))).result).toBe(0);
    expect((await write(spill, Buffer.alloc(400))).result).toBe(SPILL_ERROR.noRoom);
    expect((await spill.answer({ verb: 'free', handle: 0 })).result).toBe(0);
    expect((await write(spill, Buffer.alloc(400))).result).toBe(1);
    await spill.close();
  });

  it('a record that is too long, and no folder at all, are numbers', async () => {
    await using folder = await openSpill();
    const spill = new PluginSpill(folder, 2 ** 22);
    expect((await write(spill, Buffer.alloc(MAX_SPILL_RECORD_BYTES + 1))).result).toBe(SPILL_ERROR.tooLong);
    await spill.close();
    expect((await write(spill, 'late')).result).toBe(SPILL_ERROR.none);
    expect((await write(new PluginSpill(undefined, 0), 'nowhere')).result).toBe(SPILL_ERROR.none);
  });

  it('the quota of the folder, a full disk and a broken one are told apart, and nothing is booked', async () => {
    const fault: { code: string | undefined; flip: boolean } = { code: undefined, flip: false };
    const folder = await openFaulty(fault);
    const spill = new PluginSpill(folder, 2 ** 23);
    const full = [];
    for (let i = 0; i < 5; i++) full.push((await write(spill, Buffer.alloc(MAX_SPILL_RECORD_BYTES))).result);
    expect(full.at(-1)).toBe(SPILL_ERROR.noRoom);
    const before = spill.bytes;
    for (const handle of full) await spill.answer({ verb: 'free', handle });
    expect(before).toBeGreaterThan(0);
    expect(spill.bytes).toBe(0);
    fault.code = 'ENOSPC';
    expect((await write(spill, 'x')).result).toBe(SPILL_ERROR.noRoom);
    fault.code = 'EIO';
    expect((await write(spill, 'x')).result).toBe(SPILL_ERROR.failed);
    expect(spill.bytes).toBe(0);
    await spill.close();
    await folder[Symbol.asyncDispose]();
    await folder.home[Symbol.asyncDispose]();
  });

  it('what has changed on the disk is never handed out', async () => {
    const fault = { code: undefined, flip: false };
    const folder = await openFaulty(fault);
    const spill = new PluginSpill(folder, 2 ** 20);
    const { result } = await write(spill, Buffer.alloc(100, 'a'));
    fault.flip = true;
    expect(await read(spill, result)).toEqual({ result: SPILL_ERROR.failed });
    await spill.close();
    await folder[Symbol.asyncDispose]();
    await folder.home[Symbol.asyncDispose]();
  });

  it('an instance that is ended in the middle of spilling leaves nothing', async () => {
    await using folder = await openSpill();
    await using host = new PluginHost({
      maxPluginBytes: CAP_BYTES,
      maxTotalBytes: CAP_BYTES,
      spill: folder,
      maxSpillBytes: 2 ** 21,
      warmInstances: 0,
    });
    const controller = new AbortController();
    const writing = await plugin({
      process: `(call $log (i32.const 0) (i32.const 0) (i32.const 1))
        (loop $l (drop (call $spill_write (i32.const 0) (i32.const 30000))) (br $l)) (unreachable)`,
    });
    const instance = await host.open(writing, STAGE);
    const call = instance.process(new Uint8Array(1), { signal: controller.signal });
    while (host.stats.spilledBytes < 100_000) await new Promise(setImmediate);
    controller.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    expect(host.stats).toMatchObject({ running: 0, spilledBytes: 0 });
    expect(folder.stats.recordCount).toBe(0);
  });
});
