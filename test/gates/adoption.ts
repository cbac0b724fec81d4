import { whyNoLimits } from '../cgroup/memory-group.ts';
import { adoptionLines } from '../shelf/service/adoption-lines.ts';
import { ADOPTED, BARE, type Contender, MOST_CONNECTIONS } from '../shelf/service/contenders.ts';
import { type Database, runService, type ServiceRun, startDatabase } from '../shelf/service/run-service.ts';
import { demand, type Gate, GateSkipped, mib, seconds } from './gate.ts';
import { installShelf } from './shelf.ts';

const LIMIT_BYTES = 256 * 2 ** 20;
const ROWS = 30_000;
const RATE = 1_500;
const CALM_RATE = 150;
const CALM_SECONDS = 15;
const MOST_LINES = 10;
/** Of what the service as it is serves a second, before it is killed. */
const FAIR_SHARE = 0.5;
/** Of what came in the last seconds, when the load is over. */
const CALM_SHARE = 0.95;
const LAST_SECONDS = 10;
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

function judgeAdopted(result: ServiceRun, bare: ServiceRun): void {
  const { run, phases, died } = result;
  demand(!run.oomKilled, `the adopted service was killed by the kernel after ${seconds(result.aliveMs)}`);
  demand(!died, `the adopted service ended by itself (${run.exitCode ?? run.signal}): ${run.stderr.slice(-500)}`);
  const [loud, calm] = phases;
  demand(loud !== undefined && calm !== undefined, 'the load did not come to its end');
  demand(loud.failed === 0 && calm.failed === 0, `${loud.failed + calm.failed} requests failed: ${causes(result)}`);
  // A busy machine makes both slower.
  const rate = loud.served / loud.seconds;
  const bareRate = (bare.served * 1_000) / bare.aliveMs;
  demand(
    rate >= bareRate * FAIR_SHARE,
    `only ${rate.toFixed(0)} requests a second were served, ${bareRate.toFixed(0)} as it is`,
  );
  const silence = longestSilence(result);
  demand(silence < LONGEST_SILENCE_SECONDS, `for ${silence} seconds nobody was served`);
  const last = result.seconds.filter(({ served, shed }) => served + shed > 0).slice(-LAST_SECONDS);
  const served = last.reduce((sum, row) => sum + row.served, 0);
  const came = last.reduce((sum, row) => sum + row.served + row.shed, 0);
  demand(
    served >= came * CALM_SHARE,
    `when the load had fallen only ${served} of ${came} requests were served in the last ${LAST_SECONDS} seconds`,
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
  judgeAdopted(adopted, bare);
  const ratios: string[] = [];
  for (const contender of others) {
    const result = await measure(contender, database, totalSeconds);
    say(row(contender.name, result));
    ratios.push(`${(adopted.served / Math.max(1, result.served)).toFixed(1)} times ${contender.name}`);
  }
  return (
    `in ${mib(LIMIT_BYTES)} at ${RATE} requests a second: killed after ${seconds(bare.aliveMs)} as it is; with ${added.length} lines alive for ` +
    `${seconds(adopted.aliveMs)}, ${adopted.served} served, ${adopted.shed} shed, none failed, peak ${mib(adopted.run.anonymousPeakBytes)}` +
    (ratios.length === 0 ? '' : `; served ${ratios.join(', ')}`)
  );
}

export const adoptionGate: Gate = {
  name: 'adoption',
  promise: `an unmodified Fastify service with lru-cache and pg is killed in 256 MiB; with plimsoll/auto and at most ${MOST_LINES} lines it is not, and serves on when the load falls`,
  run: (say) => runAdoption(120, [], say),
};
