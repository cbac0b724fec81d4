import type { Governor } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { leavesNothing, refuseNth } from './refuse-nth.ts';

/** A scope whose wait for what it declares is given up after some turns: no clock runs here. */
async function scoped(governor: Governor, name: string, maxBytes: number, work: () => Promise<void>): Promise<void> {
  const abort = new AbortController();
  let begun = false;
  const patience = async () => {
    for (let i = 0; i < 50; i++) await Promise.resolve();
    if (!begun) abort.abort(new Error('waited long enough'));
  };
  void patience();
  await governor.scope({ name, maxBytes, upFrontBytes: maxBytes / 10, signal: abort.signal }, async () => {
    begun = true;
    await work();
  });
}

/** Reserves in scopes in every way there is, and lets go whatever happens. */
async function tidy(governor: Governor): Promise<void> {
  using job = governor.consumer({ name: 'job', kind: 'heap', maxBytes: 5_000 });
  using cache = governor.consumer({ name: 'cache', kind: 'external', maxBytes: 5_000 });
  await scoped(governor, 'tenant', 2_000, async () => {
    using first = job.reserve(300);
    first.shrink(290);
    await scoped(governor, 'request', 1_000, async () => {
      using second = job.reserve(50);
      second.grow(100);
      using entry = job.reserve(20);
      entry.transfer(cache);
      await Promise.resolve();
      using third = job.tryReserve(10);
      third?.tryGrow(10);
    });
    first.resize(400);
  });
}

describe('work in scopes that is refused at its Nth request', () => {
  it('lets go of everything, wherever that happens: the pots too', async () => {
    let refused = 0;
    const requests = await refuseNth({
      limitBytes: 100_000,
      program: tidy,
      check: (outcome) => {
        const { message, code } = (outcome.error ?? {}) as { message?: string; code?: string };
        const gaveUp = message === 'waited long enough' || code === 'PLIMSOLL_HOLD_AND_WAIT';
        if (!gaveUp) leavesNothing(outcome);
        expect([outcome.nth, outcome.governor.heldBytes]).toEqual([outcome.nth, 0]);
        if (outcome.governor.snapshot().refusals > 0) refused++;
      },
    });
    // What the inner scope declares is paid by the pot of the outer one: for that the line needs no room.
    expect([requests, refused]).toEqual([9, 8]);
  });
});
