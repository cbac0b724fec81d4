import {
  pluginRecordStage,
  RECORD_FRAME_BYTES,
  type RecordBatch,
  type RecordCheck,
  type Stage,
  type StageContext,
  sortRecords,
} from 'plimsoll/pipeline';
import { GROUP_LENGTH_AT } from '../channels/channel-spool.ts';
import { GrowingBatch } from '../channels/growing-batch.ts';
import { wordAt } from '../channels/words.ts';
import type { PluginWorkers } from '../plugin-job.ts';
import { GroupingProof, groupingKey, keyEnd, keyedRecordBytes, writeKeyedHead } from '../plugins/keyed-record.ts';

export interface GroupByPluginsOptions {
  readonly workers: PluginWorkers;
  /** Held at most in memory of what goes to plugins and comes from them; and as much by the native sort. */
  readonly maxBytes: number;
  readonly maxRecordBytes: number;
  readonly batchBytes: number;
}

const NAME = 'Sorting';

/**
 * Brings the channels of one group together, as `sortChannels` does, by plugins. They are given each record behind its group; what comes back is proved to be the same records, in
 * order, before any of it is used.
 */
export function groupByPlugins(options: GroupByPluginsOptions): Stage<RecordBatch, RecordBatch> {
  const { workers, maxBytes, batchBytes } = options;
  // A group may be as long as the record that it stands in.
  const maxRecordBytes = 2 * options.maxRecordBytes;
  const stage = pluginRecordStage({
    ...workers,
    name: NAME,
    native: sortRecords({ name: NAME, key: groupingKey, memory: { maxBytes }, maxRecordBytes }),
    memory: { maxBytes },
    maxBatchBytes: maxRecordBytes,
    check: proofOfGrouping,
  });
  return {
    ...stage,
    memory: { kind: 'external', maxBytes: Number.POSITIVE_INFINITY },
    async *run(input, context) {
      for await (const batch of stage.run(keyed(input, batchBytes, context), context)) {
        takeKeysOff(batch);
        yield batch;
      }
    },
  };
}

async function* keyed(
  input: AsyncIterable<RecordBatch>,
  batchBytes: number,
  context: StageContext,
): AsyncGenerator<RecordBatch, void, undefined> {
  using out = new GrowingBatch(batchBytes, context);
  let id = 0;
  for await (const batch of input) {
    for (let index = 0; index < batch.count; index++) {
      const start = batch.start(index);
      const end = batch.end(index);
      const groupBytes = wordAt(batch.bytes, start + GROUP_LENGTH_AT);
      const bytes = keyedRecordBytes(groupBytes, end - start);
      if (!out.fits(bytes, context.batchBytes)) {
        if (out.batch.count > 0) yield out.batch;
        out.clear(bytes);
      }
      const { batch: made } = out;
      let to = writeKeyedHead(made.bytes, made.usedBytes, id++, groupBytes);
      // It is the last run of the record.
      to += batch.bytes.copy(made.bytes, to, end - groupBytes, end);
      to += batch.bytes.copy(made.bytes, to, start, end);
      made.ends[made.count++] = to;
    }
  }
  if (out.batch.count > 0) yield out.batch;
}

function takeKeysOff({ bytes, ends, count }: RecordBatch): void {
  let to = 0;
  let start = 0;
  for (let index = 0; index < count; index++) {
    const end = ends[index]!;
    const from = keyEnd(bytes, start);
    bytes.copyWithin(to, from, end);
    to += end - from;
    ends[index] = to;
    start = end;
  }
}

function proofOfGrouping(): RecordCheck {
  const proof = new GroupingProof();
  const each = (wire: Uint8Array, note: (bytes: Buffer, start: number, end: number) => void): void => {
    const bytes = Buffer.from(wire.buffer, wire.byteOffset, wire.byteLength);
    for (let at = 0; at < bytes.length; ) {
      const start = at + RECORD_FRAME_BYTES;
      at = start + wordAt(bytes, at);
      note(bytes, start, at);
    }
  };
  return {
    input: (wire) => each(wire, (bytes, start, end) => proof.noteRecordIn(bytes, start, end)),
    output: (wire) => each(wire, (bytes, start, end) => proof.noteRecordOut(bytes, start, end)),
    end: () => proof.end(),
  };
}
