import { type RecordBatch, type RecordKey, type Stage, sortRecords } from 'plimsoll/pipeline';
import { GROUP_LENGTH_AT, SpoolRecord } from '../channels/channel-spool.ts';
import { NameOrder } from '../channels/name-order.ts';
import { wordAt } from '../channels/words.ts';

export interface SortChannelsOptions {
  /** By name as people sort (`NameOrder`), or by group, byte by byte: channels that are alike in that stay in the order of the lists. */
  readonly by: 'name' | 'group';
  /** Held at most; what is more goes to the disk. */
  readonly maxBytes: number;
  /** The longest record that can come. */
  readonly maxRecordBytes: number;
}

/** Brings the channels in the order of the playlist. Numbers that channels brought they have by then; the free ones follow this order. */
export function sortChannels({ by, maxBytes, maxRecordBytes }: SortChannelsOptions): Stage<RecordBatch, RecordBatch> {
  const key = by === 'name' ? nameKey() : groupKey;
  return sortRecords({ name: 'Sorting', key, memory: { maxBytes }, maxRecordBytes });
}

function nameKey(): RecordKey {
  const record = new SpoolRecord();
  const order = new NameOrder();
  return (batch, index, into) => {
    record.read(batch.bytes, batch.start(index));
    order.write(batch.bytes, record.nameStart, record.headStart, into);
  };
}

/** It is the last run of the record. */
const groupKey: RecordKey = (batch, index, into) => {
  const end = batch.end(index);
  into.fixed(batch.bytes, end - wordAt(batch.bytes, batch.start(index) + GROUP_LENGTH_AT), end);
};
