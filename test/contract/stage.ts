import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Batch,
  type Flow,
  PIPELINE_MODES,
  Pipeline,
  type PipelineMode,
  RecordBatch,
  type Sink,
  type Source,
  type Stage,
} from 'plimsoll/pipeline';
import { SpillFolder } from 'plimsoll/spill';
import { describe, it } from 'vitest';
import { FakeMachine } from '../pipeline/fake-machine.ts';
import { settledMemory } from '../settled-memory.ts';

/** The parts of a flow, each of which is held to the contract. */
export interface FlowParts {
  readonly source: Source<Batch>;
  readonly stages: readonly Stage<Batch, Batch>[];
  readonly sink: Sink<Batch, unknown>;
}

export interface StageSubject {
  /** New parts each time, over the same content. One of them is usually real and the others as small as can be. */
  make(): FlowParts;
  /**
   * By how much real memory may exceed the reservations and one batch (the last of a stage that has ended lives on in the frame
   * of the next): objects too small to reserve. Default 512 KiB.
   */
  readonly slackBytes?: number;
  /** After how many reservations the search for a fault in a refusal stops. Default 200. */
  readonly mostReservations?: number;
  /**
   * The bytes of a batch that reaches the sink. One behind the other they must be the same in every mode, however they are cut. Needed where a part says that it can do more than
   * `plain`; default, for records: their wire form.
   */
  readonly contentOf?: (batch: Batch) => Uint8Array;
}

const SLACK_BYTES = 512 * 1024;
const MOST_RESERVATIONS = 200;

/** Called each time a batch has changed hands, with how many had before, and whether it is the sink that gets it. */
type Tap = (crossing: number, batch: Batch, isLast: boolean) => void | Promise<void>;

/** How the pipeline of a run is made. */
interface RunOptions {
  readonly signal?: AbortSignal;
  readonly mode?: PipelineMode;
  readonly spill?: SpillFolder;
}

/** What every source, stage and sink has to stand. Registers one test for each promise of `Stage`. Needs `--expose-gc`. */
export function describeStages(name: string, subject: StageSubject): void {
  describe(`${name} keeps the contract of a stage:`, () => {
    it('releases what it reserved when it ends', () => checkReleasesAtTheEnd(subject));
    it('releases it when somebody fails at any batch', () => checkReleasesOnFailure(subject));
    it('releases it when it is aborted at any batch', () => checkReleasesOnAbort(subject));
    it('releases it when any reservation is refused', () => checkReleasesOnRefusal(subject));
    it('holds no more than it reserved', () => checkHoldsWhatItReserved(subject));
    it('gives the same bytes in every mode that it says it can do', () => checkSameInEveryMode(subject));
  });
}

export async function checkReleasesAtTheEnd(subject: StageSubject): Promise<void> {
  const { outcome, released } = await run(subject, new FakeMachine(), () => {});
  if (outcome.error !== undefined) throw outcome.error;
  released();
}

export async function checkReleasesOnFailure(subject: StageSubject): Promise<void> {
  const crossings = await countCrossings(subject);
  for (const at of spread(crossings)) {
    const fault = new Error(`a fault at batch ${at}`);
    const tap: Tap = (crossing) => {
      if (crossing === at) throw fault;
    };
    const { outcome, released } = await run(subject, new FakeMachine(), tap);
    if (!causes(outcome.error).includes(fault)) throw new Error(`${fault.message} was lost on the way`);
    released();
  }
}

export async function checkReleasesOnAbort(subject: StageSubject): Promise<void> {
  const crossings = await countCrossings(subject);
  for (const at of spread(crossings)) {
    const abort = new AbortController();
    const tap: Tap = (crossing) => {
      if (crossing === at) abort.abort();
    };
    const { outcome, released } = await run(subject, new FakeMachine(), tap, { signal: abort.signal });
    const last = at === crossings - 1;
    if (!last && outcome.error !== abort.signal.reason) throw new Error(`an abort at batch ${at} did not end the run`);
    released();
  }
}

/** Refuses the first reservation, then the second, and so on until a run has none left to refuse. */
export async function checkReleasesOnRefusal(subject: StageSubject): Promise<void> {
  const most = subject.mostReservations ?? MOST_RESERVATIONS;
  for (let at = 0; at < most; at++) {
    const machine = new FakeMachine();
    machine.refuseAt = at;
    const { released } = await run(subject, machine, () => {});
    released();
    if (machine.askedCount <= at) return;
  }
}

/** Compares real memory, after a collection, with the reservations, each time a batch changes hands. */
export async function checkHoldsWhatItReserved(subject: StageSubject): Promise<void> {
  const slack = subject.slackBytes ?? SLACK_BYTES;
  const crossings = await countCrossings(subject);
  const looks = new Set(spread(crossings));
  const machine = new FakeMachine();
  const before = await realBytes();
  let largestBatch = 0;
  const tap: Tap = async (crossing, { byteLength }) => {
    largestBatch = Math.max(largestBatch, byteLength);
    if (!looks.has(crossing)) return;
    const excess = (await realBytes()) - before - machine.heldBytes - largestBatch;
    if (excess > slack) {
      const held = machine.heldBytes.toLocaleString('en');
      throw new Error(`at batch ${crossing}: ${excess.toLocaleString('en')} bytes held beyond the ${held} reserved`);
    }
  };
  const { outcome, released } = await run(subject, machine, tap);
  if (outcome.error !== undefined) throw outcome.error;
  released();
  const kept = (await realBytes()) - before;
  if (kept > slack) throw new Error(`at the end ${kept.toLocaleString('en')} bytes are still held`);
}

