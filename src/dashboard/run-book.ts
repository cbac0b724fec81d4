import type { MonitorEvent } from '../observe/index.ts';
import type { RunRow, RunStageRow } from './run-row.ts';

interface Run {
  name: string;
  startedAt: number;
  endedAt: number | undefined;
  message: string | undefined;
  readonly stages: Map<string, Stage>;
  readonly spills: Map<string, number>;
}

type Stage = { -readonly [Key in keyof RunStageRow]: RunStageRow[Key] };

const MOST_RUNS = 12;
const MOST_STAGES = 40;
const MOST_SPILLS = 40;
const MODES: ReadonlySet<string> = new Set(['plain', 'streaming', 'compressed', 'spill']);

/**
 * Runs and their stages, made out of the events of a monitor. A `stage` whose source is `run/stage` belongs to that run; any other, and changes of mode and
 * spills, to the run that began last and has not ended. Keeps the last 12 runs, 40 stages each.
 */
export class RunBook {
  #runs: Run[] = [];

  note(event: MonitorEvent): void {
    switch (event.kind) {
      case 'started':
        this.#begin(event.source, event.at, event.message);
        break;
      case 'completed':
        this.#end(event.source, event.at, event.message);
        break;
      case 'stage':
      case 'tool':
        this.#work(event);
        break;
      case 'mode':
        this.#change(event);
        break;
      case 'spill':
        this.#spill(event);
        break;
    }
  }

  /** The newest first. */
  rows(): RunRow[] {
    return this.#runs.map(({ name, startedAt, endedAt, message, stages, spills }) => ({
      name,
      startedAt,
      ...(endedAt === undefined ? {} : { endedAt }),
      ...(message === undefined ? {} : { message }),
      stages: [...stages.values()].map((stage) => ({ ...stage })),
      spilledBytes: [...spills.values()].reduce((sum, bytes) => sum + bytes, 0),
    }));
  }

  #begin(name: string, startedAt: number, message: string | undefined): Run {
    const run: Run = { name, startedAt, endedAt: undefined, message, stages: new Map(), spills: new Map() };
    this.#runs = [run, ...this.#runs].slice(0, MOST_RUNS);
    return run;
  }

  #end(name: string, at: number, message: string | undefined): void {
    const run = this.#runs.find((each) => each.name === name && each.endedAt === undefined);
    if (run === undefined) return;
    run.endedAt = at;
    run.message = message ?? run.message;
  }

  #work(event: MonitorEvent<'stage' | 'tool'>): void {
    const { run, stage: name } = this.#placeOf(event);
    const stage = stageOf(run, name, event.at);
    if (stage === undefined) return;
    stage.items += event.items ?? 0;
    stage.bytes += event.bytes ?? 0;
    stage.durationMs += event.durationMs;
    stage.lastAt = event.at;
  }

  #change({ at, source, stage: name, to }: MonitorEvent<'mode'>): void {
    const stage = stageOf(this.#current(source, at), name, at);
    if (stage === undefined) return;
    if (MODES.has(to)) stage.mode = to;
    else stage.worker = to;
    stage.lastAt = at;
  }

  #spill({ at, source, diskBytes, ended }: MonitorEvent<'spill'>): void {
    const { spills } = this.#current(source, at);
    if (ended) spills.delete(source);
    else if (spills.has(source) || spills.size < MOST_SPILLS) spills.set(source, diskBytes);
  }

  #placeOf({ source, at }: MonitorEvent): { readonly run: Run; readonly stage: string } {
    const cut = source.indexOf('/');
    const named = cut > 0 ? this.#open(source.slice(0, cut)) : undefined;
    if (named !== undefined) return { run: named, stage: source.slice(cut + 1) };
    return { run: this.#current(source, at), stage: source };
  }

  #open(name: string): Run | undefined {
    return this.#runs.find((run) => run.name === name && run.endedAt === undefined);
  }

  /** Where nobody said that a run began, one begins with its first event. */
  #current(name: string, at: number): Run {
    return this.#open(name) ?? this.#runs.find((run) => run.endedAt === undefined) ?? this.#begin(name, at, undefined);
  }
}

function stageOf(run: Run, name: string, at: number): Stage | undefined {
  const known = run.stages.get(name);
  if (known !== undefined) return known;
  if (run.stages.size >= MOST_STAGES) return undefined;
  const stage: Stage = { name, items: 0, bytes: 0, durationMs: 0, lastAt: at };
  run.stages.set(name, stage);
  return stage;
}
