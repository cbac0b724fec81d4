import { createGovernor, type Governor, ManualClock, type Reclaimer, type ReclaimRequest } from 'plimsoll';
import { expect, it } from 'vitest';

/** One holder of memory that can give back, as its suite sets it up. */
export interface ReclaimerUnderTest {
  /** The name of its consumer. */
  readonly consumerName: string;
  readonly reclaimer: Reclaimer;
  /** What it holds besides what it can give back, bytes. Default 0. */
  readonly pinnedBytes?: number;
}

export interface ReclaimerContractOptions {
  readonly name: string;
  /** Sets up a holder, its consumer and its reclaimer registered with `governor`, holding at least `bytes` that can be given back. */
  readonly fill: (governor: Governor, bytes: number) => Promise<ReclaimerUnderTest> | ReclaimerUnderTest;
  /** Bytes to work with. Default 1 MiB. */
  readonly bytes?: number;
}

const MIB = 1_048_576;
const STRATEGIES: readonly ReclaimRequest['strategy'][] = ['basic', 'aggressive', 'smart'];

/** What everybody who gives back to the governor keeps to. What is said is compared with what the ledger sees. */
export function reclaimerContract({ name, fill, bytes = MIB }: ReclaimerContractOptions): void {
  const begin = async () => {
    const options = { clock: new ManualClock(), meters: [], mode: 'on', runtimeBytes: 0 } as const;
    const governor = createGovernor({ ...options, limitBytes: bytes * 8 });
    return { governor, ...(await fill(governor, bytes)) };
  };
  const request = (targetBytes: number) => ({ targetBytes, level: 'high', strategy: 'basic' }) as const;
  const heldBy = (governor: Governor, consumer: string) =>
    governor.snapshot().consumers.find((row) => row.name === consumer)!.heldBytes;

  it(`${name}: says truly and cheaply what it could give back`, async () => {
    const { governor, reclaimer, consumerName, pinnedBytes = 0 } = await begin();
    const said = reclaimer.reclaimableBytes();
    expect(said).toBeGreaterThanOrEqual(bytes);
    expect(said).toBeLessThanOrEqual(heldBy(governor, consumerName) - pinnedBytes);
    expect(reclaimer.reclaimableBytes()).toBe(said);
    expect(reclaimer.reclaimNow ?? reclaimer.reclaim).toBeTypeOf('function');
  });

  it(`${name}: gives back through the ledger what it claims, about as much as was asked`, async () => {
    const { governor, reclaimer, consumerName } = await begin();
    const before = heldBy(governor, consumerName);
    const target = Math.ceil(bytes / 4);
    const claimed = await giveBack(reclaimer, request(target));
    const released = before - heldBy(governor, consumerName);
    expect(released).toBeGreaterThanOrEqual(target);
    expect(claimed).toBe(released);
  });

  it.each(STRATEGIES)(
    `${name}: gives back at least what can be had under the strategy %s, and claims the truth`,
    async (strategy) => {
      const { governor, reclaimer, consumerName } = await begin();
      const before = heldBy(governor, consumerName);
      const said = reclaimer.reclaimableBytes();
      const claimed = await giveBack(reclaimer, { ...request(said), level: 'emergency', strategy });
      expect(claimed).toBe(before - heldBy(governor, consumerName));
      // Basic may keep what is in use.
      if (strategy !== 'basic') expect(claimed).toBeGreaterThanOrEqual(Math.min(said, bytes));
    },
  );

  it(`${name}: is asked for more than there is, and gives what there is`, async () => {
    const { governor, reclaimer, consumerName, pinnedBytes = 0 } = await begin();
    const all = { ...request(Number.MAX_SAFE_INTEGER), level: 'emergency', strategy: 'aggressive' } as const;
    for (let i = 0; i < 1_000 && reclaimer.reclaimableBytes() > 0; i++) await giveBack(reclaimer, all);
    expect(heldBy(governor, consumerName)).toBe(pinnedBytes);
  });

  it(`${name}: gives everything back in the end, and then says 0`, async () => {
    const { governor, reclaimer, consumerName, pinnedBytes = 0 } = await begin();
    for (let i = 0; i < 1_000 && reclaimer.reclaimableBytes() > 0; i++) {
      expect(await giveBack(reclaimer, request(Math.max(1, reclaimer.reclaimableBytes())))).toBeGreaterThan(0);
    }
    expect(reclaimer.reclaimableBytes()).toBe(0);
    expect(heldBy(governor, consumerName)).toBe(pinnedBytes);
    expect(await giveBack(reclaimer, request(1))).toBe(0);
  });

  it(`${name}: makes room inside a reservation of somebody else`, async () => {
    const { governor, reclaimer } = await begin();
    const other = governor.consumer({ name: 'somebody else', kind: 'heap', maxBytes: Number.POSITIVE_INFINITY });
    const wanted = governor.availableBytes + Math.ceil(bytes / 2);
    if (reclaimer.reclaimNow === undefined) {
      using room = await other.admit(wanted);
      expect(room.bytes).toBe(wanted);
    } else {
      using room = other.reserve(wanted);
      expect(room.bytes).toBe(wanted);
    }
  });
}

async function giveBack(reclaimer: Reclaimer, request: ReclaimRequest): Promise<number> {
  if (reclaimer.reclaimNow !== undefined) return reclaimer.reclaimNow(request);
  return reclaimer.reclaim!(request, { signal: new AbortController().signal, scratch: new Uint8Array(65_536) });
}
