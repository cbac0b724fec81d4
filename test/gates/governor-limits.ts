import { judgeDrift, judgeGoverned, judgeUngoverned } from '../cgroup/loads/judge-load.ts';
import { LOADS, type Load, runLoad } from '../cgroup/loads/run-load.ts';
import { whyNoLimits } from '../cgroup/memory-group.ts';
import { type Gate, GateFailure, GateSkipped } from './gate.ts';

const LIMITS_MIB = [64, 128, 256, 512] as const;
/** What a program compiles while it runs is a megabyte, and nobody reserves it. */
const DRIFT_SAYS_LITTLE: ReadonlySet<string> = new Set(['holders 64']);

/** Judged by the kernel's own charge and kill counters, from outside. Every pair is run, then all that did not hold is said. */
export const governorLimitsGate: Gate = {
  name: 'governor-limits',
  promise:
    'seven loads that the kernel kills in 64, 128, 256 and 512 MiB live there with the governor (the leak dies by itself, with a dump); drift at the end',
  async run(say) {
    const whyNot = await whyNoLimits();
    if (whyNot !== undefined) throw new GateSkipped(whyNot);
    const wrong: string[] = [];
    let alive = 0;
    for (const limitMib of LIMITS_MIB) {
      for (const load of LOADS) {
        const held = await judge(load, limitMib, say);
        if (held.length === 0) alive++;
        wrong.push(...held);
      }
    }
    if (wrong.length > 0) throw new GateFailure(wrong.join('\n     '));
    return `${alive} pairs of load and limit: without the governor all killed (oom_kill), with it none; drift within 15% (external, wasm) and 25% (heap)`;
  },
};

/** What did not hold; empty when all did. */
async function judge(load: Load, limitMib: number, say: (line: string) => void): Promise<string[]> {
  const wrong: string[] = [];
  const attempt = (what: () => string): string => {
    try {
      return what();
    } catch (error) {
      if (!(error instanceof GateFailure)) throw error;
      wrong.push(error.message);
      return `NOT HELD: ${error.message}`;
    }
  };
  const free = await runLoad({ load, limitMib, governed: false });
  const without = attempt(() => judgeUngoverned(load, limitMib, free));
  const governed = await runLoad({ load, limitMib, governed: true });
  const withIt = attempt(() => judgeGoverned(load, limitMib, governed));
  say(`${load} in ${limitMib} MiB: without ${without}; with ${withIt}`);
  if (DRIFT_SAYS_LITTLE.has(`${load} ${limitMib}`))
    say('  drift: not judged, the code of four rooms is a quarter of the heap that is reserved');
  else if (load !== 'leak' && governed.report !== undefined) {
    say(`  drift: ${attempt(() => judgeDrift(load, limitMib, governed))}`);
  }
  return wrong;
}
