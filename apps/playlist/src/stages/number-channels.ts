import type { RecordBatch, Stage } from 'plimsoll/pipeline';
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
import { putWord, wordAt } from '../channels/words.ts';
import type { WantedChannels, WantedSpans } from '../guide/wanted.ts';
import type { NumberBatch } from '../plugins/number-batch.ts';
import { NumberDesk, type NumberDeskOptions } from './number-desk.ts';

export interface NumberingCounts {
  /** Channels that came with a number, and how many of them found it taken and moved up. */
  explicitNumbers: number;
  movedNumbers: number;
  /** Channels whose tvg_chno is no whole number but says one all the same (`32.1`, `CS363`): it is kept as it stands. */
  labels: number;
  /** Values of tvg_chno that say no number (`-`), or a label that another channel has: they got a number instead. */
  unreadableNumbers: number;
}

export interface NumberingOptions extends Omit<NumberDeskOptions, 'name'> {
  /** Absent when there is no guide. */
  readonly wanted: WantedChannels | undefined;
}

const NAME = 'Numbering';

/**
 * First pass of numbering, in the order of the lists whatever order the playlist will have: gives explicit numbers to whoever comes first, and notes what the
 * guide must have. The second pass, in the playlist writer, gives the rest the lowest free numbers in the order of the playlist.
 */
export function numberChannels(options: NumberingOptions, counts: NumberingCounts): Stage<RecordBatch, RecordBatch> {
  return {
    name: NAME,
    memory: { kind: 'external', maxBytes: Number.POSITIVE_INFINITY },
    async *run(input, context) {
      using labels = new KeyTable(context.memory, { withValues: false });
      await using desk = new NumberDesk({ ...options, name: NAME }, context);
      const numbering = new Numbering(options.wanted, labels, counts);
      for await (const batch of input) {
        for (let from = 0; from < batch.count; ) {
          const to = askForNumbers(batch, from, desk.batch);
          await desk.assign();
          let next = 0;
          for (; from < to; from++) {
            const at = batch.start(from);
            const number = hasWish(batch.bytes, at) ? desk.batch.numbers[next++]! : 0;
            numbering.note(batch.bytes, at, number);
          }
        }
        yield batch;
      }
      await desk.close();
    },
  };
}

function hasWish(bytes: Buffer, at: number): boolean {
  const wish = wordAt(bytes, at + NUMBER_AT);
  return wish !== 0 && wish !== NO_NUMBER;
}

/** Fills `wishes` with those of the records from `from` on; returns up to which record it came. */
function askForNumbers(batch: RecordBatch, from: number, wishes: NumberBatch): number {
  wishes.clear();
  for (; from < batch.count && !wishes.isFull; from++) {
    const at = batch.start(from);
    if (hasWish(batch.bytes, at)) wishes.push(wordAt(batch.bytes, at + NUMBER_AT));
  }
  return from;
}

class Numbering {
  readonly #wanted: WantedChannels | undefined;
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

  constructor(wanted: WantedChannels | undefined, labels: KeyTable, counts: NumberingCounts) {
    this.#wanted = wanted;
    this.#labels = labels;
    this.#counts = counts;
  }

  /** Puts in a record what it has in place of what it wished for: `number`, 0 where it brought none. */
  note(bytes: Buffer, at: number, number: number): void {
    const record = this.#record.read(bytes, at);
    const counts = this.#counts;
    if (record.number === NO_NUMBER) {
      counts.unreadableNumbers++;
      putWord(bytes, at + NUMBER_AT, 0);
    } else if (number > 0) {
      counts.explicitNumbers++;
      if (number !== record.number) {
        counts.movedNumbers++;
        putWord(bytes, at + NUMBER_AT, number);
      }
    } else if (record.end > record.labelStart) {
      this.#keepLabel(record);
    }
    const wanted = this.#wanted;
    if (wanted !== undefined) wanted.want(bytes, this.#spansOf(record), bytes, at + MATCH_AT);
  }

  /** A label is kept unless another channel has it. */
  #keepLabel({ buffer, at, labelStart, end }: SpoolRecord): void {
    if (this.#labels.add(this.#digest.of(buffer, labelStart, end))) {
      this.#counts.labels++;
      return;
    }
    this.#counts.unreadableNumbers++;
    putWord(buffer, at + LABEL_LENGTH_AT, 0);
  }

  #spansOf(record: SpoolRecord): WantedSpans {
    const spans = this.#spans;
    const { buffer, at, end } = record;
    const originalLength = wordAt(buffer, at + ORIGINAL_LENGTH_AT);
    const tvgNameLength = wordAt(buffer, at + TVG_NAME_LENGTH_AT);
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
