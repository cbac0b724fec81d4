/**
 * Taking the state of a guest and giving it to a fresh instance of the same module.
 *
 * State is memory, mutable globals and tables: the module was changed when it was loaded so that all of them are exported. Functions in tables cannot be carried over, but told apart: the name
 * of a function that comes out of a table is its number in the module, by the JavaScript interface of WebAssembly. So where tables have the same numbers in them as after the start, a
 * fresh instance has the same tables; where not, or where a global's value cannot be seen from JavaScript, the guest stays as it is.
 */
import { PAGE_BYTES } from './abi-contract.ts';
import type { GuestSnapshot } from './guest-messages.ts';

/** Looked at, and written, in pieces of that size: a page of most machines. */
const BLOCK_BYTES = 4_096;

export function readSnapshot(
  memory: WebAssembly.Memory,
  globals: readonly WebAssembly.Global[],
): GuestSnapshot | undefined {
  const values: (number | bigint)[] = [];
  for (const global of globals) {
    const value = numberIn(global);
    if (value === undefined) return undefined;
    values.push(value);
  }
  const { buffer } = memory;
  return { content: buffer.slice(0, usedBytes(buffer)), memoryBytes: buffer.byteLength, globals: values };
}

export function writeSnapshot(
  snapshot: GuestSnapshot,
  memory: WebAssembly.Memory,
  globals: readonly WebAssembly.Global[],
): void {
  const missing = Math.ceil((snapshot.content.byteLength - memory.buffer.byteLength) / PAGE_BYTES);
  if (missing > 0) memory.grow(missing);
  copyWithoutZeros(new Uint8Array(snapshot.content), new Uint8Array(memory.buffer));
  globals.forEach((global, index) => {
    global.value = snapshot.globals[index];
  });
}

/** Numbers of 32 and 64 bits; undefined for references and vectors, which are not carried over. */
function numberIn(global: WebAssembly.Global): number | bigint | undefined {
  try {
    const { value } = global as { value: unknown };
    return typeof value === 'number' || typeof value === 'bigint' ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The number of the function at each place of each table, -1 for none. */
export function functionsIn(tables: readonly WebAssembly.Table[]): Int32Array[] {
  return tables.map(functionsOf);
}

export function haveSame(tables: readonly WebAssembly.Table[], functions: readonly Int32Array[]): boolean {
  return tables.every((table, index) => isSame(functionsOf(table), functions[index]!));
}

function functionsOf(table: WebAssembly.Table): Int32Array {
  const numbers = new Int32Array(table.length);
  for (let index = 0; index < numbers.length; index++) {
    const value = table.get(index) as { name: string } | null;
    numbers[index] = value === null ? -1 : Number(value.name);
  }
  return numbers;
}

function isSame(one: Int32Array, other: Int32Array): boolean {
  return one.length === other.length && one.every((value, index) => value === other[index]);
}

/** Up to the last byte that is not zero, in whole pages of the memory. */
function usedBytes(buffer: ArrayBuffer): number {
  const words = new Uint32Array(buffer);
  let count = words.length;
  while (count > 0 && words[count - 1] === 0) count--;
  return Math.ceil((count * 4) / PAGE_BYTES) * PAGE_BYTES;
}

/** What was never written takes no memory: blocks of zeros are written only where the target has something else. */
function copyWithoutZeros(source: Uint8Array, target: Uint8Array): void {
  const zeros = Buffer.alloc(BLOCK_BYTES);
  for (let at = 0; at < target.byteLength; at += BLOCK_BYTES) {
    const block = source.subarray(at, at + BLOCK_BYTES);
    const place = target.subarray(at, at + BLOCK_BYTES);
    const wanted = block.byteLength === 0 ? zeros : block;
    if (Buffer.compare(wanted, place) !== 0) place.set(wanted);
  }
}
