/** Seconds of the proleptic Gregorian calendar from 1970 to a day (H. Hinnant, "chrono-compatible low-level date algorithms"). */
function dayNumber(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return era * 146097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719468;
}

/**
 * The instant that `20210101120000 +0100` in `bytes[start, end)` means, in seconds since 1970; seconds, minutes, hours and the offset may be missing
 * (then 0 and UTC), the offset may be `+01:00`, `+01`, `Z`, `UTC` or `GMT`. -1 when it is no time, lies before 1971 or after 2105, or names
 * another zone. Allocates nothing.
 */
export function xmltvTime(bytes: Uint8Array, start: number, end: number): number {
  while (start < end && bytes[start]! <= 0x20) start++;
  while (end > start && bytes[end - 1]! <= 0x20) end--;
  let digits = 0;
  let date = 0;
  let clock = 0;
  let at = start;
  for (; at < end && digits < 14; at++, digits++) {
    const digit = bytes[at]! - 0x30;
    if (digit < 0 || digit > 9) break;
    if (digits < 8) date = date * 10 + digit;
    else clock = clock * 10 + digit;
  }
  if (digits !== 8 && digits !== 10 && digits !== 12 && digits !== 14) return -1;
  for (let missing = digits; missing < 14; missing += 2) clock *= 100;
  const year = Math.floor(date / 10000);
  const month = Math.floor(date / 100) % 100;
  const day = date % 100;
  const hours = Math.floor(clock / 10000);
  const minutes = Math.floor(clock / 100) % 100;
  if (month < 1 || month > 12 || day < 1 || day > 31 || hours > 24 || minutes > 59) return -1;
  const offset = offsetMinutes(bytes, at, end);
  if (offset === -1) return -1;
  const seconds =
    dayNumber(year, month, day) * 86400 + hours * 3600 + minutes * 60 + (clock % 100) - (offset - OFFSET_BASE) * 60;
  return seconds >= 31_536_000 && seconds < 4_291_747_200 ? seconds : -1;
}

/** Added to an offset, so that -1 can mean "none". */
const OFFSET_BASE = 10_000;

function offsetMinutes(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && bytes[at]! <= 0x20) at++;
  if (at === end) return OFFSET_BASE;
  const sign = bytes[at]!;
  if (sign !== 0x2b && sign !== 0x2d) return isUtc(bytes, at, end) ? OFFSET_BASE : -1;
  let digits = 0;
  let value = 0;
  for (at++; at < end; at++) {
    if (bytes[at] === 0x3a && digits === 2) continue;
    const digit = bytes[at]! - 0x30;
    if (digit < 0 || digit > 9 || digits === 4) return -1;
    value = value * 10 + digit;
    digits++;
  }
  if (digits === 2) value *= 100;
  else if (digits !== 4) return -1;
  const minutes = Math.floor(value / 100) * 60 + (value % 100);
  return OFFSET_BASE + (sign === 0x2d ? -minutes : minutes);
}

function isUtc(bytes: Uint8Array, at: number, end: number): boolean {
  if (end - at === 1) return (bytes[at]! | 0x20) === 0x7a;
  if (end - at !== 3) return false;
  const name = String.fromCharCode(bytes[at]!, bytes[at + 1]!, bytes[at + 2]!).toUpperCase();
  return name === 'UTC' || name === 'GMT';
}
