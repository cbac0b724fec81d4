import type { Consumer, ConsumerOptions, PressureLevel } from '../governor/index.ts';

/** The memory meters at one moment. */
export interface MemoryReading {
  readonly rssBytes: number;
  readonly ledgerBytes: number;
  readonly level: PressureLevel;
}

/** Where a pipeline asks for memory figures: it reads no operating system itself. */
export interface MemoryProbe {
  /** Reads the meters now. Called at most once per `sampleEveryMs`, and when a stage ends. */
  sample(): MemoryReading;
}

/** Where a pipeline gets the consumer of each stage. A governor fits as it stands. */
export interface ConsumerSource {
  consumer(options: ConsumerOptions): Consumer;
  /** What can be reserved without anybody giving back, bytes. Absent: not known, and then estimates of stages are compared with nothing but their own bounds. */
  readonly availableBytes?: number;
}
