/**
 * What the C library's allocator keeps of buffers that were dropped, what another one keeps, and what a governor adds to either. `npm run bench --
 * allocators`; 12 minutes. RSS is read from outside, from /proc.
 */
import type { ChildProcess } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { whyNoLimits } from '../../test/cgroup/memory-group.ts';
import { type LimitedRun, runInLimit } from '../../test/cgroup/run-in-limit.ts';
import { mib } from '../../test/gates/gate.ts';
import { table, writeSection } from '../results-file.ts';
import { type ItemResult, requestItems } from './request-items.ts';

const HERE = import.meta.dirname;
const MIB = 1_048_576;
const ROUNDS = 3;
const STAGES = ['started', 'full', 'dropped', '2 s', '12 s'] as const;
const WITH_GOVERNOR = ['glibc', 'jemalloc', 'jemalloc, decay 1 s, background thread'];
const CONNECTIONS = 50;
const BOUNDED = { max: 4_096, bytes: 16_384, ids: 40_000, forMs: 8_000 };
const UNBOUNDED = { max: 100_000, bytes: 16_384, ids: 100_000, forMs: 20_000, limitBytes: 256 * MIB };

interface Arm {
  readonly name: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly governed: boolean;
}

type Stage = (typeof STAGES)[number];
type Dropped = Readonly<Record<Stage, number>>;

interface Served {
  readonly result: ItemResult;
  readonly run: LimitedRun;
  readonly state: { readonly entryCount: number; readonly heldBytes: number } | undefined;
  readonly rssBytes: number;
}

export async function benchAllocators(): Promise<void> {
  const arms = armsHere();
  const dropped = await inTurn(arms, measureDropped);
  const bounded = await inTurn(
    arms.filter((arm) => !arm.governed),
    (arm) => measureServed(arm, BOUNDED),
  );
  const noLimits = await whyNoLimits();
  const limited = noLimits === undefined ? await inTurn(arms, (arm) => measureServed(arm, UNBOUNDED)) : undefined;
  const parts = [droppedPart(dropped), boundedPart(bounded), limitedPart(limited, noLimits)];
  writeSection({
    id: 'allocators',
    title: 'Allocators',
    command: 'npm run bench -- allocators',
    body: parts.join('\n\n'),
  });
}

/** Alternately without and with the governor, on each allocator that this machine has. */
function armsHere(): Arm[] {
  const plain = { LD_PRELOAD: undefined, MALLOC_CONF: undefined, MALLOC_ARENA_MAX: undefined, PLIMSOLL: undefined };
  const jemalloc = findJemalloc();
  if (jemalloc === undefined) console.log('jemalloc is left out: it is not installed (apt-get install libjemalloc2)');
  const preload = { ...plain, LD_PRELOAD: jemalloc };
  const decay = 'dirty_decay_ms:1000,muzzy_decay_ms:1000';
  const bare: [string, Arm['env']][] = [
    ['glibc', plain],
    ['glibc, MALLOC_ARENA_MAX=2', { ...plain, MALLOC_ARENA_MAX: '2' }],
    ...(jemalloc === undefined
      ? []
      : ([
          ['jemalloc', preload],
          ['jemalloc, decay 1 s', { ...preload, MALLOC_CONF: decay }],
          ['jemalloc, decay 1 s, background thread', { ...preload, MALLOC_CONF: `background_thread:true,${decay}` }],
        ] as [string, Arm['env']][])),
  ];
  return bare.flatMap(([name, env]) => [
    { name, env, governed: false },
    ...(WITH_GOVERNOR.includes(name) ? [{ name: `${name} + governor`, env, governed: true }] : []),
  ]);
}

function findJemalloc(): string | undefined {
  return globSync(['/usr/lib/*/libjemalloc.so.2', '/usr/lib{,64}/libjemalloc.so.2'])[0];
}

/** Each arm once, then each again: a noisy minute falls on all. */
async function inTurn<T>(arms: readonly Arm[], run: (arm: Arm) => Promise<T>): Promise<Map<Arm, T[]>> {
  const results = new Map<Arm, T[]>(arms.map((arm) => [arm, []]));
  for (let round = 0; round < ROUNDS; round++) for (const arm of arms) results.get(arm)!.push(await run(arm));
  return results;
}

async function measureDropped({ name, env, governed }: Arm): Promise<Dropped> {
  const seen: Partial<Record<Stage, number>> = {};
  const run = await runInLimit({
    command: process.execPath,
    args: ['--expose-gc', join(HERE, 'dropped-buffers.mjs'), ...(governed ? ['--give-back'] : [])],
    env: { ...env, NODE_OPTIONS: undefined },
    onStart: (child) => onWord(child, (word) => void (seen[word as Stage] = rssBytesOf(child))),
  });
  if (run.exitCode !== 0) throw new Error(`dropped-buffers.mjs on ${name} ended with ${run.exitCode}: ${run.stderr}`);
  console.log(`  ${name}: ${STAGES.map((stage) => `${stage} ${mib(seen[stage]!)}`).join(', ')}`);
  return seen as Dropped;
}

