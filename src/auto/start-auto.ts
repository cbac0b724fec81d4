import type { Clock } from '../clock.ts';
import { describeCause } from '../describe-cause.ts';
import { FailOpen } from '../fail-open.ts';
import { type Governor, heapFlagsFit, lendProcessGovernor, processGovernor } from '../governor/index.ts';
import { tellFaults } from './fault-lines.ts';
import type { HttpSide, HttpSideOptions } from './http-side.ts';
import { ListeningServers } from './listening-servers.ts';
import { loadBeside } from './load-beside.ts';
import { ModeSwitch } from './mode-switch.ts';
import { PressureLines } from './pressure-lines.ts';
import type { AutoSettings } from './settings.ts';
import { StderrLines } from './stderr-lines.ts';
import { steadyClock } from './steady-clock.ts';

/** What `plimsoll/auto` has begun. Disposing it takes all of it out again, the governor included when it was made here. */
export interface Auto extends Disposable {
  readonly governor: Governor;
  readonly settings: AutoSettings;
}

export interface AutoParts {
  /** Default: a clock that fake timers do not touch. */
  readonly clock?: Clock;
  /** Default: standard error. */
  readonly write?: (line: string) => void;
  /** Whose it stays. Default: the process's, made when there is none. */
  readonly governor?: Governor;
  /** Default: `process.exit`. */
  readonly exit?: (code: number) => void;
}

type Running = Disposable[];

/**
 * Puts a governor into this process and lets it tell and act as the settings say. What one part cannot have is a line, and the
 * others work. Throws only where there can be no governor at all.
 */
export function startAuto(settings: AutoSettings, complaints: readonly string[], parts: AutoParts = {}): Auto {
  const clock = parts.clock ?? steadyClock();
  const write = settings.log ? (parts.write ?? toStderr()) : () => {};
  for (const complaint of complaints) write(complaint);
  const failOpen = new FailOpen('auto');
  const running: Running = [];
  if (settings.log) running.push(tellFaults(write));
  const end = () => {
    for (let last = running.pop(); last !== undefined; last = running.pop()) {
      const one = last;
      failOpen.run(() => one[Symbol.dispose](), undefined);
    }
  };
  const onReplaced = () => {
    write('the program has a governor of its own: this one ends');
    end();
    // Whoever watches from outside is to see the program to its end.
    feed(processGovernor());
  };
  const begin = (act: () => Disposable) => failOpen.run(() => void running.push(act()), undefined);
  const { feedFolder } = settings;
  const feed = (from: Governor | undefined) => {
    if (feedFolder !== undefined && from !== undefined) begin(() => loadFeed(from, clock, feedFolder, write));
  };
  const governor = parts.governor ?? makeGovernor(settings, clock, running, onReplaced);
  failOpen.run(() => tellHeapFlags(governor, write), undefined);
  if (settings.log) begin(() => new PressureLines({ governor, clock, write }));
  begin(() => switchMode(governor, settings, clock, write));
  feed(governor);
  if (settings.shed !== undefined || settings.recycle !== undefined) {
    const { exit = (code: number) => void process.exit(code) } = parts;
    begin(() => watchServers({ governor, settings, clock, write, exit, failOpen }));
  }
  return {
    governor,
    settings,
    [Symbol.dispose]: end,
  };
}

function toStderr(): (line: string) => void {
  const lines = new StderrLines();
  return (line) => void lines.write(line);
}

function makeGovernor(settings: AutoSettings, clock: Clock, running: Running, onReplaced: () => void): Governor {
  const { mode, limitBytes, share, dumpFolder } = settings;
  const options = {
    mode,
    clock,
    ...(limitBytes !== undefined && { limitBytes }),
    ...(share !== undefined && { share }),
    ...(dumpFolder !== undefined && { flightRecorder: { folder: dumpFolder } }),
  };
  const made = lendProcessGovernor(options, onReplaced);
  if (made === undefined) return processGovernor()!;
  running.push(made);
  return made;
}

/** Where there is a line to stay under, and V8 was not told of it. */
function tellHeapFlags({ limit, mode }: Governor, write: (line: string) => void): void {
  if (mode === 'off' || limit.from === 'machine') return;
  const { why } = heapFlagsFit(limit.bytes);
  if (why !== undefined) write(why);
}

function switchMode(
  governor: Governor,
  { mode, controlPath, signal }: AutoSettings,
  clock: Clock,
  write: (line: string) => void,
): Disposable {
  return new ModeSwitch({
    mode,
    clock,
    controlPath,
    signal,
    complain: write,
    onMode(to, by) {
      governor.tune({ mode: to });
      write(`${to}, ${by}`);
    },
  });
}

interface ServerParts extends Required<Pick<AutoParts, 'clock' | 'write' | 'exit'>> {
  readonly governor: Governor;
  readonly settings: AutoSettings;
  readonly failOpen: FailOpen;
}

/** What is for servers is loaded with the first one: a process without is nobody's to start again, and has nobody to turn away. */
function watchServers({ failOpen, settings, ...parts }: ServerParts): Disposable {
  let side: HttpSide | undefined;
  const servers = new ListeningServers((server) =>
    failOpen.run(() => {
      side ??= loadHttpSide({ ...settings, ...parts, servers });
      side.note(server);
    }, undefined),
  );
  return {
    [Symbol.dispose]() {
      servers[Symbol.dispose]();
      side?.[Symbol.dispose]();
    },
  };
}

/** Only where it is asked for: it takes the room that observes with it. */
function loadFeed(governor: Governor, clock: Clock, folder: string, write: (line: string) => void): Disposable {
  const { ProcessFeed } = loadBeside<typeof import('./process-feed.ts')>('process-feed');
  try {
    return new ProcessFeed({ governor, clock, folder });
  } catch (cause) {
    write(`no feed: ${describeCause(cause)}`);
    throw cause;
  }
}

function loadHttpSide(options: HttpSideOptions): HttpSide {
  const { HttpSide } = loadBeside<typeof import('./http-side.ts')>('http-side');
  return new HttpSide(options);
}
