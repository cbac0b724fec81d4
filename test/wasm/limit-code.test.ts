import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkModule, MAX_FUNCTION_WORK } from '../../src/wasm/limit-code.ts';
import { readModule } from '../../src/wasm/module-shape.ts';
import { guest } from './wat.ts';

const IMPORTS = { plimsoll: new Proxy({}, { get: () => () => 0 }) } as WebAssembly.Imports;

function run(bytes: Uint8Array): { memory: Uint8Array; result: unknown } {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), IMPORTS);
  let result: unknown;
  try {
    result = (exports.plimsoll_process as (ptr: number, len: number) => number)(3, 5);
  } catch (cause) {
    result = (cause as Error).message;
  }
  return { memory: new Uint8Array((exports.memory as WebAssembly.Memory).buffer), result };
}

/** One of each form that an instruction may have. */
const EVERYTHING = `
  (local $a i64) (local $f f32) (local $d f64) (local $v v128) (local $r funcref) (local $x externref)
  (local.set $a (i64.extend_i32_s (i32.extend8_s (i32.const -70000))))
  (local.set $f (f32.sqrt (f32.add (f32.const 1.5) (f32.load offset=4 (i32.const 8)))))
  (local.set $d (f64.min (f64.const 2.5) (f64.promote_f32 (local.get $f))))
  (i64.store offset=70000 align=1 (i32.const 8) (i64.rotl (local.tee $a (i64.const -123456789012)) (i64.const 7)))
  (drop (i32.trunc_sat_f64_u (local.get $d))) (drop (i64.trunc_sat_f32_s (local.get $f)))
  (drop (i32.eqz (i64.eqz (local.get $a)))) (drop (i32.reinterpret_f32 (f32.copysign (local.get $f) (f32.const -1))))
  (local.set $v (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (v128.const i64x2 1 2) (i8x16.splat (i32.const 3))))
  (local.set $v (v128.bitselect (local.get $v) (i32x4.neg (local.get $v)) (i16x8.add (local.get $v) (i8x16.popcnt (local.get $v)))))
  (local.set $v (v128.load8_lane offset=3 5 (i32.const 0) (i32x4.replace_lane 2 (local.get $v) (i16x8.extract_lane_s 3 (local.get $v)))))
  (v128.store16_lane 1 (i32.const 16) (f64x2.convert_low_i32x4_s (i64x2.shl (local.get $v) (i32.const 1))))
  (v128.store (i32.const 32) (v128.load32_zero (i32.const 0))) (drop (v128.any_true (i32x4.dot_i16x8_s (local.get $v) (local.get $v))))
  (drop (i8x16.all_true (f32x4.max (f32x4.ceil (local.get $v)) (f64x2.sqrt (local.get $v))))) (drop (i64x2.bitmask (i64x2.abs (local.get $v))))
  (local.set $r (select (result funcref) (ref.func $id) (ref.null func) (i32.const 1))) (local.set $x (ref.null extern))
  (drop (ref.is_null (local.get $r))) (table.set $t (i32.const 1) (local.get $r)) (drop (table.get $t (i32.const 1)))
  (table.fill $t (i32.const 2) (local.get $r) (i32.const 2)) (table.copy $t $t (i32.const 4) (i32.const 2) (i32.const 2))
  (table.init $t $e (i32.const 6) (i32.const 0) (i32.const 1)) (elem.drop $e) (drop (table.grow $t (local.get $r) (i32.const 1))) (drop (table.size $t))
  (memory.init $data (i32.const 100) (i32.const 1) (i32.const 3)) (data.drop $data) (drop (memory.grow (i32.const 1)))
  (memory.fill (i32.const 200) (i32.const 9) (i32.const 20)) (memory.copy (i32.const 210) (i32.const 95) (i32.const 30))
  (global.set $g (i32.add (global.get $g) (call_indirect $t (param i32) (result i32) (i32.const 4) (i32.const 2))))
  (block $out (result i32) (block $in (block $inner (br_table $inner $in $inner $in (local.get $len)) (nop)) (br $out (i32.const 6)))
    (try (result i32) (do (throw $e1 (i32.const 5))) (catch $e1 (i32.add (i32.const 1))) (catch_all (rethrow 0))))
  (try (do (try (do (throw $e1 (i32.const 1))) (delegate 0))) (catch_all))
  (loop $l (param i32) (result i32) (i32.sub (i32.const 1)) (br_if $l (i32.const 0)))
  (if (param i32) (result i32) (local.get $len) (then (i32.add (global.get $g))) (else (i32.mul (i32.const 3))))
  (if (i32.const 0) (then (return (i32.const 1)) (drop) (drop) (i32.add) (drop)))
  (i32.add (call $pair)) (i32.add) (i32.store (i32.const 400) (global.get $g)) (return_call $id)`;

