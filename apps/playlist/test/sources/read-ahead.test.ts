import fc from 'fast-check';
import { createGovernor } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import type { ByteSource } from '../../src/sources/byte-source.ts';
import { ReadAhead } from '../../src/sources/read-ahead.ts';

function freshConsumer() {
  return createGovernor({ limitBytes: 2 ** 24, runtimeBytes: 0 }).consumer({
    name: 'guide',
    kind: 'external',
    maxBytes: 2 ** 20,
  });
}

class Pieces implements ByteSource {
  readonly label = 'pieces';
  readonly sizeBytes = undefined;
  closed = 0;
  readonly #pieces: Uint8Array[];
  readonly #failure: Error | undefined;

  constructor(pieces: readonly Uint8Array[], failure?: Error) {
    this.#pieces = pieces.filter((piece) => piece.length > 0);
    this.#failure = failure;
  }

  async read(target: Buffer, offset: number, length: number): Promise<number> {
    const piece = this.#pieces.shift();
    if (piece === undefined) {
      if (this.#failure !== undefined) throw this.#failure;
      return 0;
    }
    const taken = piece.subarray(0, length);
    target.set(taken, offset);
    if (piece.length > length) this.#pieces.unshift(piece.subarray(length));
    return taken.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closed++;
  }
}

async function readAll(source: ByteSource, lengths: readonly number[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let i = 0; ; i++) {
    const target = Buffer.alloc(64);
    const count = await source.read(target, 3, lengths[i % lengths.length]!);
    if (count === 0) return Buffer.concat(parts);
    parts.push(target.subarray(3, 3 + count));
  }
}

describe('read ahead', () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 });

  it('gives the same bytes, whatever the pieces and the reads', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 50 })),
        lengths,
        fc.integer({ min: 1, max: 40 }),
        async (pieces, reads, size) => {
          await using source = new ReadAhead(new Pieces(pieces), size, freshConsumer());
          expect((await readAll(source, reads)).equals(Buffer.concat(pieces))).toBe(true);
        },
      ),
    );
  });

  it('gives out all that came before an error, then the error', async () => {
    const failure = new Error('the disk is gone');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 50 })), lengths, async (pieces, reads) => {
        await using source = new ReadAhead(new Pieces(pieces, failure), 16, freshConsumer());
        let given = 0;
        const counting: ByteSource = {
          label: '',
          sizeBytes: undefined,
          async read(target, offset, length) {
            const count = await source.read(target, offset, length);
            given += count;
            return count;
          },
          async [Symbol.asyncDispose]() {},
        };
        await expect(readAll(counting, reads)).rejects.toBe(failure);
        expect(given).toBe(Buffer.concat(pieces).length);
      }),
    );
  });

  it('closes its source once and gives its buffers back, also in the middle', async () => {
    const consumer = freshConsumer();
    const pieces = new Pieces([Buffer.alloc(100)]);
    const source = new ReadAhead(pieces, 16, consumer);
    expect(consumer.heldBytes).toBe(32);
    await source.read(Buffer.alloc(8), 0, 8);
    await source[Symbol.asyncDispose]();
    await source[Symbol.asyncDispose]();
    expect(pieces.closed).toBe(1);
    expect(consumer.heldBytes).toBe(0);
  });
});
