/** Runs the built application as a user would, and reads what it wrote. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { type LimitedRun, type LimitOptions, runInLimit } from '../../../../test/cgroup/run-in-limit.ts';
import { PROJECT_DIR } from './fixtures.ts';

export const APP = join(PROJECT_DIR, 'apps', 'playlist', 'dist', 'main.js');

/** What `--report` writes. */
export interface AppReport {
  readonly channels: number;
  readonly programmes: number;
  readonly skipped: number;
  readonly duplicates: number;
  readonly elapsedMs: number;
  readonly peakRssBytes: number;
  readonly peakLedgerBytes: number;
  readonly limitBytes: number;
  readonly stages: readonly {
    readonly name: string;
    readonly elapsedMs: number;
    readonly peakRssBytes: number;
    readonly itemsIn: number;
    readonly itemsOut: number;
  }[];
}

export interface AppRun extends LimitedRun {
  /** Absent when the run did not get as far as to write it. */
  readonly report: AppReport | undefined;
  readonly playlistPath: string;
  readonly guidePath: string;
}

export interface AppOptions
  extends Pick<LimitOptions, 'limitBytes' | 'env' | 'timeoutMs' | 'onStart' | 'onSample' | 'sampleMs'> {
  /** Configuration and output go there. */
  readonly dir: string;
  /** Lists, as paths or globs. */
  readonly lists: readonly string[];
  readonly guides?: readonly string[];
  /** TOML put in behind sources and guides. Default `RULES`; '' for none. */
  readonly settings?: string;
  readonly outputDir?: string;
  readonly flags?: readonly string[];
}

/** Three rules and a filter that take nothing away, so that the counts of a fixture hold. */
export const RULES = `
[[rule]]
when = 'group_title contains "sport" OR group_title equals "Deportes"'
set = 'group_title = "Sports"'
[[rule]]
when = 'channel_name matches "^[A-Z]{2}: (.+)$"'
set = 'channel_name = "$1"'
[[rule]]
set = 'group_title ?= "Other"'
[[filter]]
include = 'stream_url starts_with "http"'
[numbering]
start = 1
`;

export async function runApp(options: AppOptions): Promise<AppRun> {
  if (!existsSync(APP)) throw new Error('The application is not built: run `npm run build` first.');
  const {
    dir,
    lists,
    guides = [],
    settings = RULES,
    outputDir = join(dir, 'out'),
    flags = [],
    limitBytes,
    ...rest
  } = options;
  mkdirSync(dir, { recursive: true });
  const quoted = (text: string): string => JSON.stringify(text);
  const config = [
    ...lists.map((path, i) => `[[source]]\nname = "list ${i + 1}"\npath = ${quoted(path)}\n`),
    ...guides.map((path) => `[[guide]]\npath = ${quoted(path)}\n`),
    settings,
    `[output]\ndir = ${quoted(outputDir)}\nname = "gate"\n`,
  ];
  const configPath = join(dir, 'gate.toml');
  const reportPath = join(dir, 'report.json');
  writeFileSync(configPath, config.join('\n'));
  const run = await runInLimit({
    ...rest,
    ...(limitBytes === undefined ? {} : { limitBytes }),
    command: process.execPath,
    args: [APP, 'generate', '--config', configPath, '--report', reportPath, '--quiet', ...flags],
    cwd: dir,
    // What this process was started with is not what a user's process is started with.
    env: { NODE_OPTIONS: undefined, ...options.env },
  });
  // The file is opened when the run begins, and stays empty when it fails.
  const written = existsSync(reportPath) ? readFileSync(reportPath, 'utf8') : '';
  const report = written === '' ? undefined : (JSON.parse(written) as AppReport);
  return { ...run, report, playlistPath: join(outputDir, 'gate.m3u8'), guidePath: join(outputDir, 'gate.xmltv') };
}

/** How often each text stands in a file, which is read in pieces. The texts must not overlap themselves. */
export async function countInFile(path: string, ...texts: readonly string[]): Promise<number[]> {
  const needles = texts.map((text) => Buffer.from(text));
  const longest = Math.max(...needles.map((needle) => needle.length));
  const chunk = Buffer.alloc(1 << 20);
  const counts = needles.map(() => 0);
  await using file = await open(path);
  let carried = 0;
  for (;;) {
    const { bytesRead } = await file.read(chunk, carried, chunk.length - carried);
    if (bytesRead === 0) return counts;
    const text = chunk.subarray(0, carried + bytesRead);
    // What begins in the last bytes is counted with the next piece, where the whole of it is seen.
    const keep = Math.min(longest - 1, text.length);
    needles.forEach((needle, i) => {
      for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + needle.length)) {
        // Counted already when it lies wholly in what was carried over.
        if (at + needle.length > carried || carried === 0) counts[i]!++;
      }
    });
    text.copyWithin(0, text.length - keep);
    carried = keep;
  }
}
