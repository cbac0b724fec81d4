/**
 * Three fuzzers, of what a plugin gives the host to read: its manifest, its module, and the numbers in its calls. Each throws at the first input after which something does not hold,
 * and says the seed. Run as a program it takes a name, a count and a seed.
 */
import { fileURLToPath } from 'node:url';
import { Abi, AbiFault } from '../../src/wasm/abi.ts';
import { PAGE_BYTES } from '../../src/wasm/abi-contract.ts';
import { checkModule } from '../../src/wasm/limit-code.ts';
import { limitModule } from '../../src/wasm/limit-module.ts';
import { encodeU32, ModuleFault } from '../../src/wasm/module-sections.ts';
import { PluginManifestError } from '../../src/wasm/plugin-errors.ts';
import { parseManifest } from '../../src/wasm/plugin-manifest.ts';
import { Random } from '../simulation/random.ts';
import { CORPUS } from './fuzz-corpus.ts';
import { guest } from './wat.ts';

export type Counts = Record<string, number>;
/** Longer than that for one small input is a hang. */
const LONGEST_MS = 2_000;

class Fuzz {
  readonly random: Random;
  readonly counts: Counts = {};
  readonly #name: string;
  readonly #seed: number;
  #input = 0;

  constructor(name: string, seed: number) {
    this.random = new Random(seed);
    this.#name = name;
    this.#seed = seed;
  }

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  fail(what: string): never {
    throw new Error(`${this.#name}, seed ${this.#seed}, input ${this.#input}: ${what}`);
  }

  demand(holds: boolean, otherwise: string): void {
    if (!holds) this.fail(otherwise);
  }

  async run(count: number, once: () => void | Promise<void>): Promise<Counts> {
    for (this.#input = 0; this.#input < count; this.#input++) {
      const started = performance.now();
      await once();
      if (performance.now() - started > LONGEST_MS) this.fail(`took ${performance.now() - started} ms`);
    }
    return this.counts;
  }
}

const MANIFEST = `name = "upper-case"
version = "1.0.0"
abi = 1
wasm = "upper-case.wasm"
stages = ["mapping", "filtering"]
min_heap = "1MiB"
max_heap = "16MiB"
supports_streaming = true
supports_compression = false
description = "a plugin"
`;
const SCRAPS = [
  '\u0000',
  '"',
  '\n',
  '=',
  '[',
  ']',
  '{',
  '}',
  '9'.repeat(30),
  '1e999',
  'nan',
  '-',
  '../',
  '__proto__',
  '\\u0000',
  '𝒳',
  "'''",
  '"""',
  'true',
  '0x10',
  '1979-05-27',
  'minHeap',
  '#',
  '.',
  'GiB',
  ' ',
];
const VALUES = [
  '"16MiB"',
  '"64 KiB"',
  '1048576',
  '-1',
  '1.5',
  '"1M"',
  '"a"',
  '"a.wasm"',
  '"a/b.wasm"',
  '["mapping"]',
  '[]',
  '[1]',
  '[["mapping"]]',
  'true',
  'false',
  'inf',
  '{ a = 1 }',
  '1',
  '2',
];

export function fuzzManifest(count: number, seed: number): Promise<Counts> {
  const fuzz = new Fuzz('fuzzManifest', seed);
  const { random } = fuzz;
  return fuzz.run(count, async () => {
    let text = MANIFEST;
    for (let edits = random.chance(0.6) ? 1 : random.whole(2, 6); edits > 0; edits--) text = editText(text, random);
    try {
      const manifest = await parseManifest(text, 'plugins/a.toml');
      fuzz.count('taken');
      const { name, wasm, stages, minHeapBytes, maxHeapBytes } = manifest;
      fuzz.demand(
        /^[a-z0-9-]{1,64}$/.test(name) && /^[\w.-]+\.wasm$/.test(wasm) && !wasm.includes('/'),
        'a name that is none',
      );
      fuzz.demand(stages.length >= 1 && stages.every((stage) => typeof stage === 'string'), 'stages that are none');
      fuzz.demand(minHeapBytes % PAGE_BYTES === 0 && maxHeapBytes % PAGE_BYTES === 0, 'bytes that are no pages');
      fuzz.demand(
        minHeapBytes >= 0 && minHeapBytes <= maxHeapBytes && maxHeapBytes >= PAGE_BYTES && maxHeapBytes <= 2 ** 32,
        'sizes that make no sense',
      );
    } catch (cause) {
      if (!(cause instanceof PluginManifestError)) throw cause;
      fuzz.count('refused');
      fuzz.demand(
        cause.message.startsWith('plugins/a.toml: ') && cause.message.length < 600,
        `a message of ${cause.message.length}`,
      );
      fuzz.demand(![...cause.message].some((char) => char < ' '), 'a message of several lines');
    }
  });
}

