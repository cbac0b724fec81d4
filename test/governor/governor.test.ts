import {
  createGovernor,
  DEFAULT_THRESHOLDS,
  type GovernorOptions,
  ManualClock,
  type PressureLevel,
  type Reservation,
} from 'plimsoll';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { FakeMachine, mountV2 } from './fake-machine.ts';
import { FakeMeter, MIB, setUp } from './fake-meter.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('levels', () => {
  it('are decided by the worst meter, which is named', () => {
    const { governor, rss, heap } = setUp();
    rss.bytes = 72 * MIB;
    heap.limitBytes = 10 * MIB;
    heap.bytes = 9 * MIB;
    expect(governor.sample()).toMatchObject({
      level: 'critical',
      decidingMeter: 'heap',
      ratio: 0.9,
      rssBytes: 72 * MIB,
    });
    heap.bytes = 1 * MIB;
    expect(governor.sample()).toMatchObject({ level: 'high', decidingMeter: 'rss' });
    expect(governor.level).toBe('high');
    expect(governor.history().map((sample) => sample.level)).toEqual(['optimal', 'critical', 'high']);
    expect(governor.history()[1]).toMatchObject({ decidingMeter: 'heap', ratio: 0.9, heapBytes: 9 * MIB });
  });

  it('RSS has no say where the charge of the kernel is read against a limit as small', () => {
    const cgroup = new FakeMeter('cgroup');
    const rss = new FakeMeter('rss');
    const { governor } = setUp({ meters: [rss, cgroup] });
    rss.bytes = 98 * MIB;
    cgroup.bytes = 40 * MIB;
    expect(governor.sample()).toMatchObject({ level: 'optimal', decidingMeter: 'cgroup', rssBytes: 98 * MIB });
    cgroup.limitBytes = 101 * MIB;
    expect(governor.sample()).toMatchObject({ level: 'emergency', decidingMeter: 'rss' });
  });

  it('are told to who asked, each listener by itself, until it is disposed', () => {
    const { governor, rss } = setUp();
    const seen: [PressureLevel, PressureLevel][] = [];
    const listener = (to: PressureLevel, from: PressureLevel) => seen.push([to, from]);
    const first = governor.onLevel(listener);
    governor.onLevel(() => {
      throw new Error('a fault of a listener');
    });
    governor.onLevel(listener);
    rss.bytes = 60 * MIB;
    governor.sample();
    governor.sample();
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    rss.bytes = 0;
    governor.sample();
    expect(seen).toEqual([
      ['moderate', 'optimal'],
      ['moderate', 'optimal'],
      ['optimal', 'moderate'],
    ]);
    expect(governor.snapshot().faults).toMatchObject([{ part: 'level listener', count: 2, off: false }]);
    expect(() => governor.onLevel(undefined as never)).toThrow('Expected `listener` to be a function');
  });

  it('a listener may reserve, sample and dispose the governor', () => {
    const { governor, rss } = setUp({ sampleEveryBytes: 1 });
    const consumer = governor.consumer({ name: 'feed', kind: 'heap', maxBytes: MIB });
    governor.onLevel(() => {
      consumer.reserve(10);
      governor.sample();
      governor[Symbol.dispose]();
    });
    rss.bytes = 60 * MIB;
    governor.sample();
    expect(consumer.heldBytes).toBe(10);
    expect(() => consumer.reserve(1)).toThrow('disposed');
  });
});

