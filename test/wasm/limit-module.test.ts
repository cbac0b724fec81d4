import { describe, expect, it } from 'vitest';
import { globalExport, tableExport } from '../../src/wasm/abi-contract.ts';
import { limitModule } from '../../src/wasm/limit-module.ts';
import { encodeU32, ModuleFault } from '../../src/wasm/module-sections.ts';
import { readModuleShape } from '../../src/wasm/module-shape.ts';
import { guest } from './wat.ts';

const limited = (bytes: Uint8Array, pages: number): Uint8Array => limitModule(bytes, readModuleShape(bytes), pages);

/** An instance whose imports do nothing. */
function instantiate(bytes: Uint8Array, memory?: WebAssembly.Memory): Readonly<Record<string, unknown>> {
  const plimsoll = new Proxy({}, { get: () => () => 0 });
  const module = new WebAssembly.Module(bytes);
  return new WebAssembly.Instance(module, { plimsoll, env: { memory } } as WebAssembly.Imports).exports;
}

function mostPages(memory: WebAssembly.Memory): number {
  let pages = memory.buffer.byteLength / 65_536;
  for (let step = 65_536; step >= 1; step /= 2) {
    for (let more = true; more; ) {
      try {
        memory.grow(step);
        pages += step;
      } catch {
        more = false;
      }
    }
  }
  return pages;
}

describe('the maximum that is put into a module', () => {
  it.each([
    ['none of its own', '(memory (export "memory") 1)', 16],
    ['one above', '(memory (export "memory") 1 65536)', 16],
    ['one below', '(memory (export "memory") 1 3)', 3],
    ['as many as it begins with', '(memory (export "memory") 16)', 16],
  ])('holds for a memory with %s, as told by WebAssembly', async (_, memory, pages) => {
    const bytes = limited(await guest({ memory }), 16);
    expect(mostPages(instantiate(bytes).memory as WebAssembly.Memory)).toBe(pages);
  });

  it('holds for an imported memory: one with a larger maximum does not link', async () => {
    const bytes = limited(await guest({ memory: '', imports: '(import "env" "memory" (memory 1))' }), 16);
    expect(() => instantiate(bytes, new WebAssembly.Memory({ initial: 1, maximum: 17 }))).toThrow(/maximum/);
    instantiate(bytes, new WebAssembly.Memory({ initial: 1, maximum: 16 }));
  });

  it('is refused where the module begins with more', async () => {
    const bytes = await guest({ memory: '(memory (export "memory") 17)' });
    expect(() => limited(bytes, 16)).toThrow(ModuleFault);
  });

  it('leaves everything else as it was: data, elements, code, names', async () => {
    const parts = {
      fields: `(table 2 funcref) (elem (i32.const 0) $emit $now) (data (i32.const 64) "data")
        (global $g (mut i64) (i64.const -5)) (global $h (mut f64) (f64.const 0.5)) (global i32 (i32.const 3))`,
      memory: '(memory (export "memory") 1 200)',
    };
    const before = await guest(parts);
    const after = limited(before, 16);
    const exports = instantiate(after);
    expect(Buffer.from((exports.memory as WebAssembly.Memory).buffer, 64, 4).toString()).toBe('data');
    expect(
      [exports[globalExport(0)], exports[globalExport(1)]].map((each) => (each as WebAssembly.Global).value),
    ).toEqual([-5n, 0.5]);
    expect((exports[tableExport(0)] as WebAssembly.Table).length).toBe(2);
    expect(Object.keys(exports).filter((name) => name.startsWith('plimsoll:'))).toEqual([
      'plimsoll:g0',
      'plimsoll:g1',
      'plimsoll:t0',
    ]);
    const shape = readModuleShape(before);
    for (const id of [1, 2, 3, 6, 9, 10, 11])
      expect(sectionOf(after, id), `section ${id}`).toEqual(sectionOf(before, id));
    expect(shape.mutableGlobals).toEqual([0, 1]);
  });

  it('takes numbers that are longer than they need be', async () => {
    const bytes = await guest();
    const { sections } = readModuleShape(bytes);
    const memory = sections.find(({ id }) => id === 5)!;
    const long = Uint8Array.of(5, 0x88, 0x80, 0x80, 0x00, 0x81, 0x80, 0x00, 0x00, 0x81, 0x80, 0x80, 0x00);
    const padded = Buffer.concat([bytes.subarray(0, memory.start), long, bytes.subarray(memory.end)]);
    expect(mostPages(instantiate(limited(padded, 16)).memory as WebAssembly.Memory)).toBe(16);
  });

  it('a table cannot grow past its bound', async () => {
    const bytes = limited(await guest({ fields: '(table 1 funcref)' }), 16);
    const table = instantiate(bytes)[tableExport(0)] as WebAssembly.Table & { grow(count: number): number };
    expect(() => table.grow(65_536)).toThrow();
    table.grow(65_535);
  });

  it('custom sections are carried along, and are no way to hide one', async () => {
    const bytes = await guest();
    const custom = Uint8Array.of(0, 5, 1, 0x78, 5, 3, 1);
    const { sections } = readModuleShape(bytes);
    const at = sections.find(({ id }) => id === 5)!.start;
    const with_ = Buffer.concat([bytes.subarray(0, at), custom, bytes.subarray(at), custom]);
    expect(mostPages(instantiate(limited(with_, 16)).memory as WebAssembly.Memory)).toBe(16);
  });
});

function sectionOf(bytes: Uint8Array, id: number): Uint8Array | undefined {
  // Of what was changed only the names are not taken by `readModuleShape`.
  let at = 8;
  while (at < bytes.length) {
    const found = bytes[at++]!;
    let size = 0;
    let shift = 0;
    for (let more = true; more; shift += 7) {
      const byte = bytes[at++]!;
      size += (byte & 0x7f) << shift;
      more = byte >= 0x80;
    }
    if (found === id) return bytes.slice(at, at + size);
    at += size;
  }
  return undefined;
}

it('numbers are written as they are read', () => {
  expect([0, 127, 128, 16_384, 2 ** 32 - 1].map(encodeU32)).toEqual([
    [0],
    [0x7f],
    [0x80, 0x01],
    [0x80, 0x80, 0x01],
    [0xff, 0xff, 0xff, 0xff, 0x0f],
  ]);
});