function editText(text: string, random: Random): string {
  const at = random.whole(0, text.length);
  const length = random.chance(0.5) ? random.whole(0, 3) : random.whole(0, 40);
  switch (random.whole(0, 5)) {
    case 0:
      return text.slice(0, at) + text.slice(at + length);
    case 1:
      return text.slice(0, at) + random.pick(SCRAPS) + text.slice(at + length);
    case 2:
      return text.slice(0, at) + String.fromCharCode(random.whole(0, 0x2fff)) + text.slice(at);
    case 3: {
      const lines = text.split('\n');
      const line = random.whole(0, lines.length - 1);
      lines[line] = lines[line]!.replace(/(= ).*/, (_, before: string) => before + random.pick(VALUES));
      return lines.join('\n');
    }
    case 4:
      return text.replaceAll(/\d+(?=[KMG]iB)/g, () => String(random.whole(0, 5_000)));
    default: {
      const lines = text.split('\n');
      lines.splice(random.whole(0, lines.length), random.whole(0, 1), random.pick(lines));
      return lines.join('\n');
    }
  }
}

const CAP_PAGES = 16;
/** Whatever is done to a module: it is refused, or what is made of it has no more memory than it may, as told by WebAssembly. */
export async function fuzzModule(count: number, seed: number): Promise<Counts> {
  const fuzz = new Fuzz('fuzzModule', seed);
  const { random } = fuzz;
  const corpus = await Promise.all(CORPUS.map((parts) => guest(parts)));
  return fuzz.run(count, () => {
    // The last has code to be changed.
    let bytes: Uint8Array = random.chance(0.4) ? corpus.at(-1)! : random.pick(corpus);
    for (let edits = random.chance(0.6) ? 1 : random.whole(2, 3); edits > 0; edits--) bytes = editBytes(bytes, random);
    let limited: Uint8Array;
    let isChanged: boolean;
    try {
      const checked = checkModule(bytes);
      isChanged = checked.bytes !== bytes;
      // The other way about is none: a number one too high may be that of the function which the host adds.
      fuzz.demand(
        !isChanged || WebAssembly.validate(checked.bytes) || !WebAssembly.validate(bytes),
        'V8 took it before it was changed, and not after',
      );
      limited = limitModule(checked.bytes, checked.shape, CAP_PAGES);
    } catch (cause) {
      if (!(cause instanceof ModuleFault)) throw cause;
      fuzz.count('refused');
      fuzz.demand(
        ![...cause.message].some((char) => char < ' ') && cause.message.length < 400,
        'a message that is none',
      );
      return;
    }
    fuzz.demand(limited.byteLength < bytes.byteLength + 600, 'grew without reason');
    if (!WebAssembly.validate(limited)) return fuzz.count('refused by V8');
    fuzz.count(isChanged ? 'taken with its code changed' : 'taken');
    const most = mostPages(limited);
    if (most === undefined) return fuzz.count('taken, does not start');
    fuzz.demand(most <= CAP_PAGES, `may have ${most} pages`);
  });
}

/** As many as the memory can come to; undefined where there is no instance to be had. Nothing of the module runs. */
function mostPages(bytes: Uint8Array): number | undefined {
  const module = new WebAssembly.Module(withoutStart(bytes));
  const plimsoll = new Proxy({}, { get: () => () => 0 });
  const imported = WebAssembly.Module.imports(module).some(({ kind }) => kind === 'memory');
  try {
    // A module links with a memory only where it allows for that maximum.
    const memory = imported ? new WebAssembly.Memory({ initial: 3, maximum: CAP_PAGES + 1 }) : undefined;
    const { exports } = new WebAssembly.Instance(module, { plimsoll, env: { memory } } as WebAssembly.Imports);
    if (memory !== undefined) return CAP_PAGES + 1;
    const own = exports.memory as WebAssembly.Memory;
    const pages = own.buffer.byteLength / PAGE_BYTES;
    if (pages > CAP_PAGES) return pages;
    try {
      own.grow(CAP_PAGES + 1 - pages);
      return CAP_PAGES + 1;
    } catch {
      return pages;
    }
  } catch {
    return imported ? CAP_PAGES : undefined;
  }
}

