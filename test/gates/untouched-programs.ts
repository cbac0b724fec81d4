import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { demand, type Gate } from './gate.ts';
import { installShelf } from './shelf.ts';

const PROJECT_DIR = join(import.meta.dirname, '..', '..');
/** Where programs of the shelf write what is compared. */
export const UNTOUCHED_DIR = join(PROJECT_DIR, 'test', '.tmp', 'untouched');
const ENTRY = 'plimsoll/auto';
const START_MS = 15_000;

/** How a program is started: Node's own arguments before it, and what is added to the environment. */
export interface Way {
  readonly name: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export const BARE: Way = { name: 'bare', args: [], env: {} };
const WAYS: readonly Way[] = [
  { name: 'observe', args: ['--import', ENTRY], env: {} },
  { name: 'on', args: ['--import', ENTRY], env: { PLIMSOLL: 'on' } },
  { name: 'on, shed', args: ['--import', ENTRY], env: { PLIMSOLL: 'on', PLIMSOLL_HTTP: 'shed' } },
  { name: 'on, by require', args: ['--require', ENTRY], env: { PLIMSOLL: 'on' } },
  { name: 'on, by NODE_OPTIONS', args: [], env: { PLIMSOLL: 'on', NODE_OPTIONS: `--import ${ENTRY}` } },
];

/** A line that it cannot stay under: auto says so. A run without a word would prove nothing if auto had not begun. */
const TIGHT: Way = { name: 'observe, a small limit', args: ['--import', ENTRY], env: { PLIMSOLL_LIMIT: '64MiB' } };
const OWN_LINE = /^plimsoll: .*\n/gm;

/** All that can be seen of a run from outside, by what it is of. */
export type Seen = Readonly<Record<string, string>>;

export interface Program {
  readonly name: string;
  /** What it ends with, bare: a run that went wrong in the same way each time shows nothing. */
  readonly ends: string;
  run(way: Way, shelf: string): Promise<Seen>;
}

export const PROGRAMS: readonly Program[] = [
  {
    name: 'rolldown, a bundle',
    ends: 'exit 0',
    async run(way, shelf) {
      const out = join(UNTOUCHED_DIR, 'bundle');
      rmSync(out, { recursive: true, force: true });
      const args = ['programs/bundle/main.js', '--dir', out, '--platform', 'node', '--sourcemap'];
      const seen = await runToEnd(way, shelf, ['node_modules/rolldown/bin/cli.mjs', ...args]);
      return { ...seen, ...filesIn(out) };
    },
  },
  {
    name: 'mocha, tests that pass',
    ends: 'exit 0',
    run: (way, shelf) => runToEnd(way, shelf, ['node_modules/mocha/bin/mocha.js', 'programs/suite/passes.cjs']),
  },
  {
    name: 'mocha, tests that fail',
    ends: 'exit 2',
    run: (way, shelf) => runToEnd(way, shelf, ['node_modules/mocha/bin/mocha.js', 'programs/suite/fails.cjs']),
  },
  { name: 'serve, a site', ends: 'exit 0', run: runServer },
];

/** Well-known programs, started bare and with `plimsoll/auto`: nobody can tell them apart by what they do. */
export const untouchedProgramsGate: Gate = {
  name: 'untouched-programs',
  promise:
    'a bundler, a test run and a static server print, write, answer and exit the same with `plimsoll/auto`, in observe and in on',
  patient: true,
  async run(say) {
    const shelf = await installShelf(say);
    mkdirSync(UNTOUCHED_DIR, { recursive: true });
    try {
      for (const program of PROGRAMS) {
        const bare = await program.run(BARE, shelf);
        demand(bare.end === program.ends, `${program.name} bare: ${bare.end}, not ${program.ends}: ${bare.stderr}`);
        demandSame(`${program.name} bare, and bare again`, bare, await program.run(BARE, shelf));
        for (const way of WAYS) demandSame(`${program.name}, ${way.name}`, bare, await program.run(way, shelf));
        const { stderr = '', ...tight } = await program.run(TIGHT, shelf);
        demand(
          stderr.search(OWN_LINE) >= 0,
          `${program.name}: auto has not begun, or says nothing of a limit that is too small`,
        );
        const what = `${program.name}, ${TIGHT.name}`;
        demandSame(what, bare, { ...tight, stderr: stderr.replaceAll(OWN_LINE, '') });
        const bytes = Object.values(bare).reduce((sum, text) => sum + text.length, 0);
        say(
          `${program.name}: ${Object.keys(bare).length} things compared, ${bytes} characters, ${WAYS.length + 1} ways`,
        );
      }
      const names = PROGRAMS.map(({ name }) => name).join('; ');
      return `${names}: the same in ${[...WAYS, TIGHT].map(({ name }) => name).join('; ')}`;
    } finally {
      rmSync(UNTOUCHED_DIR, { recursive: true, force: true });
    }
  },
};

export function demandSame(what: string, expected: Seen, found: Seen): void {
  for (const key of new Set([...Object.keys(expected), ...Object.keys(found)])) {
    const [one, other] = [expected[key], found[key]];
    if (one !== other) demand(false, `${what}: ${key} differs: ${firstDifference(one, other)}`);
  }
}

function firstDifference(one = '(none)', other = '(none)'): string {
  const [lines, others] = [one.split('\n'), other.split('\n')];
  const at = lines.findIndex((line, index) => line !== others[index]);
  const index = at < 0 ? lines.length : at;
  return `line ${index + 1} is \`${others[index] ?? '(none)'}\`, not \`${lines[index] ?? '(none)'}\``;
}

function start({ args, env }: Way, cwd: string, program: readonly string[]): ChildProcess {
  const { NODE_OPTIONS: _, ...own } = process.env;
  const clean = Object.fromEntries(Object.entries(own).filter(([name]) => !name.startsWith('PLIMSOLL')));
  return spawn(process.execPath, [...args, ...program], {
    cwd,
    env: { ...clean, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function seenOf(child: ChildProcess): Promise<Seen> {
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]!.setEncoding('utf8').on('data', (chunk: string) => {
      texts[name] += chunk;
    });
  }
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  const masked = { stdout: withoutTimes(texts.stdout), stderr: withoutTimes(texts.stderr) };
  return { ...masked, end: signal === null ? `exit ${code}` : `signal ${signal}` };
}

const runToEnd = (way: Way, cwd: string, program: readonly string[]): Promise<Seen> => seenOf(start(way, cwd, program));

/** Answers are compared with all their headers but the date; then it is asked to end, as a supervisor asks. */
async function runServer(way: Way, shelf: string): Promise<Seen> {
  const port = await freePort();
  const options = ['--listen', `tcp://127.0.0.1:${port}`, '--no-port-switching', '--no-clipboard'];
  const child = start(way, shelf, ['node_modules/serve/build/main.js', ...options, 'programs/site']);
  const seen = seenOf(child);
  try {
    const url = `http://127.0.0.1:${port}`;
    await untilAnswers(url, child);
    const answers: Record<string, string> = {};
    for (const path of ['/', '/style.css', '/missing', '/%2e%2e/package.json']) {
      answers[`GET ${path}`] = await answerOf(`${url}${path}`);
    }
    child.kill('SIGTERM');
    const whole = Object.entries({ ...answers, ...(await seen) });
    return Object.fromEntries(whole.map(([name, text]) => [name, text.replaceAll(String(port), 'PORT')]));
  } finally {
    child.kill('SIGKILL');
  }
}

async function answerOf(url: string): Promise<string> {
  const response = await fetch(url, { redirect: 'manual' });
  const headers = [...response.headers].filter(([name]) => name !== 'date').map((pair) => pair.join(': '));
  return [`${response.status}`, ...headers, '', await response.text()].join('\n');
}

async function untilAnswers(url: string, child: ChildProcess): Promise<void> {
  for (const started = performance.now(); ; await wait(20)) {
    try {
      return void (await (await fetch(url)).arrayBuffer());
    } catch {
      demand(child.exitCode === null, `serve ended with ${child.exitCode}`);
      demand(performance.now() - started < START_MS, 'serve does not answer');
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function filesIn(folder: string): Seen {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const hash = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
  return Object.fromEntries(files.map(({ parentPath, name }) => [name, hash(join(parentPath, name))]));
}

/** What differs from run to run by itself: how long something took, and when it was. Request logs stand in the order in which they came. */
function withoutTimes(text: string): string {
  return (
    text
      // Mocha says how long a test took when it took longer than usual.
      .replaceAll(/ \(\d+ms\)/g, '')
      .replaceAll(/\d+(\.\d+)?\s?(ms|µs|s)\b/g, 'TIME')
      .replaceAll(/\d{1,2}\/\d{1,2}\/\d{4}(, | )\d{1,2}:\d{2}:\d{2}( [AP]M)?/g, 'WHEN')
  );
}
