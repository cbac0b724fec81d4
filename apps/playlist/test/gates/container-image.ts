import { type ChildProcess, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { whyNoLimits } from '../../../../test/cgroup/memory-group.ts';
import { type LimitedRun, runInLimit } from '../../../../test/cgroup/run-in-limit.ts';
import { demand, type Gate, GateSkipped, mib } from '../../../../test/gates/gate.ts';
import { followRecipe, type Image, readRecipe } from '../deploy/follow-recipe.ts';
import { PROJECT_DIR } from './fixtures.ts';

const LIMIT_BYTES = 128 * 1024 ** 2;
const CHANNELS = 20_000;
const PORT = 18_431;
/** The user `node` of the image. */
const USER_ID = 1000;
const READY_MS = 60_000;

export const containerImageGate: Gate = {
  name: 'image',
  promise:
    "the Dockerfile's steps, followed without an engine, make a program that runs in 128 MiB, writes to its volume only, gets healthy and ends when told to",
  patient: true,
  async run(say) {
    const reason = await whyNoLimits();
    if (reason !== undefined) throw new GateSkipped(reason);
    const dir = mkdtempSync(join(tmpdir(), 'playlist-image-'));
    try {
      // Others than its owner may look, as they may in an image.
      chmodSync(dir, 0o755);
      const image = await followRecipe(readRecipe(PROJECT_DIR), {
        project: PROJECT_DIR,
        dir,
        env: { PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`, npm_config_prefer_offline: 'true' },
        say,
      });
      return await serve(image, dir);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
};

/** What was seen while it ran. */
interface Seen {
  heapFlag: string | undefined;
  userId: number | undefined;
  readyMs: number;
  channels: number;
  unhealthyAtFirst: boolean;
}

async function serve(image: Image, dir: string): Promise<string> {
  demand(image.user === 'node', `the image's user is ${image.user}`);
  const config = join(dir, 'playlist.toml');
  const list = join(dir, 'list.m3u');
  const entries = Array.from(
    { length: CHANNELS },
    (_, i) => `#EXTINF:-1 group-title="g${i % 50}",Channel ${i}\nhttp://tv.example/${i}\n`,
  );
  writeFileSync(list, `#EXTM3U\n${entries.join('')}`);
  writeFileSync(config, `[[source]]\npath = ${JSON.stringify(list)}\n[serve]\nschedule = "off"\n`);
  const data = join(image.root, 'data');
  mkdirSync(data, { recursive: true });
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(data, USER_ID, USER_ID);
  const [, ...args] = image.command.map((part) => (part === '/config/playlist.toml' ? config : inImage(image, part)));
  const as = isRoot ? ['setpriv', '--reuid', `${USER_ID}`, '--regid', `${USER_ID}`, '--clear-groups'] : [];
  const [command = process.execPath, ...rest] = [...as, process.execPath, ...args];
  let seen: Promise<Seen> | undefined;
  const run = await runInLimit({
    limitBytes: LIMIT_BYTES,
    command,
    args: rest,
    cwd: join(image.root, 'app'),
    env: {
      NODE_OPTIONS: undefined,
      ...image.env,
      PLIMSOLL_PLAYLIST_OUTPUT_DIR: data,
      PLIMSOLL_PLAYLIST_SERVE_PORT: String(PORT),
    },
    timeoutMs: 2 * READY_MS,
    onStart: (child) => {
      seen = watch(image, child);
      // Told of below.
      seen.catch(() => {});
    },
  });
  return judge(run, await seen!, isRoot);
}

/** Until it is healthy; then it is told to end. */
async function watch(image: Image, child: ChildProcess): Promise<Seen> {
  const started = performance.now();
  const seen: Seen = {
    heapFlag: undefined,
    userId: undefined,
    readyMs: Number.NaN,
    channels: 0,
    unhealthyAtFirst: !isHealthy(image),
  };
  try {
    while (!isHealthy(image)) {
      demand(performance.now() - started < READY_MS && child.exitCode === null, 'it did not get healthy');
      await wait(100);
    }
    seen.readyMs = performance.now() - started;
    seen.heapFlag = readFileSync(`/proc/${child.pid}/cmdline`, 'utf8')
      .split('\0')
      .find((part) => part.startsWith('--max-old-space-size='));
    seen.userId = Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]);
    const origin = `http://127.0.0.1:${PORT}`;
    demand((await fetch(`${origin}/live`)).status === 200, '/live does not answer with 200');
    seen.channels = (await (await fetch(`${origin}/playlist.m3u8`)).text()).split('#EXTINF').length - 1;
    return seen;
  } finally {
    child.kill('SIGTERM');
  }
}

function isHealthy(image: Image): boolean {
  const [command = 'bash', ...args] = image.healthCheck.map((part) => inImage(image, part));
  return spawnSync(command, [...args, String(PORT)]).status === 0;
}

function inImage(image: Image, part: string): string {
  return part.startsWith('/') ? join(image.root, part) : part;
}

function judge(run: LimitedRun, seen: Seen, isRoot: boolean): string {
  const said = run.stderr.slice(-1500);
  demand(!run.oomKilled, `the kernel killed it: ${said}`);
  demand(run.exitCode === 0, `it ended with ${run.exitCode ?? run.signal}: ${said}`);
  demand(seen.unhealthyAtFirst, 'it was healthy before it was there: something else listens');
  demand(seen.channels === CHANNELS, `it served ${seen.channels} channels`);
  const heapMib = Number(seen.heapFlag?.split('=')[1]);
  demand(heapMib > 0 && heapMib * 1024 ** 2 < LIMIT_BYTES, `its heap is ${seen.heapFlag}`);
  if (isRoot) demand(seen.userId === USER_ID, `it ran as user ${seen.userId}`);
  const user = isRoot ? `as user ${seen.userId}, who may write to /data alone` : 'as this user';
  return `${user}; healthy after ${(seen.readyMs / 1000).toFixed(1)} s, ${seen.channels} channels, ${seen.heapFlag}, peak ${mib(run.anonymousPeakBytes)} of ${mib(LIMIT_BYTES)}`;
}
