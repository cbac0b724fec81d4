import { channel } from 'node:diagnostics_channel';
import { catchRejection } from '../catch-rejection.ts';
import { apportion } from './apportion.ts';
import type { MemoryProbe, MemoryReading } from './pipeline-memory.ts';
import type { PipelineProgress, PipelineReport, StageReport } from './pipeline-report.ts';
import type { StageCounts } from './stage.ts';
import { StageClock } from './stage-clock.ts';

/** Where `PipelineProgress` is published while somebody listens. */
export const PROGRESS_CHANNEL = 'plimsoll:pipeline-progress';

/** What has been seen of one stage. */
export class StageRecord {
  readonly name: string;
  readonly number: number;
  itemsIn = 0;
  itemsOut = 0;
  bytesIn = 0;
  bytesOut = 0;
  peakRssBytes = 0;
  peakLedgerBytes = 0;
  rssDeltaBytes = 0;
  peakReservedBytes = 0;
  unreleasedBytes = 0;
  sampleCount = 0;

  constructor(name: string, number: number) {
    this.name = name;
    this.number = number;
  }
}

export interface StageObserverOptions {
  readonly probe: MemoryProbe;
  readonly now: () => number;
  readonly sampleEveryMs: number;
  readonly progressEveryMs: number;
  readonly onProgress: ((progress: PipelineProgress) => void) | undefined;
  /** After each sample, with the stage it was charged to; undefined for none and for one that ends. Never throws. */
  readonly onSample: (reading: MemoryReading, stage: string | undefined) => void;
}

/**
 * Counts, times and samples the stages of one pipeline. A sample is charged to the stage at work, with the whole change of RSS since
 * the sample before: so the changes add up, and a stage's own share is as fine as the samples are.
 */
export class StageObserver {
  readonly #options: StageObserverOptions;
  readonly #clock: StageClock;
  readonly #records: StageRecord[] = [];
  readonly #outside = new StageRecord('Between Stages', -1);
  readonly #channel = channel(PROGRESS_CHANNEL);
  #onProgress: ((progress: PipelineProgress) => void) | undefined;
  #last: MemoryReading;
  #sampledAt: number;
  #reportedAt: number;

  constructor(options: StageObserverOptions) {
    this.#options = options;
    this.#onProgress = options.onProgress;
    this.#last = options.probe.sample();
    this.#clock = new StageClock(options.now);
    this.#sampledAt = this.#reportedAt = this.#clock.charge();
    options.onSample(this.#last, undefined);
  }

  /** Since the pipeline was made, as last looked at. */
  get elapsedMs(): number {
    return this.#clock.totalMs;
  }

  /** Takes a sample when one is due. */
  look(): void {
    this.#sampleWhenDue();
  }

  /** The record of that name, made when it is new: a stage that runs twice has one line. */
  record(name: string): StageRecord {
    let record = this.#records.find((known) => known.name === name);
    if (record === undefined) {
      record = new StageRecord(name, this.#clock.add());
      this.#records.push(record);
    }
    return record;
  }

  enter(record: StageRecord): void {
    this.#sampleWhenDue();
    this.#clock.enter(record.number);
  }

  /** `last`: this stage ends here, its memory is looked at whether or not it is time. */
  leave(record: StageRecord, last = false): void {
    if (last) this.#sample(record, true);
    else this.#sampleWhenDue();
    this.#clock.leave(record.number);
  }

  count(record: StageRecord, counts: StageCounts): void {
    record.itemsIn += counts.itemsIn ?? 0;
    record.itemsOut += counts.itemsOut ?? 0;
    record.bytesIn += counts.bytesIn ?? 0;
    record.bytesOut += counts.bytesOut ?? 0;
  }

  /** After counting: samples and reports progress when it is time to. */
  tick(record: StageRecord): void {
    const now = this.#sampleWhenDue();
    if (now - this.#reportedAt < this.#options.progressEveryMs) return;
    this.#reportedAt = now;
    if (this.#onProgress === undefined && !this.#channel.hasSubscribers) return;
    const { name, itemsIn, itemsOut, bytesIn, bytesOut } = record;
    const { rssBytes, ledgerBytes } = this.#last;
    const times = { elapsedMs: this.#clock.totalMs, stageElapsedMs: this.#clock.spentMs(record.number) };
    const progress = { stage: name, itemsIn, itemsOut, bytesIn, bytesOut, ...times, rssBytes, ledgerBytes };
    if (this.#channel.hasSubscribers) this.#channel.publish(progress);
    const stopReporting = () => {
      this.#onProgress = undefined;
    };
    try {
      catchRejection(this.#onProgress?.(progress), stopReporting);
    } catch {
      stopReporting();
    }
  }

  report(): Omit<PipelineReport, 'modeSwitches' | 'modeSwitchCount' | 'workerSwitches' | 'workerSwitchCount'> {
    this.#sampleWhenDue();
    this.#clock.charge();
    const elapsedMs = Math.round(this.#clock.totalMs);
    const records = [...this.#records, this.#outside];
    const spent = this.#records.map((record) => this.#clock.spentMs(record.number));
    const times = apportion(elapsedMs, [...spent, this.#clock.outsideMs]);
    const stages: StageReport[] = [];
    for (const [index, record] of records.entries()) {
      const { number, sampleCount, ...figures } = record;
      if (number < 0 && sampleCount === 0 && times[index] === 0) continue;
      stages.push({ ...figures, elapsedMs: times[index]! });
    }
    return {
      elapsedMs,
      peakRssBytes: Math.max(0, ...records.map((record) => record.peakRssBytes)),
      peakLedgerBytes: Math.max(0, ...records.map((record) => record.peakLedgerBytes)),
      rssDeltaBytes: records.reduce((sum, record) => sum + record.rssDeltaBytes, 0),
      stages,
    };
  }

  #sampleWhenDue(): number {
    const now = this.#clock.charge();
    if (now - this.#sampledAt >= this.#options.sampleEveryMs) {
      const current = this.#clock.current;
      this.#sample(current < 0 ? this.#outside : this.#records[current]!);
    }
    return now;
  }

  #sample(record: StageRecord, ends = false): void {
    const reading = this.#options.probe.sample();
    this.#sampledAt = this.#clock.charge();
    record.sampleCount++;
    record.rssDeltaBytes += reading.rssBytes - this.#last.rssBytes;
    record.peakRssBytes = Math.max(record.peakRssBytes, reading.rssBytes);
    record.peakLedgerBytes = Math.max(record.peakLedgerBytes, reading.ledgerBytes);
    this.#last = reading;
    this.#options.onSample(reading, ends || record.number < 0 ? undefined : record.name);
  }
}
