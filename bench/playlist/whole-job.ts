/** The whole job, through the command line, with 0, 5, 20 and 50 rules. */
import { rmSync } from 'node:fs';
import { freshDir, listFixture } from '../../apps/playlist/test/gates/fixtures.ts';
import { type AppRun, runApp } from '../../apps/playlist/test/gates/run-app.ts';
import { median } from '../../test/gates/gate.ts';
import { mb, ms, table, writeSection } from '../results-file.ts';

const RULE_COUNTS = [0, 5, 20, 50] as const;
const SIZES = [100_000, 1_000_000] as const;
const ROUNDS = 3;

/** What people write: words in names and groups, prefixes taken off, groups renamed. One in five is a regular expression with a capture. */
const TEMPLATES: readonly ((n: number) => readonly [when: string, set: string])[] = [
  (n) => [`group_title contains "${WORDS[n % WORDS.length]}"`, `group_title = "Group ${n}"`],
  (n) => [
    `channel_name starts_with "${WORDS[n % WORDS.length]}" AND NOT channel_name contains "test"`,
    'tvg_name ?= "named"',
  ],
  (n) => [`channel_name matches "^${PREFIXES[n % PREFIXES.length]}: (.+)$"`, 'channel_name = "$1"'],
  (n) => [`stream_url contains "${HOSTS[n % HOSTS.length]}" OR tvg_id ends_with ".${n}x"`, 'group_title ?= "Hosted"'],
  (n) => [
    `tvg_chno > ${n * 1000} AND group_title equals "${WORDS[n % WORDS.length]}"`,
    'tvg_logo ?= "https://img.example/none.png"',
  ],
];
const WORDS = ['sport', 'news', 'kino', 'kids', 'musik', 'docs', 'Harbour', 'drama', 'local', 'live'];
const PREFIXES = ['DE', 'FR', 'ES', 'UK', 'SE', 'PL', 'IT'];
const HOSTS = ['edge.northlight', 'cdn.harbour', 'live.tide', 'nowhere.example'];

function settings(ruleCount: number): string {
  const rules = Array.from({ length: ruleCount }, (_, n) => {
    const [when, set] = TEMPLATES[n % TEMPLATES.length]!(n);
    return `[[rule]]\nwhen = '${when}'\nset = '${set}'\n`;
  });
  return rules.join('');
}

export async function benchWholeJob(): Promise<void> {
  const dir = freshDir('bench-whole-job');
  const rows: string[][] = [];
  try {
    for (const channels of SIZES) {
      const list = await listFixture(channels);
      const runs = new Map<number, AppRun[]>(RULE_COUNTS.map((count) => [count, []]));
      for (let round = 0; round < ROUNDS; round++) {
        for (const count of RULE_COUNTS) {
          const run = await runApp({
            dir,
            lists: [list.path],
            settings: settings(count),
            flags: ['--memory-limit', '192MiB'],
          });
          if (run.exitCode !== 0 || run.report === undefined)
            throw new Error(`exit ${run.exitCode ?? run.signal}: ${run.stderr}`);
          console.log(`  ${channels} channels, ${count} rules: ${run.report.elapsedMs.toFixed(0)} ms`);
          runs.get(count)!.push(run);
        }
      }
      for (const [count, each] of runs) rows.push(row(channels, count, each));
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  writeSection({
    id: 'playlist-whole-job',
    title: 'The whole job, by number of rules',
    command: 'npm run bench -- playlist whole-job',
    body: `A dirty list to a cleaned playlist on disk, through the command line with \`--memory-limit 192MiB\`, no guide. Medians of ${ROUNDS} fresh processes in
turn; the job is timed as the report tells it, from reading the configuration to the renamed files. Aim: 200,000 channels a second with 5 rules.

${table(['', 'rules', 'job', 'least-most', 'channels a second', 'wall', 'peak RSS'], rows)}

What limits it: at 100,000 channels the code is still being compiled for about half of the job; a fixed 0.2 s before it ("wall" less "job") is Node starting twice, the second
time with heap flags that fit the limit. Every further rule costs 30 to 60 ns a channel, more where it changes something.`,
  });
}

function row(channels: number, rules: number, runs: readonly AppRun[]): string[] {
  const elapsed = runs.map((run) => run.report!.elapsedMs);
  const middle = median(elapsed);
  return [
    `${channels.toLocaleString('en')} channels`,
    String(rules),
    ms(middle),
    `${Math.min(...elapsed).toFixed(0)}-${Math.max(...elapsed).toFixed(0)}`,
    Math.round(channels / (middle / 1000)).toLocaleString('en'),
    ms(median(runs.map((run) => run.elapsedMs))),
    mb(median(runs.map((run) => run.rssPeakBytes))),
  ];
}
