import { RecordBatch } from 'plimsoll/pipeline';
import { describe, expect, it } from 'vitest';

describe('the room of a batch', () => {
  it.each([
    ['nothing', [], 'maxBytes'],
    ['no number of records', [3, 'a'], 'maxRecords'],
    ['no records', [3], 'maxRecords'],
    ['none for a record', [3, 0], 'maxRecords'],
    ['none for a byte', [0, 3], 'maxBytes'],
    ['a part of a byte', [1.5, 3], 'maxBytes'],
    ['more than its places can say', [2 ** 32, 3], 'maxBytes'],
  ])('is a RangeError that names it: %s', (_, given, option) => {
    const make = () => new RecordBatch(...(given as unknown as [number, number]));
    expect(make).toThrow(RangeError);
    expect(make).toThrow(expect.objectContaining({ code: 'PLIMSOLL_INVALID_OPTION' }));
    expect(make).toThrow(`Expected \`${option}\` to be a whole number from 1 to 4294967295`);
  });

  it('is what it takes', () => {
    expect(new RecordBatch(3, 2).byteLength).toBe(RecordBatch.bytesFor(3, 2));
  });
});
