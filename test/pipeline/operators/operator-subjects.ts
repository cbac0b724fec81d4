import {
  distinctRecords,
  groupRecords,
  joinRecords,
  type RecordBatch,
  type RecordOperatorOptions,
  type Stage,
  sortRecords,
} from 'plimsoll/pipeline';
import { keyPart, writeKey } from './operator-cases.ts';
import { recordsFrom } from './record-flow.ts';

export interface OperatorSubject {
  readonly name: string;
  readonly make: (options: Pick<RecordOperatorOptions, 'memory' | 'spill'>) => Stage<RecordBatch, RecordBatch>;
  /** What comes of `operatorRecords`, as one text. */
  readonly expected: (records: readonly Buffer[]) => string;
}

/** Of a few thousand keys, three records each or so. */
export function operatorRecords(count: number): Buffer[] {
  return Array.from({ length: count }, (_, i) =>
    Buffer.from(`channel ${(i * 7_919) % Math.ceil(count / 3)}|${i} ${'x'.repeat(i % 50)}`),
  );
}

const SIZES = { fanIn: 3, blockBytes: 1_024, batchBytes: 4_096, key: writeKey };
const RIGHT = Array.from({ length: 900 }, (_, i) => Buffer.from(`channel ${(i * 31) % 300}|right ${i}`));

const byKey = (records: readonly Buffer[]): Buffer[] =>
  records.toSorted((a, b) => Buffer.compare(keyPart(a), keyPart(b)));
const keyText = (record: Buffer): string => String(keyPart(record));

/** All operators, small enough to go by way of the disk with a few thousand records. */
export const OPERATORS: readonly OperatorSubject[] = [
  {
    name: 'sort',
    make: (options) => sortRecords({ ...SIZES, ...options, name: 'sort' }),
    expected: (records) => byKey(records).join('\n'),
  },
  {
    name: 'distinct',
    make: (options) => distinctRecords({ ...SIZES, ...options, name: 'distinct' }),
    expected: (records) => [...Map.groupBy(records, keyText).values()].map(([first]) => first).join('\n'),
  },
  {
    name: 'group',
    make: (options) =>
      groupRecords({
        ...SIZES,
        ...options,
        name: 'group',
        maxResultBytes: 256,
        init: () => 0,
        step: (sum, { start, end }) => sum + end - start,
        finish(sum, into) {
          into.text(String(sum));
          into.end();
        },
      }),
    expected: (records) =>
      [...Map.groupBy(byKey(records), keyText).values()].map((group) => Buffer.concat(group).length).join('\n'),
  },
  {
    name: 'join',
    make: (options) =>
      joinRecords({
        ...SIZES,
        ...options,
        name: 'join',
        maxResultBytes: 512,
        right: recordsFrom(RIGHT),
        write(left, right, into) {
          into.bytes(left.bytes, left.start, left.end);
          into.bytes(right!.bytes, right!.start, right!.end);
          into.end();
        },
      }),
    expected(records) {
      const right = Map.groupBy(RIGHT, keyText);
      return byKey(records)
        .flatMap((left) => (right.get(keyText(left)) ?? []).map((other) => `${left}${other}`))
        .join('\n');
    },
  },
];
