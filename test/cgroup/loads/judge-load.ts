/** What must be true of a load that ran in a real limit. Each throws `GateFailure`, and returns the figures in a line. */
import { demand, mib, seconds } from '../../gates/gate.ts';
import type { DriftFigures, Load, LoadRun } from './run-load.ts';

/** What reserved and observed may differ by, as a part of the greater. */
const MOST_DRIFT: Readonly<Record<string, number>> = { external: 0.15, wasm: 0.15, heap: 0.25 };
/** Of the requests; the rest may be turned away. */
const LEAST_ANSWERED = 0.1;
/** See `leak.mjs`: how long it may be in an emergency, and what finding out and writing may take on top. */
const DIE_AFTER_MS = 600;
const DIE_SLACK_MS = 2_000;
const DIE_EXIT_CODE = 75;
const LOG_BYTES = 4_096;

const name = (load: Load, limitMib: number): string => `${load} in ${limitMib} MiB`;

/** Without the governor: the kernel must kill it, or the load proves nothing. */
export function judgeUngoverned(load: Load, limitMib: number, run: LoadRun): string {
  demand(
    run.oomKilled,
    `${name(load, limitMib)} without the governor is not killed: exit ${run.exitCode ?? run.signal}, peak ${mib(run.peakBytes)}, ${tail(run)}`,
  );
  return `killed after ${seconds(run.elapsedMs)}`;
}

/** With it: alive, and all that was asked for is done; or, the leak, dead in good time and with its reasons. */
export function judgeGoverned(load: Load, limitMib: number, run: LoadRun): string {
  demand(!run.oomKilled, `${name(load, limitMib)}: the kernel killed it after ${seconds(run.elapsedMs)}`);
  return load === 'leak' ? judgeDeath(limitMib, run) : judgeWork(load, limitMib, run);
}

function judgeWork(load: Load, limitMib: number, run: LoadRun): string {
  const { report } = run;
  demand(report !== undefined, `${name(load, limitMib)}: exit ${run.exitCode ?? run.signal}, ${tail(run)}`);
  const { asked, done, faults = [], answered, refused } = report;
  demand(asked > 0 && done === asked, `${name(load, limitMib)}: ${done} done of ${asked} asked for`);
  demand(faults.length === 0, `${name(load, limitMib)}: faults of the governor: ${JSON.stringify(faults)}`);
  if (answered !== undefined) {
    demand(answered >= LEAST_ANSWERED * asked, `${name(load, limitMib)}: only ${answered} answered of ${asked}`);
  }
  const requests = answered === undefined ? '' : `, ${answered} answered and ${refused} refused`;
  return `alive, ${asked} done${requests}, ${seconds(run.elapsedMs)}, charged ${mib(run.anonymousPeakBytes)}`;
}

function judgeDeath(limitMib: number, run: LoadRun): string {
  const which = name('leak', limitMib);
  demand(run.exitCode === DIE_EXIT_CODE, `${which}: exit ${run.exitCode ?? run.signal}, ${tail(run)}`);
  const afterMs = run.overAtMs === undefined ? undefined : run.elapsedMs - run.overAtMs;
  demand(
    afterMs === undefined || afterMs <= DIE_AFTER_MS + DIE_SLACK_MS,
    `${which}: it took ${afterMs?.toFixed(0)} ms over 95% of the limit to die`,
  );
  demand(run.dumps.length > 0, `${which}: it left no dump`);
  for (const dump of run.dumps) {
    const { level, samples } = readDump(which, dump);
    demand(level !== undefined && Array.isArray(samples), `${which}: a dump without level or samples`);
  }
  const log = run.terminationLog ?? '';
  demand(/standing (buffers|records)/.test(log), `${which}: the termination log names no holder: ${log.slice(0, 200)}`);
  demand(Buffer.byteLength(log) <= LOG_BYTES, `${which}: a termination log of ${Buffer.byteLength(log)} bytes`);
  const sizes = run.dumps.map((dump) => `${(Buffer.byteLength(dump) / 1024).toFixed(0)} KiB`).join(' and ');
  const over = afterMs === undefined ? '' : `, ${afterMs.toFixed(0)} ms after 95% of the limit`;
  return `dead by itself with ${run.exitCode} after ${seconds(run.elapsedMs)}${over}, dump ${sizes}`;
}

function readDump(which: string, text: string): { readonly level?: unknown; readonly samples?: unknown } {
  try {
    return JSON.parse(text) as { level?: unknown };
  } catch (error) {
    demand(false, `${which}: a dump cannot be read: ${(error as Error).message}`);
  }
}

/** How far the books are from what is measured, after an aggressive train at the end. Raw figures in any case. */
export function judgeDrift(load: Load, limitMib: number, run: LoadRun): string {
  const rows = (run.report?.drift ?? []).filter(({ of }) => MOST_DRIFT[of] !== undefined);
  const line = rows.map(show).join(', ');
  for (const of of Object.keys(MOST_DRIFT)) {
    const row = rows.find((one) => one.of === of);
    demand(row !== undefined, `${name(load, limitMib)}: no drift of ${of}`);
    demand(
      Math.abs(driftOf(row)) <= MOST_DRIFT[of]!,
      `${name(load, limitMib)}: ${of} drifts by more than ${MOST_DRIFT[of]! * 100}%: ${line}`,
    );
  }
  return line;
}

function driftOf({ reservedBytes, observedBytes }: DriftFigures): number {
  return (reservedBytes - observedBytes) / Math.max(reservedBytes, observedBytes, 1);
}

function show(row: DriftFigures): string {
  const percent = (driftOf(row) * 100).toFixed(1);
  return `${row.of} ${mib(row.reservedBytes)} reserved, ${mib(row.observedBytes)} seen (${percent}%)`;
}

function tail({ stderr, stdout }: LoadRun): string {
  const lines = (stderr || stdout).trim().split('\n');
  const told = lines.filter((line) => /error|fatal|plimsoll/i.test(line));
  return `it said: ${(told.length > 0 ? told : lines).slice(-2).join(' / ').slice(-300)}`;
}
