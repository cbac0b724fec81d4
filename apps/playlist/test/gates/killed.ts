import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, type FSWatcher, mkdirSync, readdirSync, readFileSync, rmSync, watch } from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { demand, demandEqual, type Gate, GateFailure, GateSkipped, median } from '../../../../test/gates/gate.ts';
import type { RunReport } from '../../src/report/run-report.ts';
import { generateM3u } from '../../src/sample/generate-m3u.ts';
import { generateXmltv } from '../../src/sample/generate-xmltv.ts';
import { SeededRandom } from '../../src/sample/seeded-random.ts';
import { freshDir } from './fixtures.ts';
import { PLUGIN_DIR } from './job-in-process.ts';
import { APP, type AppRun, RULES, runApp } from './run-app.ts';
import { childrenOf, isRunning, isStopped, type ProcessId, threadNames } from './seen-processes.ts';

const KILLS = 100;
/** Besides those: moments that random ones seldom meet. */
const AIMED_KILLS = 12;
/** So many kills, one after the other, before a run may come to its end. */
const KILLS_IN_A_ROW = 6;
/** Two at once, for two cores. */
const LANES = 2;
const CHANNELS = 400;
const GUIDE_BYTES = 500_000;
const ENDS_WITH_ITS_PARENT_MS = 5_000;
/** In the order in which they are published. */
const PUBLISHED = ['gate.xmltv', 'gate.m3u8', 'gate.unmatched.txt'] as const;
const PHASES = ['starting', 'working', 'spilling', 'plugins', 'plugin processes', 'publishing', 'keeping'] as const;
type Phase = (typeof PHASES)[number];

/** When a run is killed: after that time, or so long after that file, or one whose name begins so, is seen in the output folder. */
type Moment = { readonly afterMs: number; readonly sign?: string };
type Edition = 0 | 1;
/** Digests of the published files. */
type State = readonly (string | undefined)[];

/** A folder with a job whose sources change, and what is there of its runs. */
class Lane {
  readonly dir: string;
  readonly out: string;
  readonly temp: string;
  readonly #editions: string;
  /** By pid: when it was killed, to say whose leftovers they are. */
  readonly #killed = new Map<number, string>();

  constructor(dir: string, editions: string) {
    this.dir = dir;
    this.out = join(dir, 'out');
    this.temp = join(dir, 'temp');
    this.#editions = editions;
    mkdirSync(this.out, { recursive: true });
    mkdirSync(this.temp);
  }

  async whole(edition: Edition): Promise<AppRun & { readonly report: AppRun['report'] & RunReport }> {
    const run = await this.#run(edition, 'worker');
    demand(run.exitCode === 0, `a run that nobody killed: exit ${run.exitCode ?? run.signal}, ${run.stderr}`);
    return run as AppRun & { readonly report: AppRun['report'] & RunReport };
  }

