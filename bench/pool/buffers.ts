/** What it costs to lend a buffer, beside allocating one; by size, by how many are in use, and what is left in the process of those that are dropped. */
import { join } from 'node:path';
import { ClassSizes } from '../../src/pool/class-sizes.ts';
import { BENCH_DIR, type Figure, measure } from '../measure.ts';
import { mb, ms, table, writeSection } from '../results-file.ts';
import { runWays, times, us, type WayCost } from './run-ways.ts';

const ROUNDS = 5;
const SIZE_ROUNDS = 3;
const CHURN_ROUNDS = 3;
const KIB = 1_024;
const ALLOC = 'Buffer.alloc';
const MANY = 64;
const SIZES = [1, 4, 16, 256, 1_024].map((kib) => kib * KIB);
const WAYS = [
  ALLOC,
  'pool',
  'pool, not detached',
  'pool, with `using`',
  'Buffer.allocUnsafe',
  'pool, not zeroed',
  'pool, neither',
];

/** So many that a pool takes a twentieth to a tenth of a second. */
const countFor = (bytes: number): number => Math.ceil(3e9 / (bytes + 15_000));

const way = (name: string, bytes: number, live: number): string[] =>
  [name, bytes, live, countFor(bytes) / (name.startsWith('Buffer') ? 5 : 1)].map((each) =>
    typeof each === 'number' ? String(Math.ceil(each)) : each,
  );

type Costs = ReadonlyMap<string, WayCost>;

export async function benchPooledBuffers(): Promise<void> {
  const bytes = 64 * KIB;
  const main = [1, MANY].flatMap((live) =>
    WAYS.filter((name) => live === 1 || name !== 'pool, with `using`').map((name) => way(name, bytes, live)),
  );
  const mainCosts = runWays('pool-buffers.mjs', main, ROUNDS);
  const sized = SIZES.flatMap((size) => [ALLOC, 'pool', 'pool, not detached'].map((name) => way(name, size, 1)));
  const sizeCosts = runWays('pool-buffers.mjs', sized, SIZE_ROUNDS);
  const churn = await measure(
    [ALLOC, 'Buffer.allocUnsafe', 'pool'].map((name) => ({
      name,
      args: [join(BENCH_DIR, 'subjects', 'pool-churn.mjs'), name, '2000', '100000'],
    })),
    CHURN_ROUNDS,
  );
  writeSection({
    id: 'pool-buffers',
    title: 'Lending a buffer',
    command: 'npm run bench -- pool buffers',
    body: `Medians of ${ROUNDS} fresh processes in turn, with least and most: a buffer of 64 KiB is taken, a byte is written into each of its pages, and it is let go. CPU is that of all
threads: a part of what \`Buffer.alloc\` costs is paid by the collector's. The pool's are zeroed in all of their memory and taken out of the borrower's hands
on return, unless the row says otherwise. Rows of what begins with zeros are compared with \`Buffer.alloc\`, the others with
\`Buffer.allocUnsafe\`.

${mainTable(mainCosts, bytes, 1)}

The same with ${MANY} in use at a time, 4 MiB, which is more than a core's own cache:

${mainTable(mainCosts, bytes, MANY)}

By size, one in use at a time, medians of ${SIZE_ROUNDS}:

${sizeTable(sizeCosts)}

2,000 buffers of 16 KiB in use, 31 MiB, and 100,000 replacements at random; medians of ${CHURN_ROUNDS}. Peak RSS (VmHWM) is seen from outside:

${churnTable(churn)}

Lost to rounding up to a class, of lengths from 1 KiB to 1 MiB spread evenly over their logarithm: ${percent(lost(true))} with half steps
(${classes(true)} classes), ${percent(lost(false))} with powers of two alone (${classes(false)}).`,
  });
}

function mainTable(costs: Costs, bytes: number, live: number): string {
  const rows = WAYS.flatMap((name) => {
    const cost = costs.get(way(name, bytes, live).join(' | '));
    if (cost === undefined) return [];
    const zeroed = !/allocUnsafe|not zeroed|neither/.test(name);
    const against = costs.get(way(zeroed ? ALLOC : 'Buffer.allocUnsafe', bytes, live).join(' | '))!;
    return [
      [
        name,
        us(cost.nsEach),
        `${us(cost.leastNs)}-${us(cost.mostNs)}`,
        us(cost.cpuNsEach),
        us(cost.gcNsEach),
        times(against.nsEach / cost.nsEach),
        times(against.cpuNsEach / cost.cpuNsEach),
      ],
    ];
  });
  return table(['', 'each', 'least-most', 'CPU', 'in the collector', 'faster', 'less CPU'], rows);
}

function sizeTable(costs: Costs): string {
  const rows = SIZES.map((bytes) => {
    const of = (name: string): WayCost => costs.get(way(name, bytes, 1).join(' | '))!;
    const [alloc, pool, bare] = [of(ALLOC), of('pool'), of('pool, not detached')];
    return [
      `${bytes / KIB} KiB`,
      us(alloc.nsEach),
      us(pool.nsEach),
      times(alloc.nsEach / pool.nsEach),
      times(alloc.cpuNsEach / pool.cpuNsEach),
      us(bare.nsEach),
      times(alloc.nsEach / bare.nsEach),
    ];
  });
  return table(['', ALLOC, 'pool', 'faster', 'less CPU', 'pool, not detached', 'faster'], rows);
}

function churnTable(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [figure.name, ms(figure.elapsedMs), mb(figure.rssPeakBytes)]);
  return table(['', 'time', 'peak RSS'], rows);
}

const sizes = (halfSteps: boolean): ClassSizes => new ClassSizes(KIB, KIB * KIB, halfSteps);
const classes = (halfSteps: boolean): number => sizes(halfSteps).sizes.length;
const percent = (share: number): string => `${(share * 100).toFixed(1)}%`;

/** The part of all memory that nobody asked for. */
function lost(halfSteps: boolean): number {
  const of = sizes(halfSteps);
  let asked = 0;
  let given = 0;
  for (let power = 0; power < 10; power += 1e-4) {
    const bytes = Math.ceil(KIB * 2 ** power);
    asked += bytes;
    given += of.sizes[of.indexFor(bytes)]!;
  }
  return 1 - asked / given;
}
