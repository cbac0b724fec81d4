import { type Channel, channel } from 'node:diagnostics_channel';

/** The pressure level changed: `plimsoll:level`. */
export interface LevelEvent {
  readonly from: string;
  readonly to: string;
  /** The meter that decided, and what it read. */
  readonly meter: string;
  readonly bytes: number;
  readonly limitBytes: number;
}

/** A reclaimer was asked to give back: `plimsoll:reclaim`. */
export interface ReclaimEvent {
  readonly consumer: string;
  readonly targetBytes: number;
  /** What the reclaimer said it gave back, and what the ledger saw. */
  readonly claimedBytes: number;
  readonly releasedBytes: number;
  readonly elapsedMs: number;
  readonly how: 'now' | 'waiting';
  /** What went wrong, when something did. */
  readonly fault?: string;
}

/** A train of giving back ran, or in `observe` would have: `plimsoll:train`. */
export interface TrainEvent {
  /** 1 for the first. */
  readonly number: number;
  readonly why: string;
  readonly strategy: string;
  readonly level: string;
  readonly decidingMeter: string;
  readonly targetBytes: number;
  /** What holders said, what the ledger saw, and what the deciding meter saw. */
  readonly claimedBytes: number;
  readonly releasedBytes: number;
  readonly seenBytes: number;
  readonly elapsedMs: number;
  /** True when nothing was done. */
  readonly observed: boolean;
  /** Its steps, in order: who or what gave back how much, and how long that took. */
  readonly parts: readonly {
    readonly part: string;
    readonly consumer?: string;
    readonly claimedBytes: number;
    readonly releasedBytes: number;
    readonly seenBytes: number;
    readonly elapsedMs: number;
    readonly skipped?: string;
    readonly fault?: string;
  }[];
}

/** A scope was aborted so that the rest may live, or in `observe` would have been: `plimsoll:scope-aborted`. */
export interface ScopeAbortedEvent {
  readonly scope: string;
  readonly heldBytes: number;
  readonly level: string;
  readonly reason: string;
  /** True when nothing was done. */
  readonly observed: boolean;
}

/** A reservation was refused, or in `observe` would have been: `plimsoll:refused`. */
export interface RefusedEvent {
  readonly consumer: string;
  readonly requestedBytes: number;
  readonly reason: string;
  readonly boundBy: string;
  readonly availableBytes: number;
  /** True when it was only noted and granted all the same. */
  readonly observed: boolean;
}

/** A part of the governor failed: `plimsoll:fault`. The part is passed over or switched off; the service goes on. */
export interface FaultEvent {
  readonly part: string;
  readonly message: string;
  readonly off: boolean;
}

/** Something was collected without having been given back, or is lent for too long: `plimsoll:leak`. */
export interface LeakEvent {
  /** Such as `lease of buffers`. */
  readonly what: string;
  /** Where it was made: a stack as text, without the frames of the tracker. */
  readonly createdAt: string;
  /** Where it was last used; absent unless the level is `advanced` or `paranoid` and it was used. */
  readonly lastUsedAt?: string;
  /** From its making to when it was found, ms. */
  readonly ageMs: number;
  /** How many of those made at the same place were found so far, this one included. */
  readonly count: number;
}

/** A resource could not be cleaned up, and is not tried again: `plimsoll:cleanup-failed`. */
export interface CleanupFailedEvent {
  readonly registry: string;
  readonly resource: string;
  readonly kind: string;
  readonly bytes: number;
  readonly attempts: number;
  readonly message: string;
}

/** A connection was waited for longer than is called slow: `plimsoll:slow-acquire`. */
export interface SlowAcquireEvent {
  readonly pool: string;
  readonly waitedMs: number;
  readonly waiting: number;
  readonly size: number;
}

/** A stage of a pipeline works in another mode from now on: `plimsoll:pipeline-mode`. */
export interface PipelineModeEvent {
  readonly pipeline: string;
  readonly stage: string;
  /** `plain`, `streaming`, `compressed` or `spill`. */
  readonly from: string;
  readonly to: string;
  readonly level: string;
  /** `pressure`, or `estimate` where the stages' own estimates would not fit. */
  readonly why: string;
}

/** A stage of a pipeline goes on by another worker, a plugin say: `plimsoll:pipeline-worker`. */
export interface PipelineWorkerEvent {
  readonly pipeline: string;
  readonly stage: string;
  readonly from: string;
  readonly to: string;
  readonly why: string;
  readonly level: string;
}

/** A plugin failed, or is off from now on: `plimsoll:plugin`. */
export interface PluginEvent {
  readonly plugin: string;
  /** `failed`; `off` in place of it for the failure that was one too many. */
  readonly what: string;
  /** Of the error: `PLIMSOLL_PLUGIN_TRAP`, `PLIMSOLL_PLUGIN_TIMEOUT` and so on. */
  readonly code: string;
  readonly message: string;
  /** So far, this one included, and how many put it off. */
  readonly failures: number;
  readonly maxFailures: number;
}