interface ServedLoad {
  readonly max: number;
  readonly bytes: number;
  readonly ids: number;
  readonly forMs: number;
  readonly limitBytes?: number;
}

async function measureServed({ name, env, governed }: Arm, load: ServedLoad): Promise<Served> {
  let loaded: Promise<Omit<Served, 'run'>> | undefined;
  const run = await runInLimit({
    command: process.execPath,
    args: [join(HERE, 'served-cache.mjs'), String(load.max), String(load.bytes), ...(governed ? ['--governed'] : [])],
    env: { ...env, NODE_OPTIONS: undefined },
    ...(load.limitBytes === undefined ? {} : { limitBytes: load.limitBytes }),
    onStart: (child) =>
      onWord(child, (word) => {
        loaded = requestAll(child, Number(word.split(' ')[1]), load).finally(() => child.kill('SIGTERM'));
      }),
  });
  if (loaded === undefined) throw new Error(`served-cache.mjs on ${name} did not start: ${run.stderr}`);
  const served = { ...(await loaded), run };
  const ended = run.oomKilled ? 'killed' : `RSS ${mib(served.rssBytes)}`;
  console.log(`  ${name}: ${served.result.served} served, ${served.result.failed} failed, ${ended}`);
  return served;
}

async function requestAll(child: ChildProcess, port: number, { ids, forMs }: ServedLoad): Promise<Omit<Served, 'run'>> {
  const result = await requestItems({ port, ids, forMs, connections: CONNECTIONS });
  const rssBytes = rssBytesOf(child);
  const state = await fetch(`http://127.0.0.1:${port}/state`).then(
    (response) => response.json() as Promise<NonNullable<Served['state']>>,
    () => undefined,
  );
  return { result, state, rssBytes };
}

function onWord(child: ChildProcess, listen: (word: string) => void): void {
  child.stdout!.on('data', (chunk) => {
    for (const word of String(chunk).trim().split('\n')) listen(word);
  });
}

function rssBytesOf({ pid }: ChildProcess): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

function droppedPart(results: ReadonlyMap<Arm, readonly Dropped[]>): string {
  const rows = [...results].map(([arm, runs]) => [
    arm.name,
    ...STAGES.slice(1).map((stage) => spread(runs.map((run) => run[stage]))),
  ]);
  return `300 MiB of buffers of 16 KiB, 63 of 64 dropped: 4.7 MiB are still held. All arms collect; those with a governor by \`governor.reclaim()\`. RSS, median of
${ROUNDS} processes, least and most in brackets.\n\n${table(['', 'full', 'dropped and collected', '2 s later', '12 s later'], rows)}`;
}

function boundedPart(results: ReadonlyMap<Arm, readonly Served[]>): string {
  const rows = [...results].map(([arm, runs]) => [
    arm.name,
    spread(runs.map((run) => run.state?.heldBytes ?? Number.NaN)),
    spread(runs.map((run) => run.rssBytes)),
    spread(runs.map((run) => run.run.rssPeakBytes)),
    perSecond(runs, BOUNDED.forMs),
  ]);
  return `A server whose \`lru-cache\` has \`max: ${BOUNDED.max}\`, of buffers of 4 to 28 KiB, asked by ${CONNECTIONS} connections for ${BOUNDED.forMs / 1000} s for ${BOUNDED.ids.toLocaleString('en')} ids. No limit, no governor.\n\n${table(
    ['', 'in the cache', 'RSS at the end', 'peak RSS', 'served a second'],
    rows,
  )}`;
}

function limitedPart(results: ReadonlyMap<Arm, readonly Served[]> | undefined, why: string | undefined): string {
  if (results === undefined) return `The same with a bound that does not bind, in 256 MiB: not measured, ${why}.`;
  const rows = [...results].map(([arm, runs]) => {
    const alive = runs.filter(({ run }) => !run.oomKilled);
    return [
      arm.name,
      `${runs.length - alive.length} of ${runs.length}`,
      spread(runs.map(({ run }) => run.anonymousPeakBytes)),
      spread(
        runs.map(({ result }) => result.served),
        String,
      ),
      alive.length === 0 ? '-' : spread(alive.map(({ state }) => state?.heldBytes ?? Number.NaN)),
    ];
  });
  return `The same with a bound that does not bind (\`max: ${UNBOUNDED.max}\`) in a cgroup of 256 MiB, for ${UNBOUNDED.forMs / 1000} s or until it is killed; with a governor, the
cache is adopted.\n\n${table(['', 'killed', 'peak charge', 'served', 'in the cache at the end'], rows)}`;
}

function perSecond(runs: readonly Served[], forMs: number): string {
  return spread(
    runs.map(({ result }) => (result.served * 1000) / forMs),
    (value) => value.toFixed(0),
  );
}

function spread(values: readonly number[], show: (value: number) => string = mib): string {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = show(sorted[sorted.length >> 1]!);
  return `${middle} (${show(sorted[0]!)}-${show(sorted.at(-1)!)})`;
}
