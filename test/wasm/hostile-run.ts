/**
 * All hostile modules in one process, one after the other, beside a good plugin that works on. Prints a line of JSON for each, `ready` before the first. Takes the isolation, and runs what
 * the package's doors lead to: built, without the condition `source`.
 */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { type Clock, systemClock } from 'plimsoll';
import { type Plugin, PluginHost, type PluginInstance } from 'plimsoll/wasm';
import {
  BULK_LOOPS,
  CAP_BYTES,
  FORGING,
  type HostileModule,
  hasShared,
  LARGE_BYTES,
  LOOPING,
  loopForeverAsGuest,
  REFUSED,
  SHARED,
  TAKING,
  TRAPPING,
} from './hostile-modules.ts';
import { openSpill, plugin, STAGE, text } from './plugin-set-up.ts';

const isolation = process.argv[2] as 'worker' | 'process';
const LIMIT_MS = 250;
/** For what is to end by itself, however busy the machine is. */
const PATIENCE_MS = 30_000;
/** A guest that is to be ended at its limit is gone so much later at most, start and all, however busy the machine is. One that is not interrupted would be there for a minute. */
const MOST_LATE_MS = 5_000;
const SPINS = 20;
let limitMs = PATIENCE_MS;
const clock: Clock = {
  ...systemClock,
  after: (ms, act, keepAlive) => systemClock.after(ms === LIMIT_MS ? limitMs : ms, act, keepAlive),
};
const say = (line: unknown) => console.log(JSON.stringify(line));

/** What is refused before it runs is the same for both. */
const ALL: readonly HostileModule[] = [
  ...LOOPING,
  ...(hasShared ? [loopForeverAsGuest] : []),
  ...TAKING,
  ...TRAPPING,
  ...(isolation === 'worker' ? [...FORGING, ...REFUSED, ...(hasShared ? SHARED : [])] : []),
];

async function attack(
  host: PluginHost,
  bytes: Uint8Array,
  maxHeapBytes = CAP_BYTES,
): Promise<{ code?: string; message?: string; output?: Uint8Array }> {
  try {
    const instance = await host.open(await plugin(bytes, { name: 'hostile', maxHeapBytes }), STAGE);
    try {
      instance.pressure('high');
      const output = (await instance.process(new Uint8Array(100))).slice();
      await instance.finalize();
      return { output };
    } finally {
      await instance[Symbol.asyncDispose]();
    }
  } catch (error) {
    return error as { code: string; message: string };
  }
}

function whyNot(
  { code, fillsHeap, says, output }: HostileModule,
  found: Awaited<ReturnType<typeof attack>>,
): string | undefined {
  if (isolation === 'process' && fillsHeap === true && found.code === 'PLIMSOLL_PLUGIN_WORKER') return undefined;
  if (found.code !== code) return `ended with ${found.code ?? 'output'}, not ${code ?? 'output'}: ${found.message}`;
  if (code !== undefined) return (says ?? /./).test(found.message!) ? undefined : `said ${found.message}`;
  return output?.(found.output!) === true ? undefined : 'got what it wanted';
}

/** What Node and this machine take to end a thread that spins in plain JavaScript, in the same way: how late that is. */
async function plainSpin(): Promise<number> {
  const worker = new Worker("require('node:worker_threads').parentPort.postMessage(1); for (;;);", { eval: true });
  await once(worker, 'message');
  const started = performance.now();
  await setTimeout(LIMIT_MS);
  await worker.terminate();
  return performance.now() - started - LIMIT_MS;
}

async function works(instance: PluginInstance, word: string): Promise<boolean> {
  return text(await instance.process(Buffer.from(word))) === word;
}

async function runAll(host: PluginHost, good: Plugin, modules: readonly Uint8Array[], recordCount: () => number) {
  const neighbour = await host.open(good, STAGE);
  say('ready');
  for (const [index, hostile] of ALL.entries()) {
    const started = performance.now();
    limitMs = LOOPING.includes(hostile) || hostile === loopForeverAsGuest ? LIMIT_MS : PATIENCE_MS;
    let why = whyNot(hostile, await attack(host, modules[index]!));
    const ms = performance.now() - started;
    limitMs = PATIENCE_MS;
    const { running, chargedBytes, spilledBytes } = host.stats;
    if (running !== 1 || chargedBytes !== CAP_BYTES || spilledBytes !== 0 || recordCount() !== 0)
      why ??= 'left something behind';
    if (!(await works(neighbour, hostile.name))) why ??= 'harmed its neighbour';
    say({ name: hostile.name, ms, ...(why !== undefined && { why }) });
  }
  const spinning = await plugin({ process: '(loop $l (br $l)) (unreachable)' }, { name: 'spinning' });
  for (let spin = 0; spin < SPINS; spin++) {
    if (spin % 4 === 0) say({ plainMs: await plainSpin() });
    const instance = await host.open(spinning, STAGE);
    const started = performance.now();
    limitMs = LIMIT_MS;
    await instance.process(new Uint8Array(1)).catch(() => {});
    say({ overMs: performance.now() - started - LIMIT_MS });
    limitMs = PATIENCE_MS;
  }
  for (const hostile of BULK_LOOPS) say(await loopOverBulk(hostile));
  await neighbour[Symbol.asyncDispose]();
  const next = await host.open(good, STAGE);
  say({ name: 'the next good plugin', ms: 0, ...(!(await works(next, 'next')) && { why: 'does not work' }) });
  await next.finalize();
  if (host.stats.chargedBytes !== 0 || host.stats.running !== 0)
    say({ name: 'the end', ms: 0, why: 'something is charged' });
}

/** With a host of its own, which lets it have more. */
async function loopOverBulk(hostile: HostileModule) {
  await using host = new PluginHost({
    maxPluginBytes: LARGE_BYTES,
    maxTotalBytes: LARGE_BYTES,
    timeoutMs: LIMIT_MS,
    isolation,
    warmInstances: 0,
  });
  const started = performance.now();
  let why = whyNot(hostile, await attack(host, await hostile.build(), LARGE_BYTES));
  const ms = performance.now() - started;
  if (ms > LIMIT_MS + MOST_LATE_MS) why ??= `was gone after ${ms.toFixed(0)} ms`;
  return { name: hostile.name, ms, ...(why !== undefined && { why }) };
}

const modules: Uint8Array[] = [];
for (const { build } of ALL) modules.push(await build());
const spill = await openSpill();
const host = new PluginHost({
  maxPluginBytes: CAP_BYTES,
  maxTotalBytes: 2 * CAP_BYTES,
  maxOutputBytes: 2 ** 20,
  maxFailures: 1_000,
  timeoutMs: LIMIT_MS,
  isolation,
  clock,
  spill,
  maxSpillBytes: 2 ** 20,
});
try {
  await runAll(host, await plugin({}, { name: 'good' }), modules, () => spill.stats.recordCount);
} finally {
  await host[Symbol.asyncDispose]();
  await spill[Symbol.asyncDispose]();
  rmSync(spill.parent, { recursive: true, force: true });
}
