import { runAdoption } from '../gates/adoption.ts';
import { UNDER_PRESSURE, UNDER_PRESSURE_THAT_EMPTIES } from '../shelf/service/contenders.ts';

/**
 * The gate `adoption` for longer: the adopted service under its load for `minutes`, and then what people use today for as long. Throws
 * `GateFailure` for what does not hold; resolves to the figures, in a line.
 */
export function soakAdoption(minutes: number, say: (line: string) => void): Promise<string> {
  return runAdoption(minutes * 60, [UNDER_PRESSURE, UNDER_PRESSURE_THAT_EMPTIES], say);
}
