import type { Batch, Sink, Source, Stage } from 'plimsoll/pipeline';
import { describe, expect, it } from 'vitest';
import {
  checkHoldsWhatItReserved,
  checkReleasesAtTheEnd,
  checkReleasesOnAbort,
  checkReleasesOnFailure,
  checkReleasesOnRefusal,
  checkSameInEveryMode,
  describeStages,
  type StageSubject,
} from '../contract/stage.ts';

const MIB = 2 ** 20;
const MEMORY = { kind: 'external', maxBytes: 64 * MIB } as const;

class Block implements Batch {
  readonly buffer: Buffer;

  constructor(bytes: number) {
    this.buffer = Buffer.allocUnsafeSlow(bytes);
  }

  get byteLength(): number {
    return this.buffer.byteLength;
  }

  get itemCount(): number {
    return 1;
  }
}

function blocks(): Source<Batch> {
  return {
    name: 'Blocks',
    memory: MEMORY,
    async *open({ memory }) {
      using _held = memory.reserve(MIB);
      const block = new Block(MIB);
      for (let i = 0; i < 6; i++) yield block;
    },
  };
}

function discard(): Sink<Batch, void> {
  return {
    name: 'Discard',
    async drain(input) {
      for await (const _batch of input);
    },
  };
}

/** Keeps a copy of each batch until the end, as a sort does. */
function keeping(how: 'reserved' | 'unreserved' | 'forgotten'): Stage<Batch, Batch> {
  return {
    name: 'Keeping',
    memory: MEMORY,
    async *run(input, { memory }) {
      const kept: Block[] = [];
      const reservation = memory.reserve(1);
      try {
        for await (const batch of input) {
          if (how !== 'unreserved') reservation.grow(batch.byteLength);
          kept.push(new Block(batch.byteLength));
          yield batch;
        }
        if (how === 'reserved') yield* kept;
      } finally {
        if (how !== 'forgotten') reservation[Symbol.dispose]();
      }
    },
  };
}

function through(stage: () => Stage<Batch, Batch>): StageSubject {
  return { make: () => ({ source: blocks(), stages: [stage()], sink: discard() }) };
}

describeStages(
  'a stage that reserves what it keeps',
  through(() => keeping('reserved')),
);

describe('the contract suite finds out', () => {
  it('a stage that holds more than it reserved', async () => {
    const subject = through(() => keeping('unreserved'));
    await expect(checkHoldsWhatItReserved(subject)).rejects.toThrow(
      /at batch \d+: [\d,]+ bytes held beyond the [\d,]+ reserved/,
    );
  });

  it('a stage that keeps its memory alive after its end', async () => {
    const alive: Block[] = [];
    const subject = through(() => ({
      name: 'Hiding',
      async *run(input) {
        yield* input;
        alive.push(new Block(4 * MIB));
      },
    }));
    await expect(checkHoldsWhatItReserved(subject)).rejects.toThrow(/at the end [\d,]+ bytes are still held/);
    expect(alive.length).toBeGreaterThan(0);
  });

  it('a stage that never releases', async () => {
    const subject = through(() => keeping('forgotten'));
    await expect(checkReleasesAtTheEnd(subject)).rejects.toThrow('Keeping ended without releasing 6291457 bytes');
    await expect(checkReleasesOnFailure(subject)).rejects.toThrow('Keeping ended without releasing');
    await expect(checkReleasesOnAbort(subject)).rejects.toThrow('Keeping ended without releasing');
  });

  it('a stage that releases only when all goes well', async () => {
    const subject = through(() => ({
      name: 'Hopeful',
      memory: MEMORY,
      async *run(input, { memory }) {
        const first = memory.reserve(10);
        const second = memory.reserve(20);
        yield* input;
        first[Symbol.dispose]();
        second[Symbol.dispose]();
      },
    }));
    await checkReleasesAtTheEnd(subject);
    await expect(checkReleasesOnFailure(subject)).rejects.toThrow('Hopeful ended without releasing 30 bytes');
    await expect(checkReleasesOnAbort(subject)).rejects.toThrow('Hopeful ended without releasing 30 bytes');
    await expect(checkReleasesOnRefusal(subject)).rejects.toThrow('Hopeful ended without releasing 10 bytes');
  });

  it('a stage that swallows the failure of another', async () => {
    const subject = through(() => ({
      name: 'Swallowing',
      async *run(input) {
        try {
          yield* input;
        } catch {}
      },
    }));
    await expect(checkReleasesOnFailure(subject)).rejects.toThrow('a fault at batch 0 was lost on the way');
  });

  it('a stage that gives other bytes in one of its modes, one that leaves something on the disk, and one of which nobody says what its bytes are', async () => {
    const numbering = (odd: string, spills = false): Stage<Batch, Batch> => ({
      name: 'Numbering',
      can: { compression: true, spilling: true },
      async *run(input, context) {
        for await (const batch of input) {
          (batch as Block).buffer.fill(0)[0] = context.mode === odd ? 1 : 2;
          if (spills && context.mode === 'spill') await context.spill!.put(Buffer.from('left'));
          yield batch;
        }
      },
    });
    const contentOf = (batch: Batch) => (batch as Block).buffer;
    const said = (stage: () => Stage<Batch, Batch>) => ({ ...through(stage), contentOf });
    await checkSameInEveryMode(said(() => numbering('streaming')));
    await expect(checkSameInEveryMode(said(() => numbering('spill')))).rejects.toThrow(
      'the output in the mode spill is not',
    );
    await expect(checkSameInEveryMode(said(() => numbering('', true)))).rejects.toThrow(
      'something is left on the disk',
    );
    await expect(checkSameInEveryMode(through(() => numbering('')))).rejects.toThrow(
      'say what the bytes of a batch are',
    );
  });
});
