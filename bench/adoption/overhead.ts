/** What adoption costs a service that is not short of memory: as it is, observed, and under the line, in turn, in fresh processes. */
import { mib } from '../../test/gates/gate.ts';
import { installShelf } from '../../test/gates/shelf.ts';
import { ADOPTED, BARE, type Contender, MOST_CONNECTIONS, OBSERVED } from '../../test/shelf/service/contenders.ts';
import { runService, type ServiceRun, startDatabase } from '../../test/shelf/service/run-service.ts';
import { type RatioInterval, ratioInterval } from '../governor/main-job.ts';
import { table, writeSection } from '../results-file.ts';

/** So few documents that the cache holds them all and the service lives in 256 MiB as it is. */
const ROWS = 4_000;
const LIMIT_BYTES = 256 * 2 ** 20;
/** About half of what the service can answer on two cores that it shares with PostgreSQL and the load. */
const RATE = 1_000;
const WARM_UP_SECONDS = 5;
/** `ADOPTION_ROUNDS` and `ADOPTION_SECONDS` make it shorter, or longer. */
const ROUNDS = Number(process.env.ADOPTION_ROUNDS ?? 12);
const SECONDS = Number(process.env.ADOPTION_SECONDS ?? 15);

const ARMS: readonly Contender[] = [
  BARE,
  OBSERVED,
  ADOPTED,
  // The same as the first: what it differs by is the machine.
  { ...BARE, name: 'as it is, once more' },
];

interface Figures {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuUs: number;
  readonly rssBytes: number;
}

const COLUMNS: readonly [string, keyof Figures, (value: number) => string][] = [
  ['p50', 'p50Ms', (value) => `${value.toFixed(2)} ms`],
  ['p99', 'p99Ms', (value) => `${value.toFixed(1)} ms`],
  ['processor time a request', 'cpuUs', (value) => `${value.toFixed(0)} µs`],
  ['RSS at the end', 'rssBytes', mib],
];

export async function benchAdoption(): Promise<void> {
  await installShelf(console.log);
  const runs: Figures[][] = ARMS.map(() => []);
  await using database = await startDatabase(ROWS);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, arm] of ARMS.entries()) {
      const result = await runService({
        ...arm,
        database,
        limitBytes: LIMIT_BYTES,
        connections: MOST_CONNECTIONS,
        seed: round + 1,
        phases: [
          { seconds: WARM_UP_SECONDS, rate: RATE },
          { seconds: SECONDS, rate: RATE },
        ],
      });
      const figures = figuresOf(arm, result);
      runs[i]!.push(figures);
      console.log(
        `  round ${round + 1} of ${ROUNDS}, ${arm.name}: ${COLUMNS.map(([name, key, say]) => `${name} ${say(figures[key])}`).join(', ')}`,
      );
    }
  }
  write(runs);
}

function figuresOf(arm: Contender, { run, phases, died, cpuMs, rssBytes, served }: ServiceRun): Figures {
  const measured = phases[1];
  if (died || measured === undefined) throw new Error(`${arm.name} did not live: ${run.stderr.slice(-500)}`);
  if (measured.served === 0) throw new Error(`${arm.name} served nothing`);
  return { p50Ms: measured.p50Ms, p99Ms: measured.p99Ms, cpuUs: (cpuMs * 1_000) / served, rssBytes };
}

function write(runs: readonly Figures[][]): void {
  const [bare] = runs;
  const cells = ARMS.map(({ name }, i) => {
    const columns = COLUMNS.map(([, key, say]) => {
      const values = runs[i]!.map((figures) => figures[key]);
      const middle = values.toSorted((a, b) => a - b)[values.length >> 1]!;
      if (i === 0) return say(middle);
      return `${say(middle)}, ${interval(
        ratioInterval(
          values,
          bare!.map((figures) => figures[key]),
        ),
      )}`;
    });
    return [name, ...columns];
  });
  writeSection({
    id: 'adoption-overhead',
    title: 'What adoption costs a service that is not short of memory',
    command: 'npm run bench -- adoption overhead',
    body: `Fastify, \`lru-cache\`, \`pg\` on a PostgreSQL of its own, ${RATE.toLocaleString('en')} requests a second for ${SECONDS} s after ${WARM_UP_SECONDS} s of warming up, in a group of
${mib(LIMIT_BYTES)} with ${ROWS.toLocaleString('en')} documents, all of which its cache holds. Fresh processes in turn, ${ROUNDS} rounds: the median of each, then the median of the ratios
to the first of the same round with its 95% interval by bootstrap. Processor time is the kernel's, of the whole process, user and system, warming up included.

${table(['', ...COLUMNS.map(([name]) => name)], cells)}

The last row is the same program as the first: what it differs by is the machine.`,
  });
}

const interval = ({ ratio, low, high }: RatioInterval): string =>
  `${ratio.toFixed(3)} (${low.toFixed(3)}-${high.toFixed(3)})`;
