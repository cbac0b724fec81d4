import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { parseBytes, parseDuration } from '../bytes.ts';
import { systemClock } from '../clock.ts';
import { PlimsollError } from '../errors.ts';
import { COMPLETION_SHELLS, type CompletionShell, completionScript } from './completion.ts';
import { NoFeedError } from './no-feed-error.ts';
import { errorLine } from './plain-lines.ts';
import { RunStartError } from './run-child.ts';
import type { RunEnd } from './run-command.ts';
import { columnsOf, type Screen } from './screen.ts';
import type { Told } from './tell.ts';
import type { TopOptions } from './top-command.ts';

const NOTHING_EXIT = 1;
const USAGE_EXIT = 2;

/** Where the version of the package stands. */
export interface CommandLineOptions {
  readonly version: string;
  /** Default: this process's. */
  readonly screen?: Screen;
}

/**
 * Runs one command of `plimsoll`, without the name of the program: `['doctor', '--json']`. Resolves to how the process is to end: 0; 1 where something is wrong; 2
 * for a command line that cannot be made sense of, told in one line on standard error; and as the program did for `run`. Rejects for faults of our own only.
 */
export async function runCommandLine(args: readonly string[], options: CommandLineOptions): Promise<RunEnd> {
  const screen = options.screen ?? processScreen();
  const ended: { by?: RunEnd } = {};
  const program = commandTree(options.version, screen, (end) => {
    ended.by = end;
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return ended.by ?? { exitCode: 0 };
  } catch (cause) {
    return endOf(cause, screen);
  }
}

function processScreen(): Screen {
  const { stdout, stderr, env } = process;
  return { stdout, stderr, env, clock: systemClock };
}

function endOf(cause: unknown, { stderr }: Screen): RunEnd {
  // What it had to say was said when it was thrown.
  if (cause instanceof CommanderError) return { exitCode: cause.exitCode === 0 ? 0 : USAGE_EXIT };
  if (cause instanceof RunStartError) {
    stderr.write(errorLine(cause.message));
    return { exitCode: cause.exitCode };
  }
  if (cause instanceof PlimsollError || isInvalidOption(cause)) {
    stderr.write(errorLine(cause.message));
    return { exitCode: cause instanceof NoFeedError ? NOTHING_EXIT : USAGE_EXIT };
  }
  throw cause;
}

/** A number that was read and is out of its range. */
const isInvalidOption = (cause: unknown): cause is RangeError =>
  cause instanceof RangeError && (cause as { code?: unknown }).code === 'PLIMSOLL_INVALID_OPTION';

/** The commands with what they take. `end` is told how it ended where that is not 0. */
export function commandTree(version: string, screen: Screen, end: (end: RunEnd) => void): Command {
  const program = new Command('plimsoll')
    .description('The load line for Node.js processes: what a machine gives, what a program takes, and where it goes.')
    .version(version)
    .enablePositionalOptions()
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void screen.stdout.write(text),
      writeErr: (text) => void screen.stderr.write(text),
      outputError: (text, write) => write(errorLine(withExample(text.replace(/^error: /, '').trimEnd()))),
      getOutHelpWidth: () => columnsOf(screen.stdout),
      getErrHelpWidth: () => columnsOf(screen.stderr),
    });
  addDoctor(program, screen, end);
  addRun(program, screen, end);
  addTop(program, screen);
  addRecords(program, screen);
  addCompletion(program, screen);
  return program;
}

/** Only `run` takes a command, and its `--` is easily forgotten. */
const withExample = (text: string): string =>
  text === "missing required argument 'command'" ? `${text}: plimsoll run -- node app.js` : text;

function addRun(program: Command, screen: Screen, end: (end: RunEnd) => void): void {
  program
    .command('run')
    .description('runs a program of Node, unchanged, and tells where its memory went')
    .argument('<command...>', 'the program with its arguments, after --')
    .passThroughOptions()
    .option('--limit <size>', 'the line, such as 256MiB; default: that of the container', sizeOf)
    .addOption(
      new Option('--mode <mode>', 'whether the governor acts; default: as PLIMSOLL says, or observe').choices([
        'observe',
        'on',
      ]),
    )
    .option('--no-heap-flags', 'leave V8 its own heap limit')
    .option('--no-live', 'no line at the foot of the terminal while it runs')
    .option('--report <file>', 'write the report there; JSON for a name that ends in .json')
    .option('--json', 'the report as JSON', false)
    .option('--html <file>', 'write the report there as a page for a browser')
    .addHelpText(
      'after',
      '\nExit code: that of the program; 126 or 127 where it cannot be started; 2 for a wrong command line.',
    )
    .action(async (command: string[], given: RunFlags) => {
      const { limit, ...others } = given;
      const { runCommand } = await import('./run-command.ts');
      end(await runCommand(command, { ...others, ...(limit === undefined ? {} : { limitBytes: limit }) }, screen));
    });
}

