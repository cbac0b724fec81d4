import type { Meter, MeterName } from 'plimsoll';
import { METER_NAMES } from 'plimsoll';
import { expect, it } from 'vitest';

/**
 * What every meter keeps to. `touch` makes use go up by about `bytes` and keeps it up until what it returns is disposed; without it the
 * meter is only looked at.
 */
export function meterContract(
  name: MeterName,
  make: () => Meter,
  touch?: { readonly bytes: number; readonly hold: () => Disposable },
): void {
  it(`${name}: has its name, a limit above 0 and a reading that is a number of bytes`, () => {
    const meter = make();
    expect(meter.name).toBe(name);
    expect(METER_NAMES).toContain(meter.name);
    for (let i = 0; i < 3; i++) {
      expect(Number.isFinite(meter.read())).toBe(true);
      expect(meter.read()).toBeGreaterThanOrEqual(0);
      expect(meter.limitBytes).toBeGreaterThan(0);
    }
  });

  it(`${name}: a thousand readings leave next to nothing behind`, () => {
    const meter = make();
    for (let i = 0; i < 1_000; i++) meter.read();
    // The runner leaves objects of its own at times: what counts is the least of three rounds.
    const left = [1, 2, 3].map(() => {
      globalThis.gc?.();
      const before = process.memoryUsage().heapUsed;
      for (let i = 0; i < 1_000; i++) meter.read();
      globalThis.gc?.();
      return process.memoryUsage().heapUsed - before;
    });
    expect(Math.min(...left)).toBeLessThan(200_000);
  });

  if (touch === undefined) return;
  it(`${name}: sees ${touch.bytes} bytes once, not twice`, () => {
    const meter = make();
    globalThis.gc?.();
    const before = meter.read();
    using _held = touch.hold();
    const seen = meter.read() - before;
    expect(seen).toBeGreaterThan(touch.bytes * 0.7);
    expect(seen).toBeLessThan(touch.bytes * 1.5);
  });
}
