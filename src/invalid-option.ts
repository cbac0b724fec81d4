const SHOWN = 60;

/** Makes the one error of the option checks: ``Expected `limitBytes` to be a whole number from 1 up, got `-5` (number)``. */
export function invalidOption(name: string, expected: string, got: unknown): RangeError {
  const text = typeof got === 'string' ? got : show(got);
  const shown = text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text;
  const error = new RangeError(`Expected \`${name}\` to be ${expected}, got \`${shown}\` (${typeof got})`);
  return Object.assign(error, { code: 'PLIMSOLL_INVALID_OPTION', recovery: 'fail' });
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

function show(value: unknown): string {
  try {
    return String(value);
  } catch {
    return typeof value;
  }
}
