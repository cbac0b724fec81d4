import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { FlightDump } from 'plimsoll';
import type { RunReport, TerminationRecord } from 'plimsoll/cli';
import { whyNoLimits } from '../cgroup/memory-group.ts';
import { type LimitedRun, runInLimit } from '../cgroup/run-in-limit.ts';
import { demand, type Gate, GateSkipped, mib, seconds } from './gate.ts';
import { runProgram } from './run-program.ts';

const MIB = 1_048_576;
const LIMIT_MIB = 128;
const PROJECT_DIR = join(import.meta.dirname, '..', '..');
const CLI = join(PROJECT_DIR, 'dist', 'cli.js');
const LEAK = join(PROJECT_DIR, 'test', 'cgroup', 'loads', 'leak-to-death.mjs');
const FOLDER = join(PROJECT_DIR, 'test', '.tmp', 'cli-oom');
/** Objects, 4 MiB a second: V8 ends it before the kernel does. */
const FULL_HEAP =
  'const held = []; setInterval(() => { for (let i = 0; i < 26; i++) held.push(new Array(2048).fill(i + 0.5)); }, 10);';

export const cliOomGate: Gate = {
  name: 'cli-oom',
  promise:
    'a process that the kernel killed for its memory leaves a flight recording and a termination log that `plimsoll report` shows; `plimsoll run` says why a program was killed, and dies as it did',
  patient: true,
  async run(say) {
    const whyNot = await whyNoLimits();
    if (whyNot !== undefined) throw new GateSkipped(whyNot);
    rmSync(FOLDER, { recursive: true, force: true });
    mkdirSync(FOLDER, { recursive: true });
    try {
      const figures = [await judgeRecords(), await judgeKilledRun(), await judgeFullHeap()];
      for (const figure of figures) say(figure);
      return figures.join('; ');
    } finally {
      rmSync(FOLDER, { recursive: true, force: true });
    }
  },
};

const env = { NODE_OPTIONS: undefined, PLIMSOLL: undefined };
const load = ['--limit-mib', String(LIMIT_MIB), '--folder', FOLDER];
const cli = (...args: string[]) => runProgram(process.execPath, [CLI, ...args], PROJECT_DIR, { NO_COLOR: '1' });

function demandKilled(what: string, { oomKilled, signal, exitCode, stderr }: LimitedRun): void {
  demand(
    oomKilled && signal === 'SIGKILL',
    `${what} was not killed by the kernel: exit ${exitCode}, ${signal}: ${stderr.slice(-500)}`,
  );
}

async function judgeRecords(): Promise<string> {
  const run = await runInLimit({
    limitBytes: LIMIT_MIB * MIB,
    command: process.execPath,
    args: [LEAK, ...load, '--governed'],
    env,
    timeoutMs: 30_000,
  });
  demandKilled('the governed leak', run);
  const dumps = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));
  demand(dumps.length > 0, `there is no flight recording in ${readdirSync(FOLDER).join(', ')}`);
  const dump = join(FOLDER, dumps.sort().at(-1)!);
  const log = join(FOLDER, 'termination.log');
  const flight = JSON.parse(await cli('report', dump, '--json')) as FlightDump;
  const [largest] = flight.largest;
  demand(
    flight.level === 'emergency' && largest?.name === 'sessions',
    `the recording says ${flight.level}, ${largest?.name}`,
  );
  const html = join(FOLDER, 'flight.html');
  demandShown('the flight recording', await cli('report', dump, '--html', html), [
    'Flight recording',
    'sessions',
    'emergency',
  ]);
  demand(readFileSync(html, 'utf8').includes('<path d="M'), 'the page of the recording has no curve');
  const record = JSON.parse(await cli('report', log, '--json')) as TerminationRecord;
  const same =
    record.level === 'emergency' && record.largest[0]?.name === 'sessions' && record.limitBytes === LIMIT_MIB * MIB;
  demand(same, `the termination log was read as ${JSON.stringify(record)}`);
  demandShown('the termination log', await cli('report', log), ['Termination log', 'sessions', 'emergency']);
  return `killed after ${seconds(run.elapsedMs)}: recording (${flight.why}) and log name sessions with ${mib(largest!.ownBytes)} of ${LIMIT_MIB} MiB`;
}

/** By whole texts and by their width. */
function demandShown(what: string, text: string, words: readonly string[]): void {
  const missing = words.filter((word) => !text.includes(word));
  demand(missing.length === 0, `${what} is shown without ${missing.join(', ')}: ${text}`);
  const longest = Math.max(...text.split('\n').map((line) => line.length));
  demand(longest <= 80, `${what} is shown in ${longest} columns`);
}

async function judgeKilledRun(): Promise<string> {
  const path = join(FOLDER, 'run.report');
  const run = await runInLimit({
    limitBytes: LIMIT_MIB * MIB,
    command: process.execPath,
    args: [CLI, 'run', '--json', '--report', path, '--', process.execPath, LEAK, ...load],
    env,
    timeoutMs: 30_000,
  });
  demandKilled('the run', run);
  const { ending, processes } = JSON.parse(readFileSync(path, 'utf8')) as RunReport;
  const last = processes[0]?.points.at(-1);
  demand(ending?.outOfMemory === 'kernel' && ending.signal === 'SIGKILL', `the run says ${ending?.why}`);
  demand(
    last !== undefined && /The last look, .* before: (critical|emergency), cgroup/.test(ending.why),
    `the run says ${ending.why}`,
  );
  demandShown('the run', await cli('report', path), ['The kernel killed it', 'Over time', 'cgroup']);
  return `a run: ${ending.why}`;
}

async function judgeFullHeap(): Promise<string> {
  const path = join(FOLDER, 'heap.report');
  const run = await runInLimit({
    command: process.execPath,
    args: [CLI, 'run', '--limit', '96MiB', '--json', '--report', path, '--', process.execPath, '-e', FULL_HEAP],
    env,
    timeoutMs: 30_000,
  });
  demand(run.signal === 'SIGABRT' || run.exitCode === 134, `a full heap ended with ${run.exitCode}, ${run.signal}`);
  demand(run.stderr.includes('heap out of memory'), `V8 said ${run.stderr.slice(-300)}`);
  const { ending } = JSON.parse(readFileSync(path, 'utf8')) as RunReport;
  demand(ending?.outOfMemory === 'heap', `of a full heap the run says ${ending?.why}`);
  return `a full heap: ${ending.why}`;
}
