// Numbers that are taken. Below 2^24 as bits under a tree of summaries (a bit says "these 32 are full"), made at once: 2.1 MiB of which only those pages cost anything that are written. Above
// in a table whose entries point past the run they are in, halved on the way.
import { takeForGood } from '../../sdk/index';

const DENSE_BITS: u32 = 24;
const DENSE_END: u32 = 1 << DENSE_BITS;
/** 2^24 bits, then a 32nd of them, and so on: 2^19, 2^14, 2^9, 2^4 words and one. */
const LEVELS: i32 = 5;
const levels = memory.data(LEVELS * sizeof<usize>(), 4);
/** Slots of 8 bytes: the number, and somewhere at or below the next free one. */
const SLOTS: u32 = 1 << 18;
const MOST_FAR: u32 = 131072;
let far: usize = 0;
let farCount: u32 = 0;

export function start(): void {
  let words: usize = DENSE_END >> 5;
  for (let level = 0; level < LEVELS; level++) {
    store<usize>(levels + <usize>(level << 2), takeForGood(words * 4));
    words = (words + 31) >> 5;
  }
  // Of the last word 16 bits stand for something.
  store<u32>(wordAt(LEVELS - 1, 0), 0xffff0000);
}

/** No room for one more number from 2^24 up. Said before each is taken, whatever it is: it is the end of what this plugin is for. */
export function isFull(): bool {
  return farCount === MOST_FAR;
}

export function takeNumber(wanted: u32): u32 {
  const number = nextFree(wanted);
  if (number < DENSE_END) mark(number);
  else takeFar(number);
  return number;
}

export function nextFree(from: u32): u32 {
  if (from < DENSE_END) {
    const found = nextDense(from);
    if (found < DENSE_END) return found;
    from = DENSE_END;
  }
  return far === 0 ? from : nextFar(from);
}

function wordAt(level: i32, index: u32): usize {
  return load<usize>(levels + <usize>(level << 2)) + ((<usize>index) << 2);
}

function mark(number: u32): void {
  let at = number;
  for (let level = 0; level < LEVELS; level++) {
    const place = wordAt(level, at >> 5);
    const bits = load<u32>(place) | (1 << (at & 31));
    store<u32>(place, bits);
    if (bits !== 0xffffffff) return;
    at >>= 5;
  }
}

/** `DENSE_END` when everything from `from` up is taken. */
function nextDense(from: u32): u32 {
  let level = 0;
  let at = from;
  while (true) {
    // Past the end of its level: nothing is left above either.
    const free =
      at >> (DENSE_BITS - 5 * level) !== 0 ? 0 : (~load<u32>(wordAt(level, at >> 5)) >> (at & 31)) << (at & 31);
    if (free !== 0) {
      at = (at & ~31) + ctz(free);
      if (level === 0) return at;
      level--;
      at <<= 5;
      continue;
    }
    // Nothing free in the rest of this word: look at the following word, one summary up.
    at = (at >> 5) + 1;
    level++;
    if (level === LEVELS) return DENSE_END;
  }
}

function takeFar(number: u32): void {
  if (far === 0) far = takeForGood(<usize>SLOTS * 8);
  const place = seek(number);
  store<u32>(place, number);
  store<u32>(place, number + 1, 4);
  farCount++;
}

function nextFar(from: u32): u32 {
  let number = from;
  let place = seek(from);
  while (load<u32>(place) !== 0) {
    const next = load<u32>(place, 4);
    const beyond = seek(next);
    // Who asks again takes half as many steps.
    if (load<u32>(beyond) !== 0) store<u32>(place, load<u32>(beyond, 4), 4);
    number = next;
    place = beyond;
  }
  return number;
}

function seek(number: u32): usize {
  let slot = (number * 0x9e3779b1) >> 14;
  while (true) {
    const place = far + ((<usize>slot) << 3);
    const there = load<u32>(place);
    if (there === 0 || there === number) return place;
    slot = (slot + 1) & (SLOTS - 1);
  }
}
