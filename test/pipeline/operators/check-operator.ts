import fc from 'fast-check';
import type { RecordBatch, RecordOperatorOptions, Stage } from 'plimsoll/pipeline';
import type { SpillFolder } from 'plimsoll/spill';
import { expect, vi } from 'vitest';
import { type OperatorCase, operatorCases, recordSets, writeKey } from './operator-cases.ts';
import { leastBytes, RefusingMachine, runRecords } from './record-flow.ts';

/** What a few of the largest records need at once. */
const LARGE_BYTES = 40_000;

export interface OperatorUnderTest {
  readonly make: (options: RecordOperatorOptions) => Stage<RecordBatch, RecordBatch>;
  /** By plain arrays. */
  readonly expected: (records: readonly Buffer[]) => readonly Buffer[];
  readonly folder: SpillFolder;
  readonly numRuns: number;
}

/** That an operator gives what plain arrays give, however it is run, and leaves nothing on the disk and in the books. */
export async function checkOperator({ make, expected, folder, numRuns }: OperatorUnderTest): Promise<void> {
  await fc.assert(
    fc.asyncProperty(recordSets(), operatorCases, async (records, how) => {
      const out = await runCase(make, folder, records, how);
      expect(out.map(String)).toEqual(expected(records).map(String));
      expect(folder.stats.runFileCount).toBe(0);
    }),
    { numRuns, endOnFailure: true },
  );
}

async function runCase(
  make: OperatorUnderTest['make'],
  folder: SpillFolder,
  records: readonly Buffer[],
  how: OperatorCase,
): Promise<Buffer[]> {
  vi.stubEnv('PLIMSOLL_FORCE_SPILL', how.isForced ? '1' : '');
  const { fanIn, blockBytes, batchBytes, inputBytes, mode } = how;
  const options = { name: 'Operator', key: writeKey, spill: folder, fanIn, blockBytes, batchBytes };
  const maxBytes = leastBytes(make, { ...options, memory: { maxBytes: 1 } }) + how.moreBytes + LARGE_BYTES;
  const machine = new RefusingMachine(how.refuseAt);
  const flow = { machine, mode, inputBytes, batchBytes: how.pipelineBatchBytes };
  const { out } = await runRecords(records, make({ ...options, memory: { maxBytes } }), flow);
  return out;
}