function addDoctor(program: Command, screen: Screen, end: (end: RunEnd) => void): void {
  program
    .command('doctor')
    .description('what this machine or container gives a program of Node, what is wrong, and the line that mends it')
    .option('--limit <size>', 'as if this were the limit, such as 256MiB', sizeOf)
    .option('--json', 'as JSON', false)
    .option('--html <file>', 'write it there as a page for a browser')
    .addHelpText('after', '\nExit code: 0 where all is well, 1 where something is wrong, 2 for a wrong command line.')
    .action(async ({ limit, ...wanted }: Told & { readonly limit?: number }) => {
      const { doctorCommand } = await import('./doctor-command.ts');
      end({ exitCode: doctorCommand(limit, wanted, screen) });
    });
}

function addCompletion(program: Command, { stdout }: Screen): void {
  program
    .command('completion')
    .description('prints a script that completes commands and options: source <(plimsoll completion bash)')
    .addArgument(new Argument('<shell>', 'of which shell').choices(COMPLETION_SHELLS))
    .action((shell: CompletionShell) => void stdout.write(completionScript(program, shell)));
}

function addTop(program: Command, screen: Screen): void {
  program
    .command('top')
    .description('shows live what a process holds: meters against the line, consumers, what was done')
    .argument('[target]', 'the number of a process, or the URL of a dashboard; default: the one that writes a feed')
    .option('--once', 'one picture', false)
    .option('--json', 'a line of JSON for each look', false)
    .addOption(
      new Option('--every <time>', 'in a pipe, the shortest time between two pictures')
        .argParser(timeOf)
        .default(1_000, '1s'),
    )
    .option('--feed <folder>', 'where feeds are written; default: where PLIMSOLL_FEED=on has them')
    .option('--token <text>', 'of the dashboard; better in PLIMSOLL_TOKEN, where nobody sees it in a list of processes')
    .addHelpText('after', '\nq ends it. Exit code: 0; 1 where there is nothing to watch; 2 for a wrong command line.')
    .action(async (target: string | undefined, given: Omit<TopOptions, 'everyMs'> & { readonly every: number }) => {
      const { topCommand } = await import('./top-command.ts');
      const { every: everyMs, ...others } = given;
      await topCommand(target, { ...others, everyMs }, screen);
    });
}

function addRecords(program: Command, screen: Screen): void {
  program
    .command('report')
    .description('shows what a process left behind: a flight recording, a termination log, a profile, a run, a feed')
    .argument('<file>', 'the file, - for standard input')
    .option('--json', 'as JSON', false)
    .option('--html <file>', 'write it there as a page for a browser')
    .action(async (file: string, wanted: Told) => {
      const { reportCommand } = await import('./report-command.ts');
      reportCommand(file, wanted, screen);
    });
  program
    .command('diff')
    .description('shows two records of one kind beside each other')
    .argument('<a>', 'what was before')
    .argument('<b>', 'what came after')
    .option('--json', 'as JSON', false)
    .option('--html <file>', 'write it there as a page for a browser')
    .action(async (a: string, b: string, wanted: Told) => {
      const { diffCommand } = await import('./report-command.ts');
      diffCommand(a, b, wanted, screen);
    });
}

interface RunFlags {
  readonly limit?: number;
  readonly mode?: 'observe' | 'on';
  readonly heapFlags: boolean;
  readonly live: boolean;
  readonly report?: string;
  readonly json: boolean;
  readonly html?: string;
}

function timeOf(text: string): number {
  try {
    return parseDuration(text);
  } catch (cause) {
    throw new InvalidArgumentError((cause as Error).message);
  }
}

function sizeOf(text: string): number {
  try {
    return parseBytes(text);
  } catch (cause) {
    throw new InvalidArgumentError((cause as Error).message);
  }
}
