const LONGEST: i32 = 4096;
const LONGEST_WORD: i32 = 12;
const SPACE: u32 = 0x20;
const SEMICOLON: u32 = 0x3b;

const COUNTRIES =
  'AD AE AF AL AM AO AR AT AU AZ BA BD BE BG BH BO BR BY CA CH CL CN CO CR CU CY CZ DE DK DO DZ EC EE EG ES EU FI FR GB GE GH GR GT HK HN HR HU ID IE IL IN IQ IR IS IT JM JO JP KE KR KW KZ LB LT LU LV LY MA MD ME MK MT MX MY NG NI NL NO NZ OM PA PE PH PK PL PR PT PY QA RO RS RU SA SE SG SI SK SN SV SY TH TN TR TW TZ UA UK US UY UZ VE VN XK YE ZA';
const TAGS =
  ' HD FHD UHD SD HQ LQ 4K 8K HEVC AVC RAW H264 H265 H.264 H.265 480P 540P 576P 720P 1080P 1080I 1440P 2160P 4320P 50FPS 60FPS ';
const PHRASES = ';NOT 24/7;GEO-BLOCKED;GEO BLOCKED;OFFLINE;BACKUP;';

const out = memory.data(LONGEST);
const word = memory.data(LONGEST_WORD);

/** What is left of the copy in `out`: made smaller step by step. The steps are those of the native tidier, and told there. */
let start: usize = 0;
let end: usize = 0;

/** Tidies a name or a group; the length of the result at `tidied()`, valid until the next call, or -1 when it stays as it is. */
export function tidy(source: usize, length: i32, isGroup: bool): i32 {
  if (length === 0 || length > LONGEST || !collapse(source, length)) return -1;
  if (isGroup) {
    partGroups();
  } else {
    dropCountry();
    dropBrackets();
    dropLastWords();
  }
  // Nothing is left: then only the white space.
  if (start === end) collapse(source, length);
  const size = <i32>(end - start);
  return size === length && memory.compare(start, source, <usize>length) === 0 ? -1 : size;
}

export function tidied(): usize {
  return start;
}

/** Copies with white space as single spaces; false for what is blank. */
function collapse(source: usize, length: i32): bool {
  const sourceEnd = source + <usize>length;
  let to = out;
  let gap = false;
  for (let at = source; at < sourceEnd; ) {
    const white = whiteLength(at, sourceEnd);
    if (white > 0) {
      gap = to > out;
      at += white;
      continue;
    }
    if (gap) store<u8>(to++, SPACE);
    gap = false;
    store<u8>(to++, load<u8>(at++));
  }
  start = out;
  end = to;
  return to > out;
}

function partGroups(): void {
  let to = out;
  for (let at = out; at < end; at++) {
    const byte = <u32>load<u8>(at);
    const atBegin = to === out || <u32>load<u8>(to - 1) === SEMICOLON;
    if (atBegin && (byte === SPACE || byte === SEMICOLON)) continue;
    if (byte === SEMICOLON && <u32>load<u8>(to - 1) === SPACE) to--;
    store<u8>(to++, byte);
  }
  while (to > out && (<u32>load<u8>(to - 1) === SEMICOLON || <u32>load<u8>(to - 1) === SPACE)) to--;
  end = to;
}

function dropCountry(): void {
  let at = start;
  const open = <u32>load<u8>(at);
  const close: u32 = open === 0x7c ? 0x7c : open === 0x5b ? 0x5d : open === 0x28 ? 0x29 : 0;
  if (close !== 0) at++;
  if (<isize>(end - at) < 4 || !isCountry(load<u8>(at), load<u8>(at + 1))) return;
  at += 2;
  if (close !== 0) {
    if (<u32>load<u8>(at++) !== close) return;
  } else {
    const spaced = <u32>load<u8>(at) === SPACE;
    if (spaced) at++;
    const mark: u32 = at < end ? <u32>load<u8>(at++) : 0;
    const dashed = mark === 0x2d && spaced && at < end && <u32>load<u8>(at) === SPACE;
    if (mark !== 0x3a && mark !== 0x7c && !dashed) return;
  }
  while (at < end && <u32>load<u8>(at) === SPACE) at++;
  if (at < end) start = at;
}

function dropBrackets(): void {
  let to = start;
  for (let at = start; at < end; ) {
    const byte = <u32>load<u8>(at);
    const close: usize = byte === 0x28 || byte === 0x5b ? closeOf(at, byte === 0x28 ? 0x29 : 0x5d) : 0;
    if (close === 0 || !saysQuality(at + 1, close)) {
      store<u8>(to++, byte);
      at++;
      continue;
    }
    at = close + 1;
    // One of the spaces around it goes with it.
    if ((to === start || <u32>load<u8>(to - 1) === SPACE) && at < end && <u32>load<u8>(at) === SPACE) at++;
  }
  while (to > start && <u32>load<u8>(to - 1) === SPACE) to--;
  end = to;
}

