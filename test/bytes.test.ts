import fc from 'fast-check';
import { formatBytes, PlimsollError, parseBytes, parseDuration } from 'plimsoll';
import { describe, expect, it } from 'vitest';

describe('parseBytes', () => {
  it.each([
    ['512MiB', 536_870_912],
    ['64MB', 64_000_000],
    ['1.5GiB', 1_610_612_736],
    ['1048576', 1_048_576],
    ['100 B', 100],
    [' 2 kib ', 2048],
    ['0', 0],
    ['0.3KiB', 307],
    [4096, 4096],
  ])('%s is %d bytes', (text, bytes) => expect(parseBytes(text)).toBe(bytes));

  it.each([
    '12 parsecs',
    '',
    'MiB',
    '-1MiB',
    '1M',
    '512m',
    '1e3',
    '1_000',
    '1,5GiB',
    '9999999TiB',
    'NaN',
    '1MiB!',
    'constructor',
    '1constructor',
  ])('refuses %j in one clear line', (text) => {
    expect(() => parseBytes(text)).toThrow(`Expected a size like \`512MiB\`, got \`${text}\``);
    try {
      parseBytes(text);
    } catch (error) {
      expect(error).toBeInstanceOf(PlimsollError);
      expect(error).toMatchObject({ code: 'PLIMSOLL_BAD_QUANTITY', recovery: 'fail' });
    }
  });

  it('does not repeat a whole file in its message', () => {
    expect(() => parseBytes('x'.repeat(10_000))).toThrow(/^.{1,100}$/);
  });
});

describe('parseDuration', () => {
  it.each([
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1.5h', 5_400_000],
    ['1d', 86_400_000],
    ['0', 0],
  ])('%s is %d ms', (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each(['soon', '30', '-5s', '5 years'])('refuses %j', (text) => {
    expect(() => parseDuration(text)).toThrow(`Expected a duration like \`30s\`, got \`${text}\``);
  });
});

describe('formatBytes', () => {
  it.each([
    [0, '0B'],
    [1023, '1023B'],
    [1024, '1KiB'],
    [1536, '1.5KiB'],
    [1024 ** 2 - 1, '1MiB'],
    [45_300_000, '43.2MiB'],
    [-(1.5 * 1024 ** 3), '-1.5GiB'],
    [3 * 1024 ** 5, '3072TiB'],
    [Number.POSITIVE_INFINITY, 'unlimited'],
  ])('%d is %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it('is read back by parseBytes to within what it shows', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 50 }), (bytes) => {
        const back = parseBytes(formatBytes(bytes));
        expect(Math.abs(back - bytes)).toBeLessThanOrEqual(bytes * 0.051 + 1);
      }),
    );
  });
});
