import loadWabt from 'wabt';

const FEATURES = {
  exceptions: true,
  mutable_globals: true,
  sat_float_to_int: true,
  sign_extension: true,
  simd: true,
  threads: true,
  multi_value: true,
  tail_call: true,
  bulk_memory: true,
  reference_types: true,
  memory64: true,
  multi_memory: true,
  extended_const: true,
  annotations: true,
} as const;

/** WebAssembly text as bytes, whether or not it is valid. */
export async function wat(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const wabt = await loadWabt();
  const module = wabt.parseWat('test.wat', text, FEATURES);
  try {
    return new Uint8Array(module.toBinary({ write_debug_names: false }).buffer);
  } finally {
    module.destroy();
  }
}

/** The text of a module in bytes. */
export async function toWat(bytes: Uint8Array): Promise<string> {
  const wabt = await loadWabt();
  // A copy: it takes the whole buffer behind a view.
  const module = wabt.readWasm(new Uint8Array(bytes), { ...FEATURES, readDebugNames: true });
  try {
    module.applyNames();
    return module.toText({ foldExprs: false, inlineExport: false });
  } finally {
    module.destroy();
  }
}

/** What a module of the tests is made of. Each part stands in for one that does nothing wrong. */
export interface GuestParts {
  /** Default: a memory of 1 page of its own. */
  readonly memory?: string;
  /** More imports, globals, tables, functions: what comes behind them. */
  readonly imports?: string;
  readonly fields?: string;
  /** Bodies. */
  readonly alloc?: string;
  readonly init?: string;
  /** Default: puts the batch out as it is. */
  readonly process?: string;
  readonly pressure?: string;
  readonly finalize?: string;
  readonly trim?: string;
}

/** A guest after ABI.md, with parts that were put in place of the good ones. */
export function guestText(parts: GuestParts = {}): string {
  const optional = (name: string, type: string, body: string | undefined) =>
    body === undefined ? '' : `(func (export "plimsoll_${name}") ${type} ${body})`;
  return `(module
    (import "plimsoll" "emit" (func $emit (param i32 i32) (result i32)))
    (import "plimsoll" "log" (func $log (param i32 i32 i32)))
    (import "plimsoll" "fail" (func $fail (param i32 i32)))
    (import "plimsoll" "now" (func $now (result f64)))
    (import "plimsoll" "pressure" (func $pressure (result i32)))
    (import "plimsoll" "spill_write" (func $spill_write (param i32 i32) (result i32)))
    (import "plimsoll" "spill_size" (func $spill_size (param i32) (result i32)))
    (import "plimsoll" "spill_read" (func $spill_read (param i32 i32 i32 i32) (result i32)))
    (import "plimsoll" "spill_free" (func $spill_free (param i32) (result i32)))
    ${parts.imports ?? ''}
    ${parts.memory ?? '(memory (export "memory") 1)'}
    ${parts.fields ?? ''}
    (func (export "plimsoll_abi") (result i32) (i32.const 1))
    (func (export "plimsoll_alloc") (param $len i32) (result i32) ${parts.alloc ?? '(i32.const 1024)'})
    (func (export "plimsoll_init") (param $ptr i32) (param $len i32) (result i32) ${parts.init ?? '(i32.const 0)'})
    (func (export "plimsoll_process") (param $ptr i32) (param $len i32) (result i32)
      ${parts.process ?? '(call $emit (local.get $ptr) (local.get $len))'})
    ${optional('pressure', '(param $level i32)', parts.pressure)}
    ${optional('finalize', '(result i32)', parts.finalize)}
    ${optional('trim', '', parts.trim)}
  )`;
}

export const guest = (parts?: GuestParts): Promise<Uint8Array<ArrayBuffer>> => wat(guestText(parts));
