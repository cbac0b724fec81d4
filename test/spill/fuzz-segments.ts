import { type SpillCodec, type SpilledSegment, SpillFolder } from 'plimsoll/spill';
import { MemoryFs } from './memory-fs.ts';
import { type Draw, drawFrom, MUTATIONS } from './mutate-segment.ts';

interface Base {
  readonly path: string;
  readonly bytes: Buffer;
  readonly batches: readonly Buffer[];
  readonly segment: SpilledSegment;
}

export interface FuzzOutcome {
  readonly cases: number;
  /** Cases that read to the end and were right: what was changed had no say. */
  readonly right: number;
  /** How often each fault was named, and each change made. */
  readonly faults: Readonly<Record<string, number>>;
  readonly changes: Readonly<Record<string, number>>;
  /** Cases that ended neither in the right bytes nor in a named fault. */
  readonly wrong: readonly string[];
}

const MOST_BATCH_BYTES = 65_536;
const MOST_SHOWN = 10;

/** Reads `count` mutated segments through the doors of the room, from a disk in memory. Repeatable by its seed. */
export async function fuzzSegments(
  seed: number,
  count: number,
  onCase: (index: number) => void = () => {},
): Promise<FuzzOutcome> {
  const disk = new MemoryFs();
  await using folder = await SpillFolder.open('/fuzz', {
    maxBytes: 2 ** 30,
    maxFiles: 1_000,
    fs: disk.fs,
    allowMemoryBacked: true,
  });
  const draw = drawFrom(seed);
  const bases: Base[] = [];
  for (const codec of ['none', 'zstd', 'deflate'] as const)
    for (let i = 0; i < 12; i++) bases.push(await makeBase(folder, disk, codec, draw));
  const faults: Record<string, number> = {};
  const changes: Record<string, number> = {};
  const wrong: string[] = [];
  let right = 0;
  for (let index = 0; index < count; index++) {
    const base = bases[draw(bases.length)]!;
    const other = bases[draw(bases.length)]!;
    const mutation = MUTATIONS[draw(MUTATIONS.length)]!;
    const bytes = mutation.apply(Buffer.from(base.bytes), draw, Buffer.from(other.bytes));
    changes[mutation.name] = (changes[mutation.name] ?? 0) + 1;
    disk.files.set(base.path, bytes);
    const outcome = await readWhole(base, mutation.forged === true);
    disk.files.set(base.path, base.bytes);
    const same = bytes.equals(base.bytes);
    if (outcome === 'right' && (same || mutation.forged === true)) right++;
    else if (outcome.startsWith('fault ') && !same) faults[outcome.slice(6)] = (faults[outcome.slice(6)] ?? 0) + 1;
    else if (wrong.length < MOST_SHOWN) wrong.push(`seed ${seed}, case ${index}: ${mutation.name}: ${outcome}`);
    onCase(index);
    // A disk in memory answers at once: Node's own queue, in which broken decompressors wait for their end, would never have its turn.
    if (index % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return { cases: count, right, faults, changes, wrong };
}

async function readWhole({ segment, batches }: Base, forged: boolean): Promise<string> {
  let i = 0;
  let isRight = true;
  try {
    for await (const batch of segment.read({ bufferBytes: 4_096 })) {
      isRight &&= batches[i++]?.equals(batch) === true;
      // Nobody can tell who forges sums that a batch is another one; but it must come out in the end.
      if (!isRight && !forged) return `batch ${i - 1} is wrong`;
    }
  } catch (cause) {
    const { code, fault } = cause as { code?: string; fault?: string };
    return code === 'PLIMSOLL_SPILL_CORRUPT' && fault !== undefined ? `fault ${fault}` : `it throws ${String(cause)}`;
  }
  if (i !== batches.length) return `${i} batches instead of ${batches.length}`;
  return isRight ? 'right' : 'a wrong batch, and no fault';
}

async function makeBase(folder: SpillFolder, disk: MemoryFs, codec: SpillCodec, draw: Draw): Promise<Base> {
  const run = folder.openRun({
    name: 'fuzz',
    maxBytes: 2 ** 24,
    codec,
    maxBatchBytes: MOST_BATCH_BYTES,
    bufferBytes: 4_096,
  });
  await using writer = await run.create();
  const batches: Buffer[] = [];
  for (let i = draw(6); i >= 0; i--) {
    const size = draw(3) === 0 ? draw(20_000) : draw(400);
    const noisy = draw(3) === 0;
    const batch = noisy
      ? Buffer.from(Array.from({ length: size }, () => draw(256)))
      : Buffer.alloc(size, `record ${i} of many; `);
    batches.push(batch);
    await writer.write(batch);
  }
  const segment = await writer.finish();
  const path = [...disk.files.keys()].at(-1)!;
  return { path, bytes: disk.files.get(path)!, batches, segment };
}
