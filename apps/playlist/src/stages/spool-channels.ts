import type { RecordBatch, Sink } from 'plimsoll/pipeline';
import type { FileSink } from '../output/file-sink.ts';

/** What the spool holds, for those who read it. */
export interface Spooled {
  readonly kept: number;
  readonly largestRecordBytes: number;
}

/** Ends the first pass: the records, in the order of the playlist, go to a file. */
export function spoolChannels(spool: FileSink): Sink<RecordBatch, Spooled> {
  return {
    name: 'Spooling',
    async drain(input, context) {
      let kept = 0;
      let largestRecordBytes = 0;
      for await (const batch of input) {
        for (let index = 0; index < batch.count; index++) {
          largestRecordBytes = Math.max(largestRecordBytes, batch.end(index) - batch.start(index));
        }
        await spool.write(batch.bytes, 0, batch.usedBytes);
        kept += batch.count;
        context.advance({ itemsOut: batch.count });
      }
      await spool.finish({ sync: false });
      return { kept, largestRecordBytes };
    },
  };
}
