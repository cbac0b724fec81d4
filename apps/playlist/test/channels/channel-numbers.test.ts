import fc from 'fast-check';
import { createGovernor } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { ChannelNumbers, readChannelNumber } from '../../src/channels/channel-numbers.ts';

function consumerOf(limitBytes = 256 * 2 ** 20) {
  const governor = createGovernor({ limitBytes, runtimeBytes: 0 });
  return governor.consumer({ name: 'numbers', kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
}

/** What the contract says, done the slow way. */
function naiveTake(taken: Set<number>, wanted: number): number {
  let number = wanted;
  while (taken.has(number)) number++;
  taken.add(number);
  return number;
}

describe('channel numbers', () => {
  const somewhere = fc.oneof(
    fc.integer({ min: 1, max: 40 }),
    fc.integer({ min: 4000, max: 4200 }),
    fc.integer({ min: 2 ** 24 - 40, max: 2 ** 24 + 40 }),
    fc.integer({ min: 999_999_000, max: 999_999_999 }),
  );

  it('gives what is wanted, or the next free one above, like a set that is walked', () => {
    fc.assert(
      fc.property(fc.array(somewhere, { maxLength: 300 }), (wishes) => {
        using numbers = new ChannelNumbers(consumerOf());
        const taken = new Set<number>();
        for (const wish of wishes) expect(numbers.take(wish)).toBe(naiveTake(taken, wish));
      }),
      { numRuns: 200 },
    );
  });

  it('a run of a hundred thousand clashes on one number costs steps, not walks', () => {
    using numbers = new ChannelNumbers(consumerOf());
    for (let i = 0; i < 100_000; i++) expect(numbers.take(7)).toBe(7 + i);
    for (let i = 0; i < 100_000; i++) numbers.take(2 ** 26);
    expect(numbers.nextFree(2 ** 26)).toBe(2 ** 26 + 100_000);
  });

  it('gives everything back when it is disposed', () => {
    const consumer = consumerOf();
    {
      using numbers = new ChannelNumbers(consumer);
      numbers.take(1_000_000);
      numbers.take(900_000_000);
      expect(consumer.heldBytes).toBeGreaterThan(125_000);
    }
    expect(consumer.heldBytes).toBe(0);
  });

  it('reads whole numbers from 1 up and takes anything else for no number', () => {
    const read = (text: string) => readChannelNumber(Buffer.from(text), 0, text.length);
    expect(read('101')).toBe(101);
    expect(read(' 7 ')).toBe(7);
    expect(read('999999999')).toBe(999_999_999);
    expect(read('0000000000005')).toBe(5);
    for (const text of ['', '0', '-1', '5.1', '12a', '1234567890', ' ']) expect(read(text)).toBe(0);
  });
});
