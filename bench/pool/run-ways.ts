/** Runs the ways of a subject in fresh processes, one after the other in turn. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { median } from '../../test/gates/gate.ts';
import { BENCH_DIR } from '../measure.ts';

export interface WayCost {
  readonly nsEach: number;
  readonly leastNs: number;
  readonly mostNs: number;
  /** Of all threads, and in the collector. */
  readonly cpuNsEach: number;
  readonly gcNsEach: number;
}

interface WayRun {
  readonly nsEach: number;
  readonly cpuNsEach: number;
  readonly gcNsEach: number;
}

/** `ways` are lists of arguments: the first is the name, which the costs come by together with the rest. */
export function runWays(subject: string, ways: readonly (readonly string[])[], rounds: number): Map<string, WayCost> {
  const runs = new Map<string, WayRun[]>();
  for (let round = 0; round < rounds; round++) {
    for (const way of ways) {
      const script = join(BENCH_DIR, 'subjects', subject);
      const env = { ...process.env, NODE_OPTIONS: '', PLIMSOLL: '' };
      const text = execFileSync(process.execPath, ['--expose-gc', script, ...way], { encoding: 'utf8', env });
      const key = way.join(' | ');
      runs.set(key, [...(runs.get(key) ?? []), JSON.parse(text) as WayRun]);
    }
  }
  return new Map([...runs].map(([key, each]) => [key, costOf(each)]));
}

function costOf(runs: readonly WayRun[]): WayCost {
  const ns = runs.map((run) => run.nsEach);
  return {
    nsEach: median(ns),
    leastNs: Math.min(...ns),
    mostNs: Math.max(...ns),
    cpuNsEach: median(runs.map((run) => run.cpuNsEach)),
    gcNsEach: median(runs.map((run) => run.gcNsEach)),
  };
}

export const us = (ns: number): string => {
  if (ns >= 10_000) return `${(ns / 1_000).toFixed(0)} µs`;
  return ns >= 1_000 ? `${(ns / 1_000).toFixed(1)} µs` : `${ns.toFixed(0)} ns`;
};
export const times = (value: number): string => `${value.toFixed(value >= 10 ? 0 : 1)}x`;
