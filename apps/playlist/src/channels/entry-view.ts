import { PlimsollError } from 'plimsoll';
import { FIRST_READ_ONLY_FIELD, type FieldAccess, RULE_FIELDS } from '../rules/field-access.ts';
import { Column, type EntryBatch, FIELD_COUNT, Field, Flag, ROW } from './entry-batch.ts';

const FIELDS = RULE_FIELDS.length;
const SOURCE_NAME = FIRST_READ_ONLY_FIELD;
const SOURCE_TYPE = FIRST_READ_ONLY_FIELD + 1;

/** The longest value a rule may make, in UTF-16 units: `+=` in a chain of rules would double without end. */
export const MAX_VALUE_LENGTH = 65_536;

/** `PLIMSOLL_PLAYLIST_VALUE_TOO_LONG`: a rule made a value of more than `MAX_VALUE_LENGTH` characters. */
export class ValueTooLongError extends PlimsollError {
  constructor(field: string, line: number) {
    super(
      `a rule makes ${field} longer than ${MAX_VALUE_LENGTH} characters (entry at line ${line}): shorten what it sets or appends`,
      {
        code: 'PLIMSOLL_PLAYLIST_VALUE_TOO_LONG',
        recovery: 'fail',
      },
    );
  }
}

/**
 * One entry of a batch as rules see it: a window that is moved from row to row, never an object per channel.
 * A field is decoded at most once per row, and only when asked for. An edit is appended to the batch's bytes
 * and the row's span is pointed at it.
 */
export class EntryView implements FieldAccess {
  #batch: EntryBatch | undefined;
  #base = 0;
  #stamp = 0;
  readonly #makeRoom: (batch: EntryBatch, bytes: number) => void;
  readonly #text: string[] = new Array(FIELDS).fill('');
  readonly #textStamp = new Float64Array(FIELDS);
  readonly #lower: string[] = new Array(FIELDS).fill('');
  readonly #lowerStamp = new Float64Array(FIELDS);

  /** `makeRoom` enlarges `batch.bytes` so that `bytes` more fit after `used`; it reserves them first. */
  constructor(makeRoom: (batch: EntryBatch, bytes: number) => void) {
    this.#makeRoom = makeRoom;
  }

  /** Points the view at a row. O(1), allocates nothing. */
  moveTo(batch: EntryBatch, row: number): this {
    this.#batch = batch;
    this.#base = row * ROW;
    this.#stamp++;
    return this;
  }

  get(field: number): string {
    if (this.#textStamp[field] === this.#stamp) return this.#text[field]!;
    const value = this.#read(field);
    this.#text[field] = value;
    this.#textStamp[field] = this.#stamp;
    return value;
  }

  lower(field: number): string {
    if (this.#lowerStamp[field] === this.#stamp) return this.#lower[field]!;
    const value = this.get(field).toLowerCase();
    this.#lower[field] = value;
    this.#lowerStamp[field] = this.#stamp;
    return value;
  }

  set(field: number, value: string): void {
    const batch = this.#batch;
    if (batch === undefined || field >= FIELD_COUNT)
      throw new RangeError(`Expected a writable channel field, got \`${field}\``);
    if (value === this.get(field)) return;
    if (value.length > MAX_VALUE_LENGTH)
      throw new ValueTooLongError(RULE_FIELDS[field]!, batch.table[this.#base + Column.line]!);
    const { table } = batch;
    const span = this.#base + 2 * field;
    const flags = this.#base + Column.flags;
    const changed = 1 << (Flag.changedShift + field);
    // What an earlier rule wrote is written over where the new value fits: fifty rules on one field need the room of one.
    const edited = (table[flags]! & changed) !== 0;
    const room = edited ? table[span + 1]! - table[span]! : 0;
    const bytes = value.length * 3 <= room ? room : Buffer.byteLength(value);
    const inPlace = edited && bytes <= room;
    if (!inPlace && batch.used + bytes > batch.bytes.length) this.#makeRoom(batch, bytes);
    const start = inPlace ? table[span]! : batch.used;
    const end = start + batch.bytes.write(value, start, 'utf8');
    if (!inPlace) batch.used = end;
    if (field === Field.tvgId && (table[flags]! & changed) === 0) {
      table[this.#base + Column.originalIdStart] = table[span]!;
      table[this.#base + Column.originalIdEnd] = table[span + 1]!;
    }
    table[span] = start;
    table[span + 1] = end;
    table[flags] = table[flags]! | changed;
    this.#text[field] = value;
    this.#textStamp[field] = this.#stamp;
    this.#lowerStamp[field] = 0;
  }

  #read(field: number): string {
    const batch = this.#batch!;
    if (field < FIELD_COUNT) {
      const start = batch.table[this.#base + 2 * field]!;
      const end = batch.table[this.#base + 2 * field + 1]!;
      return start < 0 || start === end ? '' : batch.bytes.toString('utf8', start, end);
    }
    if (field === SOURCE_NAME) return batch.origin.name;
    if (field === SOURCE_TYPE) return batch.origin.type;
    return field > SOURCE_TYPE ? batch.origin.url : '';
  }
}
