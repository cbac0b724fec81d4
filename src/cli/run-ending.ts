import { constants } from 'node:os';
import { formatBytes } from '../bytes.ts';
import type { Observation } from '../observe/index.ts';
import { counted, formatDuration, formatShare } from './page.ts';

/** How a program ended, and why, as far as can be told from outside. Plain data. */
export interface RunEnding {
  readonly exitCode?: number;
  readonly signal?: NodeJS.Signals;
  /** `kernel`: killed for want of memory, as the kernel counted it; `likely-kernel`: as it looks; `heap`: V8 gave up. Absent: memory had no part in it. */
  readonly outOfMemory?: 'kernel' | 'likely-kernel' | 'heap';
  /** A sentence or two. */
  readonly why: string;
}

export interface EndingFacts {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Milliseconds since 1970. */
  readonly endedAt: number;
  /** How many processes the kernel killed meanwhile in the control group; undefined where it does not count. */
  readonly oomKills?: number | undefined;
  readonly last?: Observation | undefined;
}

const SIGNALS_OFFSET = 128;
/** From there on a process that is killed is taken to be killed for it, and a heap that ends to be full. */
const NEAR = 0.8;

/** Pure. A shell in between makes a code of a signal: 137 is SIGKILL, 134 SIGABRT. */
export function endingOf(facts: EndingFacts): RunEnding {
  const { exitCode, signal, last } = facts;
  const by = signal ?? signalOf(exitCode);
  const base = { ...(exitCode === null ? {} : { exitCode }), ...(signal === null ? {} : { signal }) };
  const how = signal === null ? `It ended with exit code ${exitCode}.` : `It was ended by ${signal}.`;
  const look = last === undefined ? '' : ` ${lastLook(last, facts.endedAt)}`;
  if (by === 'SIGKILL') {
    if ((facts.oomKills ?? 0) > 0) {
      const why = `The kernel killed it for want of memory: its control group counts ${counted(facts.oomKills ?? 0, 'such kill')}.${look}`;
      return { ...base, outOfMemory: 'kernel', why };
    }
    if (last !== undefined && (nearest(last)?.ratio ?? 0) >= NEAR) {
      const why = `${how} Nobody says why; most likely the kernel, for want of memory.${look}`;
      return { ...base, outOfMemory: 'likely-kernel', why };
    }
    return { ...base, why: `${how}${look}` };
  }
  const heap = last?.snapshot.meters.find(({ name }) => name === 'heap');
  if (by === 'SIGABRT' && heap !== undefined && heap.ratio >= NEAR) {
    const room = `${formatBytes(heap.bytes)} of ${formatBytes(heap.limitBytes)}`;
    const mend = 'Give it more by --max-old-space-size where there is room under the line, or have it hold less.';
    return { ...base, outOfMemory: 'heap', why: `V8 ran out of heap (${room} at the last look). ${mend}${look}` };
  }
  // A loop that lets nobody look fills a heap between two looks.
  if (by === 'SIGABRT')
    return { ...base, why: `${how} V8 does so when its heap is full, and writes that above.${look}` };
  return { ...base, why: how };
}

/** The name of the signal that a shell's exit code stands for. */
function signalOf(exitCode: number | null): string | undefined {
  if (exitCode === null || exitCode <= SIGNALS_OFFSET) return undefined;
  return Object.entries(constants.signals).find(([, number]) => number === exitCode - SIGNALS_OFFSET)?.[0];
}

/** The meter that is nearest to its limit, of those that the machine sees. Undefined where there is none at all. */
function nearest({ snapshot }: Observation): Observation['snapshot']['meters'][number] | undefined {
  const seen = snapshot.meters.filter(({ name, off }) => name !== 'ledger' && !off);
  return seen.length === 0
    ? snapshot.meters[0]
    : seen.reduce((most, meter) => (meter.ratio > most.ratio ? meter : most));
}

function lastLook(last: Observation, endedAt: number): string {
  const meter = nearest(last);
  const ago = formatDuration(Math.max(0, endedAt - last.at));
  const before = `The last look, ${ago} before: ${last.snapshot.level}`;
  if (meter === undefined) return `${before}.`;
  const { name, bytes, limitBytes, ratio } = meter;
  return `${before}, ${name} ${formatBytes(bytes)} of ${formatBytes(limitBytes)} (${formatShare(ratio)}).`;
}
