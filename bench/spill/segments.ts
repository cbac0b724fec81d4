/** Spilling a segment and reading it back, beside `cp` of the same bytes and beside no compression, in fresh processes, one after the other in turn. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from '../../test/gates/gate.ts';
import { BENCH_DIR } from '../measure.ts';
import { table, writeSection } from '../results-file.ts';

const ROUNDS = 5;
const TOTAL_BYTES = 128 * 2 ** 20;
const KIB = 1_024;
const SCRIPT = join(BENCH_DIR, 'subjects', 'spill-segments.mjs');

interface Subject {
  readonly name: string;
  readonly codec: string;
  readonly batchBytes: number;
}

const SUBJECTS: readonly Subject[] = [
  { name: '`cp`, then `cat`', codec: 'cp', batchBytes: 64 * KIB },
  ...[64, 1_024].flatMap((kib) =>
    ['none', 'deflate', 'zstd'].map((codec) => ({
      name: `${codec}, batches of ${kib === 1_024 ? '1 MiB' : `${kib} KiB`}`,
      codec,
      batchBytes: kib * KIB,
    })),
  ),
];

interface Run {
  readonly writeMs: number;
  readonly readMs: number;
  readonly writeCpuMs: number;
  readonly readCpuMs: number;
  readonly diskBytes: number;
}

export async function benchSegments(): Promise<void> {
  const parent = mkdtempSync(join(process.env.PLIMSOLL_BENCH_DISK ?? tmpdir(), 'spill-bench-'));
  const runs = new Map<Subject, Run[]>(SUBJECTS.map((subject) => [subject, []]));
  try {
    for (let round = 0; round < ROUNDS; round++) {
      for (const subject of SUBJECTS) {
        // What the one before has left to write is not this one's to wait for.
        execFileSync('sync', ['-f', parent]);
        const args = [
          '--expose-gc',
          '--no-warnings',
          SCRIPT,
          join(parent, 'one'),
          subject.codec,
          subject.batchBytes,
          TOTAL_BYTES,
        ];
        const env = { ...process.env, NODE_OPTIONS: '', PLIMSOLL: '' };
        const run = JSON.parse(execFileSync(process.execPath, args.map(String), { encoding: 'utf8', env })) as Run;
        runs.get(subject)!.push(run);
        console.log(`  ${subject.name}: write ${run.writeMs.toFixed(0)} ms, read ${run.readMs.toFixed(0)} ms`);
      }
    }
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
  const of = (subject: Subject, key: keyof Run) => runs.get(subject)!.map((run) => run[key]);
  const [cp] = SUBJECTS;
  const row = (subject: Subject) => {
    const none = SUBJECTS.find(({ codec, batchBytes }) => codec === 'none' && batchBytes === subject.batchBytes)!;
    const timed = (key: 'writeMs' | 'readMs') => {
      const each = of(subject, key);
      const beside = (other: Subject) => `${(median(each) / median(of(other, key))).toFixed(2)}x`;
      const isCopy = subject === cp;
      return [
        `${median(each).toFixed(0)} (${Math.min(...each).toFixed(0)}-${Math.max(...each).toFixed(0)})`,
        isCopy ? '' : beside(cp!),
        isCopy || subject === none ? '' : beside(none),
      ];
    };
    const cpu = (key: 'writeCpuMs' | 'readCpuMs') => (subject === cp ? '' : median(of(subject, key)).toFixed(0));
    const disk = median(of(subject, 'diskBytes'));
    return [
      subject.name,
      ...timed('writeMs'),
      cpu('writeCpuMs'),
      ...timed('readMs'),
      cpu('readCpuMs'),
      `${(disk / 2 ** 20).toFixed(1)}`,
    ];
  };
  const head = ['', 'write, ms', 'of cp', 'of none', 'CPU', 'read, ms', 'of cat', 'of none', 'CPU', 'disk, MiB'];
  writeSection({
    id: 'spill-segments',
    title: 'Spilling a segment and reading it back',
    command: 'npm run bench -- spill',
    body: `128 MiB of a playlist's text, written as one segment and read back; a file of the same bytes copied by \`cp\` and read by \`cat\`. Neither is flushed to the disk; the source is in memory, for \`cp\` in the page cache.
Medians of ${ROUNDS} fresh processes in turn, with least and most; \`sync\` between them. CPU is time of the processor in ms, all threads.

${table(head, SUBJECTS.map(row))}`,
  });
}
