import { expect, test } from 'vitest';
import { NameNormaliser } from '../../src/guide/name-normaliser.ts';

const normaliser = new NameNormaliser();
function normal(text: string): string {
  const bytes = Buffer.from(text);
  return normaliser.bytes.toString('utf8', 0, normaliser.normalise(bytes, 0, bytes.length));
}

test.each([
  [
    'BBC One',
    'bbc one HD',
    'BBC  ONE FHD',
    'UK: BBC One',
    'UK | BBC One',
    '|UK| BBC One',
    '[UK] BBC One',
    'BBC One [Not 24/7]',
    'BBC One (1080p)',
    'UK - BBC One',
    'BBC-One HEVC',
    'ＢＢＣ Ｏｎｅ',
    '│UK│ BBC One 4K',
  ],
  ['RTL 2', 'RTL2', 'rtl 2 (720p) [Geo-blocked]', 'DE: RTL 2 H265', 'RTL2 UHD'],
  ['Télé Québec', 'Tele Quebec', 'TÉLÉ QUÉBEC', 'CA: Te\u0301le\u0301 Que\u0301bec'],
  ['Food & Drink', 'food and drink'],
  ['Dave’s World', "Dave's World", 'DAVES WORLD'],
  ['Łódź TV', 'lodz tv'],
  ['Canal+', 'CANAL +', 'FR: Canal+ HD'],
  ['Первый канал', 'ПЕРВЫЙ КАНАЛ HD'],
])('spellings of one channel meet: %s', (...names) => {
  expect(new Set(names.map(normal)).size, names.map(normal).join(' / ')).toBe(1);
  expect(normal(names[0]!)).not.toBe('');
});

test.each([
  ['BBC One', 'BBC Two', 'BBC 1', 'BBC'],
  ['Sky 1', 'Sky 1 +1', 'Sky 11', 'Sky 1 1', 'Sky'],
  ['Canal', 'Canal+', 'Canal+ 1', 'Canal+1'],
  ['ABC (US)', 'ABC (AU)', 'ABC'],
  ['BBC: One', 'CNN: One', 'One', 'TV: One'],
  ['हिन्दी', 'हन्द'],
  ['4K', 'UHD', 'HD'],
  ['UHD 1', 'UHD 2'],
  ['24/7 HD', '247 HD'],
  ['M 6', 'M 6 6'],
  ['第一', '第二'],
])('different channels stay apart: %s', (...names) => {
  expect(new Set(names.map(normal)).size, names.map(normal).join(' / ')).toBe(names.length);
});

test('nothing to compare gives an empty result; long and broken text is bounded', () => {
  expect(normal('')).toBe('');
  expect(normal(' -- ')).toBe('');
  expect(normal('a'.repeat(100_000)).length).toBe(512);
  expect(normal('& '.repeat(100_000)).length).toBeLessThan(4096);
  expect(normal('ﷺ'.repeat(1000)).length).toBeGreaterThan(0);
  for (const bytes of [
    Buffer.from([0xff, 0xfe]),
    Buffer.from([0xf0, 0x9f]),
    Buffer.from([0xed, 0xa0, 0x80]),
    Buffer.from([0x80]),
  ]) {
    expect(() => normaliser.normalise(bytes, 0, bytes.length)).not.toThrow();
  }
});
