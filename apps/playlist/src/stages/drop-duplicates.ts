import type { RecordBatch, Stage } from 'plimsoll/pipeline';
import { KEY_AT } from '../channels/channel-spool.ts';
import { Digest } from '../channels/digest.ts';
import { KeyTable } from '../channels/key-table.ts';

export interface DuplicateCounts {
  duplicates: number;
}

/** Drops channels whose URL and name another one had before. */
export function dropDuplicates(counts: DuplicateCounts): Stage<RecordBatch, RecordBatch> {
  return {
    name: 'Duplicate Removal',
    memory: { kind: 'external', maxBytes: Number.POSITIVE_INFINITY },
    async *run(input, context) {
      using seen = new KeyTable(context.memory, { withValues: false });
      const digest = new Digest();
      for await (const batch of input) {
        const before = batch.count;
        keepNew(batch, seen, digest);
        counts.duplicates += before - batch.count;
        if (batch.count > 0) yield batch;
      }
    },
  };
}

/** Closes the gaps that duplicates leave in a batch. */
function keepNew(batch: RecordBatch, seen: KeyTable, digest: Digest): void {
  const { bytes, ends, count } = batch;
  let kept = 0;
  let start = 0;
  let to = 0;
  for (let index = 0; index < count; index++) {
    const end = ends[index]!;
    digest.a = bytes.readUInt32LE(start + KEY_AT);
    digest.b = bytes.readUInt32LE(start + KEY_AT + 4);
    digest.c = bytes.readUInt32LE(start + KEY_AT + 8);
    if (seen.add(digest)) {
      if (to < start) bytes.copyWithin(to, start, end);
      to += end - start;
      ends[kept++] = to;
    }
    start = end;
  }
  batch.count = kept;
}
