import { writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { loadBeside } from './load-beside.ts';
import type { Auto } from './start-auto.ts';

/**
 * Starts `plimsoll/auto` by the environment. Undefined in worker threads, which have no governor, and with `PLIMSOLL=off` where nothing could switch it on again; then
 * next to nothing is loaded. Never throws: what goes wrong is a line on standard error, and the program goes on.
 */
export function begin(env: Readonly<Record<string, string | undefined>> = process.env): Auto | undefined {
  if (!isMainThread) return undefined;
  try {
    const { readSettings, isIdle } = loadBeside<typeof import('./settings.ts')>('settings');
    const { settings, complaints } = readSettings(env);
    if (isIdle(settings) && complaints.length === 0) return undefined;
    const { startAuto } = loadBeside<typeof import('./start-auto.ts')>('start-auto');
    return startAuto(settings, complaints);
  } catch (cause) {
    if (env.PLIMSOLL_LOG?.trim().toLowerCase() !== 'off') confess(cause);
    return undefined;
  }
}

function confess(cause: unknown): void {
  try {
    writeSync(2, `plimsoll: not started: ${String((cause as Error)?.message ?? cause).split('\n')[0]}\n`);
  } catch {
    // Nobody is there to be told.
  }
}
