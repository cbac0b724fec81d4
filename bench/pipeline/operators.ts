/** Sort, distinct, group and join of a million records, in memory and by way of the disk, beside what one writes with arrays. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BENCH_DIR, type Figure, measure, type Subject } from '../measure.ts';
import { mb, ms, table, writeSection } from '../results-file.ts';

const COUNT = 1_000_000;
const ROUNDS = 3;
const IN_MEMORY_BYTES = 2 ** 29;
const SMALL_BYTES = 2 ** 25;
const SCRIPT = join(BENCH_DIR, 'subjects', 'operator-records.mjs');

const ROWS: readonly (readonly [name: string, operator: string, maxBytes: number])[] = [
  ['sort, an array of buffers', 'array-sort', IN_MEMORY_BYTES],
  ['sort, in memory', 'sort', IN_MEMORY_BYTES],
  ['sort, 32 MiB', 'sort', SMALL_BYTES],
  ['distinct, an array and a Set of texts', 'set-distinct', IN_MEMORY_BYTES],
  ['distinct, in memory', 'distinct', IN_MEMORY_BYTES],
  ['distinct, 16 MiB', 'distinct', SMALL_BYTES / 2],
  ['group, in memory', 'group', IN_MEMORY_BYTES],
  ['group, 32 MiB', 'group', SMALL_BYTES],
  ['join, in memory', 'join', IN_MEMORY_BYTES],
  ['join, 32 MiB', 'join', SMALL_BYTES],
];

export async function benchOperators(): Promise<void> {
  const parent = mkdtempSync(join(tmpdir(), 'operators-'));
  try {
    const subjects: Subject[] = ROWS.map(([name, operator, maxBytes]) => ({
      name,
      args: [SCRIPT, operator, String(COUNT), String(maxBytes), 'auto', parent],
    }));
    write(await measure(subjects, ROUNDS));
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

function write(figures: readonly Figure[]): void {
  const rows = figures.map((figure) => {
    const { operatorMs, diskBytes, reservedBytes } = figure.counted as Record<string, number>;
    if (figure.died !== undefined) return [figure.name, figure.died, '', '', '', '', ''];
    return [
      figure.name,
      ms(figure.elapsedMs),
      `${ms(figure.elapsedMinMs)}-${ms(figure.elapsedMaxMs)}`,
      `${(COUNT / operatorMs! / 1000).toFixed(2)} M/s`,
      mb(figure.rssPeakBytes),
      figure.name.includes('array') ? '-' : mb(reservedBytes!),
      diskBytes === 0 ? '-' : mb(diskBytes!),
    ];
  });
  writeSection({
    id: 'pipeline-operators',
    title: 'Operators over a million records of 200 bytes',
    command: 'npm run bench -- operators',
    body: `Medians of ${ROUNDS} fresh processes in turn, with least and most; the time includes making the records and summing up what comes out. Records a second are those of the operator alone, in the first
of the rounds. Names of 24 bytes are sorted, grouped and, with digests of 12 bytes, a tenth of which come twice, made distinct and joined with half as many. Peak RSS (VmHWM) is seen from outside, Node's own included. What is on the disk is what stands there when records come out.

${table(['', 'time', 'least-most', 'records', 'peak RSS', 'reserved', 'on the disk'], rows)}`,
  });
}
