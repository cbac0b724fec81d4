import { describe, expect, it } from 'vitest';
import type { ReclaimStrategy } from '../../src/governor/contract.ts';
import type { Account } from '../../src/governor/ledger.ts';
import { Reclaimers } from '../../src/governor/reclaimers.ts';
import { type FakeHolder, setUpTrain } from './fake-memory.ts';
import { MIB } from './fake-meter.ts';

const SCRATCH_BYTES = 65_536;

function setUp() {
  const world = setUpTrain();
  const call = (targetBytes: number) => ({
    requester: undefined,
    branch: world.ledger.whole,
    targetBytes,
    level: 'high' as const,
  });
  return { ...world, call };
}

describe('the order', () => {
  it('is importance, then the price of the kind for the meter that decides, then size', () => {
    const { reclaimers, holder, call } = setUp();
    holder('precious', 90 * MIB, { importance: 1 });
    holder('small', 10 * MIB);
    holder('large', 20 * MIB);
    holder('objects', 5 * MIB, { kind: 'heap' });
    const order = (meter: 'ledger' | 'heap' | 'rss') =>
      reclaimers.offers({ ...call(1), meter }).map(({ account }) => account.name);
    expect(order('ledger')).toEqual(['large', 'small', 'objects', 'precious']);
    // V8's heap sees nothing of buffers: they cost the more for it.
    expect(order('heap')).toEqual(['objects', 'large', 'small', 'precious']);
    expect(order('rss')).toEqual(['large', 'small', 'objects', 'precious']);
  });

  it('weighs what is claimed by what the meter saw of that kind before', () => {
    const { reclaimers, holder, call, prices } = setUp();
    holder('files', 100 * MIB, { kind: 'mapped' });
    holder('buffers', 50 * MIB);
    const first = () => reclaimers.offers({ ...call(1), meter: 'cgroup' })[0]!.account.name;
    expect(first()).toBe('files');
    // Mapped files that nobody's meter sees go down, however much they say they gave.
    for (let i = 0; i < 20; i++) {
      prices.noteReclaim('mapped', 100 * MIB, 1);
      for (const step of ['reclaim', 'full', 'trim'] as const) {
        prices.noteStep('cgroup', step, 0, 1, { measuredBytes: 500 * MIB });
      }
    }
    expect(first()).toBe('buffers');
  });

  it('does not waver with what is learned: a price counts by powers of four', () => {
    const { reclaimers, holder, call, prices } = setUp();
    holder('large', 20 * MIB);
    holder('small', 10 * MIB, { kind: 'wasm' });
    const first = () => reclaimers.offers(call(1))[0]!.account.name;
    prices.noteReclaim('external', 100 * MIB, 15);
    expect(prices.msPerByte('ledger', 'external', true)).toBeGreaterThan(prices.msPerByte('ledger', 'wasm', true));
    expect(first()).toBe('large');
    for (let i = 0; i < 20; i++) prices.noteReclaim('external', 100 * MIB, 1_000);
    expect(first()).toBe('small');
  });

  it('puts those over their fair share first, whatever their importance', () => {
    const { ledger, clock, faults, holder, call } = setUp();
    let over = (account: Account) => (account.name === 'greedy' ? 5 : 0);
    const reclaimers = new Reclaimers({
      ledger,
      clock,
      faults,
      reclaimNowBudgetMs: 5,
      reclaimDeadlineMs: 2_000,
      overShareBytes: (account) => over(account),
    });
    const modest = holder('modest', 50 * MIB, { fairShare: true });
    const greedy = holder('greedy', 20 * MIB, { fairShare: true, importance: 9 });
    reclaimers.reclaimNow(call(10 * MIB));
    expect([greedy.heldBytes, modest.heldBytes]).toEqual([10 * MIB, 50 * MIB]);
    over = () => {
      throw new Error('no shares today');
    };
    reclaimers.reclaimNow(call(10 * MIB));
    expect([greedy.heldBytes, modest.heldBytes]).toEqual([10 * MIB, 40 * MIB]);
    expect(faults.rows()[0]).toMatchObject({ part: 'fair shares', message: 'no shares today' });
  });
});

describe('what is asked', () => {
  it.each(['basic', 'aggressive', 'smart'] as const)(
    'is the strategy %s when one is given',
    (strategy: ReclaimStrategy) => {
      const { reclaimers, holder, call } = setUp();
      const cache = holder('cache', 10 * MIB);
      reclaimers.reclaimNow({ ...call(MIB), strategy });
      expect(cache.requests).toEqual([{ targetBytes: MIB, level: 'high', strategy }]);
    },
  );

  it('is all that each has where everything is wanted, and no kind that is spared', () => {
    const { reclaimers, holder, call } = setUp();
    const [one, two] = [holder('one', 10 * MIB), holder('two', 20 * MIB)];
    const files = holder('files', 20 * MIB, { kind: 'mapped' });
    reclaimers.reclaimNow({ ...call(MIB), everything: true, spares: (kind) => kind === 'mapped' });
    expect([one.heldBytes, two.heldBytes, files.heldBytes]).toEqual([0, 0, 20 * MIB]);
  });

  it('ends when whoever hears of it has had enough', () => {
    const { reclaimers, holder, call } = setUp();
    for (let i = 0; i < 5; i++) holder(`holder ${i}`, MIB);
    const heard: string[] = [];
    const onAsked = ({ consumer }: { consumer: string }) => heard.push(consumer) === 2;
    expect(reclaimers.reclaimNow({ ...call(5 * MIB), onAsked })).toBe(2 * MIB);
    expect(heard).toEqual(['holder 0', 'holder 1']);
  });

  it('is nothing of who began a section, or was ended, while another was asked', () => {
    const { reclaimers, holder, call, ledger } = setUp();
    const first = holder('first', 30 * MIB);
    const [busy, gone] = [holder('busy', 20 * MIB), holder('gone', 10 * MIB)];
    first.reclaimNow = () => {
      busy.account.sections++;
      ledger.close(gone.account);
      return 0;
    };
    reclaimers.reclaimNow(call(60 * MIB));
    expect([busy.requests.length, gone.requests.length]).toEqual([0, 0]);
  });

  it('with waiting, too, is nothing of who was ended while another was asked', async () => {
    const { reclaimers, holder, call, ledger } = setUp();
    const [first, gone] = [holder('first', 30 * MIB), holder('gone', 10 * MIB)];
    let asked = 0;
    Object.assign(first, { reclaimNow: undefined, reclaim: async () => ledger.close(gone.account) });
    Object.assign(gone, { reclaimNow: undefined, reclaim: async () => asked++ });
    await reclaimers.reclaim(call(60 * MIB));
    expect(asked).toBe(0);
  });
});

