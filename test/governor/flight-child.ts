/** Programs whose memory, or whatever else, runs out: `flight-child.ts <folder> <what>`. Each prints one line of JSON. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { getHeapStatistics } from 'node:v8';
import { isMainThread, threadId, Worker, workerData } from 'node:worker_threads';
import { systemClock } from '../../src/clock.ts';
import { Faults } from '../../src/governor/faults.ts';
import { FlightRecorder } from '../../src/governor/flight-recorder.ts';
import { eventfulParts, trainReport } from './flight-parts.ts';

/** V8 gives up at 32 to 34 MB, by `--max-old-space-size=32`. */
const FULL_BYTES = 31_000_000;
const [folder = '', what] = process.argv.slice(2);
const parts = eventfulParts();
for (let i = parts.ledger.accounts.length; i < 200; i++) {
  const account = parts.ledger.open({ name: `consumer ${i}`, kind: 'heap', maxBytes: 1_000 });
  parts.ledger.charge(account, i);
}
while (parts.journal.count < 70) parts.journal.record(trainReport(parts.journal.count + 1, 4));
const faults = new Faults();
const nodeReport = what === 'report';
const recorder = new FlightRecorder({ folder, clock: systemClock, faults, parts, nodeReport });
const say = (line: object): void => void writeSync(1, `${JSON.stringify(line)}\n`);

function count(): void {
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const written = recorder.write('fatal');
  say({ written, allocatedBytes: process.memoryUsage().heapUsed - before });
}

/** Writes with about 1 MB of old space left, and dies of the next. No collections of its own: four in vain and V8 gives up earlier. */
function heap(): void {
  const held: unknown[] = [];
  const used = () => getHeapStatistics().used_heap_size;
  while (used() < FULL_BYTES) for (let i = 0; i < 100; i++) held.push({ i, more: [i, i] });
  const at = used();
  say({ written: recorder.write('fatal') });
  for (;;) {
    held.push({ i: held.length, more: [1] });
    if (held.length % 500 === 0) writeSync(1, `${used() - at}\n`);
  }
}

/** Dies of it. */
function fillHeap(): void {
  const held: unknown[] = [];
  for (;;) held.push({ more: [held.length] });
}

function descriptors(): void {
  const open: number[] = [];
  let refused: unknown;
  try {
    for (;;) open.push(openSync('/dev/null', 'r'));
  } catch (cause) {
    refused = (cause as NodeJS.ErrnoException).code;
  }
  const written = [recorder.write('fatal'), recorder.write('fatal')];
  for (const file of open) closeSync(file);
  say({ refused, written });
}

/** Anonymous pages up to the limit of the group, as its own files tell. */
function group(): void {
  const groups = readFileSync('/proc/self/cgroup', 'latin1');
  const v1 = /^\d+:memory:(.*)$/m.exec(groups)?.[1];
  const folder = v1 === undefined ? `/sys/fs/cgroup${/^0::(.*)$/m.exec(groups)?.[1]}` : `/sys/fs/cgroup/memory${v1}`;
  const read = (v1Name: string, v2Name: string) =>
    Number(readFileSync(`${folder}/${v1 === undefined ? v2Name : v1Name}`, 'latin1'));
  const limitBytes = read('memory.limit_in_bytes', 'memory.max');
  const freeBytes = () => limitBytes - read('memory.usage_in_bytes', 'memory.current');
  const held: Buffer[] = [];
  while (freeBytes() > 800_000) held.push(Buffer.alloc(131_072, 1));
  const before = freeBytes();
  const written = recorder.write('emergency');
  say({ freeBytes: before, written, held: held.length });
}

/** Two recorders of one process, each in its thread, at the same time. */
function threads(): void {
  const shared = isMainThread ? new Int32Array(new SharedArrayBuffer(4)) : (workerData as Int32Array);
  if (isMainThread) new Worker(new URL(import.meta.url), { argv: [folder, what], workerData: shared });
  // Each waits for the other.
  if (Atomics.add(shared, 0, 1) === 0) Atomics.wait(shared, 0, 1);
  else Atomics.notify(shared, 0);
  using many = new FlightRecorder({ folder, clock: systemClock, faults, parts, minIntervalMs: 0, keep: 1_000 });
  for (let i = 0; i < 40; i++) many.write(`${threadId} ${i}`);
  say({ faults: faults.rows() });
}

function fail(): void {
  recorder.installFatalHooks(() => writeSync(1, 'then\n'));
  throw new Error('out of everything');
}

const programs: Record<string, () => void> = {
  count,
  heap,
  report: fillHeap,
  descriptors,
  group,
  threads,
  throw: fail,
};
programs[what ?? '']?.();
