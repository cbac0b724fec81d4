import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { afterAll, expect, it } from 'vitest';
import { runInLimit } from '../../../../test/cgroup/run-in-limit.ts';
import { ensureSample, SAMPLE_CHANNELS, SAMPLE_DIR } from '../../src/sample/ensure-sample.ts';
import { freshDir } from './fixtures.ts';
import { APP, type AppReport, countInFile } from './run-app.ts';

const dir = freshDir('sample');
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it('the bundled sample becomes a playlist of exactly 39,161 channels and the guide that belongs to it', async () => {
  const sample = await ensureSample();
  const reportPath = join(dir, 'report.json');
  const run = await runInLimit({
    command: process.execPath,
    args: [APP, '--config', sample.configPath, '--output-dir', dir, '--report', reportPath, '--quiet'],
    env: { NODE_OPTIONS: undefined },
  });
  expect(run.exitCode, run.stderr).toBe(0);
  const report = JSON.parse(readFileSync(reportPath, 'utf8')) as AppReport;
  const sum = (key: 'duplicates' | 'bad'): number => sample.lists.reduce((total, list) => total + list[key], 0);

  // The alias file brings in channels that neither id nor name would: their programmes are counted in the source.
  const aliases = Object.values(parse(readFileSync(join(SAMPLE_DIR, 'aliases.toml'), 'utf8'))) as string[];
  const guideText = readFileSync(sample.guide.path, 'utf8');
  const ids = aliases.map(
    (alias) => new RegExp(`<channel id="([^"]+)">\\s*<display-name>${alias}<`).exec(guideText)?.[1] ?? alias,
  );
  const patterns = ids.flatMap((id) => [`channel="${id}"`, `channel='${id}'`]);
  const byAlias = (await countInFile(sample.guide.path, ...patterns)).reduce((total, count) => total + count, 0);
  expect(byAlias).toBeGreaterThan(500);

  const programmes = sample.guide.programmesById + sample.guide.programmesByName + byAlias;
  expect({ ...report }).toMatchObject({
    channels: SAMPLE_CHANNELS,
    duplicates: sum('duplicates'),
    skipped: sum('bad'),
    programmes,
    limitBytes: 128 << 20,
  });
  expect(await countInFile(join(dir, 'sample.m3u8'), '#EXTINF:')).toEqual([39_161]);
  expect(await countInFile(join(dir, 'sample.xmltv'), '</programme>', '</tv>')).toEqual([programmes, 1]);
}, 120_000);
