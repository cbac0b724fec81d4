/** Ways to damage a segment file, and to forge one: with sums that are right for what was changed. */

/** Ways to damage a segment file, and to forge one: with sums that are right for what was changed. */
import zlib, { crc32 } from 'node:zlib';

export type Draw = (below: number) => number;

/** Xorshift (Marsaglia 2003): the same for the same seed. */
export function drawFrom(seed: number): Draw {
  let x = seed | 0 || 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

const HEADER = 28;
const MIB = 1_048_576;

/** Where the frames of a sound segment begin, and its end. */
export function framesOf(segment: Buffer): number[] {
  const starts = [0];
  while (starts.at(-1)! < segment.length)
    starts.push(starts.at(-1)! + HEADER + segment.readUInt32LE(starts.at(-1)! + 8));
  return starts;
}

export function resum(segment: Buffer, at: number): void {
  const stored = segment.readUInt32LE(at + 8);
  const end = Math.min(segment.length, at + HEADER + stored);
  segment.writeUInt32LE(crc32(segment.subarray(at + HEADER, end), crc32(segment.subarray(at + 4, at + 24))), at + 24);
}

/** A zstd frame that swells: a window of 2 to the power of `windowLog`, and 128 KiB of one byte for each 4 bytes of the frame. */
export function zstdBomb(windowLog: number, blocks: number): Buffer {
  const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, (windowLog - 10) << 3]);
  const size = Math.min(131_072, 2 ** windowLog);
  const parts = Array.from({ length: blocks }, (_, i) => {
    const block = Buffer.alloc(4, 0x61);
    block.writeUIntLE((size << 3) | (1 << 1) | (i === blocks - 1 ? 1 : 0), 0, 3);
    return block;
  });
  return Buffer.concat([head, ...parts]);
}