  /** What was there at that moment; undefined when the run had ended before. */
  async killed(edition: Edition, when: Moment, isolation: 'worker' | 'process'): Promise<Set<Phase> | undefined> {
    const before = this.state();
    let watcher: FSWatcher | undefined;
    let found: Promise<Seen | undefined> | undefined;
    const ended = new AbortController();
    const kill = async (child: ChildProcess): Promise<Seen | undefined> => {
      await pause(when.afterMs, undefined, { signal: ended.signal }).catch(() => {});
      return this.#stopLookKill(child);
    };
    const run = await this.#run(edition, isolation, (child) => {
      const { sign } = when;
      if (sign === undefined) found = kill(child);
      else watcher = watch(this.out, (_, file) => file?.startsWith(sign) && (found ??= kill(child)));
    });
    ended.abort();
    watcher?.close();
    const seen = await found;
    if (run.signal !== 'SIGKILL' || seen === undefined) {
      demand(run.exitCode === 0, `a run that nobody killed: exit ${run.exitCode ?? run.signal}, ${run.stderr}`);
      return undefined;
    }
    const said = `${describe(when)} (${[...seen.phases].join(', ')})`;
    this.#killed.set(seen.pid, said);
    await this.#checkProcesses(seen.children, said);
    this.#checkPublished(before, edition, said);
    this.#checkNoOrphan(seen.leftovers);
    return seen.phases;
  }

  state(): State {
    return PUBLISHED.map((name) => digest(join(this.out, name)));
  }

  /** Of the two editions; to be set before the first kill. */
  known: readonly [State, State] = [[], []];

  /** Everything that runs have left, what is random in names left out. */
  remains(): string {
    const names = [this.out, this.temp].flatMap((dir) => tree(dir).map((path) => relative(this.dir, path)));
    return names
      .map((name) => name.replace(/-[\w-]+$/, '-#'))
      .sort()
      .join(' ');
  }

  /** The names in full, and who was killed when: for a failure. */
  account(): string {
    const names = tree(this.out).map((path) => relative(this.out, path));
    return names.map((name) => `${name}${this.#whose(name)}`).join(', ');
  }

  async #run(edition: Edition, isolation: string, onStart?: (child: ChildProcess) => void): Promise<AppRun> {
    const list = join(this.dir, 'list.m3u');
    const guide = join(this.dir, 'guide.xml');
    copyFileSync(join(this.#editions, `list-${edition}.m3u`), list);
    copyFileSync(join(this.#editions, `guide-${edition}.xml`), guide);
    const settings = [
      RULES,
      '[mapping]\ntidy_names = true',
      '[cache]\nshrink_limit = 0',
      `[plugins]\nenabled = true\ndir = ${JSON.stringify(PLUGIN_DIR)}\nisolation = "${isolation}"\nmax_total_memory = "128MiB"`,
    ];
    return runApp({
      dir: this.dir,
      lists: [list],
      guides: [guide],
      settings: `${settings.join('\n')}\n`,
      flags: ['--sort', 'name'],
      env: {
        PLIMSOLL_FORCE_SPILL: '1',
        TMPDIR: this.temp,
        NODE_COMPILE_CACHE: join(this.#editions, 'compiled'),
        // As if replaced already: the half second before that has no files, and kills there try nothing.
        PLIMSOLL_LAUNCHED: `parent ${process.pid}`,
      },
      timeoutMs: 60_000,
      sampleMs: 1_000,
      ...(onStart && { onStart }),
    });
  }

  /** Stopped, so that what is seen is what is killed. */
  async #stopLookKill(child: ChildProcess): Promise<Seen | undefined> {
    const { pid } = child;
    if (pid === undefined || !child.kill('SIGSTOP')) return undefined;
    try {
      while (child.exitCode === null && child.signalCode === null && !isStopped(pid)) await pause(1);
      return this.#look(pid);
    } finally {
      child.kill('SIGKILL');
    }
  }

  #look(pid: number): Seen {
    const names = tree(this.out).map((path) => relative(this.out, path));
    const isOwn = (name: string): boolean => name.includes(`-${pid}-`);
    const own = names.filter(isOwn);
    const children = childrenOf(pid);
    const isWorking = own.some((name) => name.endsWith('channels.spool'));
    const phases = new Set<Phase>([isWorking ? 'working' : 'starting']);
    if (own.some((name) => /\/run-\d+$/.test(name))) phases.add('spilling');
    if (threadNames(pid).includes('WorkerThread')) phases.add('plugins');
    if (children.length > 0) phases.add('plugin processes');
    if (own.some((name) => name.endsWith('/old.0'))) phases.add('publishing');
    if (names.some((name) => name.startsWith('.cache/') && name.endsWith('.part'))) phases.add('keeping');
    // Whoever works has looked for orphans before.
    const isLeftover = (name: string): boolean => /^(\.plimsoll-|\.spill\/)/.test(name) && !isOwn(name);
    return { pid, phases, children, leftovers: isWorking ? names.filter(isLeftover) : [] };
  }

  async #checkProcesses(children: readonly ProcessId[], said: string): Promise<void> {
    const until = performance.now() + ENDS_WITH_ITS_PARENT_MS;
    while (children.some(isRunning) && performance.now() < until) await pause(10);
    const left = children.filter(isRunning);
    for (const { pid } of left) process.kill(pid, 'SIGKILL');
    demand(left.length === 0, `killed ${said}: ${left.length} of its processes went on`);
  }

  /** Each is whole, the old or the new one, and none is new while one that is published before it is old. */
  #checkPublished(before: State, edition: Edition, said: string): void {
    const after = this.state();
    const next = this.known[edition];
    const firstOld = after.findIndex((found, i) => found !== next[i]);
    after.forEach((found, i) => {
      const wasLeft = found === before[i] || (found === next[i] && (firstOld === -1 || i < firstOld));
      if (!wasLeft) throw new GateFailure(`killed ${said}: ${PUBLISHED[i]} is neither the old nor the new one`);
    });
  }

  #checkNoOrphan(names: readonly string[]): void {
    const named = names.map((name) => `${name}${this.#whose(name)}`);
    demand(named.length === 0, `the next start left ${named.join(', ')}`);
  }

  #whose(name: string): string {
    const pid = [...this.#killed.keys()].find((each) => name.includes(`-${each}-`));
    return pid === undefined ? '' : ` (of a run killed ${this.#killed.get(pid)})`;
  }
}

interface Seen {
  readonly pid: number;
  readonly phases: Set<Phase>;
  readonly children: readonly ProcessId[];
  /** Other runs' folders, at a time when this one has looked for them already. */
  readonly leftovers: readonly string[];
}

const describe = ({ afterMs, sign }: Moment): string =>
  `after ${afterMs} ms${sign === undefined ? '' : ` from ${sign} on`}`;

const digest = (path: string): string | undefined =>
  existsSync(path) ? createHash('sha256').update(readFileSync(path)).digest('hex') : undefined;

const tree = (dir: string): string[] =>
  (readdirSync(dir, { recursive: true, encoding: 'utf8' }) as string[]).map((name) => join(dir, name));

