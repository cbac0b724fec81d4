import zlib from 'node:zlib';
import { isSpillForced } from 'plimsoll/spill';
import { describe, expect, it } from 'vitest';
import { codecAtHand, FrameCodec, freeBuffer, freeChunk } from '../../src/spill/frame-codec.ts';

const CODECS = (['zstd', 'deflate'] as const).filter((name) => codecAtHand(name) === name);

describe('a codec', () => {
  it('that this Node does not have has another in its place', () => {
    expect([codecAtHand('zstd', false), codecAtHand('deflate', false), codecAtHand('none', false)]).toEqual([
      'deflate',
      'deflate',
      'none',
    ]);
    expect(codecAtHand('zstd', true)).toBe('zstd');
  });

  it.each(CODECS)(
    '%s gives back what it made smaller, at once and on the thread pool, in one buffer that can be freed',
    async (name) => {
      const codec = new FrameCodec(name);
      for (const bytes of [40, 500, 5_000, 33_000, 262_144, 262_145, 3_000_000]) {
        const raw = Buffer.alloc(bytes, 'again and ');
        const small = (await codec.shrink(raw))!;
        expect(small.byteLength).toBeLessThan(bytes);
        const found = (await codec.restore(small, bytes))!;
        expect(found.equals(raw), `${bytes}`).toBe(true);
        const { byteLength } = found.buffer;
        expect(codec.restoreBytes(bytes)).toBeGreaterThanOrEqual(byteLength);
        freeChunk(found, bytes);
        freeChunk(small, bytes);
        expect(found.byteLength, `${bytes}`).toBe(0);
        // On the thread pool Node puts it together from two.
        if (bytes <= 262_144) expect(small.byteLength, `${bytes}`).toBe(0);
      }
    },
  );

  it.each(CODECS)('%s leaves alone what does not get smaller, and what is in a pool of others', async (name) => {
    const codec = new FrameCodec(name);
    const noise = zlib.deflateRawSync(Buffer.from(Array.from({ length: 9_000 }, (_, i) => (i * i * 7_919) >>> 5)));
    expect(await codec.shrink(noise)).toBeUndefined();
    expect(await codec.shrink(new Uint8Array(0))).toBeUndefined();
    const pooled = Buffer.from('one of many in a pool');
    freeChunk(pooled, pooled.byteLength);
    expect(String(pooled)).toBe('one of many in a pool');
  });

  it.each(CODECS)('%s says nothing but no to what is damaged, longer or shorter than it says', async (name) => {
    const codec = new FrameCodec(name);
    const small = (await codec.shrink(Buffer.alloc(5_000, 'again and ')))!;
    expect(await codec.restore(small, 4_999)).toBeUndefined();
    expect(await codec.restore(small, 5_001)).toBeUndefined();
    expect(await codec.restore(small.subarray(0, small.byteLength - 3), 5_000)).toBeUndefined();
    expect(await codec.restore(Buffer.from('no such thing'), 5_000)).toBeUndefined();
    expect((await codec.restore(small, 5_000))?.byteLength).toBe(5_000);
  });
});

it('a buffer that is freed is empty for who still holds it', () => {
  const buffer = Buffer.allocUnsafeSlow(1_000);
  freeBuffer(buffer);
  expect(buffer.byteLength).toBe(0);
});

it('spilling is forced by the environment, and by nothing but 1', () => {
  const said = [undefined, '', '0', 'true', '1'].map((value) => isSpillForced({ PLIMSOLL_FORCE_SPILL: value }));
  expect(said).toEqual([false, false, false, false, true]);
});
