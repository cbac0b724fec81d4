import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bestCompression, COMPRESSIONS, ValuePacker } from '../../src/cache/value-codec.ts';

const known = COMPRESSIONS.filter((name) => name === 'deflate' || bestCompression() === 'zstd');

describe.each(known)('values packed with %s', (compression) => {
  const packer = new ValuePacker<unknown>(undefined, compression);
  const there = (value: unknown) => {
    const packed = packer.pack(value)!;
    expect(packer.unpack(packed)).toEqual(value);
    const small = packer.compress(packed);
    return small === undefined ? value : packer.unpack(small);
  };

  it('come back as they were: texts of any sort, buffers and arrays of bytes', () => {
    const text = fc.oneof(
      fc.string({ maxLength: 300 }),
      fc.string({ unit: 'binary', maxLength: 300 }),
      // Halves of pairs that belong to nobody too.
      fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 100 }).map((units) => String.fromCharCode(...units)),
    );
    fc.assert(
      fc.property(text, fc.nat(50), fc.uint8Array({ maxLength: 500 }), (string, times, bytes) => {
        const long = string.repeat(times);
        expect(there(long)).toBe(long);
        const buffer = there(Buffer.from(bytes)) as Buffer;
        expect(Buffer.isBuffer(buffer) && buffer.equals(bytes)).toBe(true);
        const array = there(bytes);
        expect(Object.getPrototypeOf(array)).toBe(Uint8Array.prototype);
        expect(array).toEqual(bytes);
      }),
      { numRuns: 300 },
    );
  });

  it('keep no more alive than their own bytes', () => {
    const small = packer.compress(packer.pack('x'.repeat(10_000))!)!;
    expect(small.bytes.buffer.byteLength).toBe(small.bytes.byteLength);
    expect(small.bytes.byteLength).toBeLessThan(200);
  });

  it('that are damaged never swell beyond what they were; that bytes have changed is for the checksum on disk to find', () => {
    const value = Buffer.from(Array.from({ length: 3_000 }, (_, i) => (i * i) % 61));
    const small = packer.compress(packer.pack(value)!)!;
    let errors = 0;
    for (let at = 0; at < small.bytes.byteLength; at += 3) {
      const bytes = Buffer.from(small.bytes);
      bytes[at]! ^= 0x55;
      try {
        expect((packer.unpack({ ...small, bytes }) as Buffer).byteLength).toBe(value.byteLength);
      } catch {
        errors++;
      }
    }
    expect(errors).toBeGreaterThan(0);
    expect(() => packer.unpack({ ...small, rawBytes: 10 })).toThrow();
  });

  it('are left alone when they are of no known sort, and go through a codec when there is one', () => {
    for (const value of [{ a: 1 }, 5, null, new Float64Array(4)]) expect(packer.pack(value)).toBeUndefined();
    const codec = {
      encode: (value: object) => Buffer.from(JSON.stringify(value)),
      decode: (b: Uint8Array) => JSON.parse(String(b)),
    };
    const json = new ValuePacker<object>(codec, compression);
    const value = { list: Array.from({ length: 100 }, (_, i) => ({ id: i, name: 'the same again' })) };
    expect(json.unpack(json.compress(json.pack(value)!)!)).toEqual(value);
    const bad = new ValuePacker<object>({ ...codec, encode: () => 'text' as unknown as Uint8Array }, compression);
    expect(() => bad.pack(value)).toThrow('encode gave no bytes');
  });

  it('are not kept compressed where that saves nothing', () => {
    const noise = Buffer.from(Array.from({ length: 2_000 }, () => Math.floor(Math.random() * 256)));
    expect(packer.compress(packer.pack(noise)!)).toBeUndefined();
  });
});
