import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TextEncodingName } from '../../src/m3u/encoding.ts';
import type { ByteSource } from '../../src/sources/byte-source.ts';
import { type TextSourceOptions, utf8Source } from '../../src/sources/text-source.ts';

class BytesInPieces implements ByteSource {
  readonly label = 'list.m3u';
  readonly sizeBytes: number;
  disposed = 0;
  #at = 0;
  readonly #bytes: Buffer;
  readonly #piece: number;

  constructor(bytes: Buffer, piece: number) {
    this.#bytes = bytes;
    this.#piece = piece;
    this.sizeBytes = bytes.length;
  }

  async read(target: Buffer, offset: number, length: number): Promise<number> {
    const count = this.#bytes.copy(target, offset, this.#at, this.#at + Math.min(length, this.#piece));
    this.#at += count;
    return count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed++;
  }
}

interface Read {
  text: string;
  encoding: TextEncodingName;
  replaced: number;
  told: TextEncodingName[];
}

async function readAll(bytes: Buffer, piece = 65_536, room = 65_536, options: TextSourceOptions = {}): Promise<Read> {
  const told: TextEncodingName[] = [];
  await using source = utf8Source(new BytesInPieces(bytes, piece), {
    ...options,
    onEncoding: (encoding) => told.push(encoding),
  });
  const target = Buffer.alloc(room + 10);
  const parts: Buffer[] = [];
  for (;;) {
    const count = await source.read(target, 5, room);
    expect(count).toBeLessThanOrEqual(room);
    if (count === 0) break;
    parts.push(Buffer.from(target.subarray(5, 5 + count)));
  }
  expect(await source.read(target, 0, room)).toBe(0);
  const all = Buffer.concat(parts);
  const text = all.toString('utf8');
  expect(Buffer.from(text).equals(all), 'valid UTF-8').toBe(true);
  return { text, encoding: source.encoding, replaced: source.replacedCount, told };
}

const CUTS: readonly [number, number][] = [
  [65_536, 65_536],
  [1, 65_536],
  [7, 64],
  [65_536, 65],
  [3, 1],
  [65_536, 3],
];

/** GBK of the characters used here: two bytes each, from the code table of the standard. */
const GBK: Readonly<Record<string, string>> = {
  中: 'd6d0',
  央: 'd1eb',
  电: 'b5e7',
  视: 'cad3',
  台: 'cca8',
  新: 'd0c2',
  闻: 'cec5',
  综: 'd7db',
  合: 'bacf',
};

function toGbk(text: string): Buffer {
  return Buffer.concat(
    Array.from(text, (character) =>
      GBK[character] === undefined ? Buffer.from(character, 'latin1') : Buffer.from(GBK[character], 'hex'),
    ),
  );
}

function toUtf16(text: string, bigEndian: boolean): Buffer {
  const bytes = Buffer.from(text, 'utf16le');
  return bigEndian ? bytes.swap16() : bytes;
}

const entry = (name: string): string => `#EXTINF:-1 group-title="新闻",${name}\nhttp://host/1\n`;
const CHINESE = `#EXTM3U\n${entry('中央电视台').repeat(50)}${entry('综合')}`;

describe('the encoding is told', () => {
  test.each<[string, Buffer, TextEncodingName]>([
    ['UTF-8', Buffer.from(CHINESE), 'utf-8'],
    ['UTF-8 with a mark', Buffer.from(`\uFEFF${CHINESE}`), 'utf-8'],
    ['UTF-16LE with a mark', toUtf16(`\uFEFF${CHINESE}`, false), 'utf-16le'],
    ['UTF-16BE with a mark', toUtf16(`\uFEFF${CHINESE}`, true), 'utf-16be'],
    ['UTF-16LE without', toUtf16(CHINESE, false), 'utf-16le'],
    ['UTF-16BE without', toUtf16(CHINESE, true), 'utf-16be'],
    ['GBK', toGbk(CHINESE), 'gb18030'],
  ])('%s', async (_, bytes, encoding) => {
    for (const [piece, room] of CUTS) {
      const read = await readAll(bytes, piece, room);
      expect(read).toEqual({ text: CHINESE, encoding, replaced: 0, told: encoding === 'utf-8' ? [] : [encoding] });
    }
  });

  test('GB 18030 in four bytes', async () => {
    // U+20000 is 95 32 82 36 in GB 18030-2005.
    const bytes = Buffer.concat([toGbk(entry('中央')), Buffer.from('95328236', 'hex'), Buffer.from('\n')]);
    expect(await readAll(bytes)).toMatchObject({ text: `${entry('中央')}\u{20000}\n`, encoding: 'gb18030' });
  });

  test('Windows-1252', async () => {
    const bytes = Buffer.concat([
      Buffer.from('#EXTM3U\n#EXTINF:-1,T\xe9l\xe9 \xc9t\xe9 \xfcber \xdf', 'latin1'),
      Buffer.from([0x80, 0x93, 0x81, 0x9f]),
    ]);
    const text = '#EXTM3U\n#EXTINF:-1,Télé Été über ß€“\u0081Ÿ';
    for (const [piece, room] of CUTS) {
      expect(await readAll(bytes, piece, room)).toEqual({
        text,
        encoding: 'windows-1252',
        replaced: 0,
        told: ['windows-1252'],
      });
    }
  });

  test('far behind nothing but ASCII', async () => {
    const ascii = '#EXTINF:-1,Plain\nhttp://host/plain\n'.repeat(20_000);
    for (const [piece, room] of [
      [65_536, 65_536],
      [100_000, 1_000_000],
    ] as const) {
      expect(await readAll(Buffer.concat([Buffer.from(ascii), toGbk(CHINESE)]), piece, room)).toMatchObject({
        text: ascii + CHINESE,
        encoding: 'gb18030',
      });
      const french = Buffer.from('#EXTINF:-1,Télé\nu\n', 'latin1');
      expect(await readAll(Buffer.concat([Buffer.from(ascii), french]), piece, room)).toMatchObject({
        text: `${ascii}#EXTINF:-1,Télé\nu\n`,
        encoding: 'windows-1252',
      });
    }
  });

  test('with no more looked at than asked for', async () => {
    const bytes = Buffer.concat([toGbk('中央电视台,'.repeat(60)), Buffer.from(' \xe9 \xe9 '.repeat(2000), 'latin1')]);
    expect((await readAll(bytes, 65_536, 65_536, { maxSniffBytes: 256 })).encoding).toBe('gb18030');
    expect((await readAll(bytes)).encoding).toBe('windows-1252');
    expect(() => utf8Source(new BytesInPieces(bytes, 1), { maxSniffBytes: 10 })).toThrow(
      'Expected `maxSniffBytes` to be a whole number from 256 up, got `10` (number)',
    );
  });
});

