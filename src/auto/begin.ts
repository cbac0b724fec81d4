import { writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { loadBeside } from './load-beside.ts';
import type { Auto } from './start-auto.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Starts `plimsoll/auto` by the environment. Undefined in worker threads, which have no governor, and with `PLIMSOLL=off` where nothing could switch it on again; then
 * nothing is loaded. Never throws: what goes wrong is a line on standard error, and the program goes on.
 */
export function begin(env: Environment = process.env): Auto | undefined {
  if (!isMainThread || isOffForGood(env)) return undefined;
  try {
    const { readSettings } = loadBeside<typeof import('./settings.ts')>('settings');
    const { startAuto } = loadBeside<typeof import('./start-auto.ts')>('start-auto');
    const { settings, complaints } = readSettings(env);
    return startAuto(settings, complaints);
  } catch (cause) {
    if (word(env.PLIMSOLL_LOG) !== 'off') confess(cause);
    return undefined;
  }
}

const isOffForGood = ({ PLIMSOLL, PLIMSOLL_CONTROL, PLIMSOLL_SIGNAL }: Environment): boolean =>
  word(PLIMSOLL) === 'off' && word(PLIMSOLL_CONTROL) === '' && word(PLIMSOLL_SIGNAL) === '';

const word = (text: string | undefined): string => text?.trim().toLowerCase() ?? '';

function confess(cause: unknown): void {
  try {
    writeSync(2, `plimsoll: not started: ${String((cause as Error)?.message ?? cause).split('\n')[0]}\n`);
  } catch {
    // Nobody is there to be told.
  }
}
