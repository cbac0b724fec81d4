import type { RecordBatch, Stage } from 'plimsoll/pipeline';
import type { ChannelNumbers } from '../channels/channel-numbers.ts';
import {
  AS_NAME,
  LABEL_LENGTH_AT,
  MATCH_AT,
  NO_NUMBER,
  NUMBER_AT,
  ORIGINAL_LENGTH_AT,
  SpoolRecord,
  TVG_NAME_LENGTH_AT,
} from '../channels/channel-spool.ts';
import { Digest } from '../channels/digest.ts';
import { KeyTable } from '../channels/key-table.ts';
import type { WantedChannels, WantedSpans } from '../guide/wanted.ts';

export interface NumberingCounts {
  /** Channels that came with a number, and how many of them found it taken and moved up. */
  explicitNumbers: number;
  movedNumbers: number;
  /** Channels whose tvg_chno is no whole number but says one all the same (`32.1`, `CS363`): it is kept as it stands. */
  labels: number;
  /** Values of tvg_chno that say no number (`-`), or a label that another channel has: they got a number instead. */
  unreadableNumbers: number;
}

export interface NumberingOptions {
  readonly numbers: ChannelNumbers;
  /** Absent when there is no guide. */
  readonly wanted: WantedChannels | undefined;
}

/**
 * First pass of numbering, in the order of the lists whatever order the playlist will have: gives explicit numbers to whoever comes first, and notes what the
 * guide must have. The second pass, in the playlist writer, gives the rest the lowest free numbers in the order of the playlist.
 */
export function numberChannels(options: NumberingOptions, counts: NumberingCounts): Stage<RecordBatch, RecordBatch> {
  return {
    name: 'Numbering',
    memory: { kind: 'external', maxBytes: Number.POSITIVE_INFINITY },
    async *run(input, context) {
      using labels = new KeyTable(context.memory, { withValues: false });
      const numbering = new Numbering(options, labels, counts);
      for await (const batch of input) {
        for (let index = 0; index < batch.count; index++) numbering.number(batch.bytes, batch.start(index));
        yield batch;
      }
    },
  };
}

class Numbering {
  readonly #options: NumberingOptions;
  readonly #counts: NumberingCounts;
  readonly #labels: KeyTable;
  readonly #digest = new Digest();
  readonly #record = new SpoolRecord();
  readonly #spans: WantedSpans = {
    idStart: -1,
    idEnd: -1,
    originalStart: -1,
    originalEnd: -1,
    nameStart: -1,
    nameEnd: -1,
    tvgNameStart: -1,
    tvgNameEnd: -1,
  };

  constructor(options: NumberingOptions, labels: KeyTable, counts: NumberingCounts) {
    this.#options = options;
    this.#labels = labels;
    this.#counts = counts;
  }

  /** Turns what a record wishes into what it has. */
  number(bytes: Buffer, at: number): void {
    const { numbers, wanted } = this.#options;
    const record = this.#record.read(bytes, at);
    const counts = this.#counts;
    const wish = record.number;
    if (wish === NO_NUMBER) {
      counts.unreadableNumbers++;
      bytes.writeUInt32LE(0, at + NUMBER_AT);
    } else if (wish > 0) {
      const number = numbers.take(wish);
      counts.explicitNumbers++;
      if (number !== wish) {
        counts.movedNumbers++;
        bytes.writeUInt32LE(number, at + NUMBER_AT);
      }
    } else if (record.end > record.labelStart) {
      this.#keepLabel(record);
    }
    if (wanted !== undefined) wanted.want(bytes, this.#spansOf(record), bytes, at + MATCH_AT);
  }

  /** A label is kept unless another channel has it. */
  #keepLabel({ buffer, at, labelStart, end }: SpoolRecord): void {
    if (this.#labels.add(this.#digest.of(buffer, labelStart, end))) {
      this.#counts.labels++;
      return;
    }
    this.#counts.unreadableNumbers++;
    buffer.writeUInt32LE(0, at + LABEL_LENGTH_AT);
  }

  #spansOf(record: SpoolRecord): WantedSpans {
    const spans = this.#spans;
    const { buffer, at, end } = record;
    const originalLength = buffer.readUInt32LE(at + ORIGINAL_LENGTH_AT);
    const tvgNameLength = buffer.readUInt32LE(at + TVG_NAME_LENGTH_AT);
    spans.idStart = record.idStart;
    spans.idEnd = record.nameStart;
    spans.originalStart = originalLength === 0 ? -1 : end;
    spans.originalEnd = originalLength === 0 ? -1 : end + originalLength;
    spans.nameStart = record.nameStart;
    spans.nameEnd = record.headStart;
    const isSame = tvgNameLength === AS_NAME;
    spans.tvgNameStart = isSame ? record.nameStart : end + originalLength;
    spans.tvgNameEnd = isSame ? record.headStart : end + originalLength + tvgNameLength;
    return spans;
  }
}
