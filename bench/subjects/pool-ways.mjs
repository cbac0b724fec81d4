// What a way of the pool benches is measured by: time, CPU time of all threads and time in the collector, for each turn.
import { GCProfiler } from 'node:v8';

export function measureWay(turn, count) {
  turn(Math.ceil(count / 4));
  turn(Math.ceil(count / 4));
  globalThis.gc();
  const collector = new GCProfiler();
  collector.start();
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  turn(count);
  const elapsedMs = performance.now() - started;
  const cpu = process.cpuUsage(cpuBefore);
  const { statistics } = collector.stop();
  const gcMs = statistics.reduce((sum, { cost }) => sum + cost, 0) / 1_000;
  const each = (ms) => (ms * 1e6) / count;
  const cpuMs = (cpu.user + cpu.system) / 1_000;
  console.log(JSON.stringify({ elapsedMs, nsEach: each(elapsedMs), cpuNsEach: each(cpuMs), gcNsEach: each(gcMs) }));
}
