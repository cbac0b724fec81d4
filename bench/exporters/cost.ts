/** What a scrape and a collection cost, with ten consumers and a thousand, in fresh processes in turn. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { median } from '../../test/gates/gate.ts';
import { BENCH_DIR } from '../measure.ts';
import { table, writeSection } from '../results-file.ts';

const ROUNDS = 5;
const CONSUMERS = [10, 1_000] as const;
const SCRIPT = join(BENCH_DIR, 'subjects', 'exporter-ops.mjs');
const RIVAL = 'a scrape of prom-client’s own metrics of Node, for comparison';
const OPERATIONS = [
  'a snapshot',
  'reading it as metrics',
  'a scrape, 20 by name',
  'a scrape, all by name',
  'a collection, 20 by name',
  RIVAL,
] as const;
/** How often in one process: a tenth to half a second. */
const TIMES = { 10: 500, 1000: 100 } as const;

interface Run {
  readonly usEach: number;
  readonly allocatedBytes: number;
}

export async function benchExporters(): Promise<void> {
  const runs = new Map<string, Run[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of OPERATIONS) {
      for (const consumers of CONSUMERS) {
        if (name === RIVAL && consumers > 10) continue;
        // A young generation in which nothing of what is measured is collected.
        const young = ['--min-semi-space-size=64', '--max-semi-space-size=64'];
        const args = ['--expose-gc', ...young, '--conditions=source', SCRIPT, name];
        const env = { ...process.env, NODE_OPTIONS: '', PLIMSOLL: '' };
        const text = execFileSync(process.execPath, [...args, String(consumers), String(TIMES[consumers])], {
          encoding: 'utf8',
          env,
        });
        const key = `${name} ${consumers}`;
        runs.set(key, [...(runs.get(key) ?? []), JSON.parse(text) as Run]);
      }
    }
  }
  writeSection({
    id: 'exporters-cost',
    title: 'What a scrape costs',
    command: 'npm run bench -- exporters',
    body: `Processor time of a call, one after the other: medians of ${ROUNDS} fresh processes in turn, with least and most. A scrape is all that \`registry.metrics()\` of prom-client does, the text included; a collection
is that of a reader of OpenTelemetry's SDK, without sending it. The snapshot is in both.

${table(['', 'consumers', 'each, µs', 'least-most', 'allocated, KB'], rows(runs))}`,
  });
}

function rows(runs: ReadonlyMap<string, readonly Run[]>): string[][] {
  return OPERATIONS.flatMap((name) =>
    CONSUMERS.flatMap((consumers) => {
      const of = runs.get(`${name} ${consumers}`);
      if (of === undefined) return [];
      const us = of.map(({ usEach }) => usEach);
      const kb = median(of.map(({ allocatedBytes }) => allocatedBytes)) / 1_000;
      const spread = `${Math.min(...us).toFixed(0)}-${Math.max(...us).toFixed(0)}`;
      return [[name, name === RIVAL ? '' : String(consumers), median(us).toFixed(0), spread, kb.toFixed(0)]];
    }),
  );
}