/** Memory was given back between the stages of a pipeline, or while one was at work: `plimsoll:cleanup`. */
export interface CleanupEvent {
  readonly coordinator: string;
  /** 1 for the first of that coordinator. */
  readonly number: number;
  readonly stage: string;
  readonly why: string;
  readonly strategy: string;
  readonly level: string;
  /** What the meter read before and after, what it went down by, what the books went down by, and what was said. */
  readonly beforeBytes: number;
  readonly afterBytes: number;
  readonly freedBytes: number;
  readonly releasedBytes: number;
  readonly claimedBytes: number;
  readonly items: number;
  readonly elapsedMs: number;
  /** Its number in the governor's journal; 0 when no train ran. */
  readonly train: number;
}

/** How far a run of spilled segments is: `plimsoll:spill`. At most ten times a second for each run, and once at its end. */
export interface SpillEvent {
  readonly run: string;
  /** The private folder. */
  readonly dir: string;
  /** What the run's files take, and may take. */
  readonly diskBytes: number;
  readonly maxBytes: number;
  readonly fileCount: number;
  readonly filesMade: number;
  /** So far, with their bytes before compression. */
  readonly batchesWritten: number;
  readonly rawBytes: number;
  readonly batchesRead: number;
  readonly rawBytesRead: number;
  /** True for the last. */
  readonly ended: boolean;
}

/** A rule of the alerts was raised or cleared: `plimsoll:alert`. */
export interface AlertEvent {
  readonly rule: string;
  /** `warning` or `critical`. */
  readonly severity: string;
  /** `raised` or `cleared`. */
  readonly state: string;
  /** What it read, and where it is raised and cleared, all in `unit`. */
  readonly value: number;
  readonly raiseAt: number;
  readonly clearAt: number;
  readonly unit: string;
  readonly message: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** The name of each event and what it carries. */
export interface EventMap {
  readonly 'plimsoll:level': LevelEvent;
  readonly 'plimsoll:reclaim': ReclaimEvent;
  readonly 'plimsoll:train': TrainEvent;
  readonly 'plimsoll:refused': RefusedEvent;
  readonly 'plimsoll:scope-aborted': ScopeAbortedEvent;
  readonly 'plimsoll:fault': FaultEvent;
  readonly 'plimsoll:leak': LeakEvent;
  readonly 'plimsoll:cleanup-failed': CleanupFailedEvent;
  readonly 'plimsoll:slow-acquire': SlowAcquireEvent;
  readonly 'plimsoll:spill': SpillEvent;
  readonly 'plimsoll:cleanup': CleanupEvent;
  readonly 'plimsoll:plugin': PluginEvent;
  readonly 'plimsoll:pipeline-mode': PipelineModeEvent;
  readonly 'plimsoll:pipeline-worker': PipelineWorkerEvent;
  readonly 'plimsoll:alert': AlertEvent;
}

/** One event on `node:diagnostics_channel`. Costs a check of one field while nobody listens. */
export class EventChannel<Name extends keyof EventMap> {
  readonly name: Name;
  readonly #channel: Channel;

  constructor(name: Name) {
    this.name = name;
    this.#channel = channel(name);
  }

  /** True when somebody listens: make the message only then. */
  get heard(): boolean {
    return this.#channel.hasSubscribers;
  }

  publish(message: EventMap[Name]): void {
    this.#channel.publish(message);
  }

  /** Calls `listener` for each event until the result is disposed. What it throws becomes an uncaught exception, as Node has it. */
  subscribe(listener: (message: EventMap[Name]) => void): Disposable {
    const onMessage = (message: unknown) => listener(message as EventMap[Name]);
    this.#channel.subscribe(onMessage);
    return { [Symbol.dispose]: () => void this.#channel.unsubscribe(onMessage) };
  }
}

export const levelEvents = new EventChannel('plimsoll:level');
export const reclaimEvents = new EventChannel('plimsoll:reclaim');
export const trainEvents = new EventChannel('plimsoll:train');
export const scopeAbortedEvents = new EventChannel('plimsoll:scope-aborted');
export const refusedEvents = new EventChannel('plimsoll:refused');
export const faultEvents = new EventChannel('plimsoll:fault');
export const leakEvents = new EventChannel('plimsoll:leak');
export const cleanupFailedEvents = new EventChannel('plimsoll:cleanup-failed');
export const slowAcquireEvents = new EventChannel('plimsoll:slow-acquire');
export const pluginEvents = new EventChannel('plimsoll:plugin');
export const pipelineModeEvents = new EventChannel('plimsoll:pipeline-mode');
export const pipelineWorkerEvents = new EventChannel('plimsoll:pipeline-worker');
export const cleanupEvents = new EventChannel('plimsoll:cleanup');
export const spillEvents = new EventChannel('plimsoll:spill');
export const alertEvents = new EventChannel('plimsoll:alert');