describe('samples', () => {
  it('are taken inside reservations, growth counts too, because no timer fires in a loop', () => {
    const { governor, rss } = setUp({ sampleEveryBytes: 1_000 });
    const consumer = governor.consumer({ name: 'feed', kind: 'heap', maxBytes: MIB });
    const before = rss.reads;
    const held = consumer.reserve(400);
    held.grow(400);
    expect(rss.reads).toBe(before);
    held.grow(400);
    expect(rss.reads).toBe(before + 1);
    for (let i = 0; i < 100; i++) consumer.reserve(100);
    expect(rss.reads).toBe(before + 11);
  });

  it('are taken by the clock: slowly when all is calm, faster from `high` on, and not after the end', () => {
    const { governor, clock, rss } = setUp();
    expect(clock.pending).toBe(1);
    const readsIn = (ms: number) => {
      const before = rss.reads;
      clock.advance(ms);
      return rss.reads - before;
    };
    readsIn(5_000);
    expect(readsIn(10_000)).toBe(10);
    rss.bytes = 75 * MIB;
    readsIn(1_000);
    expect(readsIn(1_000)).toBeGreaterThanOrEqual(4);
    governor[Symbol.dispose]();
    expect([readsIn(10_000), clock.pending]).toEqual([0, 0]);
  });

  it('one that ends the governor ends the sampling', () => {
    const { governor, clock, rss } = setUp();
    governor.onLevel(() => governor[Symbol.dispose]());
    rss.bytes = 60 * MIB;
    clock.advance(10_000);
    expect([clock.pending, governor.snapshot().samples.count]).toEqual([0, 2]);
  });

  it('the ring keeps the last 240', () => {
    const { governor, rss } = setUp();
    for (let i = 0; i < 600; i++) {
      rss.bytes = i;
      governor.sample();
    }
    const history = governor.history();
    expect([history.length, history[0]!.rssBytes, history[239]!.rssBytes]).toEqual([240, 360, 599]);
  });
});

describe('modes', () => {
  it('`off` grants everything and counts it; `observe` says what it would have refused', async () => {
    for (const mode of ['off', 'observe'] as const) {
      const { governor } = setUp({ mode });
      const consumer = governor.consumer({ name: 'feed', kind: 'heap', maxBytes: 10 });
      const held = consumer.reserve(11);
      held.grow(200 * MIB);
      using admitted = await consumer.admit(200 * MIB);
      expect(consumer.heldBytes).toBe(400 * MIB + 11);
      const other = governor.consumer({ name: 'other', kind: 'heap', maxBytes: 1 });
      held.transfer(other);
      expect(other.heldBytes).toBe(200 * MIB + 11);
      expect(admitted.bytes).toBe(200 * MIB);
      expect(governor.snapshot()).toMatchObject({ mode, refusals: mode === 'observe' ? 3 : 0, availableBytes: 0 });
    }
  });

  it('come from the environment unless said', () => {
    vi.stubEnv('PLIMSOLL', 'observe');
    expect(createGovernor({ meters: [] }).mode).toBe('observe');
    expect(createGovernor({ meters: [], mode: 'on' }).mode).toBe('on');
    vi.stubEnv('PLIMSOLL', '');
    expect(createGovernor({ meters: [] }).mode).toBe('on');
    for (const text of ['OFF', ' Off ', 'off']) {
      vi.stubEnv('PLIMSOLL', text);
      expect(createGovernor({ meters: [] }).mode).toBe('off');
      expect(createGovernor({ meters: [] }).snapshot().faults).toEqual([]);
    }
  });

  it('that the environment asks for and are none take no service down: `on` holds, and the snapshot says why', () => {
    vi.stubEnv('PLIMSOLL', 'maybe');
    const { mode, faults } = createGovernor({ meters: [] }).snapshot();
    expect(mode).toBe('on');
    const message = 'PLIMSOLL is `maybe`, which is none of `on`, `observe`, `off`: `on` holds';
    expect(faults).toEqual([{ part: 'PLIMSOLL', message, count: 1, off: false }]);
    vi.stubEnv('PLIMSOLL', 'x'.repeat(10_000));
    expect(createGovernor({ meters: [] }).snapshot().faults[0]!.message).toContain('...`, which is none of');
    expect(createGovernor({ meters: [], mode: 'observe' }).snapshot().faults).toEqual([]);
  });
});

