import { describe, expect, it } from 'vitest';
import { Garbage } from '../../src/governor/garbage.ts';
import { MIB } from './fake-meter.ts';

function setUp() {
  const now = { heap: 10 * MIB, external: 5 * MIB, booked: 0 };
  const garbage = new Garbage({
    reservedBytes: (kind) => (kind === 'external' ? now.booked : 0),
    usedHeapBytes: () => now.heap,
    externalBytes: () => now.external,
    countsWasm: () => false,
  });
  garbage.noteStart();
  return { now, garbage };
}

describe('garbage', () => {
  it('does not take for outstanding what a cache held before it was booked', () => {
    const { now, garbage } = setUp();
    now.external = 75 * MIB;
    garbage.noteSettled();
    garbage.noteTracked('external', 70 * MIB);
    now.booked = 70 * MIB;
    garbage.noteSample(1_000);
    expect(garbage.outstandingBytes()).toBe(0);
    garbage.noteTracked('external', -40 * MIB);
    now.booked = 30 * MIB;
    expect(garbage.bytes('external')).toBe(40 * MIB);
  });

  it('knows what Node has left of its start when that has been collected once more', () => {
    const { now, garbage } = setUp();
    now.heap = 7 * MIB;
    now.external = 3 * MIB;
    garbage.noteSettled();
    now.external = 8 * MIB;
    expect([garbage.bytes('heap'), garbage.bytes('external')]).toEqual([0, 5 * MIB]);
  });
});
