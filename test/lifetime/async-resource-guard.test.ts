import { cleanupFailedEvents, LeakTracker, ManualClock } from 'plimsoll';
import { AsyncResourceGuard } from 'plimsoll/lifetime';
import { describe, expect, it, vi } from 'vitest';
import { byHand, settle } from './settle.ts';

describe('a guard', () => {
  it('disposes of its resource at the end of `await using`, once', async () => {
    const dispose = vi.fn(async () => {});
    {
      await using guard = new AsyncResourceGuard('it', dispose);
      expect(guard.value).toBe('it');
      expect(dispose).not.toHaveBeenCalled();
      await guard.release();
    }
    expect(dispose.mock.calls).toEqual([['it']]);
  });

  it('has one disposal, which all who ask for it share, also from within the disposer', async () => {
    const end = byHand();
    const dispose = vi.fn(() => {
      expect(guard.owns).toBe(false);
      inner = guard.release();
      return end.promise;
    });
    const guard = new AsyncResourceGuard(1, dispose);
    let inner: Promise<void> | undefined;
    const all = [guard.release(), guard.release(), guard[Symbol.asyncDispose]()];
    expect(all[1]).toBe(all[0]);
    expect(all[2]).toBe(all[0]);
    expect(inner).toBe(all[0]);
    end.resolve();
    await Promise.all(all);
    expect(dispose).toHaveBeenCalledTimes(1);
    expect(() => guard.value).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DISPOSED' }));
  });

  it('hands its resource back, and never disposes of it then', async () => {
    const dispose = vi.fn();
    const resource = {};
    {
      await using guard = new AsyncResourceGuard(resource, dispose);
      expect(guard.take()).toBe(resource);
      expect(guard.owns).toBe(false);
      expect(() => guard.take()).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DISPOSED' }));
      await guard.release();
    }
    expect(dispose).not.toHaveBeenCalled();
  });

  it.each([
    ['throws', () => fail()],
    ['rejects', () => Promise.reject(new Error('no'))],
  ])('says with a code that the disposer %s, and does not call it again', async (_, act) => {
    const events: unknown[] = [];
    using _heard = cleanupFailedEvents.subscribe((event) => events.push(event));
    const dispose = vi.fn(act);
    const guard = new AsyncResourceGuard(1, dispose, { name: 'the file' });
    for (let i = 0; i < 2; i++) {
      await expect(guard.release()).rejects.toMatchObject({
        code: 'PLIMSOLL_CLEANUP_FAILED',
        resource: 'the file',
        cause: { message: 'no' },
        message: 'Cleaning up the file failed: no',
      });
    }
    expect(dispose).toHaveBeenCalledTimes(1);
    expect(events).toMatchObject([{ resource: 'the file' }]);
  });

  it('says with a code that the disposer hangs (no timeout)', async () => {
    const clock = new ManualClock();
    const end = byHand();
    const guard = new AsyncResourceGuard(1, () => end.promise, { timeoutMs: 500, clock });
    const released = guard.release();
    released.catch(() => {});
    clock.advance(500);
    await expect(released).rejects.toMatchObject({ code: 'PLIMSOLL_CLEANUP_TIMEOUT', timeoutMs: 500 });
    end.reject(new Error('later'));
    await settle();
    expect(clock.pending).toBe(0);
  });

  it('leaves no timer behind, and waits for a thenable once', async () => {
    const clock = new ManualClock();
    const then = vi.fn((resolve: () => void) => resolve());
    await new AsyncResourceGuard(1, () => Object.defineProperty({}, 'then', { value: then }), { clock }).release();
    expect(then).toHaveBeenCalledTimes(1);
    expect(clock.pending).toBe(0);
  });

  it('is followed by a leak tracker until it is disposed of or taken', async () => {
    const leakTracker = new LeakTracker({ level: 'paranoid' });
    const guards = [1, 2].map((value) => new AsyncResourceGuard(value, () => {}, { leakTracker }));
    expect(leakTracker.stats.open).toBe(2);
    await guards[0]!.release();
    guards[1]!.take();
    expect(leakTracker.stats).toMatchObject({ open: 0, sampled: 2 });
  });

  it('tells its leak tracker of no use where its value is taken: that walks a stack for nothing', () => {
    const [touch, close] = [vi.fn(), vi.fn()];
    const leakTracker = { track: () => ({ touch, close }) } as unknown as LeakTracker;
    new AsyncResourceGuard(1, () => {}, { leakTracker }).take();
    expect(touch).not.toHaveBeenCalled();
    expect(close).toHaveBeenCalledTimes(1);
  });

  it('says what is wrong with an option', () => {
    expect(() => new AsyncResourceGuard(1, undefined as never)).toThrow('`dispose`');
    expect(() => new AsyncResourceGuard(1, () => {}, { timeoutMs: 0 })).toThrow('`timeoutMs`');
    expect(() => new AsyncResourceGuard(1, () => {}, { leakTracker: {} as never })).toThrow('`leakTracker`');
    expect(() => new AsyncResourceGuard(1, () => {}, { nam: 'x' } as never)).toThrow('did you mean `name`?');
  });
});

function fail(): never {
  throw new Error('no');
}
