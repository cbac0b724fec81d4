import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { demand, type Gate, GateFailure } from '../../../../test/gates/gate.ts';
import { generateM3u } from '../../src/sample/generate-m3u.ts';
import { FILE_CALLS, type FileFault } from './failing-fs.ts';
import { describeFault, type Fault, FaultyJob, WITH_PLUGINS, WITHOUT_PLUGINS } from './faulty-job.ts';
import { freshDir } from './fixtures.ts';
import { PLUGIN_DIR } from './job-in-process.ts';
import { APP, type AppRun, RULES, runApp } from './run-app.ts';

type Way =
  | Pick<FileFault, 'call' | 'code' | 'forGood'>
  | { readonly call: 'reservation' }
  | { readonly call: 'worker start' };

/** A disk that is full stays full; everything else goes wrong once. */
const FILES: readonly Way[] = FILE_CALLS.flatMap((call) => [
  { call, code: 'EIO', forGood: false } as const,
  ...(call === 'read' ? [] : [{ call, code: 'ENOSPC', forGood: call === 'write' } as const]),
]);
const ONE_OF_EACH = FILES.filter((way) => way.call !== 'write' && 'code' in way && way.code === 'EIO');
const FULL_DISK: Way = { call: 'write', code: 'ENOSPC', forGood: true };
const RESERVATION: Way = { call: 'reservation' };
const WORKER_START: Way = { call: 'worker start' };

/** More than that and a run is taken to have no end. */
const MOST_CALLS = 5_000;
/** A run with plugins takes most of a second: the first calls and then every kth. */
const FIRST_CALLS = 2;

interface Tally {
  right: number;
  errors: number;
}

/** The first call fails, the `step`th after it, ... until a run does not come to the one that would. Every one where `step` is 1. */
async function faultLoop(job: FaultyJob, way: Way, step: number, tally: Tally): Promise<number> {
  for (let nth = 1; nth <= MOST_CALLS; nth += nth < FIRST_CALLS ? 1 : step) {
    const outcome = await job.run({ ...way, nth } as Fault);
    if (job.hits === 0) {
      demand(outcome === 'right', `without a fault (${describeFault({ ...way, nth } as Fault)}) a run fails`);
      return nth;
    }
    if (outcome === 'right') tally.right++;
    else tally.errors++;
  }
  throw new GateFailure(`there is no end of calls: ${way.call}`);
}

async function everyCall(dir: string, say: (line: string) => void): Promise<string> {
  using job = await FaultyJob.make(dir, WITHOUT_PLUGINS);
  const tally: Tally = { right: 0, errors: 0 };
  const calls: string[] = [];
  for (const way of [...FILES, RESERVATION]) {
    const end = await faultLoop(job, way, 1, tally);
    if (!('code' in way) || way.code === 'EIO') calls.push(`${end - 1} ${way.call}`);
  }
  demand(tally.right > 0 && tally.errors > 0, 'no fault was survived, or none ended a run');
  say(`without plugins, every call (${calls.join(', ')}): ${tally.right} right, ${tally.errors} errors`);
  return `${tally.right + tally.errors} faults without plugins, at every call (${tally.right} runs right all the same, ${tally.errors} ended in an error)`;
}

async function someCallsWithPlugins(dir: string, say: (line: string) => void): Promise<string> {
  using job = await FaultyJob.make(dir, WITH_PLUGINS);
  const tally: Tally = { right: 0, errors: 0 };
  const starts = (await faultLoop(job, WORKER_START, 1, tally)) - 1;
  demand(starts >= 4 && tally.errors === 0, 'a worker that does not start is not done without');
  const steps: readonly (readonly [Way, number])[] = [
    ...ONE_OF_EACH.map((way) => [way, way.call === 'fsync' || way.call === 'rename' ? 4 : 9] as const),
    [FULL_DISK, 8],
    [RESERVATION, 29],
  ];
  for (const [way, step] of steps) await faultLoop(job, way, step, tally);
  const { right, errors } = tally;
  say(`with plugins, all ${starts} starts and every 4th to 29th of the other calls: ${right} right, ${errors} errors`);
  return `${right + errors} with plugins, at every start and every 4th to 29th of the other calls (${right} right, ${errors} errors)`;
}

const NTHS = [1, 3];
const PUBLISHED = ['gate.m3u8', 'gate.xmltv', 'gate.unmatched.txt'];

