import { RECORD_FRAME_BYTES, RecordBatch, type Sink, type Source, type Stage } from 'plimsoll/pipeline';

export const RECORD_MEMORY = { kind: 'external', maxBytes: 16 * 2 ** 20 } as const;

/** Gives the texts as records, so many in a batch, filled anew each time. */
export function recordSource(texts: readonly string[], perBatch: number): Source<RecordBatch> {
  return {
    name: 'Reading',
    memory: RECORD_MEMORY,
    async *open({ memory }) {
      using _held = memory.reserve(RecordBatch.bytesFor(perBatch * 100, perBatch));
      const batch = new RecordBatch(perBatch * 100, perBatch);
      for (let at = 0; at < texts.length; at += perBatch) {
        batch.clear();
        for (const text of texts.slice(at, at + perBatch)) batch.tryPush(Buffer.from(text));
        yield batch;
      }
    },
  };
}

export function textsOf(batch: RecordBatch): string[] {
  return Array.from({ length: batch.count }, (_, i) => `${batch.record(i)}`);
}

/** All records as texts. */
export function textSink(into: string[] = []): Sink<RecordBatch, string[]> {
  return {
    name: 'Collecting',
    async drain(input) {
      for await (const batch of input) into.push(...textsOf(batch));
      return into;
    },
  };
}

/** Takes all in, gives what `work` makes of it, as if it needed a mebibyte. */
export function wholeStage(
  name: string,
  work: (texts: readonly string[]) => string[],
  onRun: () => void = () => {},
): Stage<RecordBatch, RecordBatch> {
  return {
    name,
    memory: RECORD_MEMORY,
    async *run(input, { memory }) {
      onRun();
      using held = memory.reserve(2 ** 20);
      const texts: string[] = [];
      for await (const batch of input) texts.push(...textsOf(batch));
      const made = work(texts);
      for (let at = 0; at < made.length; at += 7) {
        const part = made.slice(at, at + 7).map((text) => Buffer.from(text));
        const batch = new RecordBatch(
          Math.max(
            1,
            part.reduce((sum, { length }) => sum + length, 0),
          ),
          part.length,
        );
        for (const record of part) batch.tryPush(record);
        if (batch.byteLength > held.bytes) throw new Error('too large for a test');
        yield batch;
      }
    },
  };
}

export function toWire(texts: readonly string[]): Uint8Array {
  const parts = texts.map((text) => {
    const record = Buffer.from(text);
    const frame = Buffer.alloc(RECORD_FRAME_BYTES);
    frame.writeUInt32LE(record.length);
    return Buffer.concat([frame, record]);
  });
  return Buffer.concat(parts);
}

export function fromWire(wire: Uint8Array): string[] {
  const bytes = Buffer.from(wire);
  const texts: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + RECORD_FRAME_BYTES + bytes.readUInt32LE(at);
    texts.push(bytes.toString('utf8', at + RECORD_FRAME_BYTES, end));
    at = end;
  }
  return texts;
}
