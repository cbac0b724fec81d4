/** One stage of a run, as its events have it. */
export interface RunStageRow {
  readonly name: string;
  /** `plain`, `streaming`, `compressed` or `spill`; absent until it changed. */
  readonly mode?: string;
  /** By whom it works where it changed: a plugin, or `native`. */
  readonly worker?: string;
  /** So far, over all its events. */
  readonly items: number;
  readonly bytes: number;
  readonly durationMs: number;
  /** Milliseconds since 1970. */
  readonly lastAt: number;
}

/** A run: of a pipeline, a job, whatever has begun with `started`. Plain data. */
export interface RunRow {
  readonly name: string;
  /** Milliseconds since 1970; `endedAt` is absent while it goes on. */
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly message?: string;
  readonly stages: readonly RunStageRow[];
  /** What lies on the disk for it. */
  readonly spilledBytes: number;
}
