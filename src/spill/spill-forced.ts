/** Whether `PLIMSOLL_FORCE_SPILL=1`: whatever has a spill at hand spills at every step, for tests. */
export function isSpillForced(env: Readonly<Record<string, string | undefined>> = process.env): boolean {
  return env.PLIMSOLL_FORCE_SPILL === '1';
}
