import { describe, expect, it } from 'vitest';
import { Abi, AbiFault, type SpillCalls } from '../../src/wasm/abi.ts';
import { HOST_FUNCTIONS, MAX_LOG_LINES, MAX_SPILL_RECORD_BYTES, MAX_TEXT_BYTES } from '../../src/wasm/abi-contract.ts';

const PAGE = 65_536;

function begin({ maxOutputBytes = 1_000_000, spill = {} as Partial<SpillCalls> } = {}) {
  const lines: [number, string][] = [];
  const abi = new Abi(
    {
      now: () => 7,
      level: () => 2,
      log: (level, line) => lines.push([level, line]),
      spill: { write: () => 0, size: () => 4, read: () => 0, free: () => 0, ...spill },
    },
    maxOutputBytes,
  );
  const memory = { buffer: new ArrayBuffer(PAGE) };
  abi.memory = memory;
  abi.begin(true);
  return { abi, memory, lines, imports: abi.imports, bytes: () => new Uint8Array(memory.buffer) };
}

const RANGES: readonly (readonly [string, number, number])[] = [
  ['behind the end', PAGE, 1],
  ['over the end', PAGE - 1, 2],
  ['a negative pointer', -1, 1],
  ['a negative length', 0, -1],
  ['the least pointer', -(2 ** 31), 0],
  ['a sum that overflows', -16, 32],
  ['all of 32 bits', -1, -1],
];
const CALLS: Readonly<Record<string, (pointer: number, length: number) => number[]>> = {
  log: (pointer, length) => [1, pointer, length],
  emit: (pointer, length) => [pointer, length],
  fail: (pointer, length) => [pointer, length],
  spill_write: (pointer, length) => [pointer, length],
  spill_read: (pointer, length) => [0, 0, pointer, length],
};

describe.each(Object.keys(CALLS))('%s', (name) => {
  it.each(RANGES)('takes no forged range: %s', (_, pointer, length) => {
    const { abi, imports } = begin();
    expect(() => imports[name]!(...CALLS[name]!(pointer, length))).toThrow(AbiFault);
    expect(abi.fault).toMatchObject({ kind: 'trap' });
  });

  it('takes what lies at the very end, and nothing at the end', () => {
    const { imports } = begin();
    expect(() => imports[name]!(...CALLS[name]!(PAGE - 1, 1))).not.toThrow();
    expect(() => imports[name]!(...CALLS[name]!(PAGE, 0))).not.toThrow();
  });
});

describe('the ABI inside the worker', () => {
  it('has exactly the functions of the page, of the types that are checked', () => {
    expect(Object.keys(begin().imports)).toEqual(Object.keys(HOST_FUNCTIONS));
    expect([begin().imports.now!(), begin().imports.pressure!()]).toEqual([7, 2]);
  });

  it('sees a memory that has grown, and not its old buffer', () => {
    const { imports, memory, abi } = begin();
    expect(() => imports.emit!(PAGE, 4)).toThrow();
    const again = begin();
    again.memory.buffer = new ArrayBuffer(2 * PAGE);
    expect(again.imports.emit!(PAGE, 4)).toBe(0);
    expect(memory.buffer.byteLength).toBe(PAGE);
    expect(abi.fault).toBeDefined();
  });

  it('a guest that catches what stopped it is stopped again at every call', () => {
    const { imports } = begin();
    expect(() => imports.emit!(-1, 1)).toThrow(AbiFault);
    for (const name of Object.keys(HOST_FUNCTIONS)) expect(() => imports[name]!(0, 0, 0, 0)).toThrow(AbiFault);
  });

  it('puts together what is emitted, copied at once, across many small pieces', () => {
    const { imports, abi, bytes } = begin();
    for (let i = 0; i < 20_000; i++) {
      bytes()[0] = i % 251;
      imports.emit!(0, 1);
    }
    const { buffer, length } = abi.takeOutput();
    expect(length).toBe(20_000);
    expect(new Uint8Array(buffer, 0, length).every((byte, index) => byte === index % 251)).toBe(true);
  });

  it('stops at maxOutputBytes exactly, and never has a buffer above it', () => {
    const { imports, abi } = begin({ maxOutputBytes: 100_000 });
    imports.emit!(0, 60_000);
    imports.emit!(0, 40_000);
    expect(() => imports.emit!(0, 1)).toThrow(/more than 100000 bytes/);
    expect(abi.fault?.kind).toBe('outputLimit');
    expect(abi.takeOutput().buffer.byteLength).toBeLessThanOrEqual(100_000);
  });

  it('fills the buffer of the call before where it is large enough', () => {
    const { imports, abi } = begin();
    const buffer = new ArrayBuffer(8_192);
    abi.begin(true, buffer);
    imports.emit!(0, 8_000);
    expect(abi.takeOutput()).toEqual({ buffer, length: 8_000 });
  });

  it('cuts lines and counts them, and lets no control character through', () => {
    const { imports, abi, bytes, lines } = begin();
    bytes().set(Buffer.from('a\u001b[31mb\nc\u0085d'));
    imports.log!(9, 0, 12);
    // What turns the line around, or sets a part of it apart, is none either.
    bytes().set(Buffer.from('\u202aa\u202eb\u2066c\u2069d'), 100);
    imports.log!(0, 100, 16);
    expect(lines.pop()).toEqual([0, ' a b c d']);
    imports.log!(-5, 0, PAGE);
    for (let i = 0; i < 1_000; i++) imports.log!(0, 0, 4);
    expect(lines[0]).toEqual([3, 'a [31mb c d']);
    expect(lines[1]![0]).toBe(0);
    expect(lines[1]![1].length).toBeLessThanOrEqual(MAX_TEXT_BYTES);
    expect(lines.length).toBe(MAX_LOG_LINES - 1);
    abi.begin(true);
    imports.log!(0, 0, 4);
    expect(lines.length).toBe(MAX_LOG_LINES);
  });

  it('hands the spill whole numbers, ranges that are inside, and no record that is too long', () => {
    const seen: unknown[] = [];
    const spill: Partial<SpillCalls> = {
      write: (bytes) => seen.push(['write', bytes.byteLength]),
      read: (handle, offset, target) => seen.push(['read', handle, offset, target.byteLength]),
    };
    const { imports, memory } = begin({ spill });
    memory.buffer = new ArrayBuffer(32 * PAGE);
    expect(imports.spill_write!(0, MAX_SPILL_RECORD_BYTES + 1)).toBe(-5);
    imports.spill_write!(0, MAX_SPILL_RECORD_BYTES);
    imports.spill_read!(-1, -1, 0, 10);
    expect(seen).toEqual([
      ['write', MAX_SPILL_RECORD_BYTES],
      ['read', -1, 2 ** 32 - 1, 10],
    ]);
  });
});
