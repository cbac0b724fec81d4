/** A gate: something that must hold at full size. It returns its figures, or throws a `GateFailure` that says what did not hold. */
export interface Gate {
  /** For `npm run verify -- NAME`. */
  readonly name: string;
  /** What must be true, in a line. */
  readonly promise: string;
  /** It judges neither time nor the memory of the whole machine: it may run beside another such gate. Default false. */
  readonly patient?: boolean;
  /** `say` prints a line of progress. Resolves to the figures, in a line. */
  run(say: (line: string) => void): Promise<string>;
}

export class GateFailure extends Error {
  override readonly name = 'GateFailure';
}

/** Thrown when this machine cannot run a gate: neither passed nor failed. */
export class GateSkipped extends Error {
  override readonly name = 'GateSkipped';
}

export function demand(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new GateFailure(otherwise);
}

/** Demands equality of figures, naming each one that differs. */
export function demandEqual(
  what: string,
  found: Readonly<Record<string, unknown>>,
  expected: Readonly<Record<string, unknown>>,
): void {
  const wrong = Object.keys(expected).filter((key) => found[key] !== expected[key]);
  if (wrong.length === 0) return;
  throw new GateFailure(`${what}: ${wrong.map((key) => `${key} is ${found[key]}, not ${expected[key]}`).join('; ')}`);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export const mib = (bytes: number): string => `${(bytes / 1_048_576).toFixed(1)} MiB`;
export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
