/** Keyed records for tests. */
import { RecordBatch, type Sink } from 'plimsoll/pipeline';
import { keyedRecordBytes, writeKeyedHead } from '../../src/plugins/keyed-record.ts';

export type Pair = readonly [key: Buffer, rest: Buffer];

/** Records as they go to a plugin, cut into batches. */
export function batchesOf(pairs: readonly Pair[], batchBytes = 64 * 1024): Buffer[] {
  const batches: Buffer[] = [];
  let records: Buffer[] = [];
  let bytes = 0;
  for (const [id, [key, rest]] of pairs.entries()) {
    const record = Buffer.alloc(4 + keyedRecordBytes(key.length, rest.length));
    record.writeUInt32LE(record.length - 4);
    const at = writeKeyedHead(record, 4, id, key.length);
    key.copy(record, at);
    rest.copy(record, at + key.length);
    records.push(record);
    bytes += record.length;
    if (bytes >= batchBytes) {
      batches.push(Buffer.concat(records));
      records = [];
      bytes = 0;
    }
  }
  return records.length === 0 ? batches : [...batches, Buffer.concat(records)];
}

export function manyPairs(count: number, padding = ''): Pair[] {
  return Array.from({ length: count }, (_, i) => [
    Buffer.from(i % 17 === 0 ? '' : `Group ${(i * 7919) % 613}`),
    Buffer.from(
      `#EXTINF:-1 tvg-id="channel${i}" tvg-logo="http://logos.example/${i * 31}.png",Channel ${i}\nhttp://host.example/live/${i}.ts\n${padding}`,
    ),
  ]);
}

/** Such a batch as stages have it. */
export function recordBatch(wire: Buffer): RecordBatch {
  const batch = new RecordBatch(Math.max(1, wire.length), Math.max(1, wire.length >> 2));
  for (let at = 0; at < wire.length; ) {
    const end = at + 4 + wire.readUInt32LE(at);
    if (!batch.tryPush(wire, at + 4, end)) throw new Error('a record does not fit into a batch of its own size');
    at = end;
  }
  return batch;
}

/** All that comes, as it would go to a plugin. */
export const wireSink: Sink<RecordBatch, Buffer> = {
  name: 'Sink',
  async drain(input) {
    const parts: Buffer[] = [];
    for await (const batch of input) {
      const part = Buffer.alloc(batch.wireBytes);
      batch.writeWire(part);
      parts.push(part);
    }
    return Buffer.concat(parts);
  },
};
