import fc from 'fast-check';
import { type Governor, ManualClock } from 'plimsoll';
import { type PoliteRecycleOptions, politeRecycle, type RecycleEvent } from 'plimsoll/http';
import { describe, expect, it, vi } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { FakeMeter, MIB, setUp } from '../governor/fake-meter.ts';

const MINUTE = 60_000;

function begin(options: PoliteRecycleOptions = {}) {
  const rss = new FakeMeter('rss');
  const ledger = new FakeMeter('ledger');
  const set = { ...setUp({ collect: false, trim: false, meters: [rss, ledger] }), rss, ledger };
  const broken = breakable(set.governor);
  const events: RecycleEvent[] = [];
  const exits: number[] = [];
  const recycle = politeRecycle(broken.governor, {
    clock: set.clock,
    random: () => 0.5,
    exit: (code) => exits.push(code),
    onEvent: (event) => events.push(event),
    ...options,
  });
  /** Promises in between have their turn. */
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 500) {
      set.clock.advance(Math.min(500, left));
      await new Promise(setImmediate);
    }
  };
  const press = (ratio: number) => {
    set.rss.bytes = ratio * 100 * MIB;
    set.governor.sample();
  };
  const whats = () => events.map(({ what }) => what);
  return { ...set, ...broken, recycle, events, whats, exits, pass, press };
}

