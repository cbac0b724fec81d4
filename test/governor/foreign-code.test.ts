/** Callbacks that are `async`, and objects whose very looks run code: what fails there is a fault in the snapshot and ends nothing. */
import { type FaultEvent, faultEvents, type Reclaimer, reclaimEvents } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { FakeMeter, MIB, setUp } from './fake-meter.ts';

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

const failing = async (): Promise<never> => {
  throw new Error('later');
};

const thenable = Object.defineProperty({}, 'then', {
  get() {
    throw new Error('not even that');
  },
});

describe('a promise that rejects', () => {
  it.each([
    ['a promise', failing, 'later'],
    ['something with a `then`', () => thenable, 'not even that'],
  ])('of a level listener, given as %s, is noted', async (_, listener, message) => {
    const { governor, rss } = setUp();
    governor.onLevel(listener as () => void);
    rss.bytes = 60 * MIB;
    governor.sample();
    await settle();
    expect(governor.snapshot().faults).toEqual([{ part: 'level listener', message, count: 1, off: false }]);
  });

  it.each(['reclaimableBytes', 'reclaimNow'] as const)('of `%s` is noted', async (verb) => {
    const { governor } = setUp();
    const faults: FaultEvent[] = [];
    using _ = faultEvents.subscribe((fault) => faults.push(fault));
    const reclaimer = { reclaimableBytes: () => MIB, reclaimNow: () => 0, [verb]: failing } as unknown as Reclaimer;
    const options = { name: 'cache', kind: 'heap', maxBytes: Number.POSITIVE_INFINITY } as const;
    governor.consumer({ ...options, reclaimer }).reserve(94 * MIB);
    expect(governor.consumer({ ...options, name: 'needy' }).tryReserve(7 * MIB)).toBeUndefined();
    await settle();
    expect(faults).toContainEqual({ part: 'reclaimer of cache', message: 'later', off: false });
  });

  it('of a meter, or of `collect`, is noted', async () => {
    const rss = new FakeMeter('rss');
    const heap = Object.assign(new FakeMeter('heap'), { read: failing }) as unknown as FakeMeter;
    const { governor } = setUp({ meters: [rss, heap], collect: failing, sampleEveryBytes: 1 });
    rss.bytes = 99 * MIB;
    governor.consumer({ name: 'feed', kind: 'heap', maxBytes: MIB }).tryReserve(10);
    await settle();
    const { faults } = governor.snapshot();
    for (const part of ['meter heap', 'collect']) {
      expect(faults.find((fault) => fault.part === part)).toMatchObject({ message: 'later' });
    }
  });
});

describe('a reclaimer', () => {
  it.each(['reclaimNow', 'reclaim'] as const)('whose `%s` throws when looked at is passed over', async (verb) => {
    const { governor, clock } = setUp();
    const reclaimer = {
      reclaimableBytes: () => MIB,
      get [verb](): never {
        throw new Error('do not look');
      },
    } as unknown as Reclaimer;
    const options = { name: 'cache', kind: 'heap', maxBytes: Number.POSITIVE_INFINITY } as const;
    governor.consumer({ ...options, reclaimer }).reserve(94 * MIB);
    const needy = governor.consumer({ ...options, name: 'needy' });
    expect(needy.tryReserve(7 * MIB)).toBeUndefined();
    const admission = needy.admit(7 * MIB, { timeoutMs: 500 });
    clock.advance(500);
    await expect(admission).rejects.toThrow('waited 500ms');
    expect(governor.snapshot().faults).toMatchObject([{ part: 'reclaimer of cache', message: 'do not look' }]);
  });

  it.each([
    ['has no text', Object.create(null)],
    ['has a message that is none', Object.assign(new Error(), { message: Symbol('x') })],
  ])('that throws something that %s is contained', (_, thrown) => {
    const { governor } = setUp();
    const reclaimer: Reclaimer = {
      reclaimableBytes: () => MIB,
      reclaimNow() {
        throw thrown;
      },
    };
    const options = { name: 'cache', kind: 'heap', maxBytes: Number.POSITIVE_INFINITY } as const;
    governor.consumer({ ...options, reclaimer }).reserve(94 * MIB);
    using _events = reclaimEvents.subscribe(() => {});
    expect(governor.consumer({ ...options, name: 'needy' }).tryReserve(7 * MIB)).toBeUndefined();
    expect(governor.snapshot().faults).toMatchObject([{ part: 'reclaimer of cache', count: 1 }]);
  });
});