const FIELDS = `(tag $e1 (param i32)) (table $t 10 funcref) (elem $e func $id) (elem declare func $id) (data $data "some data") (global $g (mut i32) (i32.const 4))
  (func $id (param i32) (result i32) (local.get 0)) (func $pair (result i32 i32) (i32.const 3) (i32.const 4))`;
const FILL = '(memory.fill (i32.const 200) (i32.const 9) (i32.const 20))';
const MEMORY = '(memory (export "memory") 2 5)';

describe('the code of a module', () => {
  it('is gone through whatever instructions it has, and does the same when it is changed', async () => {
    const bytes = await guest({ memory: MEMORY, fields: FIELDS, process: EVERYTHING });
    const { bytes: changed } = checkModule(bytes);
    expect(changed.byteLength).toBeGreaterThan(bytes.byteLength);
    const [before, after] = [run(bytes), run(changed)];
    expect(before.result).toBeTypeOf('number');
    expect(after.result).toBe(before.result);
    expect(Buffer.compare(after.memory, before.memory)).toBe(0);
  });

  it('is judged as it came: what is added makes no number of a function right', async () => {
    const fields = (index: number) => `(table 1 funcref) (elem (i32.const 0) func ${index})`;
    const build = (index: number) => guest({ fields: fields(index), process: `${FILL} (i32.const 0)` });
    const { importedFunctions, ownFunctions } = readModule(await build(0)).signatures;
    const count = importedFunctions.length + ownFunctions.length;
    expect(checkModule(await build(count - 1)).bytes).not.toHaveLength(0);
    const oneBehind = await build(count);
    expect(() => checkModule(oneBehind)).toThrow('is not sound');
  });

  it('stays as it is where nothing in it takes long', async () => {
    const bytes = await guest({});
    expect(checkModule(bytes).bytes).toBe(bytes);
  });

  it('keeps the numbers of its functions, and looks for the end before each instruction that may take long', async () => {
    const bytes = await guest({
      memory: MEMORY,
      fields:
        '(table (export "t") 1 funcref) (elem (i32.const 0) $last) (func $last (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))',
    });
    const { bytes: changed } = checkModule(bytes);
    const nameIn = (each: Uint8Array) => {
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(each), IMPORTS);
      return ((exports.t as WebAssembly.Table).get(0) as () => void).name;
    };
    expect(nameIn(changed)).toBe(nameIn(bytes));
    // A type (4 bytes), a function (1), its code (12 with its size) and a call (4 bytes).
    expect(changed.byteLength - bytes.byteLength).toBe(4 + 1 + 12 + 4);
  });

  const place = fc.nat(131_100);
  const length = fc.oneof(fc.nat(300), fc.nat(140_000));
  const step = fc.oneof(
    fc.tuple(place, fc.nat(255), length).map(([at, value, n]) => ['fill', at, value, n] as const),
    fc.tuple(place, place, length).map(([to, from, n]) => ['copy', to, from, n] as const),
    fc.tuple(place, fc.nat(10), fc.nat(10)).map(([to, from, n]) => ['init $data', to, from, n] as const),
  );

  it('puts the same into memory, in a branch, a loop or a call, and traps in the same way', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(step, fc.nat(3)), { maxLength: 12 }), async (steps) => {
        const body = steps.map(([[what, a, b, n], around]) => {
          const own = `(memory.${what} (i32.const ${a}) (i32.const ${b}) (i32.const ${n}))`;
          if (around === 1) return `(if (local.get $len) (then ${own}))`;
          if (around === 2) return `(block (loop ${own} (br 1)))`;
          return around === 3 ? `(try (do ${own}) (catch_all))` : own;
        });
        const bytes = await guest({ memory: MEMORY, fields: FIELDS, process: `${body.join('\n')} (i32.const 0)` });
        const [before, after] = [run(bytes), run(checkModule(bytes).bytes)];
        expect(after.result).toBe(before.result);
        expect(Buffer.compare(after.memory, before.memory)).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('of plugins as they are is far below what is refused', async () => {
    const dir = join(import.meta.dirname, '../../plugins/dist');
    const files = readdirSync(dir).filter((name) => name.endsWith('.wasm'));
    expect(files.length).toBeGreaterThan(4);
    for (const file of files) checkModule(readFileSync(join(dir, file)));
    // The bound itself, from both sides: locals at a block and at the branch out of it, and each once at the beginning.
    const locals = 10_000;
    const pairs = Math.floor(MAX_FUNCTION_WORK / (2 * locals)) - 1;
    const of = (count: number) =>
      guest({ fields: `(func (local ${'i32 '.repeat(locals)}) ${'(block (br 0))'.repeat(count)})` });
    checkModule(await of(pairs));
    const most = await of(pairs + 1);
    expect(() => checkModule(most)).toThrow(/takes more to compile/);
  });
});
