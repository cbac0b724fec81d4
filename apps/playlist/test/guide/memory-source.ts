import type { ByteSource } from '../../src/sources/byte-source.ts';

/** A source over bytes in memory that gives at most `pieces[i]` bytes in the i-th read, round and round; fails at `failAt` when given, with `failure`. */
export function memorySource(
  bytes: Buffer,
  pieces: readonly number[] = [65536],
  failAt?: number,
  failure: Error = new Error('unexpected end of file'),
): ByteSource {
  let at = 0;
  let reads = 0;
  return {
    label: 'memory',
    sizeBytes: bytes.length,
    async read(target, offset, length) {
      const end = Math.min(failAt ?? bytes.length, bytes.length);
      if (at >= end && failAt !== undefined) throw failure;
      const count = Math.min(length, pieces[reads++ % pieces.length]!, end - at);
      bytes.copy(target, offset, at, at + count);
      at += count;
      return count;
    },
    async [Symbol.asyncDispose]() {},
  };
}
