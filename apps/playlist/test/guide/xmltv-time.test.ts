import fc from 'fast-check';
import { expect, test } from 'vitest';
import { xmltvTime } from '../../src/guide/xmltv-time.ts';

const time = (text: string): number => xmltvTime(Buffer.from(text), 0, Buffer.byteLength(text));

test.each([
  ['20210101120000 +0100', '2021-01-01T11:00:00Z'],
  ['20210101120000 -0330', '2021-01-01T15:30:00Z'],
  ['20210101120000+0100', '2021-01-01T11:00:00Z'],
  ['20210101120000 +01:00', '2021-01-01T11:00:00Z'],
  ['20210101120000 +01', '2021-01-01T11:00:00Z'],
  ['20210101120000', '2021-01-01T12:00:00Z'],
  [' 20210101120000 Z ', '2021-01-01T12:00:00Z'],
  ['20210101120000 utc', '2021-01-01T12:00:00Z'],
  ['202101011200 +0100', '2021-01-01T11:00:00Z'],
  ['2021010112', '2021-01-01T12:00:00Z'],
  ['20210101', '2021-01-01T00:00:00Z'],
  ['20240229235959 +0000', '2024-02-29T23:59:59Z'],
])('%s', (text, iso) => {
  expect(time(text)).toBe(Date.parse(iso) / 1000);
});

test.each([
  '',
  'soon',
  '2021',
  '20211301000000',
  '20210132000000',
  '2021010',
  '20210101120000 BST',
  '20210101120000 +1',
  '19000101',
  '99990101',
  '20210101126000',
])('no time: %s', (text) => {
  expect(time(text)).toBe(-1);
});

test('agrees with Date', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 31_536_000, max: 4_000_000_000 }),
      fc.integer({ min: -14 * 60, max: 14 * 60 }),
      (seconds, zone) => {
        const local = new Date((seconds + zone * 60) * 1000).toISOString().replace(/[-:T]/g, '').slice(0, 14);
        const sign = zone < 0 ? '-' : '+';
        const offset = `${String(Math.floor(Math.abs(zone) / 60)).padStart(2, '0')}${String(Math.abs(zone) % 60).padStart(2, '0')}`;
        expect(time(`${local} ${sign}${offset}`)).toBe(seconds);
      },
    ),
  );
});