describe('known faults of other engines', () => {
  const futile = (one: FakeHolder, spend: () => void = () => {}) => {
    let calls = 0;
    one.reclaimNow = (request) => {
      calls++;
      spend();
      return request.targetBytes;
    };
    return () => calls;
  };

  it('an evictor is not stuck on a victim that frees nothing', () => {
    const { reclaimers, holder, call, clock } = setUp();
    // First in the order by everything there is, takes all of the time, and boasts.
    const victim = holder('victim', 500 * MIB, { importance: -9 });
    const calls = futile(victim, () => clock.advance(6));
    const others = [holder('other', 20 * MIB), holder('another', 10 * MIB)];
    let released = 0;
    for (let i = 0; i < 20; i++) released += reclaimers.reclaimNow(call(MIB));
    // The first call was lost on it; it was passed over while it backed off, and looked at again now and then.
    expect(released).toBeGreaterThanOrEqual(15 * MIB);
    expect(calls()).toBeLessThanOrEqual(5);
    expect(others[0]!.heldBytes).toBeLessThan(20 * MIB);
    // Once it can give, it is the first again, five seconds later at most.
    victim.reclaimNow = (request) => victim.release(request.targetBytes);
    clock.advance(5_000);
    const before = victim.heldBytes;
    expect(reclaimers.reclaimNow(call(MIB))).toBe(MIB);
    expect(before - victim.heldBytes).toBe(MIB);
    expect(reclaimers.reclaimNow(call(MIB))).toBe(MIB);
    expect(before - victim.heldBytes).toBe(2 * MIB);
  });

  it('a back-off ends also when the clock went back', () => {
    const { reclaimers, holder, call, clock } = setUp();
    const calls = futile(holder('victim', MIB));
    const now = clock.now.bind(clock);
    reclaimers.reclaimNow(call(MIB));
    clock.now = () => now() - 3_600_000;
    reclaimers.reclaimNow(call(MIB));
    expect(calls()).toBe(2);
  });

  it('a reclaimer that allocates does not deadlock', async () => {
    const { reclaimers, holder, call, clock, train, faults } = setUp();
    const greedy = holder('greedy', 50 * MIB);
    const inner: number[] = [];
    // At once: what it wants back from others meanwhile is not looked for.
    greedy.reclaimNow = (request) => {
      inner.push(reclaimers.reclaimNow(call(10 * MIB)), greedy.account.reclaiming);
      return greedy.release(request.targetBytes);
    };
    expect(reclaimers.reclaimNow(call(10 * MIB))).toBe(10 * MIB);
    expect(inner).toEqual([0, 1]);
    // With waiting: for another round, another train, and memory to work in. That it has already.
    Object.assign(greedy, {
      reclaimNow: undefined,
      async reclaim({ targetBytes }: { targetBytes: number }, { scratch }: { scratch: Uint8Array }) {
        inner.push(scratch.length, await reclaimers.reclaim(call(10 * MIB)));
        return greedy.release(targetBytes);
      },
    });
    expect(await reclaimers.reclaim(call(10 * MIB))).toBe(10 * MIB);
    expect(inner.slice(2)).toEqual([SCRATCH_BYTES, 0]);
    // Waiting for the very train that waits for it: its time runs out, and that of nobody else.
    const patient = holder('patient', 5 * MIB);
    const order = {
      why: 'pressure',
      targetBytes: 20 * MIB,
      level: 'high',
      strategy: 'basic',
      meter: 'ledger',
    } as const;
    let seen = 0;
    greedy.account.reclaims!.backOffs.reclaimNow.retryAt = Number.NEGATIVE_INFINITY;
    Object.assign(greedy, { reclaim: async () => (seen = (await train.run(order)).releasedBytes) });
    const running = train.run(order);
    for (let i = 0; i < 100 && greedy.account.reclaiming === 0; i++) await new Promise((done) => setImmediate(done));
    clock.advance(2_000);
    expect(await running).toMatchObject({ releasedBytes: 5 * MIB });
    await new Promise((done) => setImmediate(done));
    expect([patient.heldBytes, seen, train.running]).toEqual([0, 5 * MIB, false]);
    expect(faults.rows()).toMatchObject([{ part: 'reclaimer of greedy', message: 'it did not end within 2000ms' }]);
  });
});
