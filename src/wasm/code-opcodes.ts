/**
 * What each instruction that needs no context reads behind its opcode, takes from the operand stack and leaves there. After the WebAssembly core specification 3.0, "Index of Instructions":
 * without garbage collection, typed function references, threads and 16-bit floats.
 */

export type Immediate = 'none' | 'byte' | 'index' | 'indices' | 'address' | 'lane' | 'i32' | 'i64' | '4' | '8' | '16';

export interface Effect {
  readonly immediate: Immediate;
  readonly pops: number;
  readonly pushes: number;
}

/** First, last, immediate, taken, left. */
type Row = readonly [first: number, last: number, immediate: Immediate, pops: number, pushes: number];

const PLAIN: readonly Row[] = [
  [0x01, 0x01, 'none', 0, 0],
  [0x1a, 0x1a, 'none', 1, 0],
  [0x1b, 0x1b, 'none', 3, 1],
  [0x20, 0x20, 'index', 0, 1],
  [0x21, 0x21, 'index', 1, 0],
  [0x22, 0x22, 'index', 1, 1],
  [0x23, 0x23, 'index', 0, 1],
  [0x24, 0x24, 'index', 1, 0],
  [0x25, 0x25, 'index', 1, 1],
  [0x26, 0x26, 'index', 2, 0],
  [0x28, 0x35, 'address', 1, 1],
  [0x36, 0x3e, 'address', 2, 0],
  [0x3f, 0x3f, 'index', 0, 1],
  [0x40, 0x40, 'index', 1, 1],
  [0x41, 0x41, 'i32', 0, 1],
  [0x42, 0x42, 'i64', 0, 1],
  [0x43, 0x43, '4', 0, 1],
  [0x44, 0x44, '8', 0, 1],
  [0x45, 0x45, 'none', 1, 1],
  [0x46, 0x4f, 'none', 2, 1],
  [0x50, 0x50, 'none', 1, 1],
  [0x51, 0x66, 'none', 2, 1],
  [0x67, 0x69, 'none', 1, 1],
  [0x6a, 0x78, 'none', 2, 1],
  [0x79, 0x7b, 'none', 1, 1],
  [0x7c, 0x8a, 'none', 2, 1],
  [0x8b, 0x91, 'none', 1, 1],
  [0x92, 0x98, 'none', 2, 1],
  [0x99, 0x9f, 'none', 1, 1],
  [0xa0, 0xa6, 'none', 2, 1],
  [0xa7, 0xc4, 'none', 1, 1],
  [0xd1, 0xd1, 'none', 1, 1],
  [0xd2, 0xd2, 'index', 0, 1],
];

/** Behind 0xfc. */
const MORE: readonly Row[] = [
  [0, 7, 'none', 1, 1],
  [8, 8, 'indices', 3, 0],
  [9, 9, 'index', 0, 0],
  [10, 10, 'indices', 3, 0],
  [11, 11, 'index', 3, 0],
  [12, 12, 'indices', 3, 0],
  [13, 13, 'index', 0, 0],
  [14, 14, 'indices', 3, 0],
  [15, 15, 'index', 2, 1],
  [16, 16, 'index', 0, 1],
  [17, 17, 'index', 3, 0],
];

/** Behind 0xfd. What is in no row further down takes two and leaves one. */
const VECTOR: readonly Row[] = [
  [0, 10, 'address', 1, 1],
  [11, 11, 'address', 2, 0],
  [12, 12, '16', 0, 1],
  [13, 13, '16', 2, 1],
  [15, 20, 'none', 1, 1],
  [21, 22, 'byte', 1, 1],
  [23, 23, 'byte', 2, 1],
  [24, 25, 'byte', 1, 1],
  [26, 26, 'byte', 2, 1],
  [27, 27, 'byte', 1, 1],
  [28, 28, 'byte', 2, 1],
  [29, 29, 'byte', 1, 1],
  [30, 30, 'byte', 2, 1],
  [31, 31, 'byte', 1, 1],
  [32, 32, 'byte', 2, 1],
  [33, 33, 'byte', 1, 1],
  [34, 34, 'byte', 2, 1],
  [77, 77, 'none', 1, 1],
  [82, 82, 'none', 3, 1],
  [83, 83, 'none', 1, 1],
  [84, 87, 'lane', 2, 1],
  [88, 91, 'lane', 2, 0],
  [92, 93, 'address', 1, 1],
  [94, 100, 'none', 1, 1],
  [103, 106, 'none', 1, 1],
  [116, 117, 'none', 1, 1],
  [122, 122, 'none', 1, 1],
  [124, 129, 'none', 1, 1],
  [131, 132, 'none', 1, 1],
  [135, 138, 'none', 1, 1],
  [148, 148, 'none', 1, 1],
  [160, 161, 'none', 1, 1],
  [163, 164, 'none', 1, 1],
  [167, 170, 'none', 1, 1],
  [192, 193, 'none', 1, 1],
  [195, 196, 'none', 1, 1],
  [199, 202, 'none', 1, 1],
  [224, 225, 'none', 1, 1],
  [227, 227, 'none', 1, 1],
  [236, 237, 'none', 1, 1],
  [239, 239, 'none', 1, 1],
  [248, 255, 'none', 1, 1],
  [257, 260, 'none', 1, 1],
  [261, 268, 'none', 3, 1],
  [275, 275, 'none', 3, 1],
];
const LAST_VECTOR = 275;

function spread(rows: readonly Row[], last = -1): readonly (Effect | undefined)[] {
  const effects: (Effect | undefined)[] = [];
  for (let opcode = 0; opcode <= last; opcode++) effects[opcode] = { immediate: 'none', pops: 2, pushes: 1 };
  for (const [first, to, immediate, pops, pushes] of rows) {
    for (let opcode = first; opcode <= to; opcode++) effects[opcode] = { immediate, pops, pushes };
  }
  return effects;
}

export const PLAIN_EFFECTS = spread(PLAIN);
export const MORE_EFFECTS = spread(MORE);
export const VECTOR_EFFECTS = spread(VECTOR, LAST_VECTOR);
