import fc from 'fast-check';
import type { RecordBatch, RecordOperatorOptions, Stage } from 'plimsoll/pipeline';
import type { SpillFolder } from 'plimsoll/spill';
import { expect, vi } from 'vitest';
import { type OperatorCase, operatorCases, recordSets, writeKey } from './operator-cases.ts';
import { leastBytes, RefusingMachine, runRecords } from './record-flow.ts';

/** What a few of the largest records need at once. */
const LARGE_BYTES = 40_000;

export interface OperatorUnderTest {
  readonly make: (options: RecordOperatorOptions, records: readonly Buffer[]) => Stage<RecordBatch, RecordBatch>;
  /** What of the records comes in. Default: all. */
  readonly input?: (records: readonly Buffer[]) => readonly Buffer[];
  /** By plain arrays. */
  readonly expected: (records: readonly Buffer[]) => readonly Buffer[];
  readonly folder: SpillFolder;
  readonly numRuns: number;
}

/** That an operator gives what plain arrays give, however it is run, and leaves nothing on the disk and in the books. */
export async function checkOperator(subject: OperatorUnderTest): Promise<void> {
  const { expected, folder, numRuns } = subject;
  await fc.assert(
    fc.asyncProperty(recordSets(), operatorCases, async (records, how) => {
      const out = await runCase(subject, records, how);
      expect(out.map(String)).toEqual(expected(records).map(String));
      expect(folder.stats.runFileCount).toBe(0);
    }),
    { numRuns, endOnFailure: true },
  );
}

async function runCase(
  { make, input = (all) => all, folder }: OperatorUnderTest,
  records: readonly Buffer[],
  how: OperatorCase,
): Promise<Buffer[]> {
  vi.stubEnv('PLIMSOLL_FORCE_SPILL', how.isForced ? '1' : '');
  const { fanIn, blockBytes, batchBytes, inputBytes, mode } = how;
  const options = { name: 'Operator', key: writeKey, spill: folder, fanIn, blockBytes, batchBytes };
  const maxBytes =
    leastBytes((given: RecordOperatorOptions) => make(given, records), { ...options, memory: { maxBytes: 1 } }) +
    how.moreBytes +
    LARGE_BYTES;
  const machine = new RefusingMachine(how.refuseAt);
  const flow = { machine, mode, inputBytes, batchBytes: how.pipelineBatchBytes };
  const { out } = await runRecords(input(records), make({ ...options, memory: { maxBytes } }, records), flow);
  return out;
}
