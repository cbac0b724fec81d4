/**
 * The outermost shape of a WebAssembly module: its sections, and the numbers and names in them. After the WebAssembly core specification 2.0, chapter "Binary Format".
 * Reads within its bounds or throws a `ModuleFault`; each byte is looked at once, and no count is believed that the bytes left could not hold.
 */

/** What is wrong with a module, in a line. */
export class ModuleFault extends Error {
  override readonly name = 'ModuleFault';
}

export interface ModuleSection {
  readonly id: number;
  /** Of the whole, with its header; of the content; behind it. */
  readonly start: number;
  readonly contentStart: number;
  readonly end: number;
}

export const SECTION = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  code: 10,
  tag: 13,
} as const;
const LAST_SECTION = 13;
const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00] as const;
const LONGEST_NAME = 1_000;
/** Custom ones may be there many times. */
const MAX_SECTIONS = 1_000;

/** Reads on through a part of the bytes. */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly end: number;
  at: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  get left(): number {
    return this.end - this.at;
  }

  byte(): number {
    if (this.at >= this.end) throw new ModuleFault('ends in the middle');
    return this.bytes[this.at++]!;
  }

  skip(count: number): void {
    if (count > this.left) throw new ModuleFault('ends in the middle');
    this.at += count;
  }

  /** LEB128 of 32 bits, unsigned, at most 5 bytes. */
  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      if (shift === 28 && byte > 0x0f) break;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new ModuleFault('has a number of more than 32 bits');
  }

  /** Passes over a signed LEB128 of at most so many bytes. */
  skipLeb(mostBytes: number): void {
    for (let count = 0; count < mostBytes; count++) if (this.byte() < 0x80) return;
    throw new ModuleFault('has a number that does not end');
  }

  /** How many follow, each of `leastBytes` at least. */
  count(what: string, most: number, leastBytes = 1): number {
    const count = this.u32();
    if (count > most) throw new ModuleFault(`has ${count} ${what}, and ${most} are the most`);
    if (count * leastBytes > this.left) throw new ModuleFault(`says that it has more ${what} than it could hold`);
    return count;
  }

  /** A name, shown as text: what is not UTF-8 comes out as something else, and is then no name that is known. */
  text(): string {
    const length = this.u32();
    if (length > LONGEST_NAME) throw new ModuleFault(`has a name of ${length} bytes, and ${LONGEST_NAME} are the most`);
    const start = this.at;
    this.skip(length);
    return new TextDecoder().decode(this.bytes.subarray(start, this.at));
  }
}

/** All sections in order. Each but custom ones may be there once. */
export function readSections(bytes: Uint8Array): ModuleSection[] {
  if (bytes.byteLength < HEADER.length || HEADER.some((byte, index) => bytes[index] !== byte)) {
    throw new ModuleFault('is no WebAssembly module of version 1');
  }
  const sections: ModuleSection[] = [];
  const seen = new Set<number>();
  const reader = new ByteReader(bytes, HEADER.length, bytes.byteLength);
  while (reader.left > 0) {
    const start = reader.at;
    const id = reader.byte();
    if (id > LAST_SECTION) throw new ModuleFault(`has a section of an unknown sort (${id})`);
    if (id !== SECTION.custom && seen.has(id)) throw new ModuleFault(`has two sections of one sort (${id})`);
    if (sections.length >= MAX_SECTIONS) throw new ModuleFault(`has more than ${MAX_SECTIONS} sections`);
    seen.add(id);
    const size = reader.u32();
    const contentStart = reader.at;
    reader.skip(size);
    sections.push({ id, start, contentStart, end: reader.at });
  }
  return sections;
}

/** LEB128 of a whole number below 2^32. */
export function encodeU32(value: number): number[] {
  const bytes: number[] = [];
  do {
    const low = value % 128;
    value = Math.floor(value / 128);
    bytes.push(value > 0 ? low + 128 : low);
  } while (value > 0);
  return bytes;
}
