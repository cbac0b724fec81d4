import { describeCause } from '../describe-cause.ts';
import { readOomKills } from '../governor/index.ts';
import { HeldSignals, isAtFootOfTerminal } from './held-signals.ts';
import { LiveLine } from './live-line.ts';
import { errorLine } from './plain-lines.ts';
import { renderPage } from './render.ts';
import { runChild } from './run-child.ts';
import { endingOf } from './run-ending.ts';
import { runEnvironment } from './run-environment.ts';
import { makeRunFolder, removeRunFolder, sweepRunFolders } from './run-folder.ts';
import { runPage } from './run-page.ts';
import type { RunReport } from './run-report.ts';
import { RunWatch } from './run-watch.ts';
import { drawnOn, type Screen } from './screen.ts';
import { checkTargets, type Told, tell } from './tell.ts';

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

/**
 * Runs a program under observation, and tells what it came to on standard error. Whatever goes wrong with the report once the program has run is said there, and its end stays its own.
 * Throws `PLIMSOLL_RUN_START`, `PLIMSOLL_USAGE`.
 */
export async function runCommand(
  command: readonly string[],
  options: RunCommandOptions,
  screen: Screen,
): Promise<RunEnd> {
  checkTargets(options);
  const { clock, stderr } = screen;
  const { feedFolder, notWatched } = openFolder(screen);
  // While the program runs.
  const swept = sweepRunFolders();
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
    using watch = feedFolder === undefined ? undefined : new RunWatch(feedFolder, clock, (main) => live?.draw(main));
    const hasTerminal = process.stdin.isTTY === true || stderr.isTTY === true || screen.stdout.isTTY === true;
    const { exitCode, signal } = await runChild(command, env, new HeldSignals(() => isAtFootOfTerminal(hasTerminal)));
    tellEnd(options, screen, () => {
      live?.[Symbol.dispose]();
      const processes = watch?.finish() ?? [];
      const rises = groups.map((group, index) => riseOf(killsBefore[index], readOomKills(group)));
      const known = rises.filter((rise) => rise !== undefined);
      const oomKills = known.length === 0 ? undefined : Math.max(...known);
      return {
        kind: 'run',
        version: 1,
        command,
        startedAt,
        elapsedMs: clock.now() - beganAt,
        ending: endingOf({ exitCode, signal, endedAt: clock.wall(), oomKills, last: watch?.last }),
        heapFlags,
        processes,
        ...(notWatched === undefined ? {} : { notWatched }),
        ...(watch === undefined || watch.leftOut === 0 ? {} : { leftOut: watch.leftOut }),
        ...(watch === undefined || watch.faults === 0 ? {} : { faults: watch.faults }),
      };
    });
    return signal === null ? { exitCode: exitCode ?? 1 } : { exitCode: exitCode ?? 1, signal };
  } finally {
    await swept;
    if (feedFolder !== undefined) removeRunFolder(feedFolder);
  }
}

/** For what is looked at. Where there is no place for it, that is said: the program runs all the same. */
function openFolder({ stderr }: Screen): { readonly feedFolder?: string; readonly notWatched?: string } {
  try {
    return { feedFolder: makeRunFolder() };
  } catch (cause) {
    const why = describeCause(cause);
    stderr.write(errorLine(`the program runs, and nothing looks at it: ${why}`));
    return { notWatched: `there is no folder for it: ${why}` };
  }
}

/** Never throws: what a report lacks is no reason to end otherwise than the program did. */
function tellEnd(options: RunCommandOptions, screen: Screen, reported: () => RunReport): void {
  const { stderr, env } = screen;
  try {
    const report = reported();
    const page = runPage(report);
    try {
      tell(report, page, options, screen, stderr);
    } catch (cause) {
      stderr.write(errorLine(describeCause(cause)));
      // Without `--report` it stands there already.
      if (options.report !== undefined) stderr.write(renderPage(page, drawnOn(stderr, env)));
    }
  } catch (cause) {
    stderr.write(errorLine(`there is no report: ${describeCause(cause)}`));
  }
}

const riseOf = (before: number | undefined, after: number | undefined): number | undefined =>
  before === undefined || after === undefined ? undefined : after - before;
