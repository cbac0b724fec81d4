import fc from 'fast-check';
import type { KeyWriter, PipelineMode, RecordBatch } from 'plimsoll/pipeline';

/** How an operator is run: what comes out must not depend on it. */
export interface OperatorCase {
  /** Beyond the least that the operator takes. */
  readonly moreBytes: number;
  readonly fanIn: number;
  readonly blockBytes: number;
  readonly batchBytes: number;
  readonly inputBytes: number;
  readonly pipelineBatchBytes: number;
  readonly mode: PipelineMode | 'auto';
  readonly isForced: boolean;
  /** Which request for memory is refused; -1 for none. */
  readonly refuseAt: number;
}

export const operatorCases: fc.Arbitrary<OperatorCase> = fc.record({
  moreBytes: fc.oneof(fc.constant(0), fc.nat(20_000), fc.constant(2_000_000)),
  fanIn: fc.integer({ min: 2, max: 5 }),
  blockBytes: fc.constantFrom(64, 200, 1_000, 5_000),
  batchBytes: fc.constantFrom(64, 300, 4_000),
  inputBytes: fc.constantFrom(64, 700, 10_000),
  pipelineBatchBytes: fc.constantFrom(50, 100_000),
  mode: fc.constantFrom('auto', 'auto', 'streaming', 'spill'),
  isForced: fc.boolean(),
  refuseAt: fc.oneof(fc.constant(-1), fc.integer({ min: 1, max: 30 })),
});

/** Records `key|payload`: few keys, now and then a long one, with prefixes in common, and now and then a long record. */
export function recordSets(maxLength = 400): fc.Arbitrary<Buffer[]> {
  const key = fc.oneof(
    { arbitrary: fc.constantFrom('', 'a', 'ab', 'channel', 'channel one', 'channel two'), weight: 3 },
    { arbitrary: fc.string({ unit: fc.constantFrom('a', 'b', '\0', 'é'), maxLength: 9 }), weight: 3 },
    { arbitrary: fc.nat(30).map((n) => `${'long '.repeat(60)}${n}`), weight: 1 },
  );
  const payload = fc.oneof(
    { arbitrary: fc.string({ maxLength: 30 }), weight: 12 },
    { arbitrary: fc.nat(6_000).map((n) => 'x'.repeat(n)), weight: 1 },
  );
  const record = fc.tuple(key, payload).map(([a, b]) => Buffer.from(`${a.replaceAll('|', '')}|${b}`));
  return fc.array(record, { maxLength, size: 'max' });
}

/** What stands before the first bar. */
export function keyPart(record: Buffer): Buffer {
  return record.subarray(0, record.indexOf('|'));
}

export function writeKey(batch: RecordBatch, index: number, into: KeyWriter): void {
  const start = batch.start(index);
  const end = batch.bytes.indexOf('|', start);
  into.bytes(batch.bytes, start, end);
}
