import type { ConsumerOptions } from 'plimsoll';
import {
  Pipeline,
  type PipelineMode,
  type PipelineReport,
  RecordBatch,
  type RecordOperatorOptions,
  type Sink,
  type Source,
  type Stage,
} from 'plimsoll/pipeline';
import type { SpillFolder } from 'plimsoll/spill';
import { FakeConsumer, FakeMachine } from '../fake-machine.ts';

const MEMORY = { kind: 'external', maxBytes: Number.POSITIVE_INFINITY } as const;
const MOST_RECORDS = 64;

/** Refuses the operator alone: what it asks for at `refuseAt`, from 0. */
export class RefusingMachine extends FakeMachine {
  constructor(refuseAt: number) {
    super();
    this.refuseAt = refuseAt;
  }

  override consumer(options: ConsumerOptions): FakeConsumer {
    if (options.name !== 'Loading') return super.consumer(options);
    const consumer = new FakeConsumer(options, () => false);
    this.consumers.push(consumer);
    return consumer;
  }
}

/** Hands on records in batches of so many bytes, each filled anew. */
export function recordsFrom(records: Iterable<Buffer>, batchBytes = 4_096): Source<RecordBatch> {
  return {
    name: 'Loading',
    memory: MEMORY,
    async *open({ memory }) {
      using _held = memory.reserve(RecordBatch.bytesFor(batchBytes, MOST_RECORDS));
      const batch = new RecordBatch(batchBytes, MOST_RECORDS);
      for (const record of records) {
        if (batch.tryPush(record)) continue;
        if (batch.count > 0) yield batch;
        batch.clear();
        if (batch.tryPush(record)) continue;
        using _more = memory.reserve(RecordBatch.bytesFor(record.length, 1));
        const large = new RecordBatch(Math.max(1, record.length), 1);
        large.tryPush(record);
        yield large;
      }
      if (batch.count > 0) yield batch;
    },
  };
}

/** Keeps a copy of each record. */
export function collect(into: Buffer[]): Sink<RecordBatch, void> {
  return {
    name: 'Collecting',
    async drain(input) {
      for await (const batch of input) {
        for (let index = 0; index < batch.count; index++) into.push(Buffer.from(batch.record(index)));
      }
    },
  };
}

/** Looks at each record and keeps none. */
export const discard: Sink<RecordBatch, number> = {
  name: 'Discarding',
  async drain(input) {
    let bytes = 0;
    for await (const batch of input) bytes += batch.usedBytes;
    return bytes;
  },
};

export interface FlowOptions {
  readonly machine?: FakeMachine;
  readonly mode?: PipelineMode | 'auto';
  readonly spill?: SpillFolder | undefined;
  readonly inputBytes?: number;
  readonly batchBytes?: number;
  readonly signal?: AbortSignal;
}

/** What comes out of a stage that is given `records`, and the report. */
export async function runRecords(
  records: Iterable<Buffer>,
  stage: Stage<RecordBatch, RecordBatch>,
  options: FlowOptions = {},
): Promise<{ readonly out: Buffer[]; readonly report: PipelineReport }> {
  const { machine = new FakeMachine(), mode = 'auto', spill, inputBytes, batchBytes, signal } = options;
  const pipeline = new Pipeline({
    governor: machine,
    probe: machine,
    clock: machine,
    mode,
    ...(spill !== undefined && { spill }),
    ...(batchBytes !== undefined && { batchBytes }),
    ...(signal !== undefined && { signal }),
  });
  const out: Buffer[] = [];
  const failure = await pipeline
    .from(recordsFrom(records, inputBytes))
    .through(stage)
    .into(collect(out))
    .then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
  for (const { name, unreleasedBytes } of pipeline.report().stages) {
    if (unreleasedBytes > 0) throw new Error(`${name} ended without releasing ${unreleasedBytes} bytes`);
  }
  if (failure !== undefined) throw failure.error;
  return { out, report: pipeline.report() };
}

/** The least `memory.maxBytes` that an operator takes with these options. */
export function leastBytes<T extends RecordOperatorOptions>(make: (options: T) => unknown, options: T): number {
  try {
    make({ ...options, memory: { maxBytes: 1 } });
  } catch (error) {
    const said = /at least (\d+)/.exec((error as Error).message);
    if (said !== null) return Number(said[1]);
    throw error;
  }
  return 1;
}

/** Records of one text each. */
export const texts = (...values: readonly string[]): Buffer[] => values.map((value) => Buffer.from(value));
