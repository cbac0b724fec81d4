/**
 * What comes back from a plugin for a batch of channels. Per record, by its length:
 *
 *      4 bytes  id                    the channel stays as it is
 *      8 bytes  id, number            the channel is left out; the number of the filter that wants it so, from 0
 *     36 up     a channel record      the channel stays, with these fields; `FIELD_NOT_SENT` leaves one as it is, `FIELD_ABSENT` makes it blank
 *
 * A channel for which nothing comes back is left out, too. Order is that of the batch. Nothing of it is believed: the whole answer is looked through before the
 * first byte of the batch is changed.
 */
import { isUtf8 } from 'node:buffer';
import { CHANNEL_FIELDS, Column, type EntryBatch, FIELD_COUNT, Field, Flag, ROW } from '../channels/entry-batch.ts';
import { ALL_CHANNEL_FIELDS, CHANNEL_HEAD_BYTES, FIELD_ABSENT, FIELD_NOT_SENT } from './channel-records.ts';
import { PluginAnswerError } from './plugin-answer-error.ts';

/** The longest value that is taken from a plugin, bytes. */
export const MAX_ANSWER_VALUE_BYTES = 65_536;

export interface ApplyOptions {
  /** Fields may be changed. Default false: a changed field is a fault. */
  readonly mayChange?: boolean;
  /** Channels may be taken out, by one of so many filters. Default 0: none may. */
  readonly filterCount?: number;
  /** What was shown (`ChannelEncoder.fields`). Default: all fields. */
  readonly fields?: number;
  /** Enlarges `batch.bytes` so that `bytes` more fit behind `used`; reserves first. Called once at most, before anything is changed. Needed with `mayChange`. */
  readonly makeRoom?: (batch: EntryBatch, bytes: number) => void;
  /** Told of each channel that is taken out: its row, and the filter's number. */
  readonly onLeftOut?: (row: number, filter: number) => void;
}

/**
 * Checks the answer to what `encodeChannels` made of this batch, and puts it into the batch: changed fields as a rule would set them, channels left out as
 * dropped. Returns how many channels changed. Throws `PluginAnswerError` (`PLIMSOLL_PLAYLIST_PLUGIN_ANSWER`), with the batch untouched, when
 * the answer names an id that was not sent or names one twice or out of order, ends in the middle, says nothing of a channel, has lengths that do not fit, changes or takes out what must not be, or
 * when a new value is no UTF-8, has a control character in it, is longer than `MAX_ANSWER_VALUE_BYTES`, brings a `"` into an attribute, or makes name or URL blank.
 */
export function applyChannels(batch: EntryBatch, output: Uint8Array, options: ApplyOptions = {}): number {
  const answer = new DataView(output.buffer, output.byteOffset, output.byteLength);
  const newBytes = new AnswerCheck(batch, output, answer, options).newBytes();
  if (newBytes > batch.bytes.length - batch.used) {
    if (options.makeRoom === undefined) throw new RangeError('Expected `makeRoom` with `mayChange`, got undefined');
    options.makeRoom(batch, newBytes);
  }
  return putAnswer(batch, output, answer, options.onLeftOut);
}

class AnswerCheck {
  readonly #batch: EntryBatch;
  readonly #output: Uint8Array;
  readonly #answer: DataView;
  readonly #mayChange: boolean;
  readonly #filterCount: number;
  readonly #fields: number;

  constructor(batch: EntryBatch, output: Uint8Array, answer: DataView, options: ApplyOptions) {
    this.#batch = batch;
    this.#output = output;
    this.#answer = answer;
    this.#mayChange = options.mayChange ?? false;
    this.#filterCount = options.filterCount ?? 0;
    this.#fields = options.fields ?? ALL_CHANNEL_FIELDS;
  }

