/**
 * In which mode each stage of a pipeline works. A run (of a flow, or of a phase) has a rank, that of a level: the higher of what the machine's level calls for and of what the
 * estimates of its stages call for. The level comes with the governor's hysteresis; estimates have one of their own.
 *
 * Looked at when a sample was taken, which is at most every `sampleEveryMs`; nothing here is on the path of a batch.
 */
import { type EventChannel, pipelineModeEvents, pipelineWorkerEvents } from '../events.ts';
import { levelRank, type PressureLevel } from '../governor/index.ts';
import { batchBytesAt, MODE_RANKS, modeAtRank, type PipelineMode, type StageCapabilities } from './pipeline-mode.ts';
import type { ModeSwitch, WorkerSwitchRow } from './pipeline-report.ts';
import type { StageTraits, WorkerSwitch } from './stage.ts';
import { SwitchLog } from './switch-log.ts';

/** A stage at work: its mode is set from outside. */
export interface ModeSeat {
  readonly name: string;
  readonly can: StageCapabilities;
  mode: PipelineMode;
  batchBytes: number;
}

export interface StageModesOptions {
  readonly pipeline: string;
  readonly mode: 'auto' | PipelineMode;
  /** Under `auto` no stage that can do it works in a freer one. */
  readonly leastMode: PipelineMode;
  readonly batchBytes: number;
  /** What can be reserved without anybody giving back; undefined when nobody knows. */
  readonly availableBytes: () => number | undefined;
  /** Ms since the pipeline was made. */
  readonly elapsedMs: () => number;
}

/** The most that a report has of each sort of switch; all are counted. */
const MOST_SWITCHES = 64;
/** What estimates leave free before a run goes back to a freer mode, as a part of the room. */
const HYSTERESIS = 1 / 8;
/** The ranks at which batches, and so estimates, become smaller. */
const STEPS = [0, 2, 3] as const;
const SMALLEST = 4;

/** The modes of one pipeline's runs, and what was switched. */
export class StageModes {
  readonly options: StageModesOptions;
  readonly modeSwitches = new SwitchLog<ModeSwitch>(MOST_SWITCHES);
  readonly workerSwitches = new SwitchLog<WorkerSwitchRow>(MOST_SWITCHES);
  readonly #runs = new Set<RunModes>();
  #level: PressureLevel = 'optimal';

  constructor(options: StageModesOptions) {
    this.options = options;
  }

  /** As it was last sampled. */
  get level(): PressureLevel {
    return this.#level;
  }

  /** After each sample. */
  note(level: PressureLevel): void {
    const changed = level !== this.#level;
    this.#level = level;
    if (this.options.mode !== 'auto') return;
    for (const run of this.#runs) if (changed || run.isHeldBack) run.adjust(changed);
  }

  /** Of a run that begins with these stages, and holds what `heldBytes` says. Close it at its end. */
  open(stages: readonly StageTraits[], heldBytes: () => number): RunModes {
    const run = new RunModes(this, stages, heldBytes, () => this.#runs.delete(run));
    this.#runs.add(run);
    return run;
  }

  noteMode(seat: ModeSeat, to: PipelineMode, why: ModeSwitch['why']): void {
    const { pipeline, elapsedMs } = this.options;
    const change = { stage: seat.name, from: seat.mode, to, level: this.#level, why };
    this.modeSwitches.add({ atMs: Math.round(elapsedMs()), ...change });
    publish(pipelineModeEvents, { pipeline, ...change });
  }

  noteWorker(stage: string, { from, to, why }: WorkerSwitch): void {
    const { pipeline, elapsedMs } = this.options;
    const change = { stage, from, to, why, level: this.#level };
    this.workerSwitches.add({ atMs: Math.round(elapsedMs()), ...change });
    publish(pipelineWorkerEvents, { pipeline, ...change });
  }
}

/** The modes of the stages of one run. */
export class RunModes {
  readonly #modes: StageModes;
  readonly #stages: readonly StageTraits[];
  readonly #heldBytes: () => number;
  readonly #onClose: () => void;
  readonly #seats: ModeSeat[] = [];
  /** What the estimates call for. */
  #floor = 0;

  constructor(modes: StageModes, stages: readonly StageTraits[], heldBytes: () => number, onClose: () => void) {
    this.#modes = modes;
    this.#stages = stages.filter((stage) => stage.estimateBytes !== undefined);
    this.#heldBytes = heldBytes;
    this.#onClose = onClose;
    if (modes.options.mode === 'auto') this.#floor = this.#estimatedRank();
  }

  /** By its estimates, in a stricter mode than the level calls for, or it would be at a calmer one. */
  get isHeldBack(): boolean {
    return this.#floor > 0;
  }

  /** A stage begins: its mode is set, and counts as switched when it is not the one that was asked for, or `plain`. */
  join(seat: ModeSeat): void {
    this.#seats.push(seat);
    const { mode, leastMode } = this.#modes.options;
    if (mode === 'auto') seat.mode = modeAtRank(MODE_RANKS[leastMode], seat.can);
    this.#set(seat);
  }

  /** After the level changed, or while estimates hold the run back: those may only be found to fit again as long as it has not. */
  adjust(changed: boolean): void {
    const floor = this.#estimatedRank();
    if (changed || floor < this.#floor) this.#floor = floor;
    for (const seat of this.#seats) this.#set(seat);
  }

  close(): void {
    this.#onClose();
  }

  #set(seat: ModeSeat): void {
    const { mode, leastMode, batchBytes } = this.#modes.options;
    const byLevel = levelRank(this.#modes.level);
    const rank = mode === 'auto' ? Math.max(byLevel, this.#floor, MODE_RANKS[leastMode]) : MODE_RANKS[mode];
    const to = modeAtRank(rank, seat.can);
    seat.batchBytes = batchBytesAt(rank, batchBytes);
    if (to !== seat.mode && mode === 'auto') {
      this.#modes.noteMode(seat, to, this.#floor > byLevel ? 'estimate' : 'pressure');
    }
    seat.mode = to;
  }

  /** The lowest rank at whose batches all stages together fit what is free and what they hold themselves. */
  #estimatedRank(): number {
    if (this.#stages.length === 0) return 0;
    const { availableBytes, batchBytes } = this.#modes.options;
    const available = availableBytes();
    const room = available === undefined ? Number.POSITIVE_INFINITY : available + this.#heldBytes();
    for (const rank of STEPS) {
      const usable = rank < this.#floor ? room * (1 - HYSTERESIS) : room;
      if (this.#fits(batchBytesAt(rank, batchBytes), usable)) return rank;
    }
    return SMALLEST;
  }

  #fits(batchBytes: number, room: number): boolean {
    let sum = 0;
    for (const stage of this.#stages) {
      const bytes = estimateOf(stage, batchBytes);
      if (bytes > (stage.memory?.maxBytes ?? Number.POSITIVE_INFINITY)) return false;
      sum += bytes;
    }
    return sum <= room;
  }
}

function estimateOf(stage: StageTraits, batchBytes: number): number {
  try {
    const bytes = stage.estimateBytes!(batchBytes);
    return bytes > 0 ? bytes : 0;
  } catch {
    return 0;
  }
}

function publish<Name extends 'plimsoll:pipeline-mode' | 'plimsoll:pipeline-worker'>(
  events: EventChannel<Name>,
  message: Parameters<EventChannel<Name>['publish']>[0],
): void {
  if (events.heard) events.publish(message);
}
