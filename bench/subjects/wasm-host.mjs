// ISOLATION: what it takes to run a plugin besides its own work: starting, a call, ending. Prints milliseconds, microseconds and bytes, each the median of several.
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { definePlugin, PluginHost } from 'plimsoll/wasm';

// Puts a batch out as it is; spins when the first byte is 1.
const MODULE =
  'AGFzbQEAAAABEANgAn9/AX9gAAF/YAF/AX8CEQEIcGxpbXNvbGwEZW1pdAAAAwUEAQIAAAUDAQAiB00FBm1lbW9yeQIADHBsaW1zb2xsX2FiaQABDnBsaW1zb2xsX2FsbG9jAAINcGxpbXNvbGxfaW5pdAADEHBsaW1zb2xsX3Byb2Nlc3MABAorBAQAQQELBQBBgAgLBABBAAsZACAALQAAQQFGBEADQAwACwALIAAgARAACw==';
const isolation = process.argv[2];
const MIB = 2 ** 20;
const LIMIT_MS = 200;

const middle = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
/** What this process and those that it started have in memory of their own. */
function treeBytes() {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  const one = (pid) => Number(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1_024;
  return ['self', ...children].reduce((sum, pid) => sum + one(pid), 0);
}
async function timed(run) {
  const started = performance.now();
  const result = await run();
  return [performance.now() - started, result];
}

const plugin = await definePlugin(
  { name: 'echo', stages: ['echo'], maxHeapBytes: 4 * MIB },
  Buffer.from(MODULE, 'base64'),
);
const begin = (warmInstances) =>
  new PluginHost({
    maxPluginBytes: 16 * MIB,
    maxTotalBytes: 16 * MIB,
    timeoutMs: LIMIT_MS * 5,
    maxFailures: 100,
    isolation,
    warmInstances,
  });

const cold = [];
const bytes = [];
{
  await using host = begin(0);
  const kept = [];
  for (let i = 0; i < 4; i++) {
    const before = treeBytes();
    const [ms, instance] = await timed(() => host.open(plugin, { stage: 'echo' }));
    await setTimeout(200);
    cold.push(ms);
    bytes.push(treeBytes() - before);
    kept.push(instance);
  }
}
await using host = begin(1);
const warm = [];
for (let i = 0; i < 6; i++) {
  const [ms, instance] = await timed(() => host.open(plugin, { stage: 'echo' }));
  if (i > 0) warm.push(ms);
  await instance.finalize();
  await setTimeout(600);
}
const instance = await host.open(plugin, { stage: 'echo' });
async function callUs(size, calls) {
  const batch = new Uint8Array(size);
  for (let i = 0; i < calls / 4; i++) await instance.process(batch);
  const each = [];
  for (let round = 0; round < 5; round++) {
    const [ms] = await timed(async () => {
      for (let i = 0; i < calls; i++) await instance.process(batch);
    });
    each.push((ms / calls) * 1_000);
  }
  return middle(each);
}
const call = { none: await callUs(4, 2_000), k64: await callUs(65_536, 500), m1: await callUs(MIB, 100) };
await instance.finalize();

const ending = [];
for (let i = 0; i < 5; i++) {
  const controller = new AbortController();
  const spinning = await host.open(plugin, { stage: 'echo' });
  const running = spinning.process(Uint8Array.of(1), { signal: controller.signal }).catch(() => {});
  await setTimeout(50);
  const [ms] = await timed(() => {
    controller.abort(new Error('enough'));
    return running;
  });
  ending.push(ms);
}
console.log(
  JSON.stringify({ coldMs: middle(cold), warmMs: middle(warm), bytes: middle(bytes), endMs: middle(ending), ...call }),
);
