/** What plugins cost beside the native stages whose work they do: memory, processor, time, in fresh processes, one after the other in turn. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { generateM3u } from '../../apps/playlist/src/sample/generate-m3u.ts';
import { runInLimit } from '../../test/cgroup/run-in-limit.ts';
import { median } from '../../test/gates/gate.ts';
import { BENCH_DIR, PROJECT_DIR } from '../measure.ts';
import { table, writeSection } from '../results-file.ts';

const CHANNELS = 100_000;
const ROUNDS = 3;
const SIZES = [64, 256, 1024] as const;
const SCRIPT = join(BENCH_DIR, 'subjects', 'plugin-stages.mjs');

/** By stage: the native way first, which the others are measured by, and what the older system says of such a plugin: its speed in percent of the native one. */
const WAYS: Readonly<Record<string, readonly (readonly [way: string, claim: string])[]>> = {
  'filtering, 2': [
    ['native', ''],
    ['filter-stream', '85%'],
    ['filter-stream-c', '85%'],
  ],
  'filtering, 8': [
    ['native', ''],
    ['filter-stream', '85%'],
  ],
  mapping: [
    ['native', ''],
    ['tidy-names', '85%'],
  ],
  grouping: [
    ['native, in memory', ''],
    ['native, spilled', ''],
    ['group-compress', '70%'],
    ['group-spill', '60%'],
  ],
};

const TITLES: Readonly<Record<string, string>> = {
  'filtering, 2': 'Filtering, the two comparisons of the sample configuration',
  'filtering, 8': 'Filtering, eight comparisons',
  mapping: 'Data mapping: tidy names',
  grouping: 'Grouping: 100,000 records of about 240 bytes',
};

interface Run {
  readonly elapsedMs: number;
  readonly cpuMs: number;
  readonly channels: number;
  readonly digest: string;
  readonly rssPeakBytes: number;
}

export async function benchPlugins(): Promise<void> {
  const list = await cleanList();
  const runs = new Map<string, Run[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const stage of Object.keys(WAYS)) {
      for (const size of SIZES) for (const [way] of waysOf(stage)) await runOnce(runs, list, stage, way, size);
    }
  }
  writeSection({
    id: 'plugins-stages',
    title: 'Plugins beside the native stages',
    command: 'npm run bench -- plugins',
    body: `${CHANNELS.toLocaleString('en')} channels in batches of 64 KiB, 256 KiB and 1 MiB of text, each stage by itself, over and over after three rounds to get warm; grouping once, from cold.
Medians of ${ROUNDS} fresh processes in turn. All ways of a stage gave the same bytes (a digest is compared). Processor time is that of the whole process, all its threads; a factor below 1 is better than native. What is copied to
plugins and back, and the look through all that comes back, is in it. Memory is peak RSS (VmHWM) seen from outside, what is more than in the native process: a worker of its own, and what the
plugin holds. The claim is what the documents of the system that this one replaces say of such a plugin, in percent of the native speed: no measurement came with it.

${Object.keys(WAYS)
  .map((stage) => section(stage, runs))
  .join('\n\n')}

What limits it: a call crosses to another thread and back, which costs some 0.03 to 0.1 ms (at 64 KiB there are four times as many calls as at 256 KiB, and it shows), and each channel is written out for the plugin
before anything is gained. So little work loses and much work wins. The aim, 0.75 of the native processor time, is met for eight comparisons from 256 KiB on, and missed for two. Nothing runs at the same time here: while a plugin works the stage
waits. A spilling plugin waits for the main thread at each 128 KiB.`,
  });
}

function waysOf(stage: string): readonly (readonly [way: string, claim: string])[] {
  const built = (way: string): boolean => existsSync(join(PROJECT_DIR, 'plugins', 'dist', `${way}.wasm`));
  return WAYS[stage]!.filter(([way]) => way.startsWith('native') || built(way));
}

async function runOnce(runs: Map<string, Run[]>, list: string, stage: string, way: string, size: number) {
  const run = await runInLimit({
    command: process.execPath,
    args: [SCRIPT, stage, way, String(size * 1024), list],
    env: { NODE_OPTIONS: undefined, PLIMSOLL: undefined, PLIMSOLL_FORCE_SPILL: undefined },
  });
  if (run.exitCode !== 0) throw new Error(`${stage}, ${way}: ${run.stderr}`);
  const result = { ...JSON.parse(run.stdout), rssPeakBytes: run.rssPeakBytes } as Run;
  console.log(`  ${stage}, ${way}, ${size} KiB: ${run.stdout.trim()}`);
  const key = `${stage}/${way}/${size}`;
  runs.set(key, [...(runs.get(key) ?? []), result]);
  const first = runs.get(`${stage}/${waysOf(stage)[0]![0]}/${size}`)![0]!;
  if (result.digest !== first.digest) throw new Error(`${stage}, ${way}: not the bytes of the native stage`);
}

function section(stage: string, runs: ReadonlyMap<string, readonly Run[]>): string {
  const ways = waysOf(stage);
  const of = (way: string, size: number, what: 'elapsedMs' | 'cpuMs' | 'rssPeakBytes'): number =>
    median(runs.get(`${stage}/${way}/${size}`)!.map((run) => run[what]));
  const first = ways[0]![0];
  const each = (way: string, size: number, what: 'elapsedMs' | 'cpuMs'): string => {
    const { channels } = runs.get(`${stage}/${way}/${size}`)![0]!;
    const ns = (of(way, size, what) * 1e6) / channels;
    const shown = ns >= 1000 ? `${(ns / 1000).toFixed(1)} µs` : `${ns.toFixed(0)} ns`;
    return way === first ? shown : `${shown}, ${(of(way, size, what) / of(first, size, what)).toFixed(2)}x`;
  };
  const more = (way: string, size: number): string => {
    const bytes = of(way, size, 'rssPeakBytes');
    if (way === first) return `${(bytes / 1e6).toFixed(0)} MB in all`;
    const over = (bytes - of(first, size, 'rssPeakBytes')) / 1e6;
    return `${over >= 0 ? '+' : '−'}${Math.abs(over).toFixed(0)} MB`;
  };
  const rows = ways.flatMap(([way, claim]) => {
    const cells = (what: (size: number) => string): string[] => SIZES.map(what);
    return [
      [way, 'processor, a channel', ...cells((size) => each(way, size, 'cpuMs')), claim],
      ['', 'time, a channel', ...cells((size) => each(way, size, 'elapsedMs')), ''],
      ['', 'memory', ...cells((size) => more(way, size)), ''],
    ];
  });
  const head = ['', '', ...SIZES.map((size) => (size === 1024 ? '1 MiB' : `${size} KiB`)), 'claim'];
  return `### ${TITLES[stage]}\n\n${table(head, rows)}`;
}

async function cleanList(): Promise<string> {
  const dir = join(BENCH_DIR, '.tmp');
  mkdirSync(dir, { recursive: true });
  const path = join(dir, `clean-${CHANNELS}.m3u`);
  if (!existsSync(`${path}.expected.json`)) await generateM3u({ path, channels: CHANNELS, dirty: false });
  return path;
}
