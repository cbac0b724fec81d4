import { whyNoLimits } from '../cgroup/memory-group.ts';
import { adoptionLines } from '../shelf/service/adoption-lines.ts';
import {
  ADOPTED,
  BARE,
  type Contender,
  MOST_CONNECTIONS,
  UNDER_PRESSURE,
  UNDER_PRESSURE_THAT_EMPTIES,
} from '../shelf/service/contenders.ts';
import { type Database, runService, type ServiceRun, startDatabase } from '../shelf/service/run-service.ts';
import { demand, type Gate, GateSkipped, mib, seconds } from './gate.ts';
import { installShelf } from './shelf.ts';

const LIMIT_BYTES = 256 * 2 ** 20;
const ROWS = 30_000;
const RATE = 1_500;
const CALM_RATE = 150;
const CALM_SECONDS = 15;
const MOST_LINES = 10;
/** Of what was asked while the load lasted. */
const FAIR_SHARE = 0.5;
/** Of what was asked when it was over. */
const CALM_SHARE = 0.95;
/** That long nobody may be turned away without one being served. */
const LONGEST_SILENCE_SECONDS = 10;

/** One service under the load, then under a tenth of it. */
function measure(contender: Contender, database: Database, totalSeconds: number): Promise<ServiceRun> {
  return runService({
    ...contender,
    database,
    limitBytes: LIMIT_BYTES,
    connections: MOST_CONNECTIONS,
    phases: [
      { seconds: totalSeconds - CALM_SECONDS, rate: RATE },
      { seconds: CALM_SECONDS, rate: CALM_RATE },
    ],
  });
}

/** The longest run of seconds in which requests came and none was served. */
function longestSilence({ seconds: rows }: ServiceRun): number {
  let longest = 0;
  let now = 0;
  for (const { served, shed, failed, unsent } of rows) {
    now = served === 0 && shed + failed + unsent > 0 ? now + 1 : 0;
    longest = Math.max(longest, now);
  }
  return longest;
}

function judgeAdopted(result: ServiceRun): void {
  const { run, phases, died } = result;
  demand(!run.oomKilled, `the adopted service was killed by the kernel after ${seconds(result.aliveMs)}`);
  demand(!died, `the adopted service ended by itself (${run.exitCode ?? run.signal}): ${run.stderr.slice(-500)}`);
  const [loud, calm] = phases;
  demand(loud !== undefined && calm !== undefined, 'the load did not come to its end');
  const asked = loud.served + loud.shed + loud.failed + loud.unsent;
  demand(loud.failed === 0 && calm.failed === 0, `${loud.failed + calm.failed} requests failed: ${causes(result)}`);
  demand(loud.served >= asked * FAIR_SHARE, `only ${loud.served} of ${asked} requests were served`);
  const silence = longestSilence(result);
  demand(silence < LONGEST_SILENCE_SECONDS, `for ${silence} seconds nobody was served`);
  const calmAsked = calm.served + calm.shed + calm.unsent;
  demand(
    calm.served >= calmAsked * CALM_SHARE,
    `when the load had fallen only ${calm.served} of ${calmAsked} requests were served`,
  );
}

const causes = ({ phases }: ServiceRun): string => JSON.stringify(Object.assign({}, ...phases.map((p) => p.causes)));

function row(name: string, result: ServiceRun): string {
  const { run, phases } = result;
  const [loud, calm] = phases;
  const end = run.oomKilled
    ? `killed after ${seconds(result.aliveMs)}`
    : result.died
      ? `ended by itself (${run.exitCode ?? run.signal})`
      : 'alive';
  const cells = [
    name.padEnd(34),
    end.padEnd(20),
    `served ${result.served}`.padEnd(14),
    `shed ${result.shed}`.padEnd(12),
    `failed ${phases.reduce((sum, { failed }) => sum + failed, 0)}`.padEnd(10),
    `p50 ${loud?.p50Ms ?? '-'} ms`.padEnd(14),
    `p99 ${loud?.p99Ms ?? '-'} ms`.padEnd(16),
    `peak ${mib(run.anonymousPeakBytes)} (RSS ${mib(run.rssPeakBytes)})`.padEnd(34),
    `queries ${result.queries}`.padEnd(16),
    calm === undefined ? '' : `calm: ${calm.served} served, ${calm.shed} shed`,
  ];
  return cells.join(' ').trimEnd();
}

/** The whole comparison, each for `totalSeconds`; throws `GateFailure` for what does not hold of the bare and of the adopted one. */
export async function runAdoption(
  totalSeconds: number,
  others: readonly Contender[],
  say: (line: string) => void,
): Promise<string> {
  const whyNot = await whyNoLimits();
  if (whyNot !== undefined) throw new GateSkipped(whyNot);
  await installShelf(say);
  const { added, removed } = adoptionLines();
  demand(removed.length === 0, `adoption changed lines of the service: ${removed.join(' | ')}`);
  demand(added.length <= MOST_LINES, `adoption took ${added.length} lines, not ${MOST_LINES} at most`);
  await using database = await startDatabase(ROWS);
  const bare = await measure(BARE, database, totalSeconds);
  say(row(BARE.name, bare));
  demand(bare.run.oomKilled, 'the service as it is was not killed: the load is too small to show anything');
  const adopted = await measure(ADOPTED, database, totalSeconds);
  say(row(ADOPTED.name, adopted));
  judgeAdopted(adopted);
  const ratios: string[] = [];
  for (const contender of others) {
    const result = await measure(contender, database, totalSeconds);
    say(row(contender.name, result));
    ratios.push(`${(adopted.served / Math.max(1, result.served)).toFixed(1)} times ${contender.name}`);
  }
  return (
    `in ${mib(LIMIT_BYTES)} at ${RATE} requests a second: killed after ${seconds(bare.aliveMs)} as it is; with ${added.length} lines alive for ` +
    `${seconds(adopted.aliveMs)}, ${adopted.served} served, ${adopted.shed} shed, none failed, peak ${mib(adopted.run.anonymousPeakBytes)}; served ${ratios.join(', ')}`
  );
}

export const adoptionGate: Gate = {
  name: 'adoption',
  promise: `an unmodified Fastify service with lru-cache and pg is killed in 256 MiB; with plimsoll/auto and at most ${MOST_LINES} lines it is not, and serves on when the load falls`,
  run: (say) => runAdoption(120, [UNDER_PRESSURE, UNDER_PRESSURE_THAT_EMPTIES].slice(0, 1), say),
};
