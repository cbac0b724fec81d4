import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PipelineProgress } from 'plimsoll/pipeline';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { loadConfig } from '../src/config/load-config.ts';
import { generate, openGovernor } from '../src/generate.ts';
import { stageNames } from '../src/stage-names.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'plimsoll-stage-names-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function run(settings: string, programmes = 1) {
  const programme = (at: number) =>
    `<programme start="${20260101000000 + at} +0000" channel="a"><title>${'t'.repeat(500)}</title></programme>\n`;
  const guide = `<channel id="a"><display-name>A</display-name></channel>\n${Array.from({ length: programmes }, (_, i) => programme(i)).join('')}`;
  writeFileSync(join(dir, 'list.m3u'), '#EXTM3U\n#EXTINF:-1 tvg-id="a",A\nhttp://h/a\n');
  writeFileSync(join(dir, 'guide.xml'), `<?xml version="1.0"?>\n<tv>\n${guide}</tv>\n`);
  writeFileSync(join(dir, 'my.toml'), `[[source]]\nname = "s"\npath = "list.m3u"\n${settings}`);
  const config = loadConfig({ file: join(dir, 'my.toml'), env: {} });
  using governor = openGovernor(config);
  const progress: PipelineProgress[] = [];
  const onProgress = (each: PipelineProgress) => void progress.push(each);
  const { signal } = new AbortController();
  const { pipeline } = await generate(config, { governor, dryRun: true, signal, onProgress });
  return { config, progress, stages: pipeline.stages };
}

it.each([
  ['as it is by default', ''],
  ['without names that are tidied, and unsorted', '[mapping]\ntidy_names = false\n[output]\nsort = "none"\n'],
  [
    'with tidied names, sorted by group, and a guide',
    '[[guide]]\npath = "guide.xml"\n[mapping]\ntidy_names = true\n[output]\nsort = "group"\n',
  ],
])('the stages of a run are known before it, %s', async (_what, settings) => {
  const { config, stages } = await run(settings);
  const seen = stages.map(({ name }) => name).filter((name) => name !== 'Between Stages');
  // Where it takes no time there is none.
  expect(seen).toEqual(stageNames(config).filter((name) => name !== 'Cleanup' || seen.includes(name)));
});

it('a guide tells of its programmes while it is written, and of each once', async () => {
  const { progress, stages } = await run('[[guide]]\npath = "guide.xml"\n', 30_000);
  const counts = progress.filter(({ stage }) => stage === 'Guide Generation').map(({ itemsOut }) => itemsOut);
  const last = stages.find(({ name }) => name === 'Guide Generation')!;
  expect(counts.some((count) => count > 0 && count < last.itemsOut)).toBe(true);
  expect(last.itemsOut).toBeGreaterThan(1_000);
});
