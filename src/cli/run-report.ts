import type {
  GovernorMode,
  LimitSource,
  MemoryKind,
  MeterName,
  PressureLevel,
  PressureThresholds,
} from '../governor/index.ts';
import type { MonitorEvent, ObservationPoint } from '../observe/index.ts';
import type { RunEnding } from './run-ending.ts';

/** What is suspected to keep more than it needs, and by what. */
export interface Suspect {
  /** A consumer, or `heap`, `external`. */
  readonly name: string;
  readonly grownBytes: number;
  readonly bytesPerSecond: number;
  /** What it is suspected for: growth alone is no proof. */
  readonly how: string;
}

export interface RunMeter {
  readonly name: MeterName;
  readonly peakBytes: number;
  readonly lastBytes: number;
  readonly limitBytes: number;
}

export interface RunConsumer {
  readonly name: string;
  readonly kind: MemoryKind;
  readonly ownBytes: number;
  readonly peakBytes: number;
}

/** One process of a run. */
export interface ProcessReport {
  readonly pid: number;
  /** The file that Node was started with. */
  readonly program: string;
  readonly node: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** From its start to its last look, or its end where it came to one by itself. */
  readonly elapsedMs: number;
  readonly looks: number;
  /** As it stood when its exit began: the program's own listeners may change it yet. Absent for one that was ended from outside. */
  readonly exitCode?: number;
  /** As the system counted it; absent where it does not or the process was ended from outside. Pages of files that can be dropped are in it. */
  readonly peakRssBytes?: number;
  /** At the last look. */
  readonly mode: GovernorMode;
  readonly limitBytes: number;
  readonly limitFrom: LimitSource;
  /** Where its levels began. */
  readonly thresholds: PressureThresholds;
  readonly peakLevel: PressureLevel;
  readonly meters: readonly RunMeter[];
  readonly collections: {
    readonly count: number;
    readonly pauseMs: number;
    readonly longestMs: number;
    readonly freedBytes?: number;
  };
  /** How long it was at each level, ms. */
  readonly levels: Readonly<Partial<Record<PressureLevel, number>>>;
  readonly trains: { readonly count: number; readonly releasedBytes: number; readonly seenBytes: number };
  readonly refusals: number;
  /** The ten that held most at the last look. */
  readonly consumers: readonly RunConsumer[];
  readonly suspects: readonly Suspect[];
  /** At most 240, oldest first; of a long run each stands for several looks, with the most of each figure. */
  readonly points: readonly ObservationPoint[];
  /** The last twenty that tell of pressure and what was done. */
  readonly events: readonly MonitorEvent[];
  readonly warnings: readonly string[];
  readonly faults: readonly string[];
}

/** What `plimsoll run` saw, or what a feed has, which nobody waited for the end of. Plain data: JSON and back gives the same. */
export interface RunReport {
  readonly kind: 'run' | 'feed';
  readonly version: 1;
  readonly command: readonly string[];
  readonly startedAt: number;
  readonly elapsedMs: number;
  /** Absent in a feed. */
  readonly ending?: RunEnding;
  /** Flags of Node that were put in by the run. */
  readonly heapFlags: readonly string[];
  /** The one that took most first. Empty where none was looked at: then it was no program of Node, or switched off, or `notWatched` says why. */
  readonly processes: readonly ProcessReport[];
  /** Why nothing could be looked at. Absent where it could. */
  readonly notWatched?: string;
  /** Processes beyond the 256 that are looked at. Absent where there were none. */
  readonly leftOut?: number;
  /** How often what was seen could not be read, shown or reported. Absent where it always could. */
  readonly faults?: number;
}
