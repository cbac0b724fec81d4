import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { Psi } from '../../src/governor/psi.ts';
import { FakeMachine } from './fake-machine.ts';

const text = (someAvg10: string, someTotal: number, fullAvg10: string, fullTotal: number) =>
  `some avg10=${someAvg10} avg60=99.99 avg300=98.76 total=${someTotal}\nfull avg10=${fullAvg10} avg60=1.00 avg300=2.00 total=${fullTotal}\n`;

describe('pressure stall information', () => {
  const machines: FakeMachine[] = [];
  const make = (files: Record<string, string>) => {
    const machine = new FakeMachine(files);
    machines.push(machine);
    return machine;
  };
  afterEach(() => {
    for (const machine of machines.splice(0)) machine[Symbol.dispose]();
  });
  const group = (machine: FakeMachine, name: string, version: 1 | 2 = 2) => {
    return { version, folder: `${machine.root}/${name}`, bytes: 1 };
  };

  it('is that of the smallest group that has a file, not of the machine', () => {
    const machine = make({
      'proc/pressure/memory': text('50.00', 9, '40.00', 9),
      'outer/memory.pressure': text('12.34', 26_632_241, '0.05', 10_284_453),
      'inner/other': '',
    });
    using psi = new Psi({ root: machine.root, cgroups: [group(machine, 'inner'), group(machine, 'outer')] });
    expect(psi.path).toBe(`${machine.root}/outer/memory.pressure`);
    expect(psi.read()).toEqual({
      ofGroup: true,
      someAvg10: 12.34,
      fullAvg10: 0.05,
      someTotalMs: 26_632.241,
      fullTotalMs: 10_284.453,
    });
    expect(psi.fault).toBeUndefined();
  });

  it('is that of the machine, and says so, where no group has one: version 1 has none', () => {
    const machine = make({
      'proc/pressure/memory': text('1.50', 2_000, '0.00', 0),
      'group/memory.pressure': text('9.00', 1, '9.00', 1),
    });
    using psi = new Psi({ root: machine.root, cgroups: [group(machine, 'group', 1)] });
    expect(psi.read()).toMatchObject({ ofGroup: false, someAvg10: 1.5, someTotalMs: 2 });
  });

  it('is undefined where there is none, with the reason, and nothing is thrown', () => {
    using psi = new Psi({ root: '/nowhere/at/all' });
    expect([psi.path, psi.ofGroup, psi.read()]).toEqual([undefined, false, undefined]);
    expect(String(psi.fault)).toContain('ENOENT');
  });

  it.each([
    '',
    'nonsense\n',
    'some\n',
    'some avg10= total=\n',
    'some avg10=0.00 avg60=0.00\n',
    'full avg10=1.00 total=5\n',
    'some avg10=1.00\nfull avg10=1.00 total=5\n',
    'some avg10=1.00 avg60=1.00 avg300=1.00 total=5\nfull',
  ])('is undefined when the file says %j, and comes back with the file', (wrong) => {
    const machine = make({ 'proc/pressure/memory': wrong });
    using psi = new Psi({ root: machine.root });
    expect(psi.read()).toBeUndefined();
    expect(String(psi.fault)).toContain('proc/pressure/memory');
    machine.write({ 'proc/pressure/memory': text('0.00', 1, '0.00', 1) });
    expect(psi.read()).toMatchObject({ someAvg10: 0 });
    expect(psi.fault).toBeUndefined();
  });

  it('reads what the kernel writes, whatever the figures', () => {
    const machine = make({ 'proc/pressure/memory': text('0.00', 0, '0.00', 0) });
    using psi = new Psi({ root: machine.root });
    const percent = fc.integer({ min: 0, max: 10_000 });
    const total = fc.integer({ min: 0, max: 2 ** 50 });
    fc.assert(
      fc.property(percent, total, percent, total, (some, someTotal, full, fullTotal) => {
        const shown = (hundredths: number) => (hundredths / 100).toFixed(2);
        machine.write({ 'proc/pressure/memory': text(shown(some), someTotal, shown(full), fullTotal) });
        const reading = psi.read()!;
        expect(reading.someAvg10).toBeCloseTo(some / 100, 9);
        expect(reading.fullAvg10).toBeCloseTo(full / 100, 9);
        expect([reading.someTotalMs, reading.fullTotalMs]).toEqual([someTotal / 1000, fullTotal / 1000]);
      }),
      { numRuns: 100 },
    );
  });

  it('reads a file that has become shorter, and ends without a newline, no further than it goes', () => {
    const machine = make({ 'proc/pressure/memory': text('11.11', 1_111_111, '22.22', 2_222_222) });
    using psi = new Psi({ root: machine.root });
    psi.read();
    machine.write({ 'proc/pressure/memory': 'some avg10=1.00 total=3000\nfull avg10=2.00 total=4000' });
    expect(psi.read()).toMatchObject({ someAvg10: 1, fullAvg10: 2, someTotalMs: 3, fullTotalMs: 4 });
  });

  it('gives the same object each time and leaves next to nothing behind', () => {
    const machine = make({ 'proc/pressure/memory': text('1.25', 5, '0.50', 5) });
    using psi = new Psi({ root: machine.root });
    expect(psi.read()).toBe(psi.read());
    const left = [1, 2, 3].map(() => {
      globalThis.gc?.();
      const before = process.memoryUsage().heapUsed;
      for (let i = 0; i < 1_000; i++) psi.read();
      globalThis.gc?.();
      return process.memoryUsage().heapUsed - before;
    });
    expect(Math.min(...left)).toBeLessThan(200_000);
  });

  it('closes its file once, and says nothing afterwards', () => {
    const machine = make({ 'proc/pressure/memory': text('0.00', 0, '0.00', 0) });
    const psi = new Psi({ root: machine.root });
    expect(psi.read()).toBeDefined();
    psi[Symbol.dispose]();
    psi[Symbol.dispose]();
    expect(psi.read()).toBeUndefined();
  });
});