describe('a polite recycle', () => {
  it('drains, runs its hooks and exits when critical lasts and trains do not mend it', async () => {
    const calls: string[] = [];
    const drain = { drain: async () => void calls.push('drain') };
    const hooks = ['first', 'second'].map((name) => async () => void calls.push(name));
    const { pass, press, whats, exits, recycle, events, clock, governor } = begin({ drain, shutdownHooks: hooks });
    await pass(MINUTE);
    press(0.9);
    await pass(29_000);
    expect([recycle.state, whats()]).toEqual(['watching', []]);
    await pass(4_000);
    expect(recycle.state).toBe('delayed');
    expect(events[0]).toMatchObject({ what: 'delayed', delayMs: 30_000, seenBytes: 0 });
    expect((events[0] as { trains: number }).trains).toBeGreaterThan(0);
    await pass(31_000);
    expect(whats()).toEqual(['delayed', 'draining', 'hooks', 'exit']);
    expect([calls, exits, recycle.state]).toEqual([['drain', 'first', 'second'], [75], 'exit']);
    await pass(10 * MINUTE);
    expect(exits).toEqual([75]);
    governor[Symbol.dispose]();
    expect(clock.pending).toBe(0);
  });

  it('recovery calls it off until draining has begun', async () => {
    const { pass, press, whats, exits, recycle } = begin();
    await pass(MINUTE);
    press(0.9);
    await pass(40_000);
    expect(recycle.state).toBe('delayed');
    press(0.5);
    expect([recycle.state, whats()]).toEqual(['watching', ['delayed', 'cancelled']]);
    await pass(5 * MINUTE);
    expect(exits).toEqual([]);
    press(0.9);
    await pass(2 * MINUTE);
    expect(exits).toEqual([75]);
  });

  it('a break between two looks starts the count anew', async () => {
    const { pass, press, recycle } = begin();
    await pass(MINUTE);
    for (let i = 0; i < 6; i++) {
      press(0.9);
      await pass(25_500);
      press(0.6);
      press(0.9);
    }
    expect(recycle.state).toBe('watching');
  });

  it('books that are full recycle nobody', async () => {
    const { pass, ledger, governor, recycle } = begin();
    ledger.bytes = 96 * MIB;
    governor.sample();
    await pass(10 * MINUTE);
    expect([governor.level, recycle.state]).toEqual(['emergency', 'watching']);
  });

  it('the machine counts also while the ledger is the fuller meter', async () => {
    const { pass, press, ledger, governor, recycle } = begin();
    ledger.bytes = 96 * MIB;
    governor.sample();
    await pass(MINUTE);
    press(0.9);
    expect(governor.snapshot().decidingMeter).toBe('ledger');
    await pass(2 * MINUTE);
    expect(recycle.state).toBe('exit');
  });

  it('a process that has just started is left alone, and recycled when it has not', async () => {
    const { pass, press, recycle } = begin({ minUptimeMs: 5 * MINUTE });
    press(0.9);
    await pass(5 * MINUTE - 1_000);
    expect(recycle.state).toBe('watching');
    await pass(3_000);
    expect(recycle.state).toBe('delayed');
  });

  it('in observe it says once that it would have, in off nothing', async () => {
    const { pass, press, whats, exits, governor } = begin();
    governor.tune({ mode: 'observe' });
    await pass(MINUTE);
    press(0.9);
    await pass(10 * MINUTE);
    expect([whats(), exits]).toEqual([['would-recycle'], []]);
    const off = begin();
    off.press(0.9);
    off.governor.tune({ mode: 'off' });
    await off.pass(10 * MINUTE);
    expect([off.whats(), off.exits]).toEqual([[], []]);
  });

  it('hooks and drains that throw, reject or hang are told and passed over', async () => {
    const shutdownHooks = [
      () => {
        throw new Error('throws');
      },
      async () => {
        throw new Error('rejects');
      },
      () => new Promise<void>(() => {}),
      () => {},
    ];
    const drain = { drain: () => new Promise<void>(() => {}), longestMs: 2_000 };
    const { pass, press, events, exits } = begin({
      shutdownHooks,
      drain,
      hookTimeoutMs: 1_000,
      exitCode: 3,
      staggerMs: 0,
    });
    await pass(MINUTE);
    press(0.9);
    await pass(MINUTE);
    const failed = events.flatMap((event) => (event.what === 'failed' ? [event.part] : []));
    expect(failed).toEqual(['drain', 'shutdownHooks[0]', 'shutdownHooks[1]', 'shutdownHooks[2]']);
    expect(exits).toEqual([3]);
  });

  it('a governor that is broken recycles nobody; broken while it drains, it ends all the same', async () => {
    const first = begin();
    await first.pass(MINUTE);
    first.press(0.9);
    first.breakIt();
    await first.pass(10 * MINUTE);
    expect([first.recycle.state, first.exits]).toEqual(['watching', []]);
    const second = begin({ staggerMs: 0, drain: { drain: async () => second.breakIt() } });
    await second.pass(MINUTE);
    second.press(0.9);
    await second.pass(MINUTE);
    expect(second.exits).toEqual([75]);
  });

  it('disposed before it drains, it leaves nothing behind', async () => {
    const { pass, press, recycle, clock, exits, governor } = begin();
    await pass(MINUTE);
    press(0.9);
    await pass(40_000);
    recycle[Symbol.dispose]();
    await pass(10 * MINUTE);
    expect(exits).toEqual([]);
    governor[Symbol.dispose]();
    expect(clock.pending).toBe(0);
  });

  it('unsound options are named', () => {
    const { governor } = setUp();
    const make = (options: object) => () => politeRecycle(governor, options);
    expect(make({ afterMs: 0 })).toThrow('`afterMs`');
    expect(make({ exitCode: 256 })).toThrow('`exitCode`');
    expect(make({ shutdownHooks: [1] })).toThrow('`shutdownHooks[0]`');
    expect(make({ drain: {} })).toThrow('`drain`');
    expect(make({ stagger: 1 })).toThrow('did you mean `staggerMs`?');
  });
});

/** All that is asked of a governor, with every moment of it in the hands of the test. */
class FakeGovernor {
  mode: 'on' | 'observe' | 'off' = 'on';
  isCritical = false;
  trains = 0;
  readonly listeners = new Set<(to: string, from: string) => void>();

  get level() {
    return this.isCritical ? 'critical' : 'moderate';
  }

  get machineLevel() {
    return this.level;
  }

