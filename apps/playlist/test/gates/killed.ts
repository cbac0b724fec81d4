import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { demand, type Gate, median, seconds } from '../../../../test/gates/gate.ts';
import { generateM3u } from '../../src/sample/generate-m3u.ts';
import { SeededRandom } from '../../src/sample/seeded-random.ts';
import { freshDir } from './fixtures.ts';
import { PLUGIN_DIR } from './job-in-process.ts';
import { type AppRun, runApp } from './run-app.ts';

const KILLS = 100;
/** After so many kills a run goes to its end, and nothing may be left of those before it. */
const WHOLE_AFTER = 10;

const hash = (path: string): string =>
  existsSync(path) ? createHash('sha256').update(readFileSync(path)).digest('hex') : 'none';

/** Two editions of a job that spills, sorts and has plugins. */
export class KilledJob {
  readonly dir: string;
  readonly spillDir: string;
  readonly lists: string[] = [];

  private constructor(dir: string) {
    this.dir = dir;
    this.spillDir = join(dir, 'spill');
  }

  static async make(dir: string, channels: number): Promise<KilledJob> {
    mkdirSync(dir, { recursive: true });
    const job = new KilledJob(dir);
    for (const seed of [1, 2]) job.lists.push((await generateM3u({ path: join(dir, `list-${seed}.m3u`), channels, seed })).path);
    return job;
  }

  run(edition: number, killAfterMs?: number): Promise<AppRun> {
    const settings = `
[mapping]
tidy_names = true
[[filter]]
exclude = 'channel_name ends_with "7"'
[cache]
shrink_limit = 0
[memory]
spill_dir = ${JSON.stringify(this.spillDir)}
[plugins]
enabled = true
dir = ${JSON.stringify(PLUGIN_DIR)}
`;
    let timer: NodeJS.Timeout | undefined;
    return runApp({
      dir: this.dir,
      lists: [this.lists[edition]!],
      settings,
      env: { PLIMSOLL_FORCE_SPILL: '1', PLIMSOLL_PLAYLIST_OUTPUT_SORT: edition === 0 ? 'name' : 'group' },
      onStart: (child) => {
        if (killAfterMs !== undefined) timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
      },
    }).finally(() => clearTimeout(timer));
  }

  /** All that lies about: files in the output folder, spill folders. */
  leftovers(): string[] {
    const out = readdirSync(join(this.dir, 'out')).filter((name) => name !== 'gate.m3u8' && name !== '.cache');
    return existsSync(this.spillDir) ? [...out, ...readdirSync(this.spillDir)] : out;
  }
}

/** Kills runs of the other edition at random moments. Throws at the first that leaves what it should not; resolves to what happened. */
export async function killAtRandom(job: KilledJob, kills: number, seed: number): Promise<string> {
  const random = new SeededRandom().restart(seed, 0);
  const editions: string[] = [];
  const times: number[] = [];
  const playlist = join(job.dir, 'out', 'gate.m3u8');
  const whole = async (edition: number): Promise<void> => {
    const run = await job.run(edition);
    demand(run.exitCode === 0, `a run that nobody kills: exit ${run.exitCode ?? run.signal}: ${run.stderr.slice(-500)}`);
    editions[edition] ??= hash(playlist);
    demand(hash(playlist) === editions[edition], 'a run that nobody killed wrote something else than the one before');
    const left = job.leftovers();
    demand(left.length === 0, `left behind, and not taken away at the next start: ${left.join(', ')}`);
    times.push(run.elapsedMs);
  };
  await whole(0);
  await whole(1);
  let cutShort = 0;
  let orphans = 0;
  for (let kill = 0; kill < kills; kill++) {
    const afterMs = 20 + random.below(Math.ceil(median(times)));
    const run = await job.run(kill % 2, afterMs);
    if (run.signal === 'SIGKILL') cutShort++;
    const said = `kill ${kill + 1} after ${afterMs} ms`;
    demand(editions.includes(hash(playlist)), `${said}: the output is neither the old nor the new one, whole`);
    if (job.leftovers().length > 0) orphans++;
    if ((kill + 1) % WHOLE_AFTER === 0 || kill === kills - 1) await whole(kill % 2);
  }
  demand(cutShort >= kills / 2, `only ${cutShort} of ${kills} runs were cut short: nothing was tried`);
  demand(orphans > 0, 'no kill left anything behind for the next start to take away: nothing was tried');
  return `${kills} kills, ${cutShort} before the end, ${orphans} times something was left for the next start; a run takes ${seconds(median(times))}`;
}

export const killedGate: Gate = {
  name: 'killed',
  promise: 'SIGKILL at 100 random moments of a run that spills, sorts and has plugins: the output is the old or the new one, whole, and the next start takes away what was left',
  async run(say) {
    const seed = Number(process.env.PLIMSOLL_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
    say(`PLIMSOLL_FUZZ_SEED=${seed} repeats it`);
    const dir = freshDir('killed');
    try {
      return await killAtRandom(await KilledJob.make(dir, 2000), KILLS, seed);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
};
