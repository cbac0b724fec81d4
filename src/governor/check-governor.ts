import { invalidOption } from '../invalid-option.ts';
import type { Governor } from './governor.ts';

/** By its verbs, not by its class: it may come from another copy of the package. */
export function isGovernor(value: unknown): value is Governor {
  if (typeof value !== 'object' || value === null) return false;
  const { consumer, snapshot, sample } = value as Partial<Governor>;
  return typeof consumer === 'function' && typeof snapshot === 'function' && typeof sample === 'function';
}

/** Throws `RangeError` for what is no governor: forgotten, or another thing in its place. One that cannot be looked at is let pass: it is broken, not wrong. */
export function checkGovernor(governor: unknown): asserts governor is Governor {
  let isOne = true;
  try {
    isOne = isGovernor(governor);
  } catch {
    // Who stands on it fails open.
  }
  const expected = 'what `createGovernor()` or `ensureProcessGovernor()` gave';
  if (!isOne) throw invalidOption('governor', expected, governor);
}
