import zlib from 'node:zlib';
import { expect, it } from 'vitest';
import { fuzzSegments } from './fuzz-segments.ts';
import { MUTATIONS } from './mutate-segment.ts';

const HAS_ZSTD = typeof zlib.zstdCompress === 'function';

it('a damaged or forged segment reads right or names its fault, whatever was done to it (npm run verify -- spill-fuzz does 200,000)', async () => {
  const { wrong, faults, right, changes } = await fuzzSegments(20_261_130, 4_000);
  expect(wrong).toEqual([]);
  const named = ['checksum', 'codec', 'content', 'id', 'kind', 'length', 'magic', 'short', 'surplus', 'trailer'];
  expect(Object.keys(faults).sort()).toEqual(named);
  expect(Object.keys(changes).sort()).toEqual(MUTATIONS.map(({ name }) => name).sort());
  expect(right).toBeLessThan(400);
});

it.skipIf(!HAS_ZSTD)('bombs are cut off at the length that they claim', async () => {
  const { zstdBomb } = await import('./mutate-segment.ts');
  const bomb = zstdBomb(17, 64);
  expect(zlib.zstdDecompressSync(bomb).byteLength).toBe(64 * 131_072);
  const { FrameCodec } = await import('../../src/spill/frame-codec.ts');
  const codec = new FrameCodec('zstd');
  expect(await codec.restore(bomb, 64 * 131_072 - 1)).toBeUndefined();
  expect((await codec.restore(bomb, 64 * 131_072))?.byteLength).toBe(64 * 131_072);
  // A window that none of ours has is refused, whatever it would hold.
  expect(zlib.zstdDecompressSync(zstdBomb(25, 1)).byteLength).toBe(131_072);
  expect(await codec.restore(zstdBomb(25, 1), 131_072)).toBeUndefined();
});
