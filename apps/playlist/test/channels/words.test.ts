import { describe, expect, it } from 'vitest';
import { copyBytes } from '../../src/channels/copy-bytes.ts';
import { putWord, wordAt } from '../../src/channels/words.ts';

describe('words', () => {
  it('are those of Node, wherever they stand', () => {
    for (const word of [0, 1, 0x80, 0x1234_5678, 0x8000_0000, 0xffff_fffe, 0xffff_ffff]) {
      for (const at of [0, 1, 2, 3, 7]) {
        const ours = Buffer.alloc(12, 0xaa);
        const theirs = Buffer.alloc(12, 0xaa);
        putWord(ours, at, word);
        theirs.writeUInt32LE(word, at);
        expect(ours).toEqual(theirs);
        expect(wordAt(ours, at)).toBe(word);
      }
    }
  });
});

describe('copied bytes', () => {
  const bytes = Buffer.from(Array.from({ length: 300 }, (_, i) => i & 0xff));

  it('are the same by a loop and by a call of Node', () => {
    for (const length of [0, 1, 95, 96, 97, 250]) {
      const out = Buffer.alloc(300, 0xaa);
      expect(copyBytes(out, 20, bytes, 10, 10 + length)).toBe(20 + length);
      expect(out.subarray(20, 20 + length)).toEqual(bytes.subarray(10, 10 + length));
      expect(out[19]).toBe(0xaa);
      expect(out[20 + length]).toBe(0xaa);
    }
  });

  it('are left out where they do not fit, and the offset says so', () => {
    for (const [at, length] of [
      [96, 8],
      [50, 200],
      [100, 200],
      [120, 3],
    ] as const) {
      const out = Buffer.alloc(100);
      expect(copyBytes(out, at, bytes, 0, length)).toBe(at + length);
      expect(out.subarray(at)).toEqual(bytes.subarray(0, Math.max(0, 100 - at)));
    }
  });
});
