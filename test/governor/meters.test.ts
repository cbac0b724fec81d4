import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { CgroupMeter } from '../../src/governor/cgroup-meter.ts';
import { countsWasm, ledgerMeter, readRssBytes, V8Meters } from '../../src/governor/meters.ts';
import { meterContract } from '../contract/meter.ts';
import { FakeMachine } from './fake-machine.ts';

const MIB = 1_048_576;
const limit = () => 512 * MIB;

function collect(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}

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
  it('pages of files are no use of its own: RSS less what it shares', () => {
    using machine = new FakeMachine({ 'proc/self/statm': '300000 1000 750 20 0 5000 0\n' });
    const figures = () => ({ heapUsed: 0, external: 0, arrayBuffers: 0, rss: 4_096_000 });
    using meters = new V8Meters(limit, { root: machine.root, figures });
    expect(meters.rss.read()).toBe(1_024_000);
    machine.write({ 'proc/self/statm': 'nonsense' });
    expect(meters.rss.read()).toBe(4_096_000);
  });

  it.runIf(process.platform === 'linux')('of a real process about 44 MiB of Node are pages of files', () => {
    using meters = new V8Meters(limit);
    expect(readRssBytes() - meters.rss.read()).toBeGreaterThan(20 * MIB);
  });

  meterContract('rss', () => new V8Meters(limit).rss, { bytes: 64 * MIB, hold: () => keep(Buffer.alloc(64 * MIB, 1)) });

  it('heap: tells also what its pages take, by which V8 gives up, as far as that is not holes', () => {
    const heap = { used: 0, old: 0 };
    const figures = () => ({ heapUsed: heap.used, external: 0, arrayBuffers: 0, rss: 1 });
    let looks = 0;
    const spaces = () => {
      looks++;
      const space = (space_name: string, space_size: number) => ({ space_name, space_size });
      return [
        space('read_only_space', 1e12),
        space('new_space', 1e12),
        space('new_large_object_space', 1e12),
        space('old_space', heap.old - 10),
        space('large_object_space', 10),
      ];
    };
    using meters = new V8Meters(limit, { root: '/nowhere', figures, spaces });
    const { limitBytes } = meters.heap;
    const filled = (used: number, old: number) => {
      Object.assign(heap, { used: Math.round(used * limitBytes), old: Math.round(old * limitBytes) });
      meters.refresh();
      meters.heap.read();
      return meters.filledHeapBytes() / limitBytes;
    };
    expect(filled(0.5, 0.9)).toBeCloseTo(0.5);
    expect(looks).toBe(0);
    expect(filled(0.9, 0.98)).toBeCloseTo(0.98);
    expect(filled(0.65, 0.97)).toBeCloseTo(0.97);
    // No objects leave more than half as much as they take.
    expect(filled(0.6, 0.99)).toBeCloseTo(0.9);
    // What is used is in the young generation too.
    expect(filled(0.9, 0.8)).toBeCloseTo(0.9);
    expect(looks).toBe(4);
  });

  it('share one look at the process, and each is fresh when it is read again or asked to be', () => {
    let fetches = 0;
    const figures = () => ({ heapUsed: ++fetches, external: fetches * 10, arrayBuffers: 0, rss: fetches * 100 });
    const meters = new V8Meters(limit, { figures, root: '/nowhere' });
    const round = () => [meters.heap.read(), meters.external.read(), meters.rss.read()];
    expect(round()).toEqual([1, 10, 100]);
    expect(round()).toEqual([2, 20, 200]);
    expect([meters.rss.read(), meters.rss.read()]).toEqual([300, 400]);
    meters.refresh();
    expect(meters.external.read()).toBe(50);
    meters.refresh();
    expect(meters.rss.read()).toBe(600);
    meters.refresh();
    expect(meters.heap.read()).toBe(7);
    expect([meters.usedHeapBytes, meters.externalBytes, meters.rssBytes]).toEqual([7, 70, 700]);
  });

  it('see a buffer that was made between two readings', () => {
    const { heap, external } = new V8Meters(limit);
    const kept: Buffer[] = [];
    // What other tests have dropped goes meanwhile, on a thread of V8's: that can only hide it.
    const grown = Array.from({ length: 5 }, () => {
      collect();
      heap.read();
      const before = external.read();
      kept.push(Buffer.alloc(8 * MIB, 1));
      return external.read() - before;
    });
    expect(kept.length).toBe(5);
    expect(Math.max(...grown)).toBeGreaterThan(8 * MIB - MIB / 16);
    expect(Math.max(...grown)).toBeLessThan(9 * MIB);
  });

  meterContract('rss', () => new V8Meters(limit).rss);

  it('go on without RSS when it cannot be read: no descriptor left', () => {
    let broken: Error | undefined = new Error('EMFILE: too many open files');
    const figures = () => {
      if (broken !== undefined) throw broken;
      return process.memoryUsage();
    };
    const { heap, external, rss } = new V8Meters(limit, { figures, root: '/nowhere' });
    expect(heap.read()).toBeGreaterThan(MIB);
    expect(external.read()).toBeGreaterThan(0);
    expect(() => rss.read()).toThrow('EMFILE');
    broken = undefined;
    expect(rss.read()).toBeGreaterThan(MIB);
  });
});

