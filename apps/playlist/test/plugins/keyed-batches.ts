/** Keyed records for tests. */
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
