import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readOomKills } from '../governor/index.ts';
import { LiveLine } from './live-line.ts';
import { runChild } from './run-child.ts';
import { endingOf } from './run-ending.ts';
import { runEnvironment } from './run-environment.ts';
import { runPage } from './run-page.ts';
import type { RunReport } from './run-report.ts';
import { RunWatch } from './run-watch.ts';
import type { Screen } from './screen.ts';
import { type Told, tell } from './tell.ts';

export interface RunCommandOptions extends Told {
  readonly limitBytes?: number;
  readonly mode?: 'observe' | 'on';
  readonly heapFlags: boolean;
  readonly live: boolean;
}

/** How the process that ran a program is to end itself. */
export interface RunEnd {
  readonly exitCode: number;
  /** By which the program was ended: so this one is to be, too. */
  readonly signal?: NodeJS.Signals;
}

/** Runs a program under observation, and tells what it came to on standard error. Throws `PLIMSOLL_RUN_START`, `PLIMSOLL_USAGE`. */
export async function runCommand(
  command: readonly string[],
  options: RunCommandOptions,
  screen: Screen,
): Promise<RunEnd> {
  const { clock, stderr } = screen;
  const feedFolder = mkdtempSync(join(tmpdir(), 'plimsoll-run-'));
  try {
    const { env, limit, heapFlags } = runEnvironment(screen.env, {
      ...options,
      feedFolder,
      entry: new URL(import.meta.url.endsWith('.ts') ? '../auto.ts' : '../auto.js', import.meta.url).href,
    });
    const groups = limit.cgroups;
    const killsBefore = groups.map(readOomKills);
    const startedAt = clock.wall();
    const beganAt = clock.now();
    using live = options.live && stderr.isTTY === true ? new LiveLine(screen) : undefined;
    using watch = new RunWatch(feedFolder, clock, (main) => live?.draw(main));
    const hasTerminal = process.stdin.isTTY === true || stderr.isTTY === true || screen.stdout.isTTY === true;
    const { exitCode, signal } = await runChild(command, env, hasTerminal);
    live?.[Symbol.dispose]();
    const processes = watch.finish();
    const rises = groups.map((group, index) => riseOf(killsBefore[index], readOomKills(group)));
    const known = rises.filter((rise) => rise !== undefined);
    const report: RunReport = {
      kind: 'run',
      version: 1,
      command,
      startedAt,
      elapsedMs: clock.now() - beganAt,
      ending: endingOf({
        exitCode,
        signal,
        endedAt: clock.wall(),
        oomKills: known.length === 0 ? undefined : Math.max(...known),
        last: watch.last,
      }),
      heapFlags,
      processes,
    };
    tell(report, runPage(report), options, screen, stderr);
    return signal === null ? { exitCode: exitCode ?? 1 } : { exitCode: exitCode ?? 1, signal };
  } finally {
    rmSync(feedFolder, { recursive: true, force: true });
  }
}

const riseOf = (before: number | undefined, after: number | undefined): number | undefined =>
  before === undefined || after === undefined ? undefined : after - before;