/** What a user sees: the program itself, with a fault from outside. */
async function asProgram(dir: string): Promise<string> {
  mkdirSync(dir);
  const list = join(dir, 'list.m3u');
  const run = (seed: number, fault?: FileFault) => runProgram(dir, list, seed, fault);
  demand((await run(1)).exitCode === 0, 'the program fails without a fault');
  const out = join(dir, 'out');
  const old = digests(out);
  cpSync(out, join(dir, 'before'), { recursive: true });
  demand((await run(2)).exitCode === 0, 'the program fails without a fault');
  const fresh = digests(out);
  demand(old !== fresh, 'the old and the new output are the same');
  const tally: Tally = { right: 0, errors: 0 };
  for (const call of FILE_CALLS) {
    for (const nth of NTHS) {
      const fault: FileFault = { call, nth, code: call === 'write' ? 'ENOSPC' : 'EIO', forGood: call === 'write' };
      rmSync(out, { recursive: true, force: true });
      cpSync(join(dir, 'before'), out, { recursive: true });
      const { exitCode, stderr } = await run(2, fault);
      const said = `the program, ${describeFault(fault)}`;
      const failed = exitCode !== 0;
      demand(digests(out) === (failed ? old : fresh), `${said}: the output is not the ${failed ? 'old' : 'new'} one`);
      if (failed) {
        demand(exitCode === 1, `${said}: exit code ${exitCode}: ${stderr}`);
        // Warnings may stand before it.
        const line = stderr.trimEnd().split('\n').at(-1)!;
        demand(line !== '' && !/^\s+at |fault of the program/m.test(stderr), `${said}: ${stderr}`);
        tally.errors++;
      } else tally.right++;
      const hits = Number(readFileSync(join(dir, 'hits'), 'utf8'));
      demand(hits > 0, `${said}: the program does not come to that call`);
      const left = readdirSync(out).filter((name) => name !== '.cache' && !PUBLISHED.includes(name));
      left.push(...readdirSync(join(out, '.cache')).filter((name) => name.endsWith('.part')));
      left.push(...readdirSync(join(dir, 'temp')));
      demand(left.length === 0, `${said}: left behind: ${left.join(', ')}`);
    }
  }
  demand(tally.errors > 0, 'no fault reached the program');
  return `${tally.right + tally.errors} runs of the program (${tally.errors} with exit code 1 and a line, no stack)`;
}

async function runProgram(dir: string, list: string, seed: number, fault?: FileFault): Promise<AppRun> {
  await generateM3u({ path: list, channels: 120, seed });
  const temp = join(dir, 'temp');
  mkdirSync(temp, { recursive: true });
  const watch = {
    folders: [dir, PLUGIN_DIR],
    except: '(gate\\.toml|report\\.json)$',
    fault,
    tellIn: join(dir, 'hits'),
  };
  return runApp({
    dir,
    lists: [list],
    settings: `${RULES}\n[cache]\nshrink_limit = 0\n[plugins]\nenabled = true\ndir = ${JSON.stringify(PLUGIN_DIR)}\n`,
    flags: ['--sort', 'name'],
    env: {
      PLIMSOLL_FORCE_SPILL: '1',
      TMPDIR: temp,
      NODE_OPTIONS: `--import ${pathToFileURL(join(import.meta.dirname, 'failing-fs.ts')).href}`,
      // As if replaced already: the process that is would count anew.
      PLIMSOLL_LAUNCHED: `parent ${process.pid}`,
      ...(fault && { JOB_FAULT: JSON.stringify(watch) }),
    },
    timeoutMs: 60_000,
    sampleMs: 1_000,
  });
}

const digests = (out: string): string =>
  PUBLISHED.map((name) => {
    const path = join(out, name);
    return existsSync(path) ? createHash('sha256').update(readFileSync(path)).digest('hex') : 'none';
  }).join();

export const jobFaultsGate: Gate = {
  name: 'job-faults',
  promise:
    'whichever open, read, write, sync, rename, request for bytes or start of a worker fails: the output is right, or there is a clear error and the old output; nothing is left behind or held',
  patient: true,
  async run(say) {
    if (!existsSync(APP)) throw new GateFailure('the application is not built: run `npm run build` first');
    const dir = freshDir('job-faults');
    try {
      const figures = [await everyCall(join(dir, 'plain'), say), await someCallsWithPlugins(join(dir, 'plugins'), say)];
      return [...figures, await asProgram(join(dir, 'program'))].join('; ');
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
};
