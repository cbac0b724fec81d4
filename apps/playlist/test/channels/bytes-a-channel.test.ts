import { createGovernor } from 'plimsoll';
import { afterAll, expect, it } from 'vitest';
import { ChannelNumbers } from '../../src/channels/channel-numbers.ts';
import { Digest } from '../../src/channels/digest.ts';
import { KeyTable } from '../../src/channels/key-table.ts';
import { WantedChannels } from '../../src/guide/wanted.ts';

/** Tables grow by steps: with some numbers of channels they are emptier than with others. */
const COUNTS = [80_000, 100_000];
const governor = createGovernor({ limitBytes: 2 ** 30 });
afterAll(() => governor[Symbol.dispose]());

/** The most that is held at the end, and at any moment, bytes for each channel. */
function bytesEach(fill: (count: number, memory: ReturnType<typeof governor.consumer>) => Disposable) {
  const each = COUNTS.map((count) => {
    using memory = governor.consumer({ name: 'measured', kind: 'external', maxBytes: 2 ** 28 });
    using _ = fill(count, memory);
    return [memory.heldBytes / count, memory.peakBytes / count] as const;
  });
  return { held: Math.max(...each.map(([held]) => held)), peak: Math.max(...each.map(([, peak]) => peak)) };
}

// The page of the program says so.
it.each([
  [false, 23],
  [true, 46],
])('with a guide, by name %s, a channel takes %i bytes that cannot go to the disk', (byName, bytes) => {
  const record = Buffer.alloc(WantedChannels.RECORD_BYTES);
  const { peak } = bytesEach((count, memory) => {
    const wanted = new WantedChannels(memory, { byName });
    for (let i = 0; i < count; i++) {
      const id = `channel${i}.tv`;
      const name = `Channel Number ${i}`;
      const [idEnd, nameEnd] = [id.length, id.length + name.length];
      wanted.want(
        Buffer.from(id + name),
        {
          ...{ idStart: 0, idEnd, originalStart: -1, originalEnd: -1 },
          ...{ nameStart: idEnd, nameEnd, tvgNameStart: idEnd, tvgNameEnd: nameEnd },
        },
        record,
        0,
      );
    }
    return wanted;
  });
  expect(peak).toBeGreaterThan(bytes * 0.7);
  expect(peak).toBeLessThan(bytes * 1.05);
});

it('a label takes 17 bytes, a number from 16,777,216 up 25 and others a bit', () => {
  const labels = bytesEach((count, memory) => {
    const table = new KeyTable(memory, { withValues: false });
    const digest = new Digest();
    for (let i = 0; i < count; i++) {
      const label = Buffer.from(`CS${i}`);
      table.add(digest.of(label, 0, label.length));
    }
    return table;
  });
  expect(labels.peak).toBeLessThan(18);
  const numbersFrom = (from: number) =>
    bytesEach((count, memory) => {
      const numbers = new ChannelNumbers(memory);
      for (let i = 0; i < count; i++) numbers.take(from + i);
      return numbers;
    });
  expect(numbersFrom(2 ** 24).held).toBeLessThan(25);
  expect(numbersFrom(2 ** 24).held).toBeGreaterThan(12);
  expect(numbersFrom(1).peak).toBeLessThan(0.5);
});
