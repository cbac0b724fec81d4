/**
 * A process with a dashboard, for gates: prints `ready URL` and does what it is told by a number of bytes on a line of its standard input: holds that many. `moderate` begins at 40%. Dashboard options by
 * `OPTIONS` as JSON, `LISTEN` for those of listening, and `CONSUMERS` more that hold something.
 */
import { createInterface } from 'node:readline';
import { createGovernor } from 'plimsoll';
import { Dashboard, type DashboardListenOptions, type DashboardOptions } from 'plimsoll/dashboard';

const MiB = 2 ** 20;
const { OPTIONS = '{}', LISTEN = '{"port":0}', CONSUMERS = '0' } = process.env;
const governor = createGovernor({ limitBytes: 512 * MiB, thresholds: { moderate: 0.4 }, terminationLog: false });
const held = governor.consumer({ name: 'held', kind: 'external', maxBytes: 512 * MiB }).reserve(8 * MiB);
for (let n = 0; n < Number(CONSUMERS); n++) {
  governor.consumer({ name: `consumer ${n}`, kind: 'external', maxBytes: MiB }).reserve(1_024);
}
const dashboard = new Dashboard({ governor, ...(JSON.parse(OPTIONS) as DashboardOptions) });
const { url } = await dashboard.listen(JSON.parse(LISTEN) as DashboardListenOptions);
console.log(`ready ${url}`);
createInterface(process.stdin).on('line', (line) => {
  if (line === 'stats') {
    globalThis.gc?.();
    console.log(`stats ${JSON.stringify({ ...dashboard.stats, rssBytes: process.memoryUsage.rss() })}`);
  } else {
    held.resize(Number(line));
    governor.sample();
    console.log(`holds ${held.bytes}`);
  }
});
