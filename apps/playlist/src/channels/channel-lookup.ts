import type { Consumer, Reservation } from 'plimsoll';
import { Match } from '../guide/match.ts';
import type { WantedChannels } from '../guide/wanted.ts';
import { M3uScanner } from '../m3u/scan.ts';
import type { FileSink } from '../output/file-sink.ts';
import type { FieldAccess } from '../rules/field-access.ts';
import { MATCH_AT, SpoolRecord } from './channel-spool.ts';
import { EntryBatch, type EntryOrigin } from './entry-batch.ts';
import { EntryView } from './entry-view.ts';

const FIRST_SLOTS = 256;
const BYTES_PER_SLOT = 12;
/** An adopted id is at most 1 KiB. */
const LONGEST_ID = 1024;

/**
 * The channel behind each slot of the guide, read back from the spool when a rule on programmes asks for its fields. Where several channels
 * share a guide channel the first one counts. Costs 12 bytes a matched channel and one record's buffers; made only when such a rule exists.
 */
export class ChannelLookup implements Disposable {
  readonly #spool: FileSink;
  readonly #origins: readonly EntryOrigin[];
  readonly #wanted: WantedChannels;
  readonly #reservation: Reservation;
  readonly #raw: Buffer;
  readonly #batch: EntryBatch;
  readonly #record = new SpoolRecord();
  readonly #view = new EntryView(() => {
    throw new Error('a rule on programmes does not edit channels');
  });
  /** By slot: position in the spool + 1, and number. */
  #positions = new Float64Array(FIRST_SLOTS);
  #numbers = new Uint32Array(FIRST_SLOTS);

  constructor(
    spool: FileSink,
    largestRecordBytes: number,
    origins: readonly EntryOrigin[],
    wanted: WantedChannels,
    consumer: Consumer,
  ) {
    const textBytes = largestRecordBytes + LONGEST_ID + 128;
    this.#reservation = consumer.reserve(largestRecordBytes + textBytes + FIRST_SLOTS * BYTES_PER_SLOT);
    this.#spool = spool;
    this.#origins = origins;
    this.#wanted = wanted;
    this.#raw = Buffer.allocUnsafeSlow(largestRecordBytes);
    this.#batch = new EntryBatch(textBytes, 1);
  }

  /** Notes which record stands behind a slot. */
  note(slot: number, record: SpoolRecord, number: number): void {
    if (slot >= this.#positions.length) this.#grow(slot);
    if (this.#positions[slot] !== 0) return;
    this.#positions[slot] = record.position + 1;
    this.#numbers[slot] = number;
  }

  /** The fields of the channel behind a slot, valid until the next call. About 10 µs: one read of the spool. */
  find(slot: number): FieldAccess | undefined {
    const position = (this.#positions[slot] ?? 0) - 1;
    if (position < 0) return undefined;
    this.#spool.readBackSync(this.#raw, 0, this.#raw.length, position);
    const record = this.#record.read(this.#raw, 0);
    const batch = this.#batch;
    let to = this.#raw.copy(batch.bytes, 0, record.headStart, record.tailStart);
    to += batch.bytes.write(` tvg-id="${this.#idOf(record)}"`, to);
    const label = this.#raw.toString('utf8', record.labelStart, record.end);
    to += batch.bytes.write(` tvg-chno="${label === '' ? this.#numbers[slot] : label}"`, to);
    to += this.#raw.copy(batch.bytes, to, record.tailStart, record.labelStart);
    new M3uScanner().scan(batch, to, true);
    batch.origin = this.#origins[record.sourceIndex] ?? batch.origin;
    return batch.count === 0 ? undefined : this.#view.moveTo(batch, 0);
  }

  /** As the playlist has it: an adopted one where it was matched by its name. */
  #idOf(record: SpoolRecord): string {
    const wanted = this.#wanted;
    const match = wanted.resolve(this.#raw, record.at + MATCH_AT);
    if (match !== Match.alias && match !== Match.name)
      return this.#raw.toString('utf8', record.idStart, record.nameStart);
    return wanted.adopted.toString('utf8', wanted.adoptedStart, wanted.adoptedEnd);
  }

  [Symbol.dispose](): void {
    this.#reservation[Symbol.dispose]();
  }

  #grow(slot: number): void {
    const size = Math.max(slot + 1, Math.ceil(this.#positions.length * 1.5));
    this.#reservation.grow((size - this.#positions.length) * BYTES_PER_SLOT);
    const positions = new Float64Array(size);
    positions.set(this.#positions);
    const numbers = new Uint32Array(size);
    numbers.set(this.#numbers);
    this.#positions = positions;
    this.#numbers = numbers;
  }
}
