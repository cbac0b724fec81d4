import type { Governor } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { leavesNothing, refuseNth } from './refuse-nth.ts';

/** Holds in every way there is, and lets go whatever happens. */
function tidy(governor: Governor): void {
  using parent = governor.consumer({ name: 'parent', kind: 'external', maxBytes: 10_000 });
  using child = governor.consumer({ name: 'child', kind: 'heap', maxBytes: 5_000, parent });
  using first = parent.reserve(100);
  using second = child.reserve(200);
  first.grow(50);
  second.resize(400);
  second.transfer(parent);
  second.shrink(300);
  for (let i = 0; i < 5; i++) {
    using each = child.tryReserve(100);
    each?.tryGrow(10);
  }
}

describe('a program that is refused at its Nth request', () => {
  it('lets go of everything, wherever that happens', async () => {
    let refused = 0;
    const requests = await refuseNth({
      limitBytes: 100_000,
      program: tidy,
      check: (outcome) => {
        leavesNothing(outcome);
        if (outcome.governor.snapshot().refusals > 0) refused++;
      },
    });
    expect(requests).toBe(14);
    expect(refused).toBe(14);
  });

  it('is found out when it does not', async () => {
    const leaky = (governor: Governor) => {
      const consumer = governor.consumer({ name: 'leaky', kind: 'heap', maxBytes: 1_000 });
      const first = consumer.reserve(10);
      consumer.reserve(20)[Symbol.dispose]();
      first[Symbol.dispose]();
    };
    await expect(refuseNth({ limitBytes: 1_000, program: leaky, check: leavesNothing })).rejects.toThrow(
      '10 bytes are still held',
    );
  });

  it('is found out when it has no end', async () => {
    const endless = refuseNth({ limitBytes: 1_000, program: tidy, check: () => {}, most: 3 });
    await expect(endless).rejects.toThrow('still asks for bytes after 3 requests');
  });
});
