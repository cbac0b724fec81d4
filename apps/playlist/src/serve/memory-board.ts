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
  atMs: number;
}

/** How far a run is, as events: what each stage did since the event before. */
export class RunEvents {
  readonly #monitor: Pick<Monitor, 'record'>;
  readonly #name: string;
  readonly #told = new Map<string, Told>();

  constructor(monitor: Pick<Monitor, 'record'>, name: string) {
    this.#monitor = monitor;
    this.#name = name;
    monitor.record({ kind: 'started', source: name });
  }

  progress({ stage, itemsOut, bytesOut, elapsedMs }: PipelineProgress): void {
    const told = this.#told.get(stage) ?? { items: 0, bytes: 0, atMs: Number.NEGATIVE_INFINITY };
    if (elapsedMs - told.atMs < EVERY_MS) return;
    this.#told.set(stage, told);
    told.atMs = elapsedMs;
    this.#tell(stage, told, itemsOut, bytesOut, 0);
  }

  /** How long each stage took is known at the end. Without a report the run failed. */
  end(report: PipelineReport | undefined, message: string): void {
    for (const { name, itemsOut, bytesOut, elapsedMs } of report?.stages ?? []) {
      this.#tell(name, this.#told.get(name) ?? { items: 0, bytes: 0, atMs: 0 }, itemsOut, bytesOut, elapsedMs);
    }
    this.#monitor.record({ kind: 'completed', source: this.#name, message });
  }

  #tell(stage: string, told: Told, items: number, bytes: number, durationMs: number): void {
    const done = { items: Math.max(0, items - told.items), bytes: Math.max(0, bytes - told.bytes) };
    this.#monitor.record({ kind: 'stage', source: `${this.#name}/${stage}`, durationMs, ...done });
    told.items = items;
    told.bytes = bytes;
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

  beginRun(name: string): RunEvents {
    return new RunEvents(this.#monitor, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dashboard[Symbol.asyncDispose]();
    await this.#monitor[Symbol.asyncDispose]();
  }
}
