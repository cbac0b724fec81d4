import { HOLDER_HEALTHS, type HolderReport } from './contract.ts';
import type { Faults } from './faults.ts';

const MOST_COUNTS = 40;
const LONGEST_NAME = 40;
const LONGEST_WHY = 200;

/** A copy of what a holder says of itself, within bounds; undefined, and a fault, when it throws or talks nonsense. */
export function holderRow(name: string, report: () => HolderReport, faults: Faults): HolderReport | undefined {
  const part = `report of ${name}`;
  try {
    const given = report();
    faults.watch(part, given);
    const { type, health, why, counts } = given;
    if (!HOLDER_HEALTHS.includes(health)) throw new TypeError(`health is ${String(health)}`);
    const row: Record<string, number> = {};
    for (const key of Object.keys(counts).slice(0, MOST_COUNTS)) {
      const value: unknown = counts[key];
      if (typeof value === 'number' && Number.isFinite(value)) row[key.slice(0, LONGEST_NAME)] = value;
    }
    const reason = why === undefined ? undefined : String(why).slice(0, LONGEST_WHY);
    const kind = String(type).slice(0, LONGEST_NAME);
    return { type: kind, health, ...(reason === undefined ? {} : { why: reason }), counts: row };
  } catch (cause) {
    faults.note(part, cause);
    return undefined;
  }
}
