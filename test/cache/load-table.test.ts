import fc from 'fast-check';
import { ManualClock } from 'plimsoll';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Loader, LoadTable } from '../../src/cache/load-table.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** A loader whose answers are given by hand. */
class ByHand {
  readonly calls: { key: string; signal: AbortSignal; answer: (v: string) => void; fail: (c: unknown) => void }[] = [];
  readonly loader: Loader<string, string> = (key, { signal }) =>
    new Promise((answer, fail) => this.calls.push({ key, signal, answer, fail }));
}

function open({ maxLoads = 10, loadTimeoutMs = NEVER } = {}) {
  const clock = new ManualClock();
  const stored = new Map<string, string>();
  const table = new LoadTable<string, string>({
    name: 'things',
    maxLoads,
    loadTimeoutMs,
    clock,
    current: (key) => stored.get(key),
  });
  const hand = new ByHand();
  const load = (key: string, signal?: AbortSignal, loader = hand.loader) =>
    table.load({ key, loader, store: (value) => void stored.set(key, value) }, signal);
  const change = (key: string, value: string | undefined) => {
    table.overtake(key);
    if (value === undefined) stored.delete(key);
    else stored.set(key, value);
  };
  return { clock, stored, table, hand, load, change };
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const outcome = (promise: Promise<unknown>) =>
  promise.then(
    (value) => ({ value }),
    (cause: unknown) => ({ cause }),
  );

const unhandled: unknown[] = [];
const onUnhandled = (cause: unknown) => void unhandled.push(cause);
beforeEach(() => void process.on('unhandledRejection', onUnhandled));
afterEach(async () => {
  await turn();
  process.off('unhandledRejection', onUnhandled);
  expect(unhandled.splice(0)).toEqual([]);
});

describe('loads', () => {
  it('are single flight: callers of one key share one call of the loader', async () => {
    const { load, hand, stored, table } = open();
    const asked = [load('a'), load('a', new AbortController().signal), load('a'), load('b')];
    expect(hand.calls.map(({ key }) => key)).toEqual(['a', 'b']);
    hand.calls[0]!.answer('1');
    hand.calls[1]!.answer('2');
    expect(await Promise.all(asked)).toEqual(['1', '1', '1', '2']);
    expect([...stored]).toEqual([
      ['a', '1'],
      ['b', '2'],
    ]);
    expect(table.stats).toMatchObject({ loads: 2, loadsShared: 2, loadFailures: 0, loadsUnderWay: 0 });
  });

  it('that fail reach all who wait, and are not kept: the next caller tries again', async () => {
    const { load, hand, stored, table } = open();
    const asked = [load('a'), load('a', new AbortController().signal)].map(outcome);
    const cause = new Error('down');
    hand.calls[0]!.fail(cause);
    expect(await Promise.all(asked)).toEqual([{ cause }, { cause }]);
    expect(stored.size).toBe(0);
    const again = load('a');
    hand.calls[1]!.answer('up');
    expect(await again).toBe('up');
    expect(table.stats).toMatchObject({ loads: 2, loadFailures: 1 });
  });

  it('that throw at once, or answer with something whose `then` throws, are failures', async () => {
    const { load, table } = open();
    const thrower = () => {
      throw new Error('at once');
    };
    const trap = () =>
      ({
        // biome-ignore lint/suspicious/noThenProperty: it is what is tested
        get then() {
          throw new Error('no then');
        },
      }) as unknown as string;
    await expect(load('a', undefined, thrower)).rejects.toThrow('at once');
    await expect(load('a', undefined, trap)).rejects.toThrow('no then');
    expect(table.stats).toMatchObject({ loadFailures: 2, loadsUnderWay: 0 });
  });

  it('are not begun for a signal that is none', async () => {
    const { load, hand } = open();
    const signal = new AbortController() as unknown as AbortSignal;
    await expect(load('a', signal)).rejects.toThrow('Expected `signal` to be an AbortSignal');
    expect(hand.calls).toEqual([]);
  });

  it('go on when one caller aborts, and are aborted when all have', async () => {
    const { load, hand, stored, table } = open();
    const [one, two] = [new AbortController(), new AbortController()];
    const asked = [outcome(load('a', one.signal)), outcome(load('a', two.signal))];
    one.abort('enough');
    expect(await asked[0]).toEqual({ cause: 'enough' });
    expect(hand.calls[0]!.signal.aborted).toBe(false);
    two.abort('me too');
    expect(await asked[1]).toEqual({ cause: 'me too' });
    expect(hand.calls[0]!.signal).toMatchObject({ aborted: true, reason: 'me too' });
    // The loader has not ended: it counts, and whoever comes now begins anew.
    expect(table.stats).toMatchObject({ loadsUnderWay: 1, loadsAbandoned: 1 });
    const later = load('a');
    expect(hand.calls).toHaveLength(2);
    hand.calls[0]!.answer('too late');
    await turn();
    expect(stored.size).toBe(0);
    hand.calls[1]!.answer('new');
    expect(await later).toBe('new');
    expect(table.stats).toMatchObject({ loadsUnderWay: 0, loadFailures: 0 });
  });

  it('are not aborted while somebody waits who cannot go', async () => {
    const { load, hand } = open();
    const one = new AbortController();
    const stays = load('a');
    const goes = outcome(load('a', one.signal));
    one.abort('enough');
    expect(await goes).toEqual({ cause: 'enough' });
    expect(hand.calls[0]!.signal.aborted).toBe(false);
    hand.calls[0]!.answer('1');
    expect(await stays).toBe('1');
  });

  it('are not begun for who has aborted already', async () => {
    const { load, hand } = open();
    await expect(load('a', AbortSignal.abort('before'))).rejects.toBe('before');
    expect(hand.calls).toEqual([]);
  });

  it('stale after change: what is set during a load wins over what was loaded, for the cache and for who waits', async () => {
    const { load, hand, stored, change, table } = open();
    const asked = load('a');
    change('a', 'set');
    hand.calls[0]!.answer('loaded before');
    expect(await asked).toBe('set');
    expect(stored.get('a')).toBe('set');
    expect(table.stats).toMatchObject({ loadsOvertaken: 1 });
  });

  it('stale after change: what is deleted during a load stays deleted, and the next caller loads anew', async () => {
    const { load, hand, stored, change } = open();
    const before = load('a');
    change('a', undefined);
    const after = load('a');
    expect(hand.calls).toHaveLength(2);
    hand.calls[1]!.answer('new');
    expect(await after).toBe('new');
    hand.calls[0]!.answer('old');
    await before;
    expect(stored.get('a')).toBe('new');
  });

  it('are bounded by the loaders that run, whoever still waits', async () => {
    const { load, hand, table } = open({ maxLoads: 2 });
    const gone = new AbortController();
    const asked = [outcome(load('a', gone.signal)), outcome(load('b'))];
    await expect(load('c')).rejects.toMatchObject({ code: 'PLIMSOLL_LOADS_FULL', recovery: 'retry', maxLoads: 2 });
    void outcome(load('a'));
    gone.abort('enough');
    table.overtake('b');
    await expect(load('c')).rejects.toMatchObject({ code: 'PLIMSOLL_LOADS_FULL' });
    hand.calls[0]!.fail(new Error('aborted'));
    await turn();
    const fits = load('c');
    hand.calls[2]!.answer('c');
    expect(await fits).toBe('c');
    hand.calls[1]!.answer('b');
    await Promise.all(asked);
    expect(table.stats).toMatchObject({ loadsRefused: 2, loadsUnderWay: 0 });
  });

  it('that take too long are given up, and their signal says so', async () => {
    const { load, hand, clock, table } = open({ loadTimeoutMs: 1_000 });
    const asked = outcome(load('a'));
    clock.advance(1_000);
    expect(await asked).toMatchObject({ cause: { code: 'PLIMSOLL_LOAD_TIMEOUT', loadTimeoutMs: 1_000 } });
    expect(hand.calls[0]!.signal.reason).toMatchObject({ code: 'PLIMSOLL_LOAD_TIMEOUT' });
    hand.calls[0]!.fail(new Error('aborted'));
    await turn();
    expect(table.stats).toMatchObject({ loadFailures: 1, loadMs: 1_000, loadsUnderWay: 0 });
    const quick = load('a');
    hand.calls[1]!.answer('1');
    await quick;
    expect(clock.pending).toBe(0);
  });

  it('end when the table is disposed: who waits is told, loaders are aborted, twice is safe', async () => {
    const { load, hand, table, stored } = open();
    const asked = [outcome(load('a')), outcome(load('b', new AbortController().signal))];
    table[Symbol.dispose]();
    table[Symbol.dispose]();
    for (const each of asked) expect(await each).toMatchObject({ cause: { code: 'PLIMSOLL_DISPOSED' } });
    expect(hand.calls.every(({ signal }) => signal.aborted)).toBe(true);
    await expect(load('c')).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
    hand.calls[0]!.answer('1');
    hand.calls[1]!.fail(new Error('aborted'));
    await turn();
    expect(stored.size).toBe(0);
  });

  it('in the background never fail anybody, and share with who comes', async () => {
    const { load, hand, table, stored } = open({ maxLoads: 1 });
    const refresh = (staleValue: string) =>
      table.refresh({ key: 'a', loader: hand.loader, staleValue, store: (value) => void stored.set('a', value) });
    refresh('old');
    refresh('old');
    expect(hand.calls).toHaveLength(1);
    const going = new AbortController();
    const asked = outcome(load('a', going.signal));
    going.abort('enough');
    await asked;
    expect(hand.calls[0]!.signal.aborted).toBe(false);
    hand.calls[0]!.fail(new Error('down'));
    await turn();
    expect(table.stats).toMatchObject({ refreshes: 1, refreshFailures: 1, loadFailures: 1 });
    refresh('old');
    hand.calls[1]!.answer('new');
    await turn();
    expect(stored.get('a')).toBe('new');
  });

  it('of `undefined` are handed out and not stored', async () => {
    const { load, stored } = open();
    expect(await load('a', undefined, () => undefined as unknown as string)).toBeUndefined();
    expect(stored.size).toBe(0);
  });

  it('hold under random interleavings: everybody gets an answer once, nothing out of date is stored, the bound holds', async () => {
    const key = fc.constantFrom('a', 'b', 'c');
    const pick = fc.nat(1_000);
    const action = fc.oneof(
      fc.record({ do: fc.constant('load' as const), key, pick }),
      fc.record({ do: fc.constant('load with signal' as const), key, pick }),
      fc.record({ do: fc.constant('abort' as const), key, pick }),
      fc.record({ do: fc.constant('answer' as const), key, pick }),
      fc.record({ do: fc.constant('fail' as const), key, pick }),
      fc.record({ do: fc.constant('set' as const), key, pick }),
      fc.record({ do: fc.constant('delete' as const), key, pick }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 40 }), async (actions) => {
        const { load, hand, table, stored, change } = open({ maxLoads: 4 });
        const newest = new Map<string, number>();
        const begun: number[] = [];
        const open_ = new Set<number>();
        const signals: AbortController[] = [];
        const asked: Promise<unknown>[] = [];
        let time = 0;
        const note = () => {
          for (let i = begun.length; i < hand.calls.length; i++) {
            begun.push(time);
            open_.add(i);
          }
        };
        for (const { do: what, key: name, pick: number } of actions) {
          time++;
          if (what === 'load' || what === 'load with signal') {
            const abort = what === 'load' ? undefined : new AbortController();
            if (abort !== undefined) signals.push(abort);
            asked.push(outcome(load(name, abort?.signal)));
            note();
          } else if (what === 'abort') signals[number % Math.max(1, signals.length)]?.abort(`reason ${time}`);
          else if (what === 'answer' || what === 'fail') {
            const call = [...open_][number % Math.max(1, open_.size)];
            if (call === undefined) continue;
            open_.delete(call);
            // A value bears the time at which its load began.
            if (what === 'answer') hand.calls[call]!.answer(String(begun[call]));
            else hand.calls[call]!.fail(new Error('down'));
            await turn();
          } else {
            newest.set(name, time);
            change(name, what === 'set' ? String(time) : undefined);
          }
          expect(table.stats.loadsUnderWay).toBe(open_.size);
          expect(open_.size).toBeLessThanOrEqual(4);
          for (const [at, value] of stored) expect(Number(value)).toBeGreaterThanOrEqual(newest.get(at) ?? 0);
        }
        for (const call of open_) hand.calls[call]!.answer(String(begun[call]));
        await Promise.all(asked);
        expect(table.size).toBe(0);
        expect(table.stats.loadsUnderWay).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});
