import type { Clock } from '../clock.ts';
import { checkGovernor, type Governor } from '../governor/index.ts';
import { checkName, checkWhole, copyOptions, withoutUndefined } from '../invalid-option.ts';

export interface StringInternerOptions {
  /** As errors, snapshot and journal have it: 1 to 110 characters. Default `strings`. */
  readonly name?: string;
  /** The most that texts and index may take together, bytes, 16,384 up. Default 10 MB (10,000,000). */
  readonly maxBytes?: number;
  /** Texts of more bytes, as UTF-8, are passed through and not kept: 1 up. Default 4,096. */
  readonly maxStringBytes?: number;
  readonly governor?: Governor;
  /** How long the governor protects it: low gives back first. Whole number, default 0. */
  readonly importance?: number;
  /** What the hash begins with: 0 to 4,294,967,295. Default a random one. */
  readonly seed?: number;
  /** For tests: of each hash only these bits are used; 0 makes all texts collide. Default all 32. */
  readonly hashMask?: number;
  readonly clock?: Clock;
}

const WORD = 0xffff_ffff;
/** The index as it is at first, and some texts. */
const LEAST_BYTES = 16_384;
/** Room is left for what the second consumer adds. */
const LONGEST_NAME = 110;

export const STRING_INTERNER_DEFAULTS = { name: 'strings', maxBytes: 10_000_000, maxStringBytes: 4_096 } as const;

/** Passes a copy of sound options through, throws `RangeError` for others. */
export function checkInternerOptions(given: StringInternerOptions) {
  const known = ['name', 'maxBytes', 'maxStringBytes', 'governor', 'importance', 'seed', 'hashMask', 'clock'];
  const { governor, clock, importance, ...options } = copyOptions('StringInterner', given, known);
  const { seed = Math.floor(Math.random() * WORD), hashMask = WORD } = options;
  const { name, maxBytes, maxStringBytes } = { ...STRING_INTERNER_DEFAULTS, ...withoutUndefined(options) };
  checkName(name, 'name', LONGEST_NAME);
  if (governor !== undefined) checkGovernor(governor);
  if (importance !== undefined) checkWhole('importance', importance, Number.MIN_SAFE_INTEGER);
  return {
    name,
    maxBytes: checkWhole('maxBytes', maxBytes, LEAST_BYTES),
    maxStringBytes: checkWhole('maxStringBytes', maxStringBytes, 1),
    governor,
    importance,
    seed: checkWhole('seed', seed, 0, WORD),
    hashMask: checkWhole('hashMask', hashMask, 0, WORD),
    clock,
  };
}
