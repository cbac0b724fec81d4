import type { Clock } from '../clock.ts';

/** How long a program may take over its own end. */
const PATIENCE_MS = 10_000;

export interface AskToEndOptions {
  readonly clock: Clock;
  /** The code that the process ends with, whatever the program's own listeners make of it. */
  readonly exitCode: number;
  readonly exit: (code: number) => void;
}

/**
 * Has a program that knows nothing of a recycle shut down as it does for its supervisor: its listeners of `SIGTERM` are called, and have ten seconds. Resolves at
 * once where it has none, otherwise when the time is over; most programs end before. For the last moments of a process only: `process.kill` is not its own any more.
 */
export async function askToEnd({ clock, exitCode, exit }: AskToEndOptions): Promise<void> {
  if (process.listenerCount('SIGTERM') === 0) return;
  // A program that is told to end ends with 0, and a supervisor takes that for wanted.
  process.on('exit', () => {
    process.exitCode = exitCode;
  });
  const { kill } = process;
  // Libraries that clean up on signals send them to the process once more when they have done so.
  process.kill = (pid, signal) => {
    if (pid !== process.pid || signal !== 'SIGTERM') return kill.call(process, pid, signal);
    exit(exitCode);
    return true;
  };
  process.emit('SIGTERM', 'SIGTERM');
  await new Promise<void>((resolve) => void clock.after(PATIENCE_MS, resolve, true));
}

/** What a hook that calls it may take. */
export const ASK_TO_END_MS = PATIENCE_MS + 1_000;