/** Random ones, spread over the whole run, and the aimed ones among them. */
function moments(random: SeededRandom, lengthMs: number): Moment[] {
  const all: Moment[] = [];
  for (let i = 0; i < KILLS; i++)
    all.push({ afterMs: Math.floor(((i + random.below(1000) / 1000) / KILLS) * lengthMs) });
  for (let i = 0; i < AIMED_KILLS; i++)
    all.push({ afterMs: random.below(8), sign: i % 3 === 0 ? '.plimsoll-' : 'gate.xmltv' });
  for (let i = all.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all;
}

interface Tally {
  readonly phases: Map<Phase, number>;
  kills: number;
  late: number;
  leftoversRemoved: number;
}

/** Takes moments until there are none; a run that ended before its moment has that one again, earlier. */
async function killInLane(lane: Lane, queue: Moment[], tally: Tally): Promise<void> {
  const clean = lane.remains();
  let edition: Edition = 1;
  for (let row = 0; queue.length > 0; row++) {
    const when = queue.pop()!;
    edition = edition === 1 ? 0 : 1;
    const seen = await lane.killed(edition, when, row % 4 === 1 ? 'process' : 'worker');
    if (seen === undefined) {
      demand(++tally.late <= KILLS, 'too many runs ended before they were killed: nothing was tried');
      queue.unshift({ ...when, afterMs: Math.floor(when.afterMs * 0.8) });
    } else {
      tally.kills++;
      for (const phase of seen) tally.phases.set(phase, (tally.phases.get(phase) ?? 0) + 1);
    }
    if (row % KILLS_IN_A_ROW !== KILLS_IN_A_ROW - 1 && queue.length > 0) continue;
    edition = edition === 1 ? 0 : 1;
    const { report } = await lane.whole(edition);
    tally.leftoversRemoved += report.spill.leftoversRemoved;
    demand(lane.remains() === clean, `after a run that came to its end there is ${lane.account()}; there was ${clean}`);
    demandEqual('a run after kills', { ...lane.state() }, { ...lane.known[edition] });
  }
}

async function killAll(dir: string, random: SeededRandom): Promise<string> {
  for (const seed of [0, 1]) {
    const playlist = { channels: CHANNELS, seed: seed + 1 };
    await generateM3u({ path: join(dir, `list-${seed}.m3u`), ...playlist });
    await generateXmltv({ path: join(dir, `guide-${seed}.xml`), bytes: GUIDE_BYTES, seed: seed + 1, playlist });
  }
  const lanes = Array.from({ length: LANES }, (_, i) => new Lane(join(dir, `lane-${i}`), dir));
  const measured = await Promise.all(
    lanes.map(async (lane) => {
      const first = await lane.whole(0);
      const old = lane.state();
      const second = await lane.whole(1);
      demand(second.report.spill.files > 0, 'nothing is spilled');
      demandEqual('plugins', { stages: second.report.plugins.length }, { stages: 3 });
      lane.known = [old, lane.state()];
      // The first one has yet to compile.
      return first.elapsedMs < second.elapsedMs ? first.elapsedMs : second.elapsedMs;
    }),
  );
  const [states] = lanes.map(({ known }) => known);
  demand(
    PUBLISHED.every((_, i) => states![0][i] !== states![1][i] || i === 2),
    'the two editions are the same',
  );
  for (const { known } of lanes) demandEqual('editions', { all: String(known) }, { all: String(states) });
  const lengthMs = median(measured);
  const queue = moments(random, lengthMs);
  const tally: Tally = { phases: new Map(), kills: 0, late: 0, leftoversRemoved: 0 };
  await Promise.all(lanes.map((lane) => killInLane(lane, queue, tally)));
  const counts = PHASES.map((phase) => `${phase} ${tally.phases.get(phase) ?? 0}`).join(', ');
  const figures = `${tally.kills} kills over ${Math.round(lengthMs)} ms (at the kill: ${counts}; ${tally.late} came too late), ${tally.leftoversRemoved} spill folders removed by later runs`;
  for (const phase of PHASES)
    demand(phase === 'keeping' || tally.phases.has(phase), `no kill met ${phase}: ${figures}`);
  demand(tally.leftoversRemoved > 0, `no kill left a spill folder: ${figures}`);
  return figures;
}

export const killedGate: Gate = {
  name: 'killed',
  promise: `${KILLS} kills at random moments of runs that sort, spill and use plugins: the files are the old or the new ones, whole, and the next start takes away what is left`,
  async run(say) {
    if (process.platform !== 'linux') throw new GateSkipped('what is there at a kill is read from /proc');
    if (!existsSync(APP)) throw new GateFailure('the application is not built: run `npm run build` first');
    const seed = Number(process.env.PLIMSOLL_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
    say(`PLIMSOLL_FUZZ_SEED=${seed} has the same moments`);
    const dir = freshDir('killed');
    try {
      return `${await killAll(dir, new SeededRandom().restart(seed, 0))} (seed ${seed})`;
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
};
