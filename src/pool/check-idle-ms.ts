import { LONGEST_MS } from '../clock.ts';
import { invalidOption } from '../invalid-option.ts';

/** Passes a time through: a whole number of ms from 1 up, or `Infinity` for never. */
export function checkIdleMs(value: unknown): number {
  if (value === Number.POSITIVE_INFINITY) return value;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= LONGEST_MS) return value;
  throw invalidOption('idleMs', `a whole number from 1 to ${LONGEST_MS}, or Infinity`, value);
}
