/** Holds real memory and prints what the drift says of it, by situation. */
import { MEMORY_KINDS, type MemoryKind } from 'plimsoll';
import { Drift, type DriftKind, type DriftRow } from '../../src/governor/drift.ts';
import { Faults } from '../../src/governor/faults.ts';
import { V8Meters } from '../../src/governor/meters.ts';

const MIB = 1_048_576;
const PAGES_A_MIB = 16;

/** What is used here of a global that TypeScript knows only with the library of browsers. */
interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: { Memory: new (limits: { initial: number; maximum: number }) => WasmMemory };
};

const meters = new V8Meters(() => 1024 * MIB);
const reserved = Object.fromEntries(MEMORY_KINDS.map((kind) => [kind, 0])) as Record<MemoryKind, number>;
const fresh = (read: () => number) => () => {
  meters.refresh();
  return read();
};
const runtimeBytes = new V8Meters(() => 1).rss.read();
const drift = new Drift({
  faults: new Faults(),
  reservedBytes: (kind) => reserved[kind],
  runtimeBytes: () => runtimeBytes,
  usedHeapBytes: fresh(() => meters.heap.read()),
  externalBytes: fresh(() => meters.external.read()),
  chargedBytes: () => undefined,
  rssBytes: fresh(() => meters.rss.read()),
});
const said: Partial<Record<string, DriftRow>> = {};

function note(name: string, of: DriftKind): void {
  drift.note(performance.now());
  const row = drift.rows().find((one) => one.of === of);
  if (row !== undefined) said[name] = row;
}

/** Twice: what was dropped is counted until the next one with some versions. In between whoever frees has its turn. */
async function collect(): Promise<void> {
  for (let i = 0; i < 2; i++) {
    globalThis.gc!();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

await collect();
drift.note(performance.now());
drift.noteCollection(performance.now());

let buffers: Buffer[] = Array.from({ length: 150 }, () => Buffer.alloc(MIB, 1));
reserved.external = 100 * MIB;
note('tooLittle', 'external');
reserved.external = 300 * MIB;
note('tooMuch', 'external');
reserved.external = 150 * MIB;
note('honest', 'external');

// Eight bytes each: an array of doubles.
const arrays = Array.from({ length: 64 }, (_, i) => new Array<number>(MIB / 8).fill(i + 0.5));
reserved.heap = 64 * MIB;
await collect();
drift.noteCollection(performance.now());
note('heap', 'heap');
note('whole', 'whole');

buffers = [];
reserved.external = 0;
await collect();
note('released', 'external');

const memory = new WebAssembly.Memory({ initial: 32 * PAGES_A_MIB, maximum: 64 * PAGES_A_MIB });
memory.grow(16 * PAGES_A_MIB);
reserved.wasm = 48 * MIB;
note('wasm', 'wasm');

if (buffers.length + arrays.length + memory.buffer.byteLength === 0) throw new Error('nothing was held');
process.stdout.write(JSON.stringify(said));
