/** Starts PostgreSQL, a service inside a kernel memory limit, and the load outside of it, and reports what became of each. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type LimitedRun, runInLimit } from '../../cgroup/run-in-limit.ts';

const HERE = import.meta.dirname;
const DATA_DIR = join(HERE, '..', '..', '.tmp');
const READY_MS = 60_000;

export interface Database extends AsyncDisposable {
  readonly url: string;
  readonly rows: number;
  /** Transactions so far, as its statistics have it: a second late at most. */
  queries(): Promise<number>;
}

/** PostgreSQL with `rows` documents, in no memory group. Throws with its log when it does not start. */
export async function startDatabase(rows: number): Promise<Database> {
  const port = await freePort();
  const child = spawn(
    process.execPath,
    [join(HERE, 'database.mjs'), join(DATA_DIR, `postgres-${process.pid}-${port}`), String(port), String(rows)],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  await untilPrinted(child, 'ready', 'PostgreSQL');
  return {
    url: `postgres://postgres:shelf@127.0.0.1:${port}/postgres`,
    rows,
    async queries() {
      child.stdin.write('\n');
      const [answer] = (await once(child.stdout, 'data')) as [Buffer];
      return Number(String(answer));
    },
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.stdin.end();
      await ended;
    },
  };
}

/** Requests that came at `rate` a second for `seconds`. */
export interface Phase {
  readonly seconds: number;
  readonly rate: number;
}

export interface PhaseResult extends Phase {
  readonly served: number;
  /** Answered with 503. */
  readonly shed: number;
  /** Not answered, cut, or answered with any other status from 400 up. */
  readonly failed: number;
  /** Not sent, because all connections were waiting for an answer. */
  readonly unsent: number;
  readonly reports: number;
  /** Of those served. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly mostMs: number;
  readonly causes: Readonly<Record<string, number>>;
}

export interface SecondResult {
  readonly second: number;
  readonly served: number;
  readonly shed: number;
  readonly failed: number;
  readonly unsent: number;
}

export interface ServiceOptions {
  /** A file beside this one. */
  readonly program: string;
  readonly database: Database;
  readonly limitBytes?: number;
  readonly nodeArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly connections: number;
  readonly phases: readonly Phase[];
  /** The requests are the same for the same seed. Default 1. */
  readonly seed?: number;
  readonly sampleMs?: number;
  readonly onSecond?: (result: SecondResult) => void;
}

export interface ServiceRun {
  readonly run: LimitedRun;
  /** One for each phase; empty when the service was killed, which ends the load. */
  readonly phases: readonly PhaseResult[];
  readonly seconds: readonly SecondResult[];
  /** Of all seconds that the service lived. */
  readonly served: number;
  readonly shed: number;
  /** What the database was asked by it, about. */
  readonly queries: number;
  /** From the first request on, until it died or was ended. */
  readonly aliveMs: number;
  /** It died by itself. */
  readonly died: boolean;
  /** Processor time of the process while the load ran, user and system. */
  readonly cpuMs: number;
  /** Resident at the end of the load. */
  readonly rssBytes: number;
}

/** The program under the load. Ends it with SIGTERM, then SIGKILL. */
export async function runService(options: ServiceOptions): Promise<ServiceRun> {
  const { program, database, limitBytes, nodeArgs = [], env = {}, sampleMs = 50 } = options;
  const port = await freePort();
  const queriesBefore = await database.queries();
  let loaded: Promise<Loaded> | undefined;
  let ending = false;
  const run = await runInLimit({
    command: process.execPath,
    args: [...nodeArgs, join(HERE, program)],
    env: { NODE_OPTIONS: undefined, DATABASE_URL: database.url, PORT: String(port), ...env },
    timeoutMs: options.phases.reduce((sum, { seconds }) => sum + seconds, 0) * 1000 + 2 * READY_MS,
    sampleMs,
    ...(limitBytes === undefined ? {} : { limitBytes }),
    onStart(child) {
      loaded = untilPrinted(child, 'listening', program).then(async () => {
        const result = await runLoad(options, port, child);
        ending = child.exitCode === null && child.signalCode === null;
        child.kill('SIGTERM');
        setTimeout(() => child.kill('SIGKILL'), 5_000).unref();
        return result;
      });
      // It is looked at when the process is over.
      loaded.catch(() => child.kill('SIGKILL'));
    },
  });
  const result = await loaded!.catch((cause) => {
    throw new Error(`${program} did not start: ${run.stderr.slice(-1500)}`, { cause });
  });
  const sum = (what: 'served' | 'shed') => result.seconds.reduce((total, row) => total + row[what], 0);
  const queries = (await database.queries()) - queriesBefore;
  return { run, ...result, queries, served: sum('served'), shed: sum('shed'), died: !ending };
}

type Loaded = Pick<ServiceRun, 'phases' | 'seconds' | 'aliveMs' | 'cpuMs' | 'rssBytes'>;

async function runLoad(
  { connections, phases, seed = 1, database, onSecond }: ServiceOptions,
  port: number,
  service: ChildProcess,
): Promise<Loaded> {
  const settings = { port, rows: database.rows, seed, connections, phases };
  const startedAt = performance.now();
  const pid = service.pid!;
  const cpuBefore = cpuMsOf(pid);
  const load = spawn(process.execPath, [join(HERE, 'load.mjs'), JSON.stringify(settings)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: undefined },
  });
  let last = { cpuMs: 0, rssBytes: 0 };
  let aliveMs = 0;
  const stop = (): void => {
    aliveMs = performance.now() - startedAt;
    // A dead service answers nobody: the last rows still come.
    setTimeout(() => load.kill(), 500).unref();
  };
  service.once('exit', stop);
  const seconds: SecondResult[] = [];
  let done: PhaseResult[] = [];
  for await (const line of createInterface({ input: load.stdout })) {
    const row = JSON.parse(line) as SecondResult | { phases: PhaseResult[] };
    last = { cpuMs: cpuMsOf(pid) || last.cpuMs, rssBytes: rssBytesOf(pid) || last.rssBytes };
    if ('phases' in row) done = row.phases;
    else {
      seconds.push(row);
      onSecond?.(row);
    }
  }
  service.off('exit', stop);
  return {
    phases: done,
    seconds,
    aliveMs: aliveMs || performance.now() - startedAt,
    cpuMs: last.cpuMs - cpuBefore,
    rssBytes: last.rssBytes,
  };
}

/** From the kernel; 0 when the process is gone. A tick is 10 ms on every Linux that Node runs on. */
function cpuMsOf(pid: number): number {
  const fields = procFile(pid, 'stat')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 10;
}

function rssBytesOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(procFile(pid, 'status'))?.[1] ?? 0) * 1024;
}

function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return '';
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function untilPrinted(child: ChildProcess, word: string, what: string): Promise<void> {
  let errors = '';
  child.stderr!.on('data', (chunk) => {
    errors = (errors + chunk).slice(-2000);
  });
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${what} was not ready in time`)), READY_MS);
    child.stdout!.on('data', (chunk) => {
      if (!String(chunk).includes(word)) return;
      clearTimeout(timer);
      resolve();
    });
    child.once('exit', () => {
      clearTimeout(timer);
      reject(new Error(`${what} ended before it was ready: ${errors}`));
    });
  });
}
