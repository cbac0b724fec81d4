import { type ChildProcess, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, type FSWatcher, mkdirSync, readdirSync, readFileSync, rmSync, watch } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateM3u } from '../../src/sample/generate-m3u.ts';
import { generateXmltv } from '../../src/sample/generate-xmltv.ts';
import { freshDir } from './fixtures.ts';
import { type AppRun, runApp } from './run-app.ts';

const dir = freshDir('interrupted');
const lists: string[] = [];
const guides: string[] = [];
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const CHANNELS = 1000;

beforeAll(async () => {
  // Two editions of the same job, so that old and new output differ.
  for (const seed of [1, 2]) {
    const playlist = { channels: CHANNELS, seed };
    const list = await generateM3u({ path: join(dir, `list-${seed}.m3u`), ...playlist });
    const guide = await generateXmltv({ path: join(dir, `guide-${seed}.xml`), bytes: 1_500_000, seed, playlist });
    lists.push(list.path);
    guides.push(guide.path);
  }
});

const hash = (path: string): string | undefined =>
  existsSync(path) ? createHash('sha256').update(readFileSync(path)).digest('hex') : undefined;
const job = (edition: number) => ({
  lists: [lists[edition]!],
  guides: [guides[edition]!],
  // Half of a short run is compiling.
  env: { NODE_COMPILE_CACHE: join(dir, 'compiled') },
});

async function finished(where: string, edition: number) {
  const run = await runApp({ dir: where, ...job(edition) });
  expect(run.exitCode, run.stderr).toBe(0);
  return {
    run,
    playlist: hash(run.playlistPath),
    guide: hash(run.guidePath),
    files: readdirSync(join(where, 'out')).sort(),
  };
}

let fresh: Awaited<ReturnType<typeof finished>>;
beforeAll(async () => {
  fresh = await finished(join(dir, 'new'), 1);
}, 60_000);

/**
 * The first file of a run in the output folder, and the first published one: moments that random ones seldom meet. The gate `killed` has a hundred kills,
 * `npm run soak` more of the rest.
 */
const MOMENTS = { SIGTERM: ['.plimsoll-', 'gate.m3u8'], SIGINT: ['.plimsoll-'] } as const;
const EXIT_CODES: Readonly<Record<string, number>> = { SIGTERM: 143, SIGINT: 130 };

/** Runs the new edition and signals it as soon as an output file whose name begins so changes. */
async function interrupted(where: string, signal: NodeJS.Signals, when: string): Promise<AppRun> {
  let watcher: FSWatcher | undefined;
  const onStart = (child: ChildProcess): void => {
    watcher = watch(join(where, 'out'), (_, file) => {
      if (!file?.startsWith(when)) return;
      // A second one would end the process at once.
      watcher?.close();
      child.kill(signal);
    });
  };
  try {
    return await runApp({ dir: where, ...job(1), onStart });
  } finally {
    watcher?.close();
  }
}

describe.concurrent.each(['SIGTERM', 'SIGINT'] as const)('a run that gets %s at any moment', (signal) => {
  it('leaves the old files or the new ones, whole, and the next start takes the temporary files away', async ({
    expect,
  }) => {
    const where = join(dir, signal);
    mkdirSync(where);
    const old = await finished(where, 0);
    let cutShort = 0;
    for (const when of MOMENTS[signal]) {
      const run = await interrupted(where, signal, when);
      if (run.exitCode !== 0) cutShort++;
      const said = `${signal} when ${when} changes: exit ${run.exitCode ?? run.signal}, ${run.stderr}`;
      expect([old.playlist, fresh.playlist], said).toContain(hash(run.playlistPath));
      expect([old.guide, fresh.guide], said).toContain(hash(run.guidePath));
      if (when === '.plimsoll-') {
        // In time to end as it should: nothing is changed, and nothing left.
        expect(run.exitCode, said).toBe(EXIT_CODES[signal]);
        expect([hash(run.playlistPath), hash(run.guidePath)], said).toEqual([old.playlist, old.guide]);
        expect(readdirSync(join(where, 'out')).sort(), said).toEqual(old.files);
      } else if (run.exitCode !== null) expect([0, EXIT_CODES[signal]], said).toContain(run.exitCode);
      expect(run.stderr, said).not.toMatch(/^\s+at /m);
    }
    // The next start, with the old edition again, finds everything as it was.
    const after = await finished(where, 0);
    expect([after.playlist, after.guide, after.files]).toEqual([old.playlist, old.guide, old.files]);
    // Else the signals came too late, and nothing was tried.
    expect(cutShort).toBeGreaterThan(0);
  }, 120_000);
});

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('A full disk is not tested: only root may mount a small one.');

describe.skipIf(!isRoot)('a full disk', () => {
  const where = join(dir, 'full');
  const disk = join(where, 'disk');
  let mounted = false;
  beforeAll(() => {
    mkdirSync(disk, { recursive: true });
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk], { stdio: 'ignore' });
      mounted = true;
    } catch {
      console.warn('A full disk is not tested: a small tmpfs cannot be mounted here.');
    }
  });
  afterAll(() => {
    if (mounted) execFileSync('umount', ['-l', disk]);
  });

  it('ends the run with one clear line, and the old files are as they were', async (context) => {
    if (!mounted) context.skip('a small tmpfs cannot be mounted here');
    const small = await generateM3u({ path: join(where, 'small.m3u'), channels: 300 });
    // The small disk is memory, which nothing may be spilled to.
    const flags = ['--spill-dir', join(where, 'spill')];
    const old = await runApp({ dir: where, lists: [small.path], outputDir: disk, flags });
    expect(old.exitCode, old.stderr).toBe(0);
    const before = hash(old.playlistPath);
    const files = readdirSync(disk).sort();
    const big = await generateM3u({ path: join(where, 'big.m3u'), channels: 25_000 });
    const run = await runApp({ dir: where, lists: [big.path], outputDir: disk, flags });
    expect(run.exitCode, run.stderr).toBe(1);
    const lines = run.stderr.trim().split('\n');
    expect(lines.length, run.stderr).toBe(1);
    expect(lines[0]).toMatch(/disk|space|ENOSPC/i);
    expect(hash(run.playlistPath)).toBe(before);
    const again = await runApp({ dir: where, lists: [small.path], outputDir: disk, flags });
    expect(again.exitCode, again.stderr).toBe(0);
    expect(hash(again.playlistPath)).toBe(before);
    expect(readdirSync(disk).sort()).toEqual(files);
  }, 120_000);
});
