/**
 * `npm run soak -- [MINUTES] [SEED]`, default 10 minutes: made-up jobs of random size in random kernel limits, a third of them interrupted at a
 * random moment. Every one that finishes must have written exactly what its sources hold; none may be killed by the kernel, and
 * none may leave a temporary file behind. The first that fails ends the soak, and is told with the seed that repeats it.
 *
 * `npm run soak -- adoption [MINUTES]`, default 10: the service of the gate `adoption` for that long, and what people use today for as long each.
 *
 * `npm run soak -- sorted`: 1,000,000 and 10,000,000 channels sorted, made distinct and numbered by a plugin, everything by way of the disk, in the same memory.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { generateM3u } from '../../apps/playlist/src/sample/generate-m3u.ts';
import { generateXmltv } from '../../apps/playlist/src/sample/generate-xmltv.ts';
import { SeededRandom } from '../../apps/playlist/src/sample/seeded-random.ts';
import { freshDir } from '../../apps/playlist/test/gates/fixtures.ts';
import { countInFile, RULES, runApp } from '../../apps/playlist/test/gates/run-app.ts';
import { whyNoLimits } from '../cgroup/memory-group.ts';
import { demand, demandEqual, GateFailure, mib, seconds } from '../gates/gate.ts';
import { soakAdoption } from './adoption.ts';
import { soakSorted } from './sorted.ts';

const MIB = 1 << 20;
const ENDINGS = ['', '.gz', '.zst'] as const;
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGKILL'] as const;

/** What a job of that size was measured to need, with room: the soak looks for deaths, not for the least limit. */
const leastLimit = (channels: number): number => 96 * MIB + channels * 100;

async function oneJob(dir: string, seed: number): Promise<string> {
  const random = new SeededRandom().restart(seed, 0);
  const channels = 200 + random.below(random.chance(20) ? 200_000 : 20_000);
  const list = await generateM3u({ path: join(dir, `list.m3u${random.pick(ENDINGS)}`), channels, seed });
  const guide = await generateXmltv({
    path: join(dir, `guide.xml${random.pick(ENDINGS)}`),
    bytes: 100_000 + random.below(60_000_000),
    seed,
    playlist: { channels, seed },
    repeatEvery: random.chance(25) ? 7 : 0,
  });
  const limitBytes = leastLimit(channels) + random.below(64) * MIB;
  const signal = random.chance(33) ? random.pick(SIGNALS) : undefined;
  const afterMs = random.below(1500);
  const said = `seed ${seed}: ${channels} channels, ${guide.bytes} bytes of guide, ${mib(limitBytes)}, ${signal ?? 'no signal'} ${afterMs}`;
  const job = { dir, lists: [list.path], guides: [guide.path], limitBytes, settings: random.chance(70) ? RULES : '' };
  let timer: NodeJS.Timeout | undefined;
  if (signal !== undefined) {
    const cut = await runApp({ ...job, onStart: (child) => (timer = setTimeout(() => child.kill(signal), afterMs)) });
    clearTimeout(timer);
    demand(!cut.oomKilled, `${said}: killed by the kernel`);
  }
  const run = await runApp(job);
  demand(
    !run.oomKilled && run.exitCode === 0,
    `${said}: exit ${run.exitCode ?? run.signal}: ${run.stderr.slice(-300)}`,
  );
  const programmes = guide.programmesById + guide.programmesByName;
  const [entries] = await countInFile(run.playlistPath, '#EXTINF:');
  const [written, ends] = await countInFile(run.guidePath, '</programme>', '</tv>');
  const found = { ...run.report, entries, written, ends };
  demandEqual(said, found, {
    channels,
    duplicates: list.duplicates,
    skipped: list.bad,
    programmes,
    entries: channels,
    written: programmes,
    ends: 1,
  });
  const left = readdirSync(join(dir, 'out')).filter(
    (name) => !/^(gate\.(m3u8|xmltv|unmatched\.txt)|\.cache)$/.test(name),
  );
  demand(left.length === 0, `${said}: ${left.join(', ')} left behind`);
  return `${said}: ${seconds(run.elapsedMs)}, VmHWM ${mib(run.rssPeakBytes)}`;
}

async function soakJobs(minutes: number, seed: number): Promise<void> {
  const until = performance.now() + minutes * 60_000;
  let jobs = 0;
  try {
    for (; jobs === 0 || performance.now() < until; jobs++) {
      const dir = freshDir('soak');
      console.log(await oneJob(dir, (seed + jobs) % 2 ** 31));
      rmSync(dir, { recursive: true, force: true });
    }
    console.log(`${jobs} jobs, all whole.`);
  } catch (error) {
    if (!(error instanceof GateFailure)) throw error;
    console.log(`FAIL ${error.message}\nagain with: npm run soak -- 0 ${(seed + jobs) % 2 ** 31}`);
    process.exitCode = 1;
  }
}

async function tell(figures: Promise<string>): Promise<void> {
  try {
    console.log(await figures);
  } catch (error) {
    if (!(error instanceof GateFailure)) throw error;
    console.log(`FAIL ${error.message}`);
    process.exitCode = 1;
  }
}

const args = process.argv.slice(2);
const isService = args[0] === 'adoption';
const [minutes = 10, seed = Math.floor(Math.random() * 2 ** 31)] = (isService ? args.slice(1) : args).map(Number);
const whyNot = await whyNoLimits();
if (whyNot !== undefined) console.log(`The soak needs real memory limits: ${whyNot}.`);
else if (isService) await tell(soakAdoption(minutes, console.log));
else if (args[0] === 'sorted') await tell(soakSorted(console.log));
else await soakJobs(minutes, seed);
