import { createGovernor, type Reclaimer, type Reservation } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { simulate } from '../simulation/simulate.ts';
import { settle } from '../simulation/virtual-clock.ts';
import { FakeMeter, MIB, setUp } from './fake-meter.ts';

const SEEDS = 50;

describe('a simulated process', () => {
  it(`keeps all invariants, whoever is in it: ${SEEDS} seeds, and 10,000 in \`npm run verify -- simulation\``, async () => {
    const failures: string[] = [];
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { failure } = await simulate(seed);
      if (failure !== undefined) {
        failures.push(`seed ${seed}, step ${failure.step}: ${failure.invariant}: ${failure.detail}`);
      }
    }
    expect(failures).toEqual([]);
  });

  it('is the same each time', async () => {
    const [first, second] = [await simulate(7, { verbose: true }), await simulate(7, { verbose: true })];
    expect(first.log.length).toBeGreaterThan(200);
    expect(second).toEqual(first);
  });
});

/** Each was found by a seed. */
describe('found by the simulation', () => {
  const whole = { kind: 'heap', maxBytes: Number.POSITIVE_INFINITY } as const;

  /** Two that can give back, the first asked first; `first` is what that one does. */
  function two(first: (second: { readonly asked: number[] }) => void) {
    const { governor, clock } = setUp();
    const asked: number[] = [];
    const reclaimer = (reclaimNow: NonNullable<Reclaimer['reclaimNow']>) => ({
      reclaimableBytes: () => 50 * MIB,
      reclaimNow,
    });
    const one = governor.consumer({
      ...whole,
      name: 'one',
      importance: -1,
      reclaimer: reclaimer(() => {
        first({ asked });
        return 0;
      }),
    });
    const other = governor.consumer({
      ...whole,
      name: 'other',
      reclaimer: reclaimer(({ targetBytes }) => asked.push(targetBytes)),
    });
    const held: Reservation[] = [one.reserve(50 * MIB), other.reserve(50 * MIB)];
    return { governor, clock, other, asked, held, needy: governor.consumer({ ...whole, name: 'needy' }) };
  }

  it('who is disposed while another gives back is not asked any more', () => {
    const set = two(() => set.other[Symbol.dispose]());
    set.needy.tryReserve(60 * MIB);
    expect(set.asked).toEqual([]);
  });

  it('who begins a non-reclaimable section while another gives back is not asked either', () => {
    const set = two(() => void set.other.nonReclaimable());
    set.needy.tryReserve(60 * MIB);
    expect(set.asked).toEqual([]);
  });

  it('who is aborted while others give back for it does not wait', async () => {
    const abort = new AbortController();
    const set = two(() => abort.abort(new Error('enough')));
    const waiting = set.needy.admit(60 * MIB, { signal: abort.signal });
    waiting.catch(() => {});
    await settle();
    expect(set.governor.snapshot().waiting).toBe(0);
    await expect(waiting).rejects.toThrow('enough');
  });

  it.each(['itself', 'the one around it'])(
    'a scope that is aborted (%s) while room is made for what it declares leaves nothing',
    async (which) => {
      const { governor } = setUp();
      const abort = new AbortController();
      const reclaimer: Reclaimer = {
        reclaimableBytes: () => held.bytes,
        reclaimNow({ targetBytes }) {
          abort.abort(new Error('enough'));
          held.shrink(targetBytes);
          return targetBytes;
        },
      };
      const held = governor.consumer({ ...whole, name: 'cache', reclaimer }).reserve(94 * MIB);
      const inner = (options: { readonly signal?: AbortSignal }) =>
        governor.scope({ name: 'inner', maxBytes: 80 * MIB, upFrontBytes: 60 * MIB, ...options }, () => {});
      const { signal } = abort;
      const work =
        which === 'itself'
          ? inner({ signal })
          : governor.scope({ name: 'outer', maxBytes: 80 * MIB, signal }, () => inner({}));
      await expect(work).rejects.toThrow('enough');
      expect([governor.heldBytes, governor.snapshot().waiting]).toEqual([held.bytes, 0]);
    },
  );

  it('a meter that reads more than there can be is a fault, and the snapshot stays JSON', () => {
    const rss = new FakeMeter('rss');
    const governor = createGovernor({ limitBytes: MIB, runtimeBytes: 0, meters: [rss], mode: 'on', root: '/nowhere' });
    rss.bytes = Number.POSITIVE_INFINITY;
    governor.sample();
    const snapshot = governor.snapshot();
    expect(snapshot.faults).toMatchObject([{ part: 'meter rss' }]);
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot);
  });
});
