import { createGovernor, type Governor, ManualClock, systemClock } from 'plimsoll';
import type { SpillFolder } from 'plimsoll/spill';
import { type Plugin, PluginHost, type PluginInstance } from 'plimsoll/wasm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  BULK_LOOPS,
  CAP_BYTES,
  FORGING,
  type HostileModule,
  hasShared,
  LARGE_BYTES,
  LOOPING,
  loopForeverAsGuest,
  REFUSED,
  SHARED,
  TAKING,
  TRAPPING,
} from './hostile-modules.ts';
import { openSpill, plugin, STAGE, text } from './plugin-set-up.ts';

/** Half of the room is a neighbour's. */
const BOUNDS = { maxPluginBytes: CAP_BYTES, maxTotalBytes: 2 * CAP_BYTES, maxOutputBytes: 2 ** 20, warmInstances: 2 };

const LIMIT_MS = 101;

/** Each third of those that take a worker each; all of them are in the gate `wasm-hostile`. */
const some = (all: readonly HostileModule[]): HostileModule[] => all.filter((_, index) => index % 3 === 0);

/** Runs a hostile module to its end: what it threw, or what it put out. */
async function attack(host: PluginHost, { build }: HostileModule, maxHeapBytes = CAP_BYTES) {
  try {
    const instance = await host.open(await plugin(await build(), { name: 'hostile', maxHeapBytes }), STAGE);
    try {
      instance.pressure('high');
      const output = (await instance.process(new Uint8Array(100))).slice();
      await instance.finalize();
      return { output };
    } finally {
      await instance[Symbol.asyncDispose]();
    }
  } catch (error) {
    return { error: error as Error };
  }
}

function expectEnd(hostile: HostileModule, { error, output }: Awaited<ReturnType<typeof attack>>): void {
  if (hostile.code === undefined) {
    expect(error).toBeUndefined();
    expect(hostile.output?.(output!)).toBe(true);
  } else {
    expect(error).toMatchObject({ code: hostile.code });
    expect(error!.message).toMatch(hostile.says ?? /./);
    expect(error!.message).not.toMatch(/\n/);
  }
}

describe('a hostile module is contained, its memory is given back, and its neighbour works on:', () => {
  let governor: Governor;
  let spill: SpillFolder;
  let host: PluginHost;
  let good: Plugin;
  let neighbour: PluginInstance;
  /** The time limit comes when it is called for, so that a slow machine is no slow plugin. */
  const hurry = { ms: 60_000 };

  beforeAll(async () => {
    governor = createGovernor({
      limitBytes: 2 ** 30,
      runtimeBytes: 0,
      clock: new ManualClock(),
      meters: [],
      mode: 'on',
    });
    spill = await openSpill();
    const after = (ms: number, act: () => void) => systemClock.after(ms === LIMIT_MS ? hurry.ms : ms, act, true);
    const clock = { ...systemClock, after };
    host = new PluginHost({ ...BOUNDS, governor, spill, maxSpillBytes: 2 ** 20, clock, timeoutMs: LIMIT_MS });
    good = await plugin({}, { name: 'good' });
    neighbour = await host.open(good, STAGE);
  });

  afterAll(async () => {
    await neighbour[Symbol.asyncDispose]();
    // Nothing is left of all of them, and a fresh one starts.
    expect(host.stats).toMatchObject({ running: 0, chargedBytes: 0, bufferBytes: 0, spilledBytes: 0 });
    await using next = await host.open(good, STAGE);
    expect(text(await next.process(Buffer.from('next')))).toBe('next');
    await host[Symbol.asyncDispose]();
    await spill[Symbol.asyncDispose]();
    expect(governor.snapshot().consumers.filter(({ name }) => name.startsWith('plugins'))).toEqual([]);
  });

  async function contained(hostile: HostileModule, limitMs = 60_000): Promise<void> {
    hurry.ms = limitMs;
    expectEnd(hostile, await attack(host, hostile));
    hurry.ms = 60_000;
    const held = governor.snapshot().consumers.filter(({ kind }) => kind === 'wasm');
    expect(Object.fromEntries(held.map((row) => [row.name, row.heldBytes]))).toMatchObject({
      plugins: CAP_BYTES,
      'plugins: good': CAP_BYTES,
      'plugins: hostile': 0,
    });
    expect(Math.max(...held.map(({ peakBytes }) => peakBytes))).toBeLessThanOrEqual(2 * CAP_BYTES);
    expect(host.stats).toMatchObject({ running: 1, chargedBytes: CAP_BYTES, spilledBytes: 0 });
    expect(spill.stats.recordCount).toBe(0);
    expect(text(await neighbour.process(Buffer.from('still here')))).toBe('still here');
  }

  describe('it does not return', () => {
    it.each(some(LOOPING))('$name', (hostile) => contained(hostile, 300));

    it('data/wasm/loop-forever.wasm with the ABI around it', async (context) => {
      if (!hasShared) context.skip('the shared data is not there');
      await contained(loopForeverAsGuest, 300);
    });
  });

  // All ways of forging go through each host function in abi.test.ts and, in workers, in the gate.
  describe('it forges pointers, lengths and handles', () => {
    it.each(FORGING.filter(({ name }) => !/with (?!a sum)/.test(name)))('$name', (hostile) => contained(hostile));
  });

  describe('it takes more than it may', () => {
    it.each(some(TAKING))('$name', (hostile) => contained(hostile));
  });

  describe('it traps or fails', () => {
    it.each(some(TRAPPING))('$name', (hostile) => contained(hostile));
  });
});

// Without help they would be there for a minute: the test would come to its own limit.
describe('a loop over instructions that take long ends at the limit', () => {
  it.each(BULK_LOOPS)('$name', async (hostile) => {
    await using host = new PluginHost({
      maxPluginBytes: LARGE_BYTES,
      maxTotalBytes: LARGE_BYTES,
      timeoutMs: 300,
      warmInstances: 0,
    });
    expectEnd(hostile, await attack(host, hostile, LARGE_BYTES));
  });
});

describe('a hostile module is refused before any of it runs', () => {
  it.each(REFUSED)('$name', async (hostile) => {
    const error = await plugin(await hostile.build()).then(
      () => undefined,
      (cause: Error) => cause,
    );
    expectEnd(hostile, { error: error! });
  });

  it.each(SHARED)('data/wasm/$name, which is no plugin', async (hostile) => {
    if (!hasShared) return;
    const error = await plugin(await hostile.build()).then(
      () => undefined,
      (cause: Error) => cause,
    );
    expectEnd(hostile, { error: error! });
  });
});
