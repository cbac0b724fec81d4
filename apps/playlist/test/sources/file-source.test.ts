import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { openFile } from '../../src/sources/file-source.ts';
import { SourceError } from '../../src/sources/source-error.ts';

const folder = mkdtempSync(join(tmpdir(), 'playlist-file-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;

function write(bytes: Buffer): string {
  const path = join(folder, `f${count++}`);
  writeFileSync(path, bytes);
  return path;
}

/** Reads everything in pieces of `size`; what was read before an error comes with it. */
async function readAll(path: string, maxBytes = 1e9, size = 1000): Promise<{ bytes: Buffer; error?: unknown }> {
  const parts: Buffer[] = [];
  const target = Buffer.alloc(size + 7);
  try {
    await using source = await openFile(path, { maxBytes });
    for (;;) {
      const got = await source.read(target, 3, size);
      if (got === 0) return { bytes: Buffer.concat(parts) };
      parts.push(Buffer.from(target.subarray(3, 3 + got)));
    }
  } catch (error) {
    return { bytes: Buffer.concat(parts), error };
  }
}

const text = Buffer.from(
  Array.from({ length: 60_000 }, (_, i) => `line ${i} ${Math.imul(i, 2654435761) >>> 3}\n`).join(''),
);
const gz = gzipSync(text);
const zst = zstdCompressSync(text);

/** All the optional parts of a header (RFC 1952, 2.3). */
const fullHeader = Buffer.concat([
  Buffer.from([0x1f, 0x8b, 8, 2 | 4 | 8 | 16, 0, 0, 0, 0, 0, 3, 3, 0, 9, 9, 9]),
  Buffer.from('name\0comment\0'),
  Buffer.from([1, 2]),
  gz.subarray(10),
]);

describe('openFile', () => {
  it.each([
    ['plain', text, text],
    ['gzip', gz, text],
    ['zstd', zst, text],
    ['gzip in gzip', gzipSync(gz), text],
    ['two gzip members', Buffer.concat([gz, gz]), Buffer.concat([text, text])],
    ['gzip with zeros behind', Buffer.concat([gz, Buffer.alloc(512)]), text],
    ['gzip with garbage behind', Buffer.concat([gz, Buffer.from('garbage'.repeat(100_000))]), text],
    ['two zstd frames', Buffer.concat([zst, zst]), Buffer.concat([text, text])],
    [
      'zstd after a skippable frame',
      Buffer.concat([Buffer.from([0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2]), zst]),
      text,
    ],
    ['empty', Buffer.alloc(0), Buffer.alloc(0)],
    ['one byte', Buffer.from('#'), Buffer.from('#')],
    ['gzip of nothing', gzipSync(''), Buffer.alloc(0)],
    ['gzip with name, comment, extra field and checksum', fullHeader, text],
  ])('reads %s', async (_, stored, content) => {
    for (const size of [700, 300_000]) {
      const { bytes, error } = await readAll(write(stored), 1e9, size);
      expect(error).toBeUndefined();
      expect(bytes.equals(content)).toBe(true);
    }
  });

  it.each([
    ['gzip', gz],
    ['zstd', zst],
  ])('gives what came before the end of truncated %s, then says where', async (format, stored) => {
    for (const share of [0.3, 0.9, 0.999]) {
      const { bytes, error } = await readAll(write(stored.subarray(0, Math.floor(stored.length * share))));
      expect(error).toBeInstanceOf(SourceError);
      expect(error).toMatchObject({ fault: 'truncated', code: 'PLIMSOLL_PLAYLIST_SOURCE', offsetBytes: bytes.length });
      expect((error as Error).message).toMatch(
        new RegExp(`the ${format} content ends early, after ${bytes.length} bytes`),
      );
      expect(text.subarray(0, bytes.length).equals(bytes)).toBe(true);
      // At most the last 256 KiB block of the compressor may be missing.
      expect(bytes.length).toBeGreaterThan(text.length * share - 270_000);
    }
  });

  it('says so when compressed content is damaged', async () => {
    const broken = Buffer.from(gz);
    broken.fill(0xff, gz.length / 2, gz.length / 2 + 50);
    const { bytes, error } = await readAll(write(broken));
    expect(error).toMatchObject({ fault: 'damaged', offsetBytes: bytes.length });
    const sure = text.length * 0.3;
    expect(bytes.length).toBeGreaterThan(sure);
    expect(text.subarray(0, sure).equals(bytes.subarray(0, sure))).toBe(true);
  });

  it('notices a wrong checksum', async () => {
    const broken = Buffer.from(gz);
    broken[gz.length - 6]! ^= 1;
    expect(await readAll(write(broken))).toMatchObject({ error: { fault: 'damaged', offsetBytes: text.length } });
  });

  it('stops a decompression bomb at the bound', async () => {
    const bomb = gzipSync(Buffer.alloc(50e6));
    const { bytes, error } = await readAll(write(bomb), 1e6);
    expect(error).toMatchObject({ fault: 'too-large' });
    expect(bytes.length).toBeLessThanOrEqual(1e6);
    expect(await readAll(write(text), text.length - 1)).toMatchObject({ error: { fault: 'too-large' } });
    expect((await readAll(write(text), text.length)).error).toBeUndefined();
  });

  it.each([
    ['xz', 'fd377a585a00'],
    ['zip', '504b030414'],
    ['bzip2', '425a6839'],
  ])('says what to do with %s', async (format, head) => {
    const { error } = await readAll(write(Buffer.from(head, 'hex')));
    expect((error as Error).message).toMatch(new RegExp(`is ${format}, which is not read here: unpack it`));
  });

  it('says what is wrong with a path', async () => {
    expect(await readAll(join(folder, 'none'))).toMatchObject({ error: { fault: 'missing' } });
    expect(await readAll(folder)).toMatchObject({ error: { fault: 'unreadable' } });
  });

  it.skipIf(process.platform === 'win32')('reads a named pipe', async () => {
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', [path]);
    const { spawn } = await import('node:child_process');
    const writer = spawn('sh', ['-c', `cat '${write(gz)}' > '${path}'`]);
    const { bytes, error } = await readAll(path);
    expect(error).toBeUndefined();
    expect(bytes.equals(text)).toBe(true);
    writer.unref();
  });

  it('can be disposed of at any moment, twice', async () => {
    const source = await openFile(write(gz), { maxBytes: 1e9 });
    await source.read(Buffer.alloc(10), 0, 10);
    await source[Symbol.asyncDispose]();
    await source[Symbol.asyncDispose]();
  });

  it('never crashes on mutated gzip: content or a SourceError', async () => {
    const small = gzipSync(text.subarray(0, 3000));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(small.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 }),
        async (edits) => {
          const bytes = Buffer.from(small);
          for (const [at, value] of edits) bytes[at] = value;
          const { error } = await readAll(write(bytes));
          if (error !== undefined) expect(error).toBeInstanceOf(SourceError);
        },
      ),
      { numRuns: 100 },
    );
  });
});
