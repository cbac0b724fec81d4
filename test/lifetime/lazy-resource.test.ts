import fc from 'fast-check';
import { LeakTracker, ManualClock } from 'plimsoll';
import { type LazyOptions, LazyResource, type LazyUse } from 'plimsoll/lifetime';
import { describe, expect, it, vi } from 'vitest';
import { byHand, settle } from './settle.ts';

function open(options: Partial<LazyOptions<string>> = {}) {
  const clock = new ManualClock();
  let count = 0;
  const load = vi.fn(async () => `value ${++count}`);
  const disposed: string[] = [];
  const dispose = (value: string) => void disposed.push(value);
  const lazy = new LazyResource<string>({ name: 'model', load, dispose, clock, ...options });
  return { clock, load, lazy, disposed };
}

describe('a lazy resource', () => {
  it('loads once, whatever the concurrency (it reloaded at every call)', async () => {
    const { lazy, load } = open();
    expect(lazy.peek()).toBeUndefined();
    expect(load).not.toHaveBeenCalled();
    const values = await Promise.all(Array.from({ length: 100 }, () => lazy.get()));
    expect(new Set(values)).toEqual(new Set(['value 1']));
    for (let i = 0; i < 10; i++) await lazy.use((value) => expect(value).toBe('value 1'));
    expect(load).toHaveBeenCalledTimes(1);
    expect(lazy.stats).toMatchObject({ loaded: true, loading: false, loads: 1, users: 0 });
  });

  it('can be asked for by its own loader without loading twice', async () => {
    let inner: Promise<string> | undefined;
    const load = vi.fn(async () => {
      inner = lazy.get();
      return 'it';
    });
    const lazy = new LazyResource({ load });
    expect(await lazy.get()).toBe('it');
    expect(await inner).toBe('it');
    expect(load).toHaveBeenCalledTimes(1);
  });

  it('is everybody’s failure when a load fails, and the next one to ask tries again', async () => {
    const load = vi.fn(async () => 'it').mockRejectedValueOnce(new Error('no'));
    const { lazy } = open({ load });
    const both = await Promise.allSettled([lazy.get(), lazy.get()]);
    expect(both.map((one) => (one as PromiseRejectedResult).reason.message)).toEqual(['no', 'no']);
    expect(await lazy.get()).toBe('it');
    expect(lazy.stats).toMatchObject({ loads: 2, loadFailures: 1 });
    const throws = new LazyResource({
      load: () => {
        throw new Error('at once');
      },
    });
    await expect(throws.get()).rejects.toThrow('at once');
  });

  it('waits longer before each further attempt, when it is told to', async () => {
    const load = vi.fn(async (): Promise<string> => Promise.reject(new Error('no')));
    const { clock, lazy } = open({ load, backOffMs: 100, maxBackOffMs: 150 });
    await expect(lazy.get()).rejects.toThrow('no');
    await expect(lazy.get()).rejects.toMatchObject({
      code: 'PLIMSOLL_LOAD_BACKING_OFF',
      recovery: 'circuit-break',
      retryInMs: 100,
      cause: { message: 'no' },
    });
    clock.advance(100);
    await expect(lazy.get()).rejects.toThrow('no');
    clock.advance(149);
    await expect(lazy.get()).rejects.toMatchObject({ retryInMs: 1 });
    clock.advance(1);
    load.mockResolvedValueOnce('it');
    expect(await lazy.get()).toBe('it');
    expect(load).toHaveBeenCalledTimes(3);
  });

  it('serves the old value until the new one is there, and disposes of it when its users have let go', async () => {
    const loads = [byHand<string>(), byHand<string>()];
    const load = vi.fn(() => loads[load.mock.calls.length - 1]!.promise);
    const { lazy, disposed } = open({ load });
    loads[0]!.resolve('old');
    const use = await lazy.acquire();
    const refreshed = lazy.refresh();
    const again = lazy.refresh();
    expect(await lazy.get()).toBe('old');
    loads[1]!.resolve('new');
    expect(await refreshed).toBe('new');
    expect(await again).toBe('new');
    expect(lazy.peek()).toBe('new');
    expect(use.value).toBe('old');
    expect(disposed).toEqual([]);
    use[Symbol.dispose]();
    use[Symbol.dispose]();
    expect(disposed).toEqual(['old']);
    expect(() => use.value).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DISPOSED' }));
    expect(load).toHaveBeenCalledTimes(2);
  });

  it('keeps the old value when a refresh fails', async () => {
    const { lazy, load, disposed } = open();
    await lazy.get();
    load.mockRejectedValueOnce(new Error('no'));
    await expect(lazy.refresh()).rejects.toThrow('no');
    expect(await lazy.get()).toBe('value 1');
    expect(disposed).toEqual([]);
  });

  it('lets each end its own wait; the last one ends the load, and what it still brings is disposed of', async () => {
    const end = byHand<string>();
    let signal: AbortSignal | undefined;
    const load = vi.fn((given: AbortSignal) => {
      signal = given;
      return end.promise;
    });
    const { lazy, disposed } = open({ load });
    const [a, b] = [new AbortController(), new AbortController()];
    const waits = [lazy.get({ signal: a.signal }), lazy.acquire({ signal: b.signal })];
    await settle();
    a.abort(new Error('a left'));
    await expect(waits[0]).rejects.toThrow('a left');
    expect(signal!.aborted).toBe(false);
    b.abort(new Error('b left'));
    await expect(waits[1]).rejects.toThrow('b left');
    expect(signal!.aborted).toBe(true);
    load.mockResolvedValueOnce('second');
    expect(await lazy.get()).toBe('second');
    end.resolve('too late');
    await settle();
    expect(disposed).toEqual(['too late']);
    expect(lazy.peek()).toBe('second');
    await expect(lazy.get({ signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before');
    await expect(lazy.get({ signal: new AbortController() as never })).rejects.toThrow('to be an AbortSignal');
  });

  it('waits at its end for a load that everybody has left, too', async () => {
    const { promise, resolve } = byHand<string>();
    const { lazy, disposed } = open({ load: () => promise });
    const abort = new AbortController();
    const left = lazy.get({ signal: abort.signal });
    await settle();
    abort.abort(new Error('too slow'));
    await expect(left).rejects.toThrow('too slow');
    let isOver = false;
    const ended = lazy[Symbol.asyncDispose]().then(() => {
      isOver = true;
    });
    await settle();
    expect(isOver).toBe(false);
    resolve('late');
    await ended;
    expect(disposed).toEqual(['late']);
  });

  it('does not pile up loads that do not end when they are told to', async () => {
    const load = vi.fn(() => new Promise<string>(() => {}));
    const { lazy } = open({ load });
    for (let i = 0; i < 50; i++) {
      const abort = new AbortController();
      const left = lazy.get({ signal: abort.signal });
      await settle();
      abort.abort(new Error('too slow'));
      await expect(left).rejects.toThrow('too slow');
    }
    expect(load.mock.calls.length).toBeLessThan(10);
  });

  it('keeps nothing of those who have left a load that hangs, however many', async () => {
    const { lazy } = open({ load: () => new Promise<string>(() => {}) });
    const reasons: WeakRef<Error>[] = [];
    const waitAndLeave = async () => {
      const abort = new AbortController();
      const reason = new Error('left');
      reasons.push(new WeakRef(reason));
      const left = lazy.get({ signal: abort.signal });
      abort.abort(reason);
      await left.catch(() => {});
    };
    for (let i = 0; i < 40; i++) await waitAndLeave();
    // The first few ended their loads, with their reason; the others have left the one that goes on.
    const kept = () => reasons.slice(10).filter((reason) => reason.deref() !== undefined).length;
    for (let i = 0; i < 100 && kept() > 1; i++) {
      // Whatever was looked at stays until its turn is over.
      await new Promise((resolve) => setImmediate(resolve));
      globalThis.gc!();
    }
    expect(lazy.stats.loading).toBe(true);
    expect(kept()).toBeLessThanOrEqual(1);
  });

  it('does not dispose of a value between its arrival and the one who waited for it', async () => {
    const end = byHand<string>();
    const { lazy, disposed } = open({ load: () => end.promise });
    const waiting = lazy.acquire();
    await settle();
    end.resolve('it');
    // In the very turns in which the value comes in.
    for (let i = 0; i < 6; i++) {
      lazy.unload();
      await Promise.resolve();
    }
    using use = await waiting;
    expect(use.value).toBe('it');
    expect(disposed).toEqual([]);
  });

  it('is unloaded when it was not used for long, and loaded anew then', async () => {
    const { clock, lazy, disposed } = open({ idleMs: 1_000 });
    await lazy.get();
    clock.advance(900);
    await lazy.get();
    clock.advance(900);
    expect(lazy.peek()).toBe('value 1');
    const use = await lazy.acquire();
    clock.advance(10_000);
    expect(use.value).toBe('value 1');
    use[Symbol.dispose]();
    clock.advance(999);
    expect(disposed).toEqual([]);
    clock.advance(1);
    expect(disposed).toEqual(['value 1']);
    expect(clock.pending).toBe(0);
    expect(await lazy.get()).toBe('value 2');
  });

  it('waits at its end for a load under way and disposes of what it brings; who waited is told at once', async () => {
    const end = byHand<string>();
    const { lazy, disposed, clock } = open({ load: () => end.promise });
    const waiting = lazy.get();
    waiting.catch(() => {});
    await settle();
    const ended = lazy[Symbol.asyncDispose]();
    await expect(waiting).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
    end.resolve('late');
    await ended;
    expect(disposed).toEqual(['late']);
    await expect(lazy.get()).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
    await expect(lazy.refresh()).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
    expect(lazy[Symbol.asyncDispose]()).toBe(ended);
    expect(clock.pending).toBe(0);
  });

  it('ends in time when the load, the disposer or a user does not', async () => {
    for (const options of [
      { load: () => new Promise<string>(() => {}) },
      { dispose: () => new Promise(() => {}) },
      {},
    ]) {
      const { lazy, clock } = open({ disposeTimeoutMs: 1_000, ...options });
      void lazy.acquire().catch(() => {});
      await settle();
      const ended = lazy[Symbol.asyncDispose]();
      ended.catch(() => {});
      await settle();
      clock.advance(1_000);
      await expect(ended).rejects.toMatchObject({ code: 'PLIMSOLL_CLEANUP_TIMEOUT' });
    }
  });

  it('tells of a disposer that fails where nobody waits for it', async () => {
    const failures: Error[] = [];
    const onCleanupFailed = (error: Error) => {
      failures.push(error);
      throw error;
    };
    const { lazy } = open({ dispose: () => Promise.reject(new Error('no')), onCleanupFailed });
    await lazy.get();
    lazy.unload();
    await settle();
    expect(failures).toMatchObject([{ code: 'PLIMSOLL_CLEANUP_FAILED' }]);
    expect(lazy.stats).toMatchObject({ disposals: 1, disposeFailures: 1, loaded: false });
  });

  it('is followed by a leak tracker while it is in use', async () => {
    const leakTracker = new LeakTracker({ level: 'paranoid' });
    const { lazy } = open({ leakTracker });
    const use = await lazy.acquire();
    expect(leakTracker.stats.open).toBe(1);
    use[Symbol.dispose]();
    expect(leakTracker.stats.open).toBe(0);
  });

  it('says what is wrong with an option', () => {
    expect(() => new LazyResource({} as never)).toThrow('`load`');
    expect(() => open({ idleMs: -1 })).toThrow('`idleMs`');
    expect(() => open({ dispose: 1 as never })).toThrow('`dispose`');
    expect(() => open({ idle: 1 } as never)).toThrow('`idle`');
    expect(() => open({ leakTracker: {} as never })).toThrow('`leakTracker`');
  });
});

describe('a lazy resource under any interleaving', () => {
  it('disposes of each value once, never of one in use, and of all in the end; one load at a time', async () => {
    const verbs = ['get', 'acquire', 'let go', 'refresh', 'unload', 'time', 'abort', 'good', 'bad', 'settle'] as const;
    const aStep = fc.tuple(fc.constantFrom(...verbs), fc.nat(100));
    await fc.assert(
      fc.asyncProperty(fc.array(aStep, { maxLength: 60 }), async (steps) => {
        const clock = new ManualClock();
        const loads: ReturnType<typeof byHand<{ id: number }>>[] = [];
        const values: { id: number; disposed: number; users: number }[] = [];
        const uses: LazyUse<{ id: number }>[] = [];
        const aborts: AbortController[] = [];
        let loading = 0;
        const lazy = new LazyResource<{ id: number }>({
          clock,
          idleMs: 50,
          load: (signal) => {
            expect(++loading).toBe(1);
            const hand = byHand<{ id: number }>();
            loads.push(hand);
            // An aborted load is another's by now.
            const ended = () => void loading--;
            signal.addEventListener('abort', ended, { once: true });
            hand.promise.then(
              () => signal.aborted || ended(),
              () => signal.aborted || ended(),
            );
            return hand.promise;
          },
          dispose: ({ id }) => {
            expect(++values[id]!.disposed).toBe(1);
            expect(values[id]!.users, 'in use').toBe(0);
          },
        });
        const end = (good: boolean, at: number) => {
          const [hand] = loads.splice(at % Math.max(1, loads.length), 1);
          if (!good || hand === undefined) return hand?.reject(new Error('bad'));
          values.push({ id: values.length, disposed: 0, users: 0 });
          hand.resolve({ id: values.length - 1 });
        };
        const wait = () => {
          const abort = new AbortController();
          aborts.push(abort);
          return { signal: abort.signal };
        };
        const keep = (use: LazyUse<{ id: number }>) => {
          uses.push(use);
          expect(values[use.value.id]!.disposed).toBe(0);
          values[use.value.id]!.users++;
        };
        const letGo = (use: LazyUse<{ id: number }> | undefined) => {
          if (use !== undefined) values[use.value.id]!.users--;
          use?.[Symbol.dispose]();
        };
        for (const [verb, a] of steps) {
          if (verb === 'get') lazy.get(wait()).catch(() => {});
          else if (verb === 'acquire') lazy.acquire(wait()).then(keep, () => {});
          else if (verb === 'let go') letGo(uses.splice(a % Math.max(1, uses.length), 1)[0]);
          else if (verb === 'refresh') lazy.refresh(wait()).catch(() => {});
          else if (verb === 'unload') lazy.unload();
          else if (verb === 'time') clock.advance(a);
          else if (verb === 'abort') aborts.splice(a % Math.max(1, aborts.length), 1)[0]?.abort();
          else if (verb === 'settle') await settle(a % 12);
          else end(verb === 'good', a);
        }
        await settle();
        const ended = lazy[Symbol.asyncDispose]();
        for (const use of uses.splice(0)) letGo(use);
        while (loads.length > 0) end(true, 0);
        await settle();
        for (const use of uses.splice(0)) letGo(use);
        await ended;
        expect(values.filter(({ disposed }) => disposed !== 1)).toEqual([]);
        expect(clock.pending).toBe(0);
      }),
      { numRuns: 500 },
    );
  });
});
