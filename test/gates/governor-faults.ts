import { failNth, INJECTIONS } from '../anomaly/fail-nth.ts';
import { MACHINE_FAULTS } from '../anomaly/machine-faults.ts';
import { demand, type Gate } from './gate.ts';

const MOST_SHOWN = 3;
const EACH_UP_TO = 60;

/** Whatever fails inside the governor, or under it: the service goes on. Prints the table of faults. */
export const governorFaultsGate: Gate = {
  name: 'governor-faults',
  promise: 'a fault inside the governor never reaches the service: it is named in the snapshot, and the rest goes on',
  patient: true,
  async run(say) {
    const broken: string[] = [];
    let runs = 0;
    const row = (what: string, how: string, count: number, faults: readonly string[]) => {
      say(
        `${what.padEnd(22)} ${how.padEnd(46)} ${String(count).padStart(4)} runs  ${faults.length === 0 ? 'held' : 'BROKEN'}`,
      );
      for (const fault of faults.slice(0, MOST_SHOWN)) say(`  ${fault}`);
      for (const fault of faults) broken.push(`${what} ${how}: ${fault}`);
      runs += count;
    };
    for (const injection of INJECTIONS) {
      for (const report of await failNth(injection, EACH_UP_TO))
        row(report.spot, report.how, report.runs, report.broken);
    }
    for (const { name, run } of MACHINE_FAULTS) row('machine', name, 1, await run());
    demand(broken.length === 0, `${broken.length} do not hold; the first: ${broken[0]}`);
    return `${runs} runs with a fault in each`;
  },
};
