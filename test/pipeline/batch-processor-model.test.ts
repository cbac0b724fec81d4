import fc from 'fast-check';
import { createGovernor, ManualClock } from 'plimsoll';
import { BatchProcessor } from 'plimsoll/pipeline';
import { expect, it } from 'vitest';
import { settle } from '../lifetime/settle.ts';

/** Eight bytes in all. */
function openMemory() {
  const clock = new ManualClock();
  const governor = createGovernor({ limitBytes: 8, runtimeBytes: 0, meters: [], clock, mode: 'on' });
  return governor.consumer({ name: 'batches', kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
}

const runs = fc.record({
  outcomes: fc.array(fc.record({ fails: fc.boolean(), turns: fc.nat(30), bytes: fc.nat(5) }), { maxLength: 24 }),
  concurrency: fc.integer({ min: 1, max: 5 }),
  more: fc.nat(4),
  order: fc.constantFrom('input', 'completion'),
  onError: fc.constantFrom('continue', 'stop'),
  isAsync: fc.boolean(),
  pauses: fc.array(fc.nat(20), { minLength: 1, maxLength: 6 }),
  leaveAfter: fc.option(fc.nat(24)),
});

it('keeps its bounds and its word against a model, whatever fails, dawdles or leaves', async () => {
  await fc.assert(
    fc.asyncProperty(runs, async ({ outcomes, concurrency, more, order, onError, isAsync, pauses, leaveAfter }) => {
      const memory = openMemory();
      const maxResults = concurrency + more;
      let working = 0;
      let unused = 0;
      const begun: number[] = [];
      const processor = new BatchProcessor<number, number>({
        name: 'model',
        concurrency,
        maxResults,
        order,
        onError,
        memory,
        estimateBytes: (item) => outcomes[item]!.bytes,
        async process(item, { index, reservation }) {
          begun.push(item);
          expect(index).toBe(item);
          expect(++working).toBeLessThanOrEqual(concurrency);
          expect(++unused).toBeLessThanOrEqual(maxResults);
          expect(reservation!.bytes).toBe(outcomes[item]!.bytes);
          await settle(outcomes[item]!.turns);
          working--;
          if (outcomes[item]!.fails) throw new Error(`no ${item}`);
          return item;
        },
      });
      async function* later() {
        yield* outcomes.keys();
      }
      const seen: number[] = [];
      let error: unknown;
      try {
        for await (const result of processor.run(isAsync ? later() : outcomes.keys())) {
          expect(result.ok).toBe(!outcomes[result.index]!.fails);
          seen.push(result.index);
          await settle(pauses[seen.length % pauses.length]!);
          unused--;
          if (leaveAfter !== null && seen.length > leaveAfter) break;
        }
      } catch (cause) {
        error = cause;
      }
      const left = leaveAfter !== null && seen.length > leaveAfter;
      const firstFailure = outcomes.findIndex(({ fails }) => fails);
      const isStopped = onError === 'stop' && firstFailure >= 0;
      if (order === 'input') expect(seen).toEqual([...seen.keys()]);
      expect(new Set(seen).size).toBe(seen.length);
      if (!left && !isStopped) {
        expect(error).toBeUndefined();
        expect(seen.toSorted((a, b) => a - b)).toEqual([...outcomes.keys()]);
      }
      if (!left && isStopped) {
        expect(error).toMatchObject({ code: 'PLIMSOLL_BATCH_FAILED' });
        expect(outcomes[(error as { index: number }).index]!.fails).toBe(true);
        if (order === 'input')
          expect([(error as { index: number }).index, seen.length]).toEqual([firstFailure, firstFailure]);
      }
      expect(begun).toEqual([...begun.keys()]);
      expect(working).toBe(0);
      expect(memory.heldBytes).toBe(0);
      expect(processor.stats).toMatchObject({ begun: begun.length, running: 0, unused: 0, stuck: 0 });
    }),
    { numRuns: 300 },
  );
});
