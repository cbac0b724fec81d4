import { expect, test } from 'vitest';
import { declaredEncoding, guideText } from '../../src/guide/guide-text.ts';
import type { ByteSource } from '../../src/sources/byte-source.ts';
import { memorySource } from './memory-source.ts';

async function readAll(source: ByteSource, length = 7): Promise<string> {
  const parts: Buffer[] = [];
  const buffer = Buffer.alloc(64);
  for (;;) {
    const got = await source.read(buffer, 3, length);
    if (got === 0) return Buffer.concat(parts).toString('utf8');
    parts.push(Buffer.from(buffer.subarray(3, 3 + got)));
  }
}

test.each([
  ['<?xml version="1.0" encoding="ISO-8859-1"?>', 'iso-8859-1'],
  ["<?xml version='1.0' encoding = 'windows-1251' standalone='yes' ?>", 'windows-1251'],
  ['\n<?xml version="1.0" encoding="UTF-8"?>', 'utf-8'],
  ['<?xml version="1.0"?><tv encoding="latin1">', undefined],
  ['<?xml version="1.0" encoding="utf-16"?>', undefined],
  ['<tv>', undefined],
  ['', undefined],
])('%s', (text, expected) => {
  expect(declaredEncoding(Buffer.from(text), text.length)).toBe(expected);
});

const TEXT = '<tv><channel id="é"/>ß</tv>';

test.each<[string, Buffer, string]>([
  ['utf-8', Buffer.from(TEXT), TEXT],
  [
    'iso-8859-1',
    Buffer.from(`<?xml version="1.0" encoding="iso-8859-1"?>${TEXT}`, 'latin1'),
    `<?xml version="1.0" encoding="iso-8859-1"?>${TEXT}`,
  ],
  [
    'windows-1251',
    Buffer.from([...Buffer.from('<?xml version="1.0" encoding="windows-1251"?>'), 0xcf, 0xe5]),
    '<?xml version="1.0" encoding="windows-1251"?>Пе',
  ],
  ['utf-16 with a mark', Buffer.from(`\ufeff${TEXT}`, 'utf16le'), TEXT],
  ['utf-16 without', Buffer.from(TEXT, 'utf16le'), TEXT],
  ['utf-16be', Buffer.from(`\ufeff${TEXT}`, 'utf16le').swap16(), TEXT],
  [
    'unknown',
    Buffer.from(`<?xml version="1.0" encoding="klingon"?>${TEXT}`),
    `<?xml version="1.0" encoding="klingon"?>${TEXT}`,
  ],
  ['empty', Buffer.alloc(0), ''],
  [
    'long',
    Buffer.from(`<?xml version="1.0" encoding="latin1"?>${'é'.repeat(200_000)}`, 'latin1'),
    `<?xml version="1.0" encoding="latin1"?>${'é'.repeat(200_000)}`,
  ],
])('is read as UTF-8: %s', async (_, bytes, expected) => {
  for (const pieces of [[65536], [1, 5]]) {
    if (expected.length > 1000 && pieces[0] === 1) continue;
    expect(await readAll(await guideText(memorySource(bytes, pieces)), 60)).toBe(expected);
  }
});

test('what declares nothing goes through what was given, from its beginning', async () => {
  const source = await guideText(memorySource(Buffer.from('<tv>')), (inner) => ({
    ...inner,
    label: 'other',
    sizeBytes: 1,
    read: (target, offset, length) => inner.read(target, offset, length),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }));
  expect(source.label).toBe('other');
  expect(await readAll(source)).toBe('<tv>');
});

test('a byte order mark of UTF-8 counts in the offsets', async () => {
  expect(await readAll(await guideText(memorySource(Buffer.from('\ufeff<tv>é'), [2])))).toBe('\ufeff<tv>é');
});

test('bytes that are no UTF-8 and declare nothing are recognised', async () => {
  const latin = Buffer.from(`<tv>${'<channel id="é"/>'.repeat(50)}</tv>`, 'latin1');
  expect(await readAll(await guideText(memorySource(latin)), 60)).toBe(latin.toString('latin1'));
});

test.each([3, 500, 1024, 5000])('a source that fails after %i bytes gives them first', async (failAt) => {
  for (const head of ['<tv>', '<?xml version="1.0" encoding="latin1"?>']) {
    const bytes = Buffer.from(head + 'x'.repeat(10_000));
    const source = await guideText(memorySource(bytes, [100], failAt));
    const buffer = Buffer.alloc(65_536);
    let at = 0;
    const readOn = async (): Promise<void> => {
      for (;;) at += await source.read(buffer, at, 1000);
    };
    await expect(readOn()).rejects.toThrow('unexpected end of file');
    expect(buffer.toString('latin1', 0, at)).toBe(bytes.toString('latin1', 0, failAt));
  }
});
