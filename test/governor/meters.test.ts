import { afterAll, describe, expect, it } from 'vitest';
import { CgroupMeter, ledgerMeter, rssMeter, V8Meters } from '../../src/governor/meters.ts';
import { meterContract } from '../contract/meter.ts';
import { FakeMachine } from './fake-machine.ts';

const MIB = 1_048_576;
const limit = () => 512 * MIB;

function keep(value: unknown): Disposable {
  let kept: unknown = value;
  return { [Symbol.dispose]: () => void (kept = kept === undefined ? kept : undefined) };
}

describe('the meters of a process', () => {
  meterContract('ledger', () => ledgerMeter(() => 7, limit));
  meterContract('heap', () => new V8Meters(limit).heap, {
    bytes: 16 * MIB,
    hold: () => keep(Array.from({ length: 64 }, () => new Array(32_768).fill(0.5))),
  });
  meterContract('external', () => new V8Meters(limit).external, {
    bytes: 32 * MIB,
    hold: () => keep(Buffer.alloc(32 * MIB, 1)),
  });
  meterContract('rss', () => rssMeter(limit), { bytes: 64 * MIB, hold: () => keep(Buffer.alloc(64 * MIB, 1)) });

  it('share one look at V8, and each is fresh when it is read alone', () => {
    const { heap, external } = new V8Meters(limit);
    heap.read();
    const before = external.read();
    const held = Buffer.alloc(8 * MIB, 1);
    expect(external.read() - before).toBeGreaterThanOrEqual(held.length);
  });
});

const v2 = (current: number, stat: string) => ({
  'group/memory.current': `${current}\n`,
  'group/memory.stat': stat,
});

describe('the cgroup meter', () => {
  const machine = new FakeMachine(v2(MIB, 'anon 1\ninactive_file 2\nactive_file 3\nfile_mapped 1\n'));
  afterAll(() => machine[Symbol.dispose]());
  const group = (version: 1 | 2) => ({ version, folder: `${machine.root}/group`, bytes: 64 * MIB });

  meterContract('cgroup', () => new CgroupMeter(group(2)));

  it('takes page cache out, the active list too, and leaves mapped files in', () => {
    const stat = 'anon 20971520\nfile 31457280\nfile_mapped 1048576\ninactive_file 10485760\nactive_file 20971520\n';
    machine.write(v2(52 * MIB, stat));
    using meter = new CgroupMeter(group(2));
    expect(meter.read()).toBe(52 * MIB - 30 * MIB + MIB);
    expect(meter.limitBytes).toBe(64 * MIB);
  });

  it('reads version 1 with all that is below the group, whatever the order of the lines', () => {
    machine.write({
      'group/memory.usage_in_bytes': `${40 * MIB}\n`,
      'group/memory.stat': `inactive_file 7\nmapped_file 7\ntotal_mapped_file 0\ntotal_active_file ${5 * MIB}\nx 1\ntotal_inactive_file ${3 * MIB}`,
    });
    using meter = new CgroupMeter(group(1));
    expect(meter.read()).toBe(32 * MIB);
  });

  it('sees the files change through the descriptors it keeps, and never reads below 0', () => {
    machine.write(v2(10, 'inactive_file 0\n'));
    using meter = new CgroupMeter(group(2));
    expect(meter.read()).toBe(10);
    machine.write(v2(2_000, 'inactive_file 500\n'));
    expect(meter.read()).toBe(1_500);
    machine.write(v2(400, 'inactive_file 500\n'));
    expect(meter.read()).toBe(0);
    machine.write(v2(400, ''));
    expect(meter.read()).toBe(400);
  });

  it('throws when there is nothing to read, at the start and later, and disposes twice', () => {
    expect(() => new CgroupMeter({ version: 2, folder: `${machine.root}/none`, bytes: 1 })).toThrow('ENOENT');
    machine.write({ 'group/memory.current': '' });
    const meter = new CgroupMeter(group(2));
    expect(() => meter.read()).toThrow('cannot be read');
    meter[Symbol.dispose]();
    meter[Symbol.dispose]();
    expect(() => meter.read()).toThrow();
  });
});