/** Runs in `plain`, and in each mode that one of the parts can do, and compares what reaches the sink. Each run releases what it reserved. */
export async function checkSameInEveryMode(subject: StageSubject): Promise<void> {
  const { source, stages, sink } = subject.make();
  const parts = [source, ...stages, sink];
  const can = (mode: PipelineMode): boolean =>
    parts.some(({ can = {} }) => {
      if (mode === 'streaming') return can.streaming;
      if (mode === 'compressed') return can.compression;
      return mode === 'spill' && can.spilling;
    });
  const dir = await mkdtemp(join(process.env.PLIMSOLL_TEST_DISK ?? tmpdir(), 'stage-contract-'));
  try {
    await using spill = await SpillFolder.open(dir, { maxBytes: 256 * 2 ** 20, allowMemoryBacked: true });
    const plain = await digestIn(subject, { mode: 'plain' });
    for (const mode of PIPELINE_MODES) {
      if (!can(mode)) continue;
      const found = await digestIn(subject, { mode, spill });
      if (found !== plain) throw new Error(`the output in the mode ${mode} is not that in plain`);
      if (spill.stats.recordCount > 0) throw new Error(`in the mode ${mode} something is left on the disk`);
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function digestIn(subject: StageSubject, options: RunOptions): Promise<string> {
  const hash = createHash('sha256');
  const tap: Tap = (_, batch, isLast) => {
    if (isLast) hash.update(contentOf(subject, batch, options.mode));
  };
  const { outcome, released } = await run(subject, new FakeMachine(), tap, options);
  if (outcome.error !== undefined) throw outcome.error;
  released();
  return hash.digest('hex');
}

function contentOf(subject: StageSubject, batch: Batch, mode: PipelineMode | undefined): Uint8Array {
  if (subject.contentOf !== undefined) return subject.contentOf(batch);
  if (batch instanceof RecordBatch) {
    const wire = Buffer.alloc(batch.wireBytes);
    batch.writeWire(wire);
    return wire;
  }
  // There is nothing to compare plain with.
  if (mode === 'plain') return Buffer.alloc(0);
  throw new Error('a part says that it can do more than plain: say what the bytes of a batch are, with `contentOf`');
}

interface Ran {
  readonly outcome: { readonly error?: unknown };
  /** Throws when a stage had to be released by the pipeline. */
  released(): void;
}

async function run(subject: StageSubject, machine: FakeMachine, tap: Tap, options: RunOptions = {}): Promise<Ran> {
  const pipeline = new Pipeline({ governor: machine, probe: machine, clock: machine, ...options });
  const error = await runParts(pipeline, subject.make(), tap);
  return {
    outcome: { error },
    released() {
      for (const { name, unreleasedBytes } of pipeline.report().stages) {
        if (unreleasedBytes > 0) throw new Error(`${name} ended without releasing ${unreleasedBytes} bytes`);
      }
    },
  };
}

/** Puts a tap behind the source and behind each stage. Resolves to the error, if any: the result must not be kept alive. */
async function runParts(pipeline: Pipeline, parts: FlowParts, tap: Tap): Promise<unknown> {
  let crossing = 0;
  const tapped = (flow: Flow<Batch>, index: number): Flow<Batch> =>
    flow.through({
      name: `Tap ${index}`,
      async *run(input: AsyncIterable<Batch>) {
        for await (const batch of input) {
          await tap(crossing++, batch, index === parts.stages.length);
          yield batch;
        }
      },
    });
  let flow = tapped(pipeline.from(parts.source), 0);
  for (const [index, stage] of parts.stages.entries()) flow = tapped(flow.through(stage), index + 1);
  try {
    await flow.into(parts.sink);
    return undefined;
  } catch (error) {
    return error;
  }
}

async function countCrossings(subject: StageSubject): Promise<number> {
  let count = 0;
  const { outcome } = await run(subject, new FakeMachine(), () => void count++);
  if (outcome.error !== undefined) throw outcome.error;
  if (count === 0) throw new Error('no batch changed hands: there is nothing to check');
  return count;
}

/** Up to 20 of the numbers below `count`: the first ten, and ten over the rest up to the last. */
function spread(count: number): number[] {
  const chosen = new Set<number>();
  for (let i = 0; i < Math.min(10, count); i++) chosen.add(i);
  for (let i = 1; i <= 10; i++) chosen.add(Math.max(0, Math.ceil((count * i) / 10) - 1));
  return [...chosen].sort((a, b) => a - b);
}

function causes(error: unknown): unknown[] {
  const chain = [error];
  for (let at = error; at instanceof Error && at.cause !== undefined && chain.length < 20; )
    chain.push((at = at.cause));
  return chain;
}

async function realBytes(): Promise<number> {
  const { heapBytes, externalBytes } = await settledMemory();
  return heapBytes + externalBytes;
}
