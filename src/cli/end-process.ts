import { constants } from 'node:os';
import { systemClock } from '../clock.ts';
import type { RunEnd } from './run-command.ts';

/** Until a signal that this process sent to itself has ended it. A first process of a container is not ended so. */
const PATIENCE_MS = 50;
const SIGNALS_OFFSET = 128;

/**
 * Ends this process as the program that it ran has ended, so that whoever waits sees the same: by the same signal, or with the same code. Where the signal ends nothing, with
 * what shells make of it, 128 and its number.
 */
export function endProcess({ exitCode, signal }: RunEnd): void {
  process.exitCode = exitCode;
  if (signal === undefined) return;
  process.exitCode = SIGNALS_OFFSET + (constants.signals[signal] ?? 0);
  process.kill(process.pid, signal);
  systemClock.after(PATIENCE_MS, () => process.exit(), true);
}
