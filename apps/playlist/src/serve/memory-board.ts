import type { Governor } from 'plimsoll';
import { Dashboard } from 'plimsoll/dashboard';
import { Monitor } from 'plimsoll/observe';
import type { PipelineProgress, PipelineReport } from 'plimsoll/pipeline';
import type { ServeConfig } from '../config/config.ts';

/** Between two events of a stage that is at work. */
const EVERY_MS = 250;

interface Told {
  items: number;
  bytes: number;
  workedMs: number;
  /** When, since the run began. */
  atMs: number;
}

const NOTHING: Readonly<Told> = { items: 0, bytes: 0, workedMs: 0, atMs: Number.NEGATIVE_INFINITY };

/** How far a run is, as events: what each stage did since the event before. */
export class RunEvents {
  readonly #monitor: Pick<Monitor, 'record'>;
  readonly #name: string;
  readonly #told = new Map<string, Told>();

  /** `stages` in the order in which they are to be shown: one that pulls from another makes progress before it, or not at all until the end. */
  constructor(monitor: Pick<Monitor, 'record'>, name: string, stages: readonly string[]) {
    this.#monitor = monitor;
    this.#name = name;
    monitor.record({ kind: 'started', source: name });
    for (const stage of stages) this.#tell(stage, NOTHING);
  }

  progress({ stage, itemsOut, bytesOut, elapsedMs, stageElapsedMs }: PipelineProgress): void {
    if (elapsedMs - (this.#told.get(stage) ?? NOTHING).atMs < EVERY_MS) return;
    // The report has whole ones, and no fewer than these.
    const workedMs = Math.floor(stageElapsedMs);
    this.#tell(stage, { items: itemsOut, bytes: bytesOut, workedMs, atMs: elapsedMs });
  }

  /** Without a report the run failed. */
  end(report: PipelineReport | undefined, message: string): void {
    for (const { name, itemsOut, bytesOut, elapsedMs } of report?.stages ?? []) {
      this.#tell(name, { items: itemsOut, bytes: bytesOut, workedMs: elapsedMs, atMs: report!.elapsedMs });
    }
    this.#monitor.record({ kind: 'completed', source: this.#name, message });
  }

  #tell(stage: string, now: Readonly<Told>): void {
    const told = this.#told.get(stage) ?? NOTHING;
    this.#told.set(stage, now);
    this.#monitor.record({
      kind: 'stage',
      source: `${this.#name}/${stage}`,
      durationMs: Math.max(0, now.workedMs - told.workedMs),
      items: Math.max(0, now.items - told.items),
      bytes: Math.max(0, now.bytes - told.bytes),
    });
  }
}

/** `/dashboard`, and the monitor whose events it shows. */
export class MemoryBoard implements AsyncDisposable {
  readonly dashboard: Dashboard;
  readonly #monitor = new Monitor();

  /** Throws `RangeError` for a token or a host that the dashboard does not take. */
  constructor(governor: Governor, { token, dashboardHost }: ServeConfig, name: string) {
    this.dashboard = new Dashboard({
      ...{ governor, monitor: this.#monitor, basePath: '/dashboard', title: name },
      ...(token !== undefined && { token }),
      ...(dashboardHost !== undefined && { hosts: [dashboardHost] }),
    });
  }

  beginRun(name: string, stages: readonly string[]): RunEvents {
    return new RunEvents(this.#monitor, name, stages);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dashboard[Symbol.asyncDispose]();
    await this.#monitor[Symbol.asyncDispose]();
  }
}
