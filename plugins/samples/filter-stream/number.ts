/** The number that a text stands for, NaN when it is none: decimal, with sign and fraction, white space (NBSP, too) around it. As `numberOf` of the rules has it. */
export function numberOf(text: usize, length: i32): f64 {
  let at = text;
  let end = text + <usize>length;
  while (at < end) {
    const size = spaceAt(at, end);
    if (size === 0) break;
    at += size;
  }
  while (end > at) {
    const size = spaceBefore(at, end);
    if (size === 0) break;
    end -= size;
  }
  if (at === end) return NaN;
  const sign = load<u8>(at);
  const negative = sign === 0x2d;
  if (negative || sign === 0x2b) at++;
  let digits = 0;
  let value: f64 = 0;
  let scale: f64 = 0;
  for (; at < end; at++) {
    const digit = <u32>load<u8>(at) - 0x30;
    if (digit <= 9) {
      digits++;
      value = value * 10 + <f64>digit;
      scale *= 10;
    } else if (digit === <u32>-2 && scale === 0) {
      scale = 1;
    } else {
      return NaN;
    }
  }
  if (digits === 0) return NaN;
  if (scale > 1) value /= scale;
  return negative ? -value : value;
}

function isSpace(byte: u32): bool {
  return byte === 0x20 || byte - 9 <= 4;
}

function spaceAt(at: usize, end: usize): usize {
  const byte = <u32>load<u8>(at);
  if (isSpace(byte)) return 1;
  return byte === 0xc2 && at + 1 < end && load<u8>(at + 1) === 0xa0 ? 2 : 0;
}

function spaceBefore(at: usize, end: usize): usize {
  const byte = <u32>load<u8>(end - 1);
  if (isSpace(byte)) return 1;
  return byte === 0xa0 && end - at >= 2 && load<u8>(end - 2) === 0xc2 ? 2 : 0;
}
