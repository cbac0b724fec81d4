import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { RunReport } from 'plimsoll/cli';
import { demand, type Gate, mib } from './gate.ts';
import { installShelf } from './shelf.ts';
import { BARE, demandSame, PROGRAMS, UNTOUCHED_DIR, type Way } from './untouched-programs.ts';

const CLI = join(import.meta.dirname, '..', '..', 'dist', 'cli.js');
const REPORT = join(UNTOUCHED_DIR, 'run.json');
const LIMIT_MIB = 512;

const WAYS: readonly Way[] = [
  runWay('plimsoll run', []),
  runWay(`plimsoll run --limit ${LIMIT_MIB}MiB --mode on`, ['--limit', `${LIMIT_MIB}MiB`, '--mode', 'on']),
];

function runWay(name: string, options: readonly string[]): Way {
  return { name, args: [CLI, 'run', ...options, '--report', REPORT, '--', process.execPath], env: {} };
}

/** The report goes to a file, so that what the program writes can be compared to the last byte. */
export const cliRunGate: Gate = {
  name: 'cli-run',
  promise:
    '`plimsoll run` tells of a bundler, a test run and a static server what they took, and changes neither output nor exit code',
  async run(say) {
    const shelf = await installShelf(say);
    mkdirSync(UNTOUCHED_DIR, { recursive: true });
    try {
      const figures: string[] = [];
      for (const program of PROGRAMS) {
        const bare = await program.run(BARE, shelf);
        demand(bare.end === program.ends, `${program.name} bare: ${bare.end}, not ${program.ends}: ${bare.stderr}`);
        for (const way of WAYS) {
          rmSync(REPORT, { force: true });
          demandSame(`${program.name}, ${way.name}`, bare, await program.run(way, shelf));
          const figure = sensible(`${program.name}, ${way.name}`, program.ends, way.args.includes('on'));
          say(`${program.name}, ${way.name}: ${figure}`);
          if (way === WAYS[0]) figures.push(`${program.name}: ${figure}`);
        }
      }
      return figures.join('; ');
    } finally {
      rmSync(UNTOUCHED_DIR, { recursive: true, force: true });
    }
  },
};

/** What a report must say of a program of Node that has done some work; in figures. */
function sensible(what: string, ends: string, isOn: boolean): string {
  const report = JSON.parse(readFileSync(REPORT, 'utf8')) as RunReport;
  const [main] = report.processes;
  demand(main !== undefined, `${what}: nothing was looked at`);
  demand(`exit ${report.ending?.exitCode}` === ends, `${what}: the report says ${report.ending?.why}`);
  demand(report.ending?.outOfMemory === undefined, `${what}: memory is said to have ended it`);
  const peak = (name: string) => main.meters.find((meter) => meter.name === name)?.peakBytes ?? 0;
  const { looks, collections, peakRssBytes = 0, mode, limitFrom } = main;
  demand(looks >= 2 && main.points.length >= 2, `${what}: ${looks} looks`);
  demand(collections.count >= 1 && collections.pauseMs > 0, `${what}: ${collections.count} collections`);
  demand(
    peak('heap') > 4e6 && peak('heap') < peak('rss') && peak('rss') < 1e9,
    `${what}: heap ${peak('heap')}, rss ${peak('rss')}`,
  );
  demand(peakRssBytes >= peak('rss'), `${what}: the system saw ${peakRssBytes}, the meter ${peak('rss')}`);
  demand(main.exitCode !== undefined, `${what}: the process is said not to have come to its end`);
  demand(main.faults.length === 0, `${what}: ${main.faults.join('; ')}`);
  demand(
    !isOn || (mode === 'on' && limitFrom === 'configured' && report.heapFlags.length === 2),
    `${what}: not as was asked`,
  );
  return `rss ${mib(peak('rss'))}, heap ${mib(peak('heap'))}, ${collections.count} collections in ${collections.pauseMs.toFixed(0)} ms, ${looks} looks, ${report.processes.length} process(es)`;
}