describe('the limit', () => {
  it('is what can be reserved, less the runtime', () => {
    const { governor } = setUp({ limitBytes: 96 * MIB, runtimeBytes: 45 * MIB });
    expect([governor.limitBytes, governor.heldBytes, governor.availableBytes]).toEqual([96 * MIB, 45 * MIB, 51 * MIB]);
    expect(governor.snapshot().consumers).toMatchObject([{ name: 'runtime', kind: 'heap', heldBytes: 45 * MIB }]);
  });

  it('the runtime is measured, and lowered when less than that is in RAM', () => {
    const rss = new FakeMeter('rss');
    const governor = createGovernor({
      limitBytes: 2 ** 40,
      clock: new ManualClock(),
      meters: [rss],
      mode: 'on',
      root: '/nowhere',
    });
    const measured = governor.heldBytes;
    expect(measured).toBeGreaterThan(10 * MIB);
    rss.bytes = measured + MIB;
    governor.sample();
    expect(governor.heldBytes).toBe(measured);
    rss.bytes = measured - MIB;
    governor.sample();
    expect(governor.heldBytes).toBe(measured - MIB);
    rss.broken = new Error('gone');
    for (let i = 0; i < 5; i++) governor.sample();
    expect(governor.heldBytes).toBe(measured - MIB);
  });

  it('and the thresholds can be tuned; a lower limit takes nothing away', () => {
    const { governor, rss } = setUp();
    const consumer = governor.consumer({ name: 'feed', kind: 'heap', maxBytes: Number.POSITIVE_INFINITY });
    const held: Reservation = consumer.reserve(80 * MIB);
    governor.tune({ limitBytes: 50 * MIB });
    expect([governor.limitBytes, governor.availableBytes, held.bytes]).toEqual([50 * MIB, 0, 80 * MIB]);
    rss.bytes = 45 * MIB;
    expect(governor.sample().level).toBe('optimal');
    governor.tune({ thresholds: { moderate: 0.4 } });
    expect(governor.level).toBe('moderate');
    expect(() => governor.tune({ limitBytes: 0 })).toThrow('Expected `limitBytes`');
    expect(() => governor.tune({ limitBytes: 1, thresholds: { high: 0.2 } })).toThrow('Expected `thresholds.high`');
    expect(governor.limitBytes).toBe(50 * MIB);
  });

  it('a wider limit wakes who waits', async () => {
    const { governor } = setUp();
    const consumer = governor.consumer({ name: 'feed', kind: 'heap', maxBytes: Number.POSITIVE_INFINITY });
    consumer.reserve(90 * MIB);
    let granted = false;
    void consumer.admit(20 * MIB).then(() => (granted = true));
    for (let i = 0; i < 20; i++) await Promise.resolve();
    expect(granted).toBe(false);
    governor.tune({ limitBytes: 110 * MIB });
    for (let i = 0; i < 20; i++) await Promise.resolve();
    expect(granted).toBe(true);
  });

  it('follows a container that is resized, and the meter with it', () => {
    using machine = new FakeMachine({
      'proc/self/cgroup': '0::/app\n',
      'proc/self/mountinfo': mountV2('/sys/fs/cgroup'),
      'sys/fs/cgroup/app/memory.max': `${64 * MIB}\n`,
      'sys/fs/cgroup/app/memory.current': `${16 * MIB}\n`,
      'sys/fs/cgroup/app/memory.stat': 'inactive_file 0\n',
    });
    const clock = new ManualClock();
    using governor = createGovernor({ runtimeBytes: 0, clock, mode: 'on', root: machine.root });
    expect(governor.limit).toMatchObject({ bytes: 64 * MIB, from: 'cgroup-v2' });
    expect(governor.sample().cgroupBytes).toBe(16 * MIB);
    machine.write({ 'sys/fs/cgroup/app/memory.max': `${32 * MIB}\n` });
    governor.sample();
    expect(governor.limitBytes).toBe(64 * MIB);
    clock.advance(5_000);
    governor.sample();
    expect(governor.limitBytes).toBe(32 * MIB);
    const row = () => governor.snapshot().meters.find((meter) => meter.name === 'cgroup');
    expect(row()).toMatchObject({ limitBytes: 32 * MIB, ratio: 0.5 });
    machine.write({ 'sys/fs/cgroup/app/memory.max': 'max\n' });
    clock.advance(5_000);
    governor.sample();
    expect(governor.limit.from).toBe('machine');
    expect(row()).toBeUndefined();
  });

  it('follows a container that is resized by the clock alone', () => {
    using machine = new FakeMachine({
      'proc/self/cgroup': '0::/app\n',
      'proc/self/mountinfo': mountV2('/sys/fs/cgroup'),
      'sys/fs/cgroup/app/memory.max': `${800 * MIB}\n`,
    });
    const { governor, clock } = setUp({ limitBytes: undefined, root: machine.root } as never);
    machine.write({ 'sys/fs/cgroup/app/memory.max': `${300 * MIB}\n` });
    clock.advance(4_900);
    expect(governor.limitBytes).toBe(800 * MIB);
    clock.advance(1_100);
    expect([governor.limitBytes, governor.availableBytes]).toEqual([300 * MIB, 300 * MIB]);
  });

  it('without files of use the cgroup meter is off, and says so', () => {
    using machine = new FakeMachine({
      'proc/self/cgroup': '0::/app\n',
      'proc/self/mountinfo': mountV2('/sys/fs/cgroup'),
      'sys/fs/cgroup/app/memory.max': `${64 * MIB}\n`,
    });
    using governor = createGovernor({ runtimeBytes: 0, clock: new ManualClock(), mode: 'on', root: machine.root });
    expect(governor.limitBytes).toBe(64 * MIB);
    expect(governor.snapshot().faults).toMatchObject([{ part: 'meter cgroup', off: true }]);
  });
});

