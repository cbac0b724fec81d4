import { FIELDS, HEAD, NOT_SENT } from '../../sdk/channel';
import { contains, endsWith, equals, startsWith } from './match';
import { numberOf } from './number';

/** 'PFP1' */
const MAGIC: u32 = 0x31504650;
const TRUE: i32 = 1;
const NOT: i32 = 2;
const SKIP_WHEN_FALSE: i32 = 3;
const SKIP_WHEN_TRUE: i32 = 4;
const TEXT: i32 = 0x10;
const IGNORING_CASE: i32 = 8;
const ORDER: i32 = 0x20;

/** Of the record that is being looked at: where each field is, and how long. */
const starts = memory.data(FIELDS * 4, 4);
const lengths = memory.data(FIELDS * 4, 4);

/** The filters. Checked when they are loaded: no instruction reads outside of them, and jumps go forward, so that each ends. */
export class Program {
  static readonly DAMAGED: i32 = -2;
  private static code: usize = 0;
  private static count: i32 = 0;

  /** False for what this plugin cannot follow. */
  static load(program: usize, length: i32): bool {
    if (length < 8 || load<u32>(program) !== MAGIC) return false;
    const count = load<u32>(program + 4);
    let at = program + 8;
    const end = program + <usize>length;
    for (let i: u32 = 0; i < count; i++) {
      if (end - at < 4) return false;
      const size = <usize>load<u32>(at);
      at += 4;
      if (size > end - at || !isSound(at, at + size)) return false;
      at += size;
    }
    Program.code = program + 8;
    Program.count = <i32>count;
    return at === end && count < 0x7fffffff;
  }

  /** The number of the first filter that does not let the channel stay, -1 when all do. The record has `HEAD` bytes at least. */
  static filterAgainst(record: usize, length: i32): i32 {
    if (!findFields(record, length)) return Program.DAMAGED;
    let at = Program.code;
    for (let i = 0; i < Program.count; i++) {
      const size = <usize>load<u32>(at);
      at += 4;
      if (!holds(at, at + size)) return i;
      at += size;
    }
    return -1;
  }
}

/** Notes where the fields are; false when they do not fit. */
function findFields(record: usize, length: i32): bool {
  const end = record + <usize>length;
  let text = record + HEAD;
  for (let i = 0; i < FIELDS; i++) {
    const field = <usize>(i << 2);
    const said = load<u32>(record + field, 4);
    const size: u32 = said >= NOT_SENT ? 0 : said;
    if (size > <u32>(end - text)) return false;
    store<usize>(starts + field, text);
    store<u32>(lengths + field, size);
    text += <usize>size;
  }
  return true;
}

/** Whether every instruction is known and whole, and every jump goes forward to the beginning of one or to the end. */
function isSound(code: usize, end: usize): bool {
  let at = code;
  while (at < end) {
    const size = sizeAt(at, end);
    if (size === 0) return false;
    const op = <i32>load<u8>(at);
    if (
      (op === SKIP_WHEN_FALSE || op === SKIP_WHEN_TRUE) &&
      !isReached(at + size, end, code + <usize>load<u32>(at + 1))
    )
      return false;
    at += size;
  }
  return true;
}

function isReached(at: usize, end: usize, target: usize): bool {
  while (at < target && at < end) {
    const size = sizeAt(at, end);
    if (size === 0) return false;
    at += size;
  }
  return at === target;
}

/** Bytes of the instruction at `at`, 0 when it is unknown or does not fit. */
function sizeAt(at: usize, end: usize): usize {
  const left = end - at;
  const op = <i32>load<u8>(at);
  if (op <= NOT) return 1;
  if (op <= SKIP_WHEN_TRUE) return left >= 5 ? 5 : 0;
  if (left < 6 || <i32>load<u8>(at + 1) >= FIELDS) return 0;
  if (op >= ORDER) return op < ORDER + 4 && left >= 10 ? 10 : 0;
  if (op < TEXT || (op & 7) > 3) return 0;
  const length = <usize>load<u32>(at + 2);
  return length <= left - 6 ? 6 + length : 0;
}

function holds(code: usize, end: usize): bool {
  let truth = false;
  let at = code;
  while (at < end) {
    const op = <i32>load<u8>(at);
    if (op >= TEXT) {
      const field = (<usize>load<u8>(at + 1)) << 2;
      const length = load<i32>(lengths + field);
      const text = load<usize>(starts + field);
      if (op >= ORDER) {
        truth = compare(op - ORDER, numberOf(text, length), load<f64>(at + 2));
        at += 10;
      } else {
        const size = <i32>load<u32>(at + 2);
        truth = look(op - TEXT, text, length, at + 6, size);
        at += 6 + <usize>size;
      }
    } else if (op >= SKIP_WHEN_FALSE) {
      at = truth === (op === SKIP_WHEN_TRUE) ? code + <usize>load<u32>(at + 1) : at + 5;
    } else {
      truth = op === NOT ? !truth : op === TRUE;
      at++;
    }
  }
  return truth;
}

function look(how: i32, text: usize, length: i32, value: usize, size: i32): bool {
  const folded = (how & IGNORING_CASE) !== 0;
  switch (how & 3) {
    case 0:
      return contains(text, length, value, size, folded);
    case 1:
      return equals(text, length, value, size, folded);
    case 2:
      return startsWith(text, length, value, size, folded);
    default:
      return endsWith(text, length, value, size, folded);
  }
}

function compare(order: i32, number: f64, limit: f64): bool {
  switch (order) {
    case 0:
      return number > limit;
    case 1:
      return number >= limit;
    case 2:
      return number < limit;
    default:
      return number <= limit;
  }
}
