import type { Gate } from './gate.ts';
import { runVitest } from './vitest-run.ts';

/** The files `*.slow.test.ts`: whole programs and memory seen from outside, too slow for `npm test`. */
export const slowTestsGate: Gate = {
  name: 'slow-tests',
  promise:
    'tests that are too slow for `npm test` pass: whole runs, interruptions, a full disk, faults at every call, memory seen from outside',
  async run(say) {
    const env = { PLIMSOLL_SLOW_TESTS: 'only' };
    return `${await runVitest({ env, timeoutMs: 600_000, leastTests: 60 }, say)} tests passed`;
  },
};
