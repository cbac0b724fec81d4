import { type Batch, Pipeline, type PipelineProgress, type Sink, type Source, type Stage } from 'plimsoll/pipeline';
import type { FakeMachine } from './fake-machine.ts';

export const MEMORY = { kind: 'external', maxBytes: 1_000_000 } as const;
export const BATCH_BYTES = 1000;

export class Numbers implements Batch {
  readonly byteLength = BATCH_BYTES;
  values: number[];

  constructor(values: number[]) {
    this.values = values;
  }

  get itemCount(): number {
    return this.values.length;
  }
}

/** Gives batches of ten, taking `ms` and `rssBytes` for each. */
export function source(machine: FakeMachine, batchCount: number, ms = 0, rssBytes = 0): Source<Numbers> {
  return {
    name: 'Loading',
    memory: MEMORY,
    async *open({ memory }) {
      using _held = memory.reserve(BATCH_BYTES);
      for (let i = 0; i < batchCount; i++) {
        machine.nowMs += ms;
        machine.rssBytes += rssBytes;
        yield new Numbers(Array.from({ length: 10 }, (_, j) => i * 10 + j));
      }
    },
  };
}

export function evens(machine: FakeMachine, ms = 0, rssBytes = 0): Stage<Numbers, Numbers> {
  return {
    name: 'Filtering',
    async *run(input) {
      for await (const batch of input) {
        machine.nowMs += ms;
        machine.rssBytes += rssBytes;
        batch.values = batch.values.filter((value) => value % 2 === 0);
        yield batch;
      }
    },
  };
}

export function sum(machine: FakeMachine, ms = 0): Sink<Numbers, number> {
  return {
    name: 'Adding',
    async drain(input, context) {
      let total = 0;
      for await (const batch of input) {
        machine.nowMs += ms;
        for (const value of batch.values) total += value;
        context.advance({ itemsOut: batch.itemCount });
      }
      return total;
    },
  };
}

export function pipelineOn(
  machine: FakeMachine,
  more: { signal?: AbortSignal; onProgress?: (p: PipelineProgress) => void } = {},
) {
  return new Pipeline({ governor: machine, probe: machine, clock: machine, sampleEveryMs: 1, ...more });
}

/** Adds all that comes by to `out`. */
export function noting(out: number[]): Stage<Numbers, Numbers> {
  return {
    name: 'Noting',
    async *run(input) {
      for await (const batch of input) {
        out.push(...batch.values);
        yield batch;
      }
    },
  };
}
