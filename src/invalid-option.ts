const SHOWN = 60;
const LISTED = 12;

/** Makes the one error of the option checks: ``Expected `limitBytes` to be a whole number from 1 up, got `-5` (number)``. */
export function invalidOption(name: string, expected: string, got: unknown): RangeError {
  const text = typeof got === 'string' ? got : show(got);
  const shown = text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text;
  return coded(new RangeError(`Expected \`${name}\` to be ${expected}, got \`${shown}\` (${typeof got})`));
}

/** Passes a whole number from `min` to `max` through. */
export function checkWhole(name: string, value: unknown, min: number, max: number = Number.MAX_SAFE_INTEGER): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value;
  const range = max === Number.MAX_SAFE_INTEGER ? `from ${min} up` : `from ${min} to ${max}`;
  throw invalidOption(name, `a whole number ${range}`, value);
}

/** Passes a finite number above `above` and up to `max` through. */
export function checkNumber(name: string, value: unknown, above: number, max: number): number {
  if (typeof value === 'number' && value > above && value <= max) return value;
  throw invalidOption(name, `a number above ${above} and up to ${max}`, value);
}

/** Passes one of `allowed` through. */
export function checkOneOf<T extends string>(name: string, value: unknown, allowed: readonly T[]): T {
  for (const item of allowed) if (item === value) return item;
  throw invalidOption(name, `one of ${allowed.map((item) => `\`${item}\``).join(', ')}`, value);
}

/**
 * Throws `RangeError` (`PLIMSOLL_INVALID_OPTION`) for a name in `given` that is not `known`, and says which was probably meant:
 * ``Unknown option `limitbytes` of createGovernor: did you mean `limitBytes`?`` Only the object's own names are looked at. `what` is who
 * takes the options. About 1 µs for ten options.
 */
export function checkKnownOptions(what: string, given: object, known: readonly string[]): void {
  if (typeof given !== 'object' || given === null) throw invalidOption(`options of ${what}`, 'an object', given);
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    const shown = name.length > SHOWN ? `${name.slice(0, SHOWN)}...` : name;
    const meant = nearest(name, known);
    const advice = meant === undefined ? `it takes ${list(known)}` : `did you mean \`${meant}\`?`;
    throw coded(new RangeError(`Unknown option \`${shown}\` of ${what}: ${advice}`));
  }
}

/**
 * Passes a copy of an object with options through, each read once: what is checked afterwards is what is used, also where a getter says something
 * else the next time. Throws `RangeError` for what is no object and for names that are not `known`. `what` is who takes them or, where `expected`
 * says what it should be, the option they stand in.
 */
export function copyOptions<T extends object>(what: string, given: T, known: readonly string[], expected?: string): T {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalidOption(expected === undefined ? `options of ${what}` : what, expected ?? 'an object', given);
  }
  const copy = { ...given };
  checkKnownOptions(what, copy, known);
  return copy;
}

/** A copy without what is undefined, so that defaults can be spread under it. */
export function withoutUndefined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

/** The longest that names may be: they stand in errors, dumps and snapshots. */
const MAX_NAME = 120;

/** Passes a name through: a text of 1 to 120 characters, or to `longest`. `option` is where it was given. */
export function checkName(value: unknown, option = 'name', longest = MAX_NAME): string {
  if (typeof value === 'string' && value !== '' && value.length <= longest) return value;
  throw invalidOption(option, `a name of at most ${longest} characters`, value);
}

/** Passes an `AbortSignal`, or none, through. */
export function checkSignal(signal: AbortSignal | undefined): AbortSignal | undefined {
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    throw invalidOption('signal', 'an AbortSignal', signal);
  }
  return signal;
}

function list(known: readonly string[]): string {
  if (known.length === 0) return 'none';
  const names = known.slice(0, LISTED).map((name) => `\`${name}\``);
  const rest = known.length - names.length;
  return names.join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

/**
 * The known name that takes the fewest edits, letter case aside. Where that is more than a third of its letters: the only one that begins with `name`, as where a
 * unit was left off; undefined when there is none.
 */
function nearest(name: string, known: readonly string[]): string | undefined {
  if (name.length > SHOWN) return undefined;
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  const longer = known.filter((candidate) => candidate.startsWith(name));
  for (const candidate of known) {
    const edits = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (edits >= least || edits > Math.max(name.length, candidate.length) / 3) continue;
    least = edits;
    best = candidate;
  }
  return best ?? (longer.length === 1 ? longer[0] : undefined);
}

/**
 * Letters added, dropped, replaced, or swapped with their neighbour: the optimal string alignment distance (Wagner and Fischer 1974; swaps
 * after Damerau 1964), by rows.
 */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let edits = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        edits = Math.min(edits, beforeLast[j - 2]! + 1);
      }
      row.push(edits);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}

function coded(error: RangeError): RangeError {
  return Object.assign(error, { code: 'PLIMSOLL_INVALID_OPTION', recovery: 'fail' });
}

function show(value: unknown): string {
  try {
    return String(value);
  } catch {
    return typeof value;
  }
}