function withoutStart(bytes: Uint8Array): Uint8Array {
  const pieces = [bytes.subarray(0, 8)];
  for (const { id, start, end } of sectionsOf(bytes)) if (id !== 8) pieces.push(bytes.subarray(start, end));
  return Buffer.concat(pieces);
}

/** As simple as can be: for modules that are valid. */
function sectionsOf(bytes: Uint8Array): { id: number; start: number; contentStart: number; end: number }[] {
  const found = [];
  for (let at = 8; at < bytes.length; ) {
    const start = at;
    const id = bytes[at++]!;
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] ?? 0;
      size += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80 || shift > 28) break;
    }
    const contentStart = at;
    at = Math.min(at + size, bytes.length);
    found.push({ id, start, contentStart, end: at });
  }
  return found;
}

/** Changes something, and mostly sees to it that the lengths of sections are right again: else nearly all would fail at the first look. */
function editBytes(bytes: Uint8Array, random: Random): Uint8Array {
  const sections = sectionsOf(bytes);
  if (sections.length === 0 || random.chance(0.1)) return editPiece(bytes, random);
  const section = random.pick(sections);
  const before = bytes.subarray(0, section.start);
  const own = bytes.subarray(section.start, section.end);
  const after = bytes.subarray(section.end);
  // Again, or not at all.
  if (random.chance(0.03)) return Buffer.concat([before, own, own, after]);
  if (random.chance(0.03)) return Buffer.concat([before, after]);
  const content = editPiece(bytes.subarray(section.contentStart, section.end), random);
  const id = random.chance(0.02) ? random.whole(0, 14) : section.id;
  return Buffer.concat([before, Uint8Array.from([id, ...encodeU32(content.length)]), content, after]);
}

function editPiece(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.whole(0, bytes.length);
  const cut = (to: number, put: ArrayLike<number> = []) =>
    Buffer.concat([bytes.subarray(0, at), Uint8Array.from(put), bytes.subarray(to)]);
  switch (random.whole(0, 7)) {
    case 0:
      return cut(at + random.whole(1, 8));
    case 1:
      return cut(
        at,
        Array.from({ length: random.whole(1, 8) }, () => random.whole(0, 255)),
      );
    case 2:
      return cut(
        at + 1,
        encodeU32(random.pick([0, 1, 2, 16, 17, 127, 128, 65_535, 65_536, 65_537, 2 ** 31, 2 ** 32 - 1])),
      );
    case 3:
      // The same number in more bytes than it needs.
      return cut(at + 1, [((bytes[at] ?? 0) & 0x7f) | 0x80, 0x80, 0]);
    case 4:
      // A limit as it is written: with a maximum, without, shared, of 64 bits, of other pages.
      return cut(at + 2, [
        random.whole(0, 15),
        ...encodeU32(random.whole(0, 20)),
        ...encodeU32(random.whole(0, 70_000)),
      ]);
    default:
      return cut(at + 1, [random.chance(0.5) ? random.whole(0, 255) : ((bytes[at] ?? 0) + random.pick([-1, 1])) & 255]);
  }
}

const NUMBERS = [
  0,
  1,
  2,
  4,
  1_023,
  PAGE_BYTES - 1,
  PAGE_BYTES,
  PAGE_BYTES + 1,
  2 * PAGE_BYTES,
  2 ** 31 - 1,
  -1,
  -4,
  -PAGE_BYTES,
  -(2 ** 31),
];
const MAX_OUTPUT = 20_000;