describe('external memory', () => {
  const read = (external: number, arrayBuffers: number, mappedBytes: number) => {
    const figures = () => ({ heapUsed: 0, external, arrayBuffers, rss: 0 });
    return new V8Meters(limit, { figures, mappedBytes: () => mappedBytes }).external.read();
  };

  it('a mapped file is not counted twice', () => {
    expect(read(100, 20, 70)).toBe(30);
  });

  it('is never less than the buffers: more mapped than viewed hides nothing, and nothing goes below 0', () => {
    expect(read(100, 90, 70)).toBe(90);
    expect(read(100, 0, 700)).toBe(0);
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.nat(), (buffers, others, mapped) => {
        const seen = read(buffers + others + mapped, buffers, mapped);
        expect(seen).toBe(buffers + others);
        expect(read(buffers + others, buffers, mapped)).toBeGreaterThanOrEqual(buffers);
      }),
    );
  });

  it('counts a SharedArrayBuffer, which V8 does not, where it is most of what there is', () => {
    const external = new V8Meters(limit).external;
    const before = external.read();
    const held = new SharedArrayBuffer(256 * MIB);
    const seen = external.read() - before;
    expect(seen).toBeGreaterThan(held.byteLength * 0.7);
    expect(seen).toBeLessThan(held.byteLength * 1.1);
  });

  it('counts a memory of WebAssembly exactly where it is said to', () => {
    // What an earlier test held in SharedArrayBuffers would hide it.
    const figures = () => ({ ...process.memoryUsage(), arrayBuffers: 0 });
    const { external } = new V8Meters(limit, { figures, root: '/nowhere' });
    const { Memory } = (globalThis as unknown as WasmGlobal).WebAssembly;
    globalThis.gc?.();
    const before = external.read();
    const memory = new Memory({ initial: 256, maximum: 512 });
    const made = external.read() - before;
    memory.grow(256);
    const grown = external.read() - before;
    const counts = countsWasm();
    expect(counts).toBeTypeOf('boolean');
    expect(Math.round(made / MIB)).toBe(counts ? 16 : 0);
    expect(Math.round(grown / MIB)).toBe(counts ? 32 : 0);
    expect(memory.buffer.byteLength).toBe(32 * MIB);
  });
});

interface WasmGlobal {
  readonly WebAssembly: {
    readonly Memory: new (pages: object) => { readonly buffer: ArrayBuffer; grow(pages: number): number };
  };
}

const v2 = (current: number, stat: string) => ({
  'group/memory.current': `${current}\n`,
  'group/memory.stat': stat,
});