describe('damaged UTF-8', () => {
  test('keeps what is whole and replaces the rest as the standard decoder does', async () => {
    const piece = fc.oneof(
      { weight: 4, arbitrary: fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => Buffer.from(text)) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes)) },
    );
    const start = Buffer.from('#EXTM3U 中央电视台\n');
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 30 }), fc.constantFrom(...CUTS), async (pieces, [size, room]) => {
        const bytes = Buffer.concat([start, ...pieces]);
        const read = await readAll(bytes, size, room);
        expect(read.text).toBe(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
        expect(read.encoding).toBe('utf-8');
        const count = (text: string): number => text.split('\uFFFD').length - 1;
        expect(read.replaced).toBe(
          count(read.text) - count(bytes.toString('latin1').replaceAll('\u00ef\u00bf\u00bd', '\uFFFD')),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('a character cut by the end', async () => {
    for (const [piece, room] of CUTS) {
      expect(
        await readAll(Buffer.concat([Buffer.from('é中'), Buffer.from('中').subarray(0, 2)]), piece, room),
      ).toMatchObject({
        text: 'é中\uFFFD',
        replaced: 1,
        encoding: 'utf-8',
      });
    }
  });

  test('of every kind, as the standard decoder replaces it', async () => {
    const cases = [
      'eda080',
      'edbfbf',
      'f4908080',
      'e08080',
      'f08080c0',
      'c0af',
      'c1bf',
      'f5808080',
      'ff',
      'e4b8',
      'f09f98',
      'e4b841',
      'f09f41',
    ];
    for (const hex of [...cases, ...cases.map((text) => `${text}41`)]) {
      const bytes = Buffer.concat([Buffer.from('中'), Buffer.from(hex, 'hex')]);
      expect((await readAll(bytes)).text, hex).toBe(new TextDecoder('utf-8').decode(bytes));
    }
  });

  test('does not change what was given out: once UTF-8, always UTF-8', async () => {
    const text = `#EXTINF:-1,é\n${'http://u\n'.repeat(200)}`;
    const read = await readAll(Buffer.concat([Buffer.from(text), toGbk('中央电视台'.repeat(100))]), text.length + 1);
    expect(read).toMatchObject({ encoding: 'utf-8', told: [] });
    expect(read.text.startsWith(text)).toBe(true);
  });

  test('a little of it after an accented letter does not make Chinese of the letter; much does', async () => {
    const text = '#EXTINF:-1,é \n';
    expect(await readAll(Buffer.concat([Buffer.from(text), toGbk('中央电视台\n')]))).toMatchObject({
      encoding: 'utf-8',
    });
    expect(await readAll(Buffer.concat([Buffer.from(text), toGbk('中央电视台\n'.repeat(50))]))).toMatchObject({
      encoding: 'gb18030',
    });
  });

  test('one accented letter before it is enough to stay with UTF-8', async () => {
    const bytes = Buffer.concat([
      Buffer.from('#EXTINF:-1,Caf\u00e9 au lait\nu\n'),
      Buffer.from([0xff, 0xfe, 0x81, 0x20, 0xe9]),
    ]);
    expect(await readAll(bytes)).toMatchObject({ encoding: 'utf-8', text: expect.stringContaining('Café au lait') });
  });
});

describe('as a source', () => {
  test('passes on label and size, and disposes what it wraps', async () => {
    const inner = new BytesInPieces(Buffer.from('abc'), 10);
    const source = utf8Source(inner);
    expect([source.label, source.sizeBytes]).toEqual(['list.m3u', 3]);
    await source[Symbol.asyncDispose]();
    expect(inner.disposed).toBe(1);
    expect(await source.read(Buffer.alloc(100), 0, 100)).toBe(0);
  });

  test('an empty file has no text', async () => {
    expect(await readAll(Buffer.alloc(0))).toMatchObject({ text: '', encoding: 'utf-8' });
    expect(await readAll(Buffer.from([0xef, 0xbb, 0xbf]))).toMatchObject({ text: '', encoding: 'utf-8' });
  });

  test('valid UTF-8 comes through whole wherever it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme' }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 90 }),
        async (text, piece, room) => {
          const safe = `#EXTM3U\n${text.replaceAll('\0', '')}`;
          expect(await readAll(Buffer.from(safe), piece, room)).toMatchObject({ text: safe, replaced: 0 });
        },
      ),
      { numRuns: 300 },
    );
  });
});
