import fc from 'fast-check';
import { createGovernor } from 'plimsoll';
import { afterAll, describe, expect, test } from 'vitest';
import { ChannelNumbers, LARGEST_NUMBER } from '../../src/channels/channel-numbers.ts';
import {
  applyNumbers,
  encodeNumbers,
  NumberAssigner,
  NumberBatch,
  numberingConfig,
} from '../../src/plugins/number-batch.ts';
import { PluginAnswerError } from '../../src/plugins/plugin-answer-error.ts';
import { DirectGuest } from './direct-guest.ts';

const governor = createGovernor({ limitBytes: 2 ** 30 });
afterAll(() => governor[Symbol.dispose]());
const consumer = governor.consumer({ name: 'numbers', kind: 'external', maxBytes: 2 ** 30 });

function batchOf(wishes: readonly number[]): NumberBatch {
  const batch = new NumberBatch(Math.max(1, wishes.length));
  for (const wish of wishes) batch.push(wish);
  return batch;
}

function expectSame(batches: readonly (readonly number[])[], startNumber: number): void {
  using numbers = new ChannelNumbers(consumer);
  const assigner = new NumberAssigner(numbers, startNumber);
  const plugin = new DirectGuest('number-channels', { config: numberingConfig(startNumber) });
  expect(plugin.started).toBe(0);
  for (const wishes of batches) {
    const batch = batchOf(wishes);
    applyNumbers(batch, plugin.process(encodeNumbers(batch)), assigner);
    expect(batch.assigned).toBe(true);
  }
}

const EDGE = 2 ** 24;
const wish = fc.oneof(
  fc.integer({ min: 1, max: 40 }),
  fc.integer({ min: 1, max: 5_000 }),
  fc.integer({ min: EDGE - 40, max: EDGE + 40 }),
  fc.integer({ min: 1, max: LARGEST_NUMBER }),
  fc.constantFrom(31, 32, 1023, 1024, 32_768, 1_048_576, LARGEST_NUMBER),
);

describe('numbers by plugin', () => {
  test('are those of the native stage', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(wish, { maxLength: 60 }), { maxLength: 4 }),
        fc.nat(60),
        fc.oneof(fc.integer({ min: 1, max: 100 }), fc.constantFrom(EDGE - 5, EDGE, LARGEST_NUMBER)),
        (wishes, without, startNumber) => {
          const rest = Array.from({ length: without }, () => 0);
          expectSame([...wishes, rest.slice(0, without >> 1), rest.slice(without >> 1)], startNumber);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('long runs of numbers taken, and the edge of the map', () => {
    expectSame(
      [Array.from({ length: 40_000 }, () => 1), Array.from({ length: 40_000 }, () => 1), [0, 0, 5, 6].slice(0, 2)],
      1,
    );
    expectSame(
      [Array.from({ length: 3_000 }, (_, i) => EDGE - 1_500 + (i % 1_000)), Array.from({ length: 100 }, () => 0)],
      EDGE - 1_700,
    );
    expectSame([Array.from({ length: 30_000 }, () => 900_000_000)], 1);
  });

  test('hole: a wrong number gets into a playlist, or native numbering cannot go on after it', () => {
    using numbers = new ChannelNumbers(consumer);
    const assigner = new NumberAssigner(numbers, 1);
    const batch = batchOf([5, 5, 0]);
    const right = new DirectGuest('number-channels', { config: numberingConfig(1) }).process(encodeNumbers(batch));
    for (const [at, value] of [
      [4, 6],
      [12, 5],
      [0, 8],
      [20, 2],
    ] as const) {
      const wrong = Buffer.from(right);
      wrong.writeUInt32LE(value, at);
      expect(() => applyNumbers(batch, wrong, assigner)).toThrow(PluginAnswerError);
    }
    expect(() => applyNumbers(batch, right.subarray(0, 16), assigner)).toThrow(PluginAnswerError);
    assigner.assign(batch);
    expect([...batch.numbers.subarray(0, 3)]).toEqual([5, 6, 1]);
    batch.clear();
    batch.push(0);
    assigner.assign(batch);
    expect(batch.numbers[0]).toBe(2);
  });

  test('a wish after a channel without one is refused, as are more wishes than there is room for', () => {
    using numbers = new ChannelNumbers(consumer);
    expect(() => new NumberAssigner(numbers, 1).assign(batchOf([0, 5]))).toThrow(RangeError);
    expect(() => batchOf([1]).push(2)).toThrow(RangeError);
    for (const start of [0, -1, 1.5, LARGEST_NUMBER + 2]) expect(() => numberingConfig(start)).toThrow(RangeError);
  });

  test('hole: a list of numbers that no map holds grows the plugin without end', () => {
    const plugin = new DirectGuest('number-channels', { config: numberingConfig(1) });
    const far = (from: number): Buffer =>
      Buffer.from(encodeNumbers(batchOf(Array.from({ length: 32_768 }, (_, i) => EDGE + 2 * (from + i)))));
    for (let i = 0; i < 4; i++) plugin.process(far(32_768 * i));
    expect(() => plugin.process(far(32_768 * 4))).toThrow('more than 131,072 numbers');
    expect(plugin.memory.buffer.byteLength).toBeLessThanOrEqual(12 * 2 ** 20);
  });

  test('says so when its configuration or a wish is none', () => {
    expect(new DirectGuest('number-channels', { config: Buffer.alloc(3) }).started).toBe(2);
    expect(new DirectGuest('number-channels', { config: Buffer.alloc(4) }).started).toBe(2);
    const plugin = new DirectGuest('number-channels', { config: numberingConfig(1) });
    expect(() => plugin.process(Buffer.from([3, 0, 0, 0, 1, 1, 1]))).toThrow('no number');
    expect(() => plugin.process(Buffer.from([9, 0, 0, 0, 1]))).toThrow('inside a record');
  });
});
