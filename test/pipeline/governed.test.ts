import { BudgetExceededError, createGovernor, ManualClock } from 'plimsoll';
import { type Batch, Pipeline, type Sink, type Source } from 'plimsoll/pipeline';
import { expect, it } from 'vitest';

const MIB = 2 ** 20;

/** Asks for `bytes`, gives one batch of them. */
function source(bytes: number): Source<Batch> {
  return {
    name: 'Loading',
    memory: { kind: 'external', maxBytes: Number.POSITIVE_INFINITY },
    async *open({ memory }) {
      using held = memory.reserve(bytes);
      yield { byteLength: held.bytes, itemCount: 1 };
    },
  };
}

const sink: Sink<Batch, number> = {
  name: 'Counting',
  async drain(input, context) {
    let count = 0;
    for await (const batch of input) count += batch.itemCount;
    context.advance({ itemsOut: count });
    return count;
  },
};

it('a governor is all that a pipeline needs: it grants, refuses and is asked for the figures', async () => {
  const clock = new ManualClock();
  using governor = createGovernor({ limitBytes: 2_048 * MIB, runtimeBytes: 0, clock, mode: 'on' });
  const pipeline = new Pipeline({ governor, probe: governor, clock });
  expect(await pipeline.from(source(10 * MIB)).into(sink)).toBe(1);
  expect(governor.snapshot().reservedBytes).toBe(0);
  const [loading] = pipeline.report().stages;
  expect(loading).toMatchObject({ name: 'Loading', peakReservedBytes: 10 * MIB, unreleasedBytes: 0, itemsOut: 1 });
  expect(loading!.peakRssBytes).toBeGreaterThan(10 * MIB);

  const refused: unknown = await pipeline
    .from(source(2_049 * MIB))
    .into(sink)
    .catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'PLIMSOLL_STAGE_FAILED', stage: 'Loading' });
  expect((refused as Error).cause).toBeInstanceOf(BudgetExceededError);
  expect((refused as { recovery: string }).recovery).toBe(((refused as Error).cause as BudgetExceededError).recovery);
  const { consumers, reservedBytes } = governor.snapshot();
  expect(reservedBytes).toBe(0);
  expect(consumers.map(({ name }) => name)).not.toContain('Loading');
});
