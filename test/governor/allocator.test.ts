import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { ManualClock } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { Allocator, type AllocatorOptions } from '../../src/governor/allocator.ts';
import { Faults } from '../../src/governor/faults.ts';
import { MIB } from './fake-meter.ts';
import { watchSteps } from './watch-steps.ts';

function setUp(options: Partial<AllocatorOptions> = {}) {
  const clock = new ManualClock();
  const faults = new Faults();
  let loads = 0;
  const load = () => {
    loads++;
    return () => {
      clock.advance(7);
      return 1;
    };
  };
  const allocator = new Allocator({ clock, faults, platform: 'linux', load, ...options });
  return { clock, faults, allocator, loads: () => loads };
}

describe('the trim', () => {
  it('is loaded when first needed, timed and counted', () => {
    const { allocator, loads } = setUp();
    expect([allocator.why, loads()]).toEqual([undefined, 0]);
    expect([allocator.trim(), allocator.trim(), loads()]).toEqual([7, 7, 1]);
    expect(allocator).toMatchObject({ count: 2, spentMs: 14 });
  });

  it('can be made ready ahead of need', () => {
    const { allocator, loads } = setUp();
    expect([allocator.prepare(), loads(), allocator.count]).toEqual([true, 1, 0]);
  });

  it('learns what a byte costs from those that gave something back', () => {
    const { allocator } = setUp();
    expect(allocator.expectedMs(500e6)).toBeCloseTo(40);
    for (let i = 0; i < 50; i++) allocator.learn(100, 500e6);
    expect(allocator.expectedMs(500e6)).toBeCloseTo(100, 0);
    allocator.learn(1_000, 4_096);
    expect(allocator.expectedMs(500e6)).toBeCloseTo(100, 0);
  });

  it.each([
    ['is switched off', { enabled: false }, 'the trim is switched off'],
    ['is another system', { platform: 'darwin' }, 'there is no trim on darwin'],
    [
      'has no koffi',
      {
        load: () => {
          throw Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' });
        },
      },
      'the package `koffi` is not installed: `npm install koffi`',
    ],
    [
      'has another C library',
      {
        load: () => {
          throw new Error('cannot open shared object file');
        },
      },
      'the C library has no `malloc_trim`, or it cannot be called here',
    ],
  ])('is none where it %s: that is no fault, and not tried again', (_, options, why) => {
    const { allocator, faults } = setUp(options);
    expect([allocator.trim(), allocator.trim(), allocator.why, allocator.count]).toEqual([-1, -1, why, 0]);
    expect(faults.rows()).toEqual([]);
  });

  it('that fails is a fault, and off', () => {
    let calls = 0;
    const { allocator, faults } = setUp({
      load: () => () => {
        calls++;
        throw new Error('no such call');
      },
    });
    expect([allocator.trim(), allocator.trim(), calls]).toEqual([-1, -1, 1]);
    expect(allocator.why).toBe('the trim is switched off: it failed');
    expect(faults.rows()).toEqual([{ part: 'trim', message: 'no such call', count: 1, off: true }]);
  });
});

const probe = new Allocator({ clock: new ManualClock(), faults: new Faults() });
probe.prepare();
if (probe.why !== undefined) console.warn(`The real trim is not tried: ${probe.why}.`);

describe.skipIf(probe.why !== undefined)('the real trim, seen from outside', () => {
  const root = join(import.meta.dirname, '../../src');
  /** Drops buffers, and holds still for a while after each step so that whoever watches sees where it stands. */
  const program = (bytes: number, count: number) => `
    import { Allocator } from '${root}/governor/allocator.ts';
    import { Collector } from '${root}/governor/collector.ts';
    import { systemClock as clock } from '${root}/clock.ts';
    const faults = { note(part, cause) { throw cause; }, watch() {} };
    const collector = new Collector({ clock, faults });
    const allocator = new Allocator({ clock, faults });
    const still = (step, ms = 0) => {
      console.log(step, ms);
      return new Promise((resolve) => setTimeout(resolve, 150));
    };
    const fill = () => {
      const held = [];
      for (let i = 0; i < ${count}; i++) held.push(Buffer.alloc(${bytes}, 1));
      return held;
    };
    let held = fill();
    await still('held');
    // Some live on, as they do: the allocator cannot just lower the end of its heap.
    globalThis.kept = held.filter((_, i) => i % 200 === 100);
    held = undefined;
    await still('collected', collector.run({ type: 'full', usedBytes: () => 1, emptyPages: true }));
    await still('trimmed', allocator.trim());`;

  const watch = (bytes: number, count: number) =>
    watchSteps(['--input-type=module-typescript', '-e', program(bytes, count)]);

  it('gives back small buffers that a collection alone does not', async () => {
    const { rss, said } = await watch(16_384, 12_800);
    console.log(`200 MiB of 16 KiB buffers: RSS ${JSON.stringify(rss)}, ms ${JSON.stringify(said)}`);
    expect(rss.held).toBeGreaterThan(200 * MIB);
    // Of what was dropped; how much of it lies at the end of the heap differs.
    expect(rss.collected! - rss.trimmed!).toBeGreaterThan(2 * (rss.held! - rss.collected!));
    expect(rss.trimmed).toBeLessThan(110 * MIB);
  });

  it('is needed less for large ones: of them the collection alone gives back what the allocator had mapped one by one', async () => {
    const { rss } = await watch(MIB, 200);
    console.log(`200 MiB of 1 MiB buffers: RSS ${JSON.stringify(rss)}`);
    expect(rss.held).toBeGreaterThan(200 * MIB);
    expect(rss.collected).toBeLessThan(rss.held! - 60 * MIB);
    expect(rss.trimmed).toBeLessThan(110 * MIB);
  });

  it('has koffi as an optional peer of which nothing runs at install', () => {
    const own = JSON.parse(readFileSync(join(root, '../package.json'), 'utf8'));
    expect(own.peerDependenciesMeta.koffi).toEqual({ optional: true });
    expect(own.dependencies).not.toHaveProperty('koffi');
    expect(own.allowScripts.koffi).toBe(false);
    expect(createRequire(import.meta.url)('koffi')).toBeDefined();
  });
});
