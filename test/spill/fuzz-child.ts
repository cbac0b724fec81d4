/** `fuzz-child.ts SEED COUNT`: prints what came of it, and by how much the process's peak memory grew after its first cases, as a line of JSON. */
import { fuzzSegments } from './fuzz-segments.ts';

const [seed = 1, count = 1_000] = process.argv.slice(2).map(Number);
const WARM = Math.min(2_000, count >> 1);
const peak = (): number => process.resourceUsage().maxRSS * 1_024;
let warmPeakBytes = 0;
const outcome = await fuzzSegments(seed, count, (index) => {
  if (index === WARM) warmPeakBytes = peak();
});
console.log(JSON.stringify({ ...outcome, warmPeakBytes, peakBytes: peak() }));
