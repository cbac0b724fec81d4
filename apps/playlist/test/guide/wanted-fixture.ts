import { WantedChannels, type WantedOptions, type WantedSpans } from '../../src/guide/wanted.ts';
import { countingConsumer } from './counting-consumer.ts';

export interface PlaylistChannel {
  readonly id?: string;
  readonly original?: string;
  readonly name?: string;
  readonly tvgName?: string;
}

/** Wants each channel; returns the table and the records one after another. */
export function wantAll(
  channels: readonly PlaylistChannel[],
  options: WantedOptions = {},
): { wanted: WantedChannels; records: Buffer; consumer: ReturnType<typeof countingConsumer> } {
  const consumer = countingConsumer();
  const wanted = new WantedChannels(consumer, options);
  const records = Buffer.alloc(channels.length * WantedChannels.RECORD_BYTES, 0xff);
  channels.forEach((channel, index) => {
    let text = '';
    const place = (value: string | undefined): [number, number] => {
      if (value === undefined) return [-1, -1];
      const start = Buffer.byteLength(text);
      text += value;
      return [start, Buffer.byteLength(text)];
    };
    const [idStart, idEnd] = place(channel.id);
    const [originalStart, originalEnd] = place(channel.original);
    const [nameStart, nameEnd] = place(channel.name);
    const [tvgNameStart, tvgNameEnd] = place(channel.tvgName);
    const spans: WantedSpans = {
      idStart,
      idEnd,
      originalStart,
      originalEnd,
      nameStart,
      nameEnd,
      tvgNameStart,
      tvgNameEnd,
    };
    wanted.want(Buffer.from(text), spans, records, index * WantedChannels.RECORD_BYTES);
  });
  return { wanted, records, consumer };
}

/** Resolves record number `index` to `[match, adopted id]`. */
export function resolveAt(wanted: WantedChannels, records: Buffer, index: number): [number, string] {
  const match = wanted.resolve(records, index * WantedChannels.RECORD_BYTES);
  return [match, match >= 3 ? wanted.adopted.toString('utf8', wanted.adoptedStart, wanted.adoptedEnd) : ''];
}