  consumer() {}

  sample() {}

  set(isCritical: boolean) {
    if (isCritical === this.isCritical) return;
    const from = this.level;
    this.isCritical = isCritical;
    for (const listener of this.listeners) listener(this.level, from);
  }

  snapshot() {
    return { level: this.level, decidingMeter: 'rss', meters: [], trains: { count: this.trains } };
  }

  journal() {
    return Array.from({ length: this.trains }, (_, index) => ({ number: index + 1, seenBytes: 0 })).slice(-64);
  }

  onLevel(listener: (to: string, from: string) => void): Disposable {
    this.listeners.add(listener);
    return { [Symbol.dispose]: () => void this.listeners.delete(listener) };
  }
}

const step = fc.oneof(
  { weight: 60, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 12_000 }) }) },
  { weight: 25, arbitrary: fc.record({ kind: fc.constant('press' as const), on: fc.constantFrom(true, true, false) }) },
  { weight: 20, arbitrary: fc.record({ kind: fc.constant('train' as const) }) },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('mode' as const),
      mode: fc.constantFrom('on', 'on', 'observe', 'off'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('dispose' as const) }) },
);

it('whatever happens, a process goes only after lasting pressure, only once, only in `on`, and step by step', async () => {
  const ways = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100),
      async (steps, drawn) => {
        const clock = new ManualClock();
        const governor = new FakeGovernor();
        const events: RecycleEvent['what'][] = [];
        const wrong: string[] = [];
        let criticalSince = Number.POSITIVE_INFINITY;
        const recycle = politeRecycle(governor as unknown as Governor, {
          clock,
          random: () => drawn,
          afterMs: 10_000,
          staggerMs: 20_000,
          minUptimeMs: 15_000,
          exit: () => {},
          onEvent({ what }) {
            events.push(what);
            ways.add(what);
            // Told to a listener: what it throws is passed over.
            const { mode, isCritical } = governor;
            if (what === 'draining' && (mode !== 'on' || !isCritical)) wrong.push(`${what} in ${mode}`);
            if (what !== 'delayed' && what !== 'would-recycle') return;
            if (mode !== (what === 'delayed' ? 'on' : 'observe')) wrong.push(`${what} in ${mode}`);
            if (clock.now() < 15_000) wrong.push(`${what} after ${clock.now()} ms`);
            if (!(clock.now() - criticalSince >= 10_000)) wrong.push(`${what} too early`);
          },
        });
        let goneAt = -1;
        for (const each of steps) {
          const isLeft = recycle.state === 'watching' || recycle.state === 'delayed';
          if (each.kind === 'pass') clock.advance(each.ms);
          else if (each.kind === 'train') governor.trains++;
          else if (each.kind === 'mode') governor.mode = each.mode as 'on';
          else if (each.kind === 'dispose') {
            recycle[Symbol.dispose]();
            if (isLeft) goneAt = goneAt < 0 ? events.length : goneAt;
          } else {
            criticalSince = each.on ? Math.min(criticalSince, clock.now()) : Number.POSITIVE_INFINITY;
            governor.set(each.on);
          }
          await new Promise(setImmediate);
        }
        expect(wrong).toEqual([]);
        // Cancelled and delayed take turns; then one way to the end.
        expect(events.filter((what) => what !== 'would-recycle').join(' ')).toMatch(
          /^(delayed cancelled ?)*(delayed( draining hooks exit)?)?$/,
        );
        expect(events.filter((what) => what === 'would-recycle').length).toBeLessThanOrEqual(1);
        if (goneAt >= 0) expect([events.length, clock.pending, governor.listeners.size]).toEqual([goneAt, 0, 0]);
      },
    ),
    { numRuns: 1_500 },
  );
  // The steps lead everywhere.
  await vi.waitFor(() =>
    expect([...ways].sort()).toEqual(['cancelled', 'delayed', 'draining', 'exit', 'hooks', 'would-recycle']),
  );
});
