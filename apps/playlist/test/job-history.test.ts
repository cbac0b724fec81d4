import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { JobFolder, type JobOptions } from './gates/job-in-process.ts';

const MIB = 2 ** 20;
const LIMIT_BYTES = 512 * MIB;
/** A run that is driven to the disk, and takes more than any freer mode may. */
const HARD: JobOptions = {
  sort: 'name',
  memory: 'remember_runs = true',
  levelAt: (look) => (look < 3 ? 'optimal' : 'emergency'),
  rssBytes: LIMIT_BYTES - 10 * MIB,
};
/** By the limit. No run found room with it, so half of it is tried. */
const BATCH_BYTES = 512 * 1024;
/** That batches are smaller does not make it too long. */
const LONG_ENTRY = `#EXTINF:-1 tvg-logo="${'x'.repeat(1.2 * BATCH_BYTES)}",Long\nhttp://h/long\n`;
const CALM: JobOptions = { sort: 'name', memory: HARD.memory! };

let root: string;
let folder: JobFolder;
beforeEach(async () => {
  // What is told to spill remembers nothing of it.
  vi.stubEnv('PLIMSOLL_FORCE_SPILL', undefined);
  root = mkdtempSync(join(tmpdir(), 'plimsoll-history-'));
  folder = await JobFolder.make(root, { channels: 300, guideBytes: 40_000 });
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true, force: true });
});

const file = () => join(folder.out, '.cache', 'runs.json');
const runs = () => (JSON.parse(readFileSync(file(), 'utf8')) as { runs: { mode: string; items: number }[] }).runs;

async function run(options: JobOptions) {
  const { error, report, shown } = await folder.run(1, options);
  expect(error).toBeUndefined();
  return { ...report!, shown };
}

async function learn(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    const { ahead, modes } = await run(HARD);
    expect(ahead).toBeUndefined();
    expect(modes.count).toBeGreaterThan(0);
  }
}

describe('runs that are remembered', () => {
  it('let the fourth begin in the mode that three came to, without a change, and with the same files', async () => {
    appendFileSync(join(root, 'list-1.m3u'), LONG_ENTRY);
    await run({ sort: 'name' });
    const plain = folder.files();
    expect(plain.playlist).toContain(',Long\n');
    await learn();
    expect(runs().map(({ mode }) => mode)).toEqual(['spill', 'spill', 'spill']);
    const { ahead, modes, spill, sources, shown } = await run(CALM);
    expect(ahead).toEqual({ mode: 'spill', batchBytes: BATCH_BYTES / 2, runs: 3 });
    expect(shown).toContain('\nbegun in mode spill with batches of 256 KiB, by 3 earlier runs\n');
    expect(modes.count).toBe(0);
    expect(spill.files).toBeGreaterThan(0);
    expect(folder.files()).toEqual(plain);
    expect(runs()).toHaveLength(4);
    expect(runs()[3]!.items).toBe(sources.reduce((sum, { entries }) => sum + entries, 0));
  });

  it('are those of the same job: with other settings nothing is known yet', async () => {
    await learn();
    expect((await run({ ...CALM, sort: 'group' })).ahead).toBeUndefined();
    expect((await run({ ...CALM, memory: `${CALM.memory}\nlevels.high = 0.6` })).ahead).toBeUndefined();
    expect((await run(CALM)).ahead).toBeDefined();
  });

  it('are none of what tells of no other: a mode that is asked for, a dry run', async () => {
    await learn();
    expect((await run({ ...CALM, mode: 'plain' })).ahead).toBeUndefined();
    await run({ ...CALM, dryRun: true });
    expect(runs()).toHaveLength(3);
  });

  it('are none unless that is asked for', async () => {
    await run({ sort: 'name' });
    expect(() => runs()).toThrow(/ENOENT/);
  });

  it('of which the file is damaged are begun anew, and the user hears of it', async () => {
    await run(CALM);
    writeFileSync(file(), readFileSync(file(), 'utf8').slice(0, 40));
    const { warnings } = await run(CALM);
    expect(warnings).toEqual([
      expect.stringMatching(/^\[memory\] remember_runs: begun anew: .*runs\.json.*cannot be read/),
    ]);
    expect(runs()).toHaveLength(1);
  });

  it('that cannot be noted are said, and the run has its files', async () => {
    mkdirSync(file(), { recursive: true });
    const { warnings, files } = await run(CALM);
    expect(warnings).toContainEqual(expect.stringMatching(/^\[memory\] remember_runs: this run is not noted: /));
    expect(files).toHaveLength(3);
  });
});