describe('the cgroup meter', () => {
  const machine = new FakeMachine(v2(MIB, 'anon 1\ninactive_file 2\nactive_file 3\nfile_mapped 1\n'));
  afterAll(() => machine[Symbol.dispose]());
  const group = (version: 1 | 2) => ({ version, folder: `${machine.root}/group`, bytes: 64 * MIB });

  meterContract('cgroup', () => new CgroupMeter([group(2)]));

  it('page cache is not counted as use: the active list neither; mapped files are left in', () => {
    const stat = 'anon 20971520\nfile 31457280\nfile_mapped 1048576\ninactive_file 10485760\nactive_file 20971520\n';
    machine.write(v2(52 * MIB, stat));
    using meter = new CgroupMeter([group(2)]);
    expect(meter.read()).toBe(52 * MIB - 30 * MIB + MIB);
    expect(meter.limitBytes).toBe(64 * MIB);
  });

  it('shared memory that is mapped does not make page cache that can be dropped look fixed', () => {
    const rows = { file_mapped: 9, shmem: 8, inactive_file: 5, active_file: 10 };
    machine.write(
      v2(
        40 * MIB,
        Object.entries(rows)
          .map(([key, mib]) => `${key} ${mib * MIB}\n`)
          .join(''),
      ),
    );
    using meter = new CgroupMeter([group(2)]);
    // 15 of files, of which 1 is mapped; the 8 of shared memory stay in.
    expect(meter.read()).toBe(26 * MIB);
  });

  it('reads version 1 with all that is below the group, whatever the order of the lines', () => {
    machine.write({
      'group/memory.usage_in_bytes': `${40 * MIB}\n`,
      'group/memory.stat': `inactive_file 7\nmapped_file 7\ntotal_mapped_file 0\ntotal_active_file ${5 * MIB}\nx 1\ntotal_inactive_file ${3 * MIB}`,
    });
    using meter = new CgroupMeter([group(1)]);
    expect(meter.read()).toBe(32 * MIB);
  });

  it('slabs that the kernel drops by itself are no use: names of files that were looked at', () => {
    machine.write(
      v2(60 * MIB, `anon 1\ninactive_file 0\nslab_reclaimable ${40 * MIB}\nslab_unreclaimable ${5 * MIB}\n`),
    );
    using meter = new CgroupMeter([group(2)]);
    expect(meter.read()).toBe(20 * MIB);
  });

  it('version 1 does not say what of kernel memory can be dropped: it counts up to a quarter of the limit', () => {
    const write = (usedMib: number, kernelMib: number) =>
      machine.write({
        'old/memory.usage_in_bytes': `${usedMib * MIB}\n`,
        'old/memory.kmem.usage_in_bytes': `${kernelMib * MIB}\n`,
        'old/memory.stat': `total_inactive_file ${2 * MIB}\n`,
      });
    write(60, 50);
    using meter = new CgroupMeter([{ version: 1, folder: `${machine.root}/old`, bytes: 64 * MIB }]);
    expect(meter.read()).toBe((60 - 2 - (50 - 16)) * MIB);
    write(60, 16);
    expect(meter.read()).toBe(58 * MIB);
  });

  it('sees the files change through the descriptors it keeps, and never reads below 0', () => {
    machine.write(v2(10, 'inactive_file 0\n'));
    using meter = new CgroupMeter([group(2)]);
    expect(meter.read()).toBe(10);
    machine.write(v2(2_000, 'inactive_file 500\n'));
    expect(meter.read()).toBe(1_500);
    machine.write(v2(400, 'inactive_file 500\n'));
    expect(meter.read()).toBe(0);
    machine.write(v2(400, ''));
    expect(meter.read()).toBe(400);
  });

  describe('of several groups', () => {
    const level = (name: string, limitMib: number) => {
      return { version: 2 as const, folder: `${machine.root}/${name}`, bytes: limitMib * MIB };
    };
    const write = (name: string, usedMib: number) => {
      machine.write({ [`${name}/memory.current`]: `${usedMib * MIB}\n`, [`${name}/memory.stat`]: 'inactive_file 0\n' });
    };

    it('shows the fullest: a parent with a larger limit may be fuller, because others are in it', () => {
      write('pod', 90);
      write('pod/app', 30);
      using meter = new CgroupMeter([level('pod/app', 64), level('pod', 100)]);
      expect(meter.levelCount).toBe(2);
      expect([meter.read(), meter.limitBytes]).toEqual([90 * MIB, 100 * MIB]);
      expect(meter.groupFolder).toBe(`${machine.root}/pod`);
      write('pod/app', 63);
      expect([meter.read(), meter.limitBytes]).toEqual([63 * MIB, 64 * MIB]);
      expect(meter.groupFolder).toBe(`${machine.root}/pod/app`);
      expect(meter.leastLimitBytes).toBe(64 * MIB);
    });

    it('leaves out a group inside another whose limit is no larger: it is never the fuller one', () => {
      write('pod', 60);
      write('pod/app', 60);
      write('podium', 1);
      using meter = new CgroupMeter([level('pod/app', 64), level('podium', 70), level('pod', 64)]);
      expect(meter.levelCount).toBe(2);
      expect([meter.read(), meter.groupFolder]).toEqual([60 * MIB, `${machine.root}/pod`]);
    });

    it('goes on without a level whose files vanish, and throws when none is left', () => {
      write('pod', 90);
      write('pod/app', 30);
      using meter = new CgroupMeter([level('gone', 10), level('pod/app', 64), level('pod', 100)]);
      expect(meter.levelCount).toBe(2);
      machine.write({ 'pod/memory.current': '' });
      expect([meter.read(), meter.limitBytes, meter.levelCount]).toEqual([30 * MIB, 64 * MIB, 1]);
      machine.write({ 'pod/app/memory.current': '' });
      for (let i = 0; i < 2; i++) expect(() => meter.read()).toThrow(/cannot be read .*pod\/app/);
      expect(meter.levelCount).toBe(0);
      expect(() => new CgroupMeter([])).toThrow('no control group');
    });

    it('reads at most eight', () => {
      const levels = Array.from({ length: 12 }, (_, i) => level(`side${i}`, 12 - i));
      for (let i = 0; i < 12; i++) write(`side${i}`, 1);
      using meter = new CgroupMeter(levels);
      expect(meter.levelCount).toBe(8);
      expect([meter.read(), meter.limitBytes]).toEqual([MIB, MIB]);
    });
  });

  it('throws when there is nothing to read, at the start and later, and disposes twice', () => {
    expect(() => new CgroupMeter([{ version: 2, folder: `${machine.root}/none`, bytes: 1 }])).toThrow('ENOENT');
    machine.write({ 'group/memory.current': '' });
    const meter = new CgroupMeter([group(2)]);
    expect(() => meter.read()).toThrow('cannot be read');
    meter[Symbol.dispose]();
    meter[Symbol.dispose]();
    expect(() => meter.read()).toThrow();
  });
});