describe('options', () => {
  it.each([
    [{ limitBytes: -5 }, 'Expected `limitBytes` to be a whole number from 1 up, got `-5` (number)'],
    [{ share: 2 }, 'Expected `share`'],
    [{ runtimeBytes: -1 }, 'Expected `runtimeBytes`'],
    [{ sampleEveryBytes: 0 }, 'Expected `sampleEveryBytes`'],
    [{ reclaimNowBudgetMs: 0 }, 'Expected `reclaimNowBudgetMs`'],
    [{ maxWaiters: 1.5 }, 'Expected `maxWaiters`'],
    [{ maxBypass: -1 }, 'Expected `maxBypass`'],
    [{ mode: 'loud' }, 'Expected `mode` to be one of `on`, `observe`, `off`'],
    [{ meters: [{ name: 'psi' }] }, 'Expected `meters[0].name`'],
    [
      { meters: [new FakeMeter('rss'), new FakeMeter('rss')] },
      'Expected `meters[1].name` to be a name that no other meter has',
    ],
    [{ meters: [{ name: 'rss' }] }, 'Expected `meters[0].read` to be a function'],
    [{ thresholds: { high: 0.1 } }, 'Expected `thresholds.high`'],
  ])('refuse %j', (options, message) => expect(() => createGovernor(options as GovernorOptions)).toThrow(message));

  it('undefined is the same as absent', () => {
    const { governor } = setUp({ maxWaiters: undefined, share: undefined } as never);
    expect(governor.limitBytes).toBe(100 * MIB);
  });
});

describe('the snapshot', () => {
  it('is plain data that survives JSON, and names what it must', () => {
    const { governor } = setUp();
    const parent = governor.consumer({ name: 'images', kind: 'external', maxBytes: 10 * MIB, importance: 3 });
    governor
      .consumer({ name: 'thumbnails', kind: 'external', maxBytes: Number.POSITIVE_INFINITY, parent })
      .reserve(MIB);
    parent.reserve(2 * MIB);
    const snapshot = governor.snapshot();
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot);
    expect(snapshot).toMatchObject({
      takenAt: 1_000_000,
      mode: 'on',
      limitFrom: 'configured',
      reservedBytes: 3 * MIB,
      availableBytes: 97 * MIB,
      byKind: { heap: 0, external: 3 * MIB, mapped: 0, wasm: 0 },
      waiting: 0,
      samples: { count: 2 },
      faults: [],
    });
    expect(snapshot.consumers.slice(1)).toMatchObject([
      { name: 'images', heldBytes: 3 * MIB, ownBytes: 2 * MIB, maxBytes: 10 * MIB, importance: 3 },
      { name: 'thumbnails', parent: 'images', heldBytes: MIB, ownBytes: MIB, refusals: 0, reclaimableBytes: 0 },
    ]);
  });

  it('says where levels begin, also after they were set anew', () => {
    const { governor } = setUp({ thresholds: { moderate: 0.4 } });
    const { thresholds } = governor.snapshot();
    expect(thresholds).toEqual({ ...DEFAULT_THRESHOLDS, moderate: 0.4 });
    governor.tune({ thresholds: { high: 0.6 } });
    expect(governor.snapshot().thresholds).toEqual({ ...thresholds, high: 0.6 });
    expect(thresholds.high).toBe(DEFAULT_THRESHOLDS.high);
  });

  it('of a real process reads all that the platform has', () => {
    using governor = createGovernor({ mode: 'on' });
    const { meters, samples, faults } = governor.snapshot();
    const names = meters.map((meter) => meter.name);
    expect(names.slice(0, 4)).toEqual(['ledger', 'heap', 'external', 'rss']);
    for (const meter of meters) expect(meter.bytes).toBeGreaterThan(0);
    expect([samples.count, faults]).toEqual([1, []]);
  });
});
