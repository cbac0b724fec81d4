import type { Gate } from './gate.ts';
import { runVitest } from './vitest-run.ts';

/** All tests once more, where every holder that has a spill folder uses it at every step. */
export const forcedSpillGate: Gate = {
  name: 'forced-spill',
  promise: 'all tests pass while every holder that can spill does so at every step (PLIMSOLL_FORCE_SPILL=1)',
  async run(say) {
    const env = { PLIMSOLL_FORCE_SPILL: '1', PLIMSOLL_SLOW_TESTS: 'too' };
    return `${await runVitest({ env, timeoutMs: 1_200_000, leastTests: 4_000 }, say)} tests passed`;
  },
};
