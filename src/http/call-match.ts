import { invalidOption } from '../invalid-option.ts';

/** A call as it is judged. */
export interface Call {
  readonly method: string;
  /** Functions see it without its query. */
  readonly path: string;
  /** Where the framework knows it by then: `/report/:id`. */
  readonly route?: string | undefined;
}

/**
 * Which calls are meant: a path as it is written (`/health`), all that begins with what stands before a star at the end (`/report/*`, which is not
 * `/report`), or a function. Letter case counts; nothing is decoded. At most 256 paths.
 */
export type CallMatch = readonly string[] | ((call: Call) => boolean);

const MOST_PATHS = 256;
const LONGEST_PATH = 1_024;

/** Makes a question of them: whole paths cost one look in a set, however many there are, and each that ends in a star a comparison. */
export function matchCalls(name: string, given: CallMatch): (call: Call) => boolean {
  if (typeof given === 'function') return given;
  if (!Array.isArray(given) || given.length > MOST_PATHS) {
    throw invalidOption(name, `an array of at most ${MOST_PATHS} paths, or a function`, given);
  }
  const whole = new Set<string>();
  const beginnings: string[] = [];
  for (const [index, path] of (given as readonly string[]).entries()) {
    if (typeof path !== 'string' || !path.startsWith('/') || path.length > LONGEST_PATH || /[?#]|\*./.test(path)) {
      throw invalidOption(`${name}[${index}]`, 'a path like `/health` or `/report/*`', path);
    }
    if (path.endsWith('*')) beginnings.push(path.slice(0, -1));
    else whole.add(path);
  }
  if (whole.size + beginnings.length === 0) return matchNothing;
  return ({ path }) => whole.has(path) || beginsWithOne(beginnings, path);
}

function matchNothing(): boolean {
  return false;
}

function beginsWithOne(beginnings: readonly string[], path: string): boolean {
  for (let i = 0; i < beginnings.length; i++) if (path.startsWith(beginnings[i]!)) return true;
  return false;
}