/** Where the bracket that is open at `at` closes, 0 when it does not or has another one in it. */
function closeOf(at: usize, close: u32): usize {
  for (let i = at + 1; i < end; i++) {
    const byte = <u32>load<u8>(i);
    if (byte === close) return i;
    if (byte === 0x28 || byte === 0x5b) return 0;
  }
  return 0;
}

/** Whether [from, to) is one of the phrases, or words of quality and nothing else. */
function saysQuality(from: usize, to: usize): bool {
  if (from === to) return false;
  if (stands(PHRASES, SEMICOLON, from, to)) return true;
  for (let at = from; at < to; at++) {
    const first = at;
    while (at < to && <u32>load<u8>(at) !== SPACE) at++;
    if (!stands(TAGS, SPACE, first, at)) return false;
  }
  return true;
}

function dropLastWords(): void {
  for (;;) {
    while (end > start && isMark(load<u8>(end - 1))) end--;
    let first = end;
    while (first > start && <u32>load<u8>(first - 1) !== SPACE) first--;
    if (first === start || !stands(TAGS, SPACE, first, end)) break;
    end = first;
  }
  while (start < end && isMark(load<u8>(start))) start++;
}

/** Whether the bytes [from, to), in upper case and as plain letters, stand between two of `parting` in `list`. */
function stands(list: string, parting: u32, from: usize, to: usize): bool {
  const length = foldWord(from, to);
  if (length === 0) return false;
  const codes = changetype<usize>(list);
  const last = list.length - 1 - length;
  for (let at = 0; at < last; at++) {
    const here = codes + ((<usize>at) << 1);
    if (<u32>load<u16>(here) !== parting || <u32>load<u16>(here + ((<usize>length) << 1), 2) !== parting) continue;
    let i = 0;
    while (i < length && load<u16>(here + ((<usize>i) << 1), 2) === <u16>load<u8>(word + <usize>i)) i++;
    if (i === length) return true;
  }
  return false;
}

/** Puts a word into `word`; returns its length, 0 when it is too long or has a letter that is in no list. */
function foldWord(from: usize, to: usize): i32 {
  let length = 0;
  for (let at = from; at < to; length++) {
    if (length === LONGEST_WORD) return 0;
    const byte = <u32>load<u8>(at);
    if (byte < 0x80) {
      store<u8>(word + <usize>length, byte - 0x61 <= 25 ? byte - 0x20 : byte);
      at++;
      continue;
    }
    const plain = plainLetter(byte, at + 1 < to ? load<u8>(at + 1) : 0, at + 2 < to ? load<u8>(at + 2) : 0);
    if (plain === 0) return 0;
    store<u8>(word + <usize>length, plain);
    at += byte === 0xcb ? 2 : 3;
  }
  return length;
}

/** Bytes of the white space or control character at `at`, 0 when it is none. */
function whiteLength(at: usize, end: usize): usize {
  const byte = <u32>load<u8>(at);
  if (byte <= SPACE || byte === 0x7f) return 1;
  if (byte < 0xc2) return 0;
  const second: u32 = at + 1 < end ? load<u8>(at + 1) : 0;
  if (byte === 0xc2) return second === 0xa0 ? 2 : 0;
  const third: u32 = at + 2 < end ? load<u8>(at + 2) : 0;
  // U+2000 to U+200B (the joiners behind them belong to words), U+202F, U+3000, U+FEFF.
  if (byte === 0xe2 && second === 0x80) return (third >= 0x80 && third <= 0x8b) || third === 0xaf ? 3 : 0;
  if (byte === 0xe3 && second === 0x80) return third === 0x80 ? 3 : 0;
  return byte === 0xef && second === 0xbb && third === 0xbf ? 3 : 0;
}

function isCountry(first: u32, second: u32): bool {
  const codes = changetype<usize>(COUNTRIES);
  const both = first | (second << 16);
  for (let at: usize = 0; at < <usize>(COUNTRIES.length << 1); at += 6) {
    if (load<u32>(codes + at) === both) return true;
  }
  return false;
}

/** Parting marks that mean nothing at an end: space - | : , * */
function isMark(byte: u32): bool {
  return byte === SPACE || byte === 0x2d || byte === 0x7c || byte === 0x3a || byte === 0x2c || byte === 0x2a;
}

/** The letter or digit that a raised one in UTF-8 stands for, 0 when it is none of those that quality is written with. */
function plainLetter(first: u32, second: u32, third: u32): u32 {
  if (first === 0xcb) return second === 0xa2 ? 0x53 : 0;
  switch ((first << 16) | (second << 8) | third) {
    case 0xe1b4ac:
      return 0x41;
    case 0xe1b4b0:
      return 0x44;
    case 0xe1b6a0:
      return 0x46;
    case 0xe1b4b4:
      return 0x48;
    case 0xe1b4b7:
      return 0x4b;
    case 0xe1b4bf:
      return 0x52;
    case 0xe1b581:
      return 0x55;
    case 0xe1b582:
      return 0x57;
    case 0xe281b4:
      return 0x34;
    case 0xe281b8:
      return 0x38;
    default:
      return 0;
  }
}
