import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { demand, type Gate, GateSkipped, median, mib, seconds } from './gate.ts';

const SCRIPT = join(import.meta.dirname, '../wasm/hostile-run.ts');
const LOOK_EVERY_MS = 10;
const SILENCE_MS = 60_000;
/**
 * A spinning guest is gone so soon after its limit, by the median: single ones may wait for the machine. A process is taken down by the kernel, with all its memory, before its parent hears of it: 19 ms on a
 * machine at rest, and more than 100 on a busy one. Where a thread that spins in plain JavaScript takes a third of that to end, the machine has other things to do, and three times as long is allowed.
 */
const MOST_OVER_MS: Readonly<Record<string, number>> = { worker: 50, process: 250 };
/**
 * Above what the process has before the first one: two more workers and what they leave with the allocator, two linear memories of 1 MiB, output of 1 MiB on both sides,
 * and the code that V8 makes. One that took what it wants would have gigabytes.
 */
const MOST_MORE_BYTES = 128 * 2 ** 20;
/** With a process for each: there are three of them at most, and Node takes that much in each. */
const MOST_MORE_IN_PROCESSES = 256 * 2 ** 20;

interface Line {
  readonly name?: string;
  readonly why?: string;
  readonly overMs?: number;
  readonly plainMs?: number;
}

/** Every hostile module in one process that must live on: threads, then processes. */
export const wasmHostileGate: Gate = {
  name: 'wasm-hostile',
  promise:
    'every hostile plugin is contained: the process lives, its neighbour works on, time and memory stay within the cap, nothing is left behind',
  async run(say) {
    if (!existsSync('/proc/self/status'))
      throw new GateSkipped('this machine does not tell the memory of another process');
    const figures: string[] = [];
    for (const isolation of ['worker', 'process']) {
      const started = performance.now();
      const { lines, moreBytes, code } = await runHostile(isolation);
      const modules = lines.filter(({ name }) => name !== undefined);
      for (const { name, why } of modules) if (why !== undefined) say(`${name}: ${why}`);
      const bad = modules.filter(({ why }) => why !== undefined);
      demand(bad.length === 0, `isolation ${isolation}: ${bad.length} of ${modules.length} are not contained`);
      demand(
        code === 0 && modules.at(-1)?.name === 'the next good plugin',
        `isolation ${isolation}: the process ended with ${code}`,
      );
      const most = isolation === 'worker' ? MOST_MORE_BYTES : MOST_MORE_IN_PROCESSES;
      demand(moreBytes < most, `isolation ${isolation}: it came to ${mib(moreBytes)} more`);
      const over = lines.flatMap(({ overMs }) => overMs ?? []);
      const plain = median(lines.flatMap(({ plainMs }) => plainMs ?? []));
      const allowed = Math.max(MOST_OVER_MS[isolation]!, 3 * plain);
      demand(
        over.length === 20 && median(over) < allowed,
        `isolation ${isolation}: a spinning guest is gone ${median(over).toFixed(0)} ms after its limit`,
      );
      figures.push(
        `${modules.length - 1} modules with isolation ${isolation} in ${seconds(performance.now() - started)}, ${mib(moreBytes)} more at most, a spinning guest gone ${median(over).toFixed(1)} ms after its limit (${Math.max(...over).toFixed(1)} at most; one in plain JavaScript ${plain.toFixed(1)})`,
      );
    }
    return figures.join('; ');
  },
};

async function runHostile(isolation: string) {
  const child = spawn(process.execPath, [SCRIPT, isolation], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: Line[] = [];
  let before = 0;
  let most = 0;
  const look = setInterval(() => {
    most = Math.max(most, treeBytes(child.pid!));
  }, LOOK_EVERY_MS);
  const silence = setTimeout(() => child.kill('SIGKILL'), SILENCE_MS);
  createInterface(child.stdout).on('line', (line) => {
    silence.refresh();
    const said = JSON.parse(line) as Line | 'ready';
    if (said === 'ready') most = before = privateBytes(child.pid!);
    else lines.push(said);
  });
  const code = await new Promise<number | string>((resolve) => {
    child.on('close', (exitCode, signal) => resolve(exitCode ?? signal!));
  });
  clearInterval(look);
  clearTimeout(silence);
  return { lines, moreBytes: most - before, code };
}

/** Of a process and of those that it started. */
function treeBytes(pid: number): number {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
    return privateBytes(pid) + children.reduce((sum, child) => sum + privateBytes(Number(child)), 0);
  } catch {
    return privateBytes(pid);
  }
}

/** Of a process alone; 0 when it is gone. */
function privateBytes(pid: number): number {
  try {
    return Number(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1_024;
  } catch {
    return 0;
  }
}
