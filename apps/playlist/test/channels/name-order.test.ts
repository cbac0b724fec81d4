import { KeyWriter } from 'plimsoll/pipeline';
import { describe, expect, it } from 'vitest';
import { NameOrder } from '../../src/channels/name-order.ts';

function keyOf(name: string): Buffer {
  const writer = new KeyWriter(8192);
  const bytes = Buffer.from(name);
  new NameOrder().write(bytes, 0, bytes.length, writer);
  return Buffer.from(writer.buffer.subarray(0, writer.length));
}

describe('the order of names', () => {
  it('is that of people: numbers by value, without case and accents', () => {
    const names = [
      '',
      '3sat',
      '20 Minuten',
      'ARD',
      'Das Erste 2',
      'das erste 010',
      'Élan',
      'elan 2',
      'Film 9',
      'film 10',
      'Zulu',
    ];
    const sorted = names.toSorted((a, b) => keyOf(a).compare(keyOf(b)));
    expect(sorted).toEqual(names);
  });

  it('does not tell apart what differs in case, accents, leading zeros or blanks in front', () => {
    for (const [a, b] of [
      ['ZDF neo', 'zdf NEO'],
      ['Café 7', 'CAFE 07'],
      ['  x', 'x'],
      ['ﬁlm', 'film'],
    ] as const) {
      expect(keyOf(a).equals(keyOf(b)), `${a} and ${b}`).toBe(true);
    }
  });

  it('numbers of any length are compared by value, and a long name is cut', () => {
    expect(keyOf(`a ${'9'.repeat(400)}`).compare(keyOf(`a 1${'0'.repeat(400)}`))).toBe(-1);
    expect(keyOf('1 '.repeat(10_000)).length).toBeLessThan(1600);
    expect(keyOf('é'.repeat(10_000)).length).toBeLessThan(1600);
  });
});