  /** Looks through the whole answer; returns how many bytes its new values take. */
  newBytes(): number {
    const answer = this.#answer;
    const end = answer.byteLength;
    let row = 0;
    let bytes = 0;
    for (let at = 0; at < end; ) {
      if (end - at < 8) throw new PluginAnswerError(`it ends inside a record (${end - at} bytes are left)`);
      const length = answer.getUint32(at, true);
      at += 4;
      if (length > end - at) throw new PluginAnswerError(`a record of ${length} bytes where ${end - at} are left`);
      if (length !== 4 && length !== 8 && length < CHANNEL_HEAD_BYTES)
        throw new PluginAnswerError(`a record of ${length} bytes`);
      const id = answer.getUint32(at, true);
      if (id < row || id >= this.#batch.count || !isLive(this.#batch.table, id))
        throw new PluginAnswerError(`id ${id} is none that was sent and is due`);
      this.#passOver(row, id);
      row = id;
      if (length === 8) this.#checkReason(answer.getUint32(at + 4, true));
      else if (length > 8) bytes += this.#checkRecord(row, at, length);
      at += length;
      row++;
    }
    this.#passOver(row, this.#batch.count);
    return bytes;
  }

  /** Rows for which nothing came back. Silence takes nobody out: an answer that was cut would lose channels. */
  #passOver(row: number, end: number): void {
    for (; row < end; row++) {
      if (isLive(this.#batch.table, row)) throw new PluginAnswerError(`channel ${row} is missing`);
    }
  }

  #checkReason(filter: number): void {
    if (filter >= this.#filterCount)
      throw new PluginAnswerError(`filter ${filter} takes a channel out, and there are ${this.#filterCount}`);
  }

  /** A record with fields; returns how many bytes its new values take. */
  #checkRecord(row: number, at: number, length: number): number {
    const end = at + length;
    let from = at + CHANNEL_HEAD_BYTES;
    let bytes = 0;
    for (let field = 0; field < FIELD_COUNT; field++) {
      const said = this.#answer.getUint32(at + 4 + 4 * field, true);
      if (said === FIELD_NOT_SENT) continue;
      const size = said === FIELD_ABSENT ? 0 : said;
      if (size > end - from)
        throw new PluginAnswerError(`${CHANNEL_FIELDS[field]} of ${size} bytes where ${end - from} are left`);
      if (!isSame(this.#batch, row, field, this.#output, from, size)) {
        this.#checkValue(row, field, from, from + size);
        bytes += size;
      }
      from += size;
    }
    if (end - from > 3) throw new PluginAnswerError(`${end - from} bytes behind the fields of channel ${row}`);
    return bytes;
  }

  #checkValue(row: number, field: number, start: number, end: number): void {
    const wrong = (what: string): PluginAnswerError => new PluginAnswerError(`${CHANNEL_FIELDS[field]} ${what}`);
    if (!this.#mayChange) throw wrong('is changed by a stage that only chooses');
    if (((this.#fields >> field) & 1) === 0) throw wrong('is changed, and was not shown');
    if (end - start > MAX_ANSWER_VALUE_BYTES) throw wrong(`has ${end - start} bytes`);
    const output = this.#output;
    const mayQuote = field === Field.name || field === Field.url || this.#hasQuote(row, field);
    let ascii = true;
    let blank = true;
    for (let at = start; at < end; at++) {
      const byte = output[at]!;
      if (byte < 0x20 || byte === 0x7f) throw wrong('has a control character in it');
      if (byte === 0x22 && !mayQuote) throw wrong('has a quotation mark in it');
      if (byte !== 0x20) blank = false;
      if (byte > 0x7f) ascii = false;
    }
    if (blank && (field === Field.name || field === Field.url)) throw wrong('is made blank');
    if (!ascii && !isUtf8(output.subarray(start, end))) throw wrong('is no UTF-8');
  }

  #hasQuote(row: number, field: number): boolean {
    const { bytes, table } = this.#batch;
    const end = table[row * ROW + 2 * field + 1]!;
    for (let at = table[row * ROW + 2 * field]!; at < end; at++) if (bytes[at] === 0x22) return true;
    return false;
  }
}

function isLive(table: Int32Array, row: number): boolean {
  return (table[row * ROW + Column.flags]! & Flag.dropped) === 0;
}

/** Whether a value is what the channel has already; absent and blank are the same. */
function isSame(
  batch: EntryBatch,
  row: number,
  field: number,
  output: Uint8Array,
  start: number,
  size: number,
): boolean {
  const { bytes, table } = batch;
  const from = table[row * ROW + 2 * field]!;
  if (table[row * ROW + 2 * field + 1]! - from !== size) return false;
  for (let i = 0; i < size; i++) if (bytes[from + i] !== output[start + i]) return false;
  return true;
}

/** The answer is known to be sound, and there is room for it. */
function putAnswer(
  batch: EntryBatch,
  output: Uint8Array,
  answer: DataView,
  onLeftOut: ApplyOptions['onLeftOut'],
): number {
  let changed = 0;
  for (let at = 0; at < answer.byteLength; ) {
    const length = answer.getUint32(at, true);
    const row = answer.getUint32(at + 4, true);
    if (length === 8) leaveOut(batch, row, answer.getUint32(at + 8, true), onLeftOut);
    else if (length > 8 && putFields(batch, row, output, answer, at + 4)) changed++;
    at += 4 + length;
  }
  return changed;
}

function leaveOut(batch: EntryBatch, row: number, filter: number, onLeftOut: ApplyOptions['onLeftOut']): void {
  if (!isLive(batch.table, row)) return;
  const flags = row * ROW + Column.flags;
  batch.table[flags] = batch.table[flags]! | Flag.dropped;
  batch.live--;
  onLeftOut?.(row, filter);
}

function putFields(batch: EntryBatch, row: number, output: Uint8Array, answer: DataView, at: number): boolean {
  let changed = false;
  let from = at + CHANNEL_HEAD_BYTES;
  for (let field = 0; field < FIELD_COUNT; field++) {
    const said = answer.getUint32(at + 4 + 4 * field, true);
    if (said === FIELD_NOT_SENT) continue;
    const size = said === FIELD_ABSENT ? 0 : said;
    if (!isSame(batch, row, field, output, from, size)) {
      putField(batch, row, field, output, from, size);
      changed = true;
    }
    from += size;
  }
  return changed;
}

/** As `EntryView.set` does it: the new value goes behind the text, the span is pointed at it, and what the id was is kept. There is room for it. */
export function putField(
  batch: EntryBatch,
  row: number,
  field: number,
  source: Uint8Array,
  start: number,
  size: number,
): void {
  const { bytes, table } = batch;
  const base = row * ROW;
  const span = base + 2 * field;
  const flags = table[base + Column.flags]!;
  const bit = 1 << (Flag.changedShift + field);
  if (field === Field.tvgId && (flags & bit) === 0) {
    table[base + Column.originalIdStart] = table[span]!;
    table[base + Column.originalIdEnd] = table[span + 1]!;
  }
  table[span] = batch.used;
  for (let i = 0; i < size; i++) bytes[batch.used++] = source[start + i]!;
  table[span + 1] = batch.used;
  table[base + Column.flags] = flags | bit;
}
