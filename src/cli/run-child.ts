import { type ChildProcess, spawn } from 'node:child_process';
import { PlimsollError } from '../errors.ts';
import type { HeldSignals } from './held-signals.ts';

/** `PLIMSOLL_RUN_START`: the program could not be started. The exit code is that of shells: 127 where it is not there, 126 where it may not be run. */
export class RunStartError extends PlimsollError {
  override readonly name = 'RunStartError';
  readonly exitCode: 126 | 127;

  constructor(command: string, cause: unknown) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const isAbsent = code === 'ENOENT';
    const why = isAbsent ? 'there is no such program' : code === 'EACCES' ? 'it may not be run' : message;
    super(`\`${command}\` was not started: ${why}`, { code: 'PLIMSOLL_RUN_START', recovery: 'fail', cause });
    this.exitCode = isAbsent ? 127 : 126;
  }
}

export interface ChildEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What supervisors and terminals send. */
const PASSED_ON: readonly NodeJS.Signals[] = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
  'SIGCONT',
  'SIGBREAK',
];
/**
 * Runs a program to its end with this process's own standard streams, and passes on to it the signals that are sent here, which end this process no more meanwhile,
 * but for those that `held` holds back. Throws `PLIMSOLL_RUN_START`.
 */
export async function runChild(
  [command = '', ...args]: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  held: HeldSignals,
): Promise<ChildEnd> {
  let child: ChildProcess;
  const passOn = (signal: NodeJS.Signals): void => {
    if (!held.holds(signal)) child?.kill(signal);
  };
  const listened = PASSED_ON.filter((signal) => listenTo(signal, passOn));
  try {
    child = spawn(command, args, { stdio: 'inherit', env });
    return await new Promise<ChildEnd>((resolve, reject) => {
      child.once('error', (cause) => reject(new RunStartError(command, cause)));
      child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }));
    });
  } catch (cause) {
    throw cause instanceof RunStartError ? cause : new RunStartError(command, cause);
  } finally {
    for (const signal of listened) process.off(signal, passOn);
  }
}

function listenTo(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): boolean {
  try {
    process.on(signal, listener);
    return true;
  } catch {
    // There is none of that name here.
    return false;
  }
}
