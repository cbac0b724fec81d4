import type { GuestParts } from './wat.ts';

/** What `fuzzModule` begins with. */
export const CORPUS: readonly GuestParts[] = [
  {},
  { memory: '(memory (export "memory") 1 65536)' },
  { memory: '', imports: '(import "env" "memory" (memory 1 40))' },
  {
    memory: '(memory (export "memory") 2)',
    fields: `(table 3 20 funcref) (elem (i32.const 0) $emit $now) (global (mut i32) (i32.const 7)) (global (mut f64) (f64.const 1.5))
      (global (mut i64) (i64.const -9)) (data (i32.const 4) "some data") (tag) (func (export "more") (result i32) (i32.const 3))`,
    finalize: '(i32.const 0)',
    pressure: '(nop)',
    trim: '(nop)',
  },
  {
    memory: '(memory (export "memory") 2)',
    fields: `(tag $e (param i32)) (table $t 9 funcref) (elem declare func $f) (data $d "some data")
      (func $f (param i32) (result i32) (local i64 v128 funcref) (local.set 1 (i64.const -99999)) (local.set 2 (i8x16.splat (local.get 0)))
        (block (block (block (br_table 0 1 2 1 (local.get 0))) (memory.fill (i32.const 0) (local.get 0) (i32.const 90))) (br_if 0 (i32x4.extract_lane 1 (local.get 2))))
        (loop (result i32) (br_if 0 (i32.const 0)) (if (result i32) (local.get 0) (then (return (i32.const 7))) (else (call $f (i32.load offset=300 (i32.const 5)))))))`,
    process: `(memory.init $d (i32.const 9) (i32.const 1) (i32.const 5)) (data.drop $d) (memory.copy (i32.const 70) (i32.const 9) (i32.const 8))
      (table.fill $t (i32.const 1) (ref.func $f) (i32.const 2)) (drop (memory.grow (i32.const 1)))
      (try (result i32) (do (throw $e (call_indirect $t (param i32) (result i32) (i32.const 3) (i32.const 1)))) (catch $e))`,
  },
];