const DEFLATE_BOMB = zlib.deflateRawSync(Buffer.alloc(4 * MIB, 0x61), { level: 9 });
const ODD_LENGTHS = [0, 1, 27, 28, 65_535, 65_537, 2 ** 24, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

export interface Mutation {
  readonly name: string;
  /** Sums are right again afterwards: only what the frame says can give it away. */
  readonly forged?: boolean;
  apply(segment: Buffer, draw: Draw, other: Buffer): Buffer;
}

const frameAt = (segment: Buffer, draw: Draw): [from: number, to: number] => {
  const frames = framesOf(segment);
  const i = draw(frames.length - 1);
  return [frames[i]!, frames[i + 1]!];
};

/** One that changes the header of a frame, and forges the sum. */
const forge = (name: string, change: (segment: Buffer, at: number, draw: Draw) => void): Mutation => ({
  name,
  forged: true,
  apply(segment, draw) {
    const [at] = frameAt(segment, draw);
    change(segment, at, draw);
    resum(segment, at);
    return segment;
  },
});

/** Exchanges the payload of a batch, whatever it decompresses to. */
const withPayload = (
  name: string,
  payload: (draw: Draw) => Buffer,
  rawBytes: (draw: Draw, was: number) => number,
): Mutation => ({
  name,
  forged: true,
  apply(segment, draw) {
    const frames = framesOf(segment);
    if (frames.length < 3) return segment;
    // The largest that is compressed, if there is one: a payload that is longer than what it says it was is found out by that alone.
    const swells = (i: number) => (segment[frames[i]! + 5] === 0 ? 0 : segment.readUInt32LE(frames[i]! + 12));
    let i = draw(frames.length - 2);
    for (let k = 0; k < frames.length - 2; k++) if (swells(k) > swells(i)) i = k;
    const [from, to] = [frames[i]!, frames[i + 1]!];
    const header = Buffer.from(segment.subarray(from, from + HEADER));
    const bytes = payload(draw);
    header.writeUInt32LE(bytes.length, 8);
    header.writeUInt32LE(rawBytes(draw, header.readUInt32LE(12)), 12);
    const whole = Buffer.concat([segment.subarray(0, from), header, bytes, segment.subarray(to)]);
    resum(whole, from);
    return whole;
  },
});

export const MUTATIONS: readonly Mutation[] = [
  { name: 'cut', apply: (segment, draw) => segment.subarray(0, draw(segment.length)) },
  { name: 'cut between frames', apply: (segment, draw) => segment.subarray(0, frameAt(segment, draw)[0]) },
  {
    name: 'a bit',
    apply(segment, draw) {
      segment[draw(segment.length)]! ^= 1 << draw(8);
      return segment;
    },
  },
  {
    name: 'a byte of a header',
    apply(segment, draw) {
      segment[frameAt(segment, draw)[0] + draw(HEADER)] = draw(256);
      return segment;
    },
  },
  {
    name: 'zeros',
    apply(segment, draw) {
      const at = draw(segment.length);
      return segment.fill(0, at, Math.min(segment.length, at + 1 + draw(4_096)));
    },
  },
  {
    name: 'a block of noise',
    apply(segment, draw) {
      const at = draw(segment.length);
      for (let i = at; i < Math.min(segment.length, at + 512); i++) segment[i] = draw(256);
      return segment;
    },
  },
  {
    name: 'bytes lost',
    apply(segment, draw) {
      const at = draw(segment.length);
      return Buffer.concat([segment.subarray(0, at), segment.subarray(at + 1 + draw(64))]);
    },
  },
  {
    name: 'bytes more',
    apply(segment, draw) {
      const at = draw(segment.length + 1);
      return Buffer.concat([segment.subarray(0, at), Buffer.alloc(1 + draw(64), draw(256)), segment.subarray(at)]);
    },
  },
  {
    name: 'a frame lost',
    apply(segment, draw) {
      const [from, to] = frameAt(segment, draw);
      return Buffer.concat([segment.subarray(0, from), segment.subarray(to)]);
    },
  },
  {
    name: 'a frame twice',
    apply(segment, draw) {
      const [from, to] = frameAt(segment, draw);
      return Buffer.concat([segment.subarray(0, to), segment.subarray(from)]);
    },
  },
  {
    name: 'two frames exchanged',
    apply(segment, draw) {
      const frames = framesOf(segment);
      const [i, j] = [draw(frames.length - 1), draw(frames.length - 1)].toSorted((a, b) => a - b) as [number, number];
      const piece = (k: number) => segment.subarray(frames[k]!, frames[k + 1]!);
      const order = frames.slice(0, -1).map((_, k) => (k === i ? j : k === j ? i : k));
      return Buffer.concat(order.map(piece));
    },
  },
  { name: 'another segment', apply: (_segment, _draw, other) => other },
  {
    name: 'the head of another',
    apply: (segment, draw, other) => Buffer.concat([other.subarray(0, frameAt(other, draw)[1]), segment]),
  },
  {
    name: 'a length, not summed',
    apply(segment, draw) {
      segment.writeUInt32LE(ODD_LENGTHS[draw(ODD_LENGTHS.length)]!, frameAt(segment, draw)[0] + 8 + 4 * draw(2));
      return segment;
    },
  },
  forge('a length', (segment, at, draw) =>
    segment.writeUInt32LE(ODD_LENGTHS[draw(ODD_LENGTHS.length)]!, at + 8 + 4 * draw(2)),
  ),
  forge('both lengths', (segment, at, draw) => {
    const length = ODD_LENGTHS[draw(ODD_LENGTHS.length)]!;
    segment.writeUInt32LE(length, at + 8);
    segment.writeUInt32LE(length, at + 12);
  }),
  forge('a length by a few', (segment, at, draw) => {
    const field = at + 8 + 4 * draw(2);
    segment.writeUInt32LE((segment.readUInt32LE(field) + 1 + draw(3) - 2) >>> 0, field);
  }),
  forge('a codec', (segment, at, draw) => {
    segment[at + 5] = draw(2) === 0 ? draw(4) : draw(256);
  }),
  forge('a kind', (segment, at, draw) => {
    segment[at + 4] = draw(6);
  }),
  forge('a number', (segment, at, draw) => segment.writeUInt32LE(draw(20), at + 16 + 4 * draw(2))),
  {
    name: 'what the trailer says',
    forged: true,
    apply(segment, draw) {
      const at = framesOf(segment).at(-2)!;
      segment.writeBigUInt64LE(
        BigInt(draw(2) === 0 ? draw(100) : draw(2 ** 31)) << BigInt(draw(32)),
        at + HEADER + 8 * draw(3),
      );
      resum(segment, at);
      return segment;
    },
  },
  withPayload(
    'a zstd bomb',
    (draw) => zstdBomb(10 + draw(10), 100 + draw(400)),
    (_draw, was) => was,
  ),
  withPayload(
    'a zstd bomb that asks for a window',
    (draw) => zstdBomb(20 + draw(12), 100 + draw(400)),
    (_draw, was) => was,
  ),
  withPayload(
    'a deflate bomb',
    () => DEFLATE_BOMB,
    (_draw, was) => was,
  ),
  withPayload(
    'a bomb that says how large it is',
    (draw) => zstdBomb(10 + draw(20), 512),
    () => 64 * MIB,
  ),
  withPayload(
    'noise for a payload',
    (draw) => Buffer.from(Array.from({ length: 1 + draw(200) }, () => draw(256))),
    (_draw, was) => was + 201,
  ),
];