/** Calls with forged numbers against a model: what is in range does what it should, what is not is a fault, and no byte is read or written outside. */
export function fuzzAbi(count: number, seed: number): Promise<Counts> {
  const fuzz = new Fuzz('fuzzAbi', seed);
  const { random } = fuzz;
  const number = () =>
    (random.chance(0.6) ? random.pick(NUMBERS) : random.whole(-(2 ** 31), 2 ** 31 - 1)) + random.whole(-1, 1);
  const small = () => random.whole(0, 3_000);
  let world = makeWorld(random);
  let output: number[] = [];
  return fuzz.run(count, () => {
    const name = random.pick([
      'log',
      'emit',
      'emit',
      'fail',
      'spill_write',
      'spill_read',
      'spill_size',
      'spill_free',
      'now',
      'pressure',
      'put',
    ]);
    const forged = random.chance(0.5);
    const [pointer, length] = forged
      ? [number(), number()]
      : [random.whole(0, world.memory.buffer.byteLength), small()];
    const end = (pointer >>> 0) + (length >>> 0);
    const hasRange = !['spill_size', 'spill_free', 'now', 'pressure', 'put'].includes(name);
    const isInside = !hasRange || end <= world.memory.buffer.byteLength;
    const isTooMuch = name === 'emit' && isInside && output.length + (length >>> 0) > MAX_OUTPUT;
    const before = new Uint8Array(world.memory.buffer).slice();
    let threw: unknown;
    try {
      const result = callOne(world, name, pointer, length, number);
      fuzz.demand(name === 'put' || typeof result === 'number', `${name} gave ${String(result)}`);
    } catch (cause) {
      threw = cause;
    }
    fuzz.demand(threw === undefined || threw instanceof AbiFault, `${name} threw ${String(threw)}`);
    if (name !== 'put')
      fuzz.demand(
        (threw !== undefined) === (!isInside || isTooMuch),
        `${name}(${pointer}, ${length}): ${String(threw)}`,
      );
    const after = new Uint8Array(world.memory.buffer);
    if (name !== 'put' && name !== 'spill_read') fuzz.demand(Buffer.compare(before, after) === 0, `${name} wrote`);
    if (name === 'spill_read' && threw === undefined) {
      before.fill(0xee, pointer >>> 0, end);
      fuzz.demand(Buffer.compare(before, after) === 0, 'spill_read wrote elsewhere');
    }
    if (name === 'emit' && threw === undefined) output.push(...before.subarray(pointer >>> 0, end));
    fuzz.count(threw === undefined ? 'done' : 'stopped');
    if (threw === undefined && !random.chance(0.02)) return;
    const taken = world.abi.takeOutput();
    fuzz.demand(
      Buffer.compare(Buffer.from(taken.buffer, 0, taken.length), Buffer.from(output)) === 0,
      'another output',
    );
    fuzz.demand(taken.buffer.byteLength <= MAX_OUTPUT, 'a buffer above its bound');
    world = makeWorld(random);
    output = [];
  });
}

function makeWorld(random: Random) {
  const memory = { buffer: new ArrayBuffer(PAGE_BYTES * random.pick([0, 1, 1, 2]) + random.pick([0, 0, 8])) };
  for (let i = 0; i < 50; i++)
    new Uint8Array(memory.buffer)[random.whole(0, memory.buffer.byteLength)] = random.whole(0, 255);
  const spill = {
    write: (bytes: Uint8Array) => bytes.byteLength,
    size: (handle: number) => handle,
    read: (_handle: number, _offset: number, target: Uint8Array) => target.fill(0xee).byteLength,
    free: () => 0,
  };
  const abi = new Abi({ now: () => 1, level: () => 0, log: () => {}, spill }, MAX_OUTPUT);
  abi.memory = memory;
  abi.begin(true);
  return { abi, memory, imports: abi.imports };
}

function callOne(
  { abi, imports }: ReturnType<typeof makeWorld>,
  name: string,
  pointer: number,
  length: number,
  number: () => number,
): unknown {
  switch (name) {
    case 'put':
      return abi.put(new Uint8Array(length >>> 20), pointer);
    case 'log':
      return imports.log!(number(), pointer, length);
    case 'spill_read':
      return imports.spill_read!(number(), number(), pointer, length);
    default:
      return imports[name]!(pointer, length);
  }
}

const FUZZERS: Readonly<Record<string, (count: number, seed: number) => Promise<Counts>>> = {
  fuzzManifest,
  fuzzModule,
  fuzzAbi,
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [name = '', count, seed] = process.argv.slice(2);
  console.log(JSON.stringify(await FUZZERS[name]!(Number(count), Number(seed))));
}
