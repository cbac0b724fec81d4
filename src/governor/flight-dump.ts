import type { Clock } from '../clock.ts';
import { describeCause } from '../describe-cause.ts';
import type { MemoryKind, PressureLevel } from './contract.ts';
import type { FaultRow, Faults } from './faults.ts';
import type { GovernorMode } from './governor-mode.ts';
import type { History, Sample } from './history.ts';
import type { Journal, TrainPart, TrainReport } from './journal.ts';
import type { JsonWriter } from './json-writer.ts';
import { LargestHolders } from './largest-holders.ts';
import type { Account, Ledger } from './ledger.ts';
import type { MeterName } from './meters.ts';

export const FLIGHT_DUMP_VERSION = 1;
const LARGEST = 20;
/** The parts of the buffer that may grow with what happened are held to a share of it; consumers take what is left. */
const SAMPLES_SHARE = 0.4;
const TRAINS_SHARE = 0.3;
const FEW_SHARE = 0.1;

/** What the last words are made of: the living parts of a governor. */
export interface FlightParts {
  readonly history: History;
  readonly journal: Journal;
  readonly ledger: Ledger;
  readonly faults: Faults;
  readonly mode: () => GovernorMode;
  limitBytes(): number;
  level(): PressureLevel;
  decidingMeter(): MeterName;
  /** The largest scopes; they stand in the dump when they are given. */
  scopes?(): readonly FlightScope[];
}

export interface FlightScope {
  readonly name: string;
  readonly heldBytes: number;
  readonly peakBytes: number;
}

/** One consumer in a dump. Rows of the tree stand oldest first, so a parent stands before its children. */
export interface FlightConsumer {
  readonly name: string;
  readonly kind: MemoryKind;
  readonly parent?: string;
  /** With its children; `ownBytes` without them. */
  readonly heldBytes: number;
  readonly peakBytes: number;
  readonly ownBytes: number;
  /** Absent: up to the line. */
  readonly maxBytes?: number;
  readonly refusals: number;
  readonly reclaim?: {
    readonly calls: number;
    readonly claimedBytes: number;
    readonly releasedBytes: number;
    readonly faults: number;
    readonly hung: boolean;
  };
}

/** A dump of the flight recorder, as `JSON.parse` gives it. Only whole rows are in it. */
export interface FlightDump {
  readonly version: typeof FLIGHT_DUMP_VERSION;
  readonly why: string;
  /** What was thrown, where that is why. */
  readonly cause?: string;
  /** Milliseconds since 1970, and of the clock of the samples. */
  readonly takenAt: number;
  readonly atMs: number;
  readonly pid: number;
  readonly mode: GovernorMode;
  readonly limitBytes: number;
  readonly level: PressureLevel;
  readonly decidingMeter: MeterName;
  readonly reservedBytes: number;
  readonly peakReservedBytes: number;
  /** Those that hold most by themselves, largest first, at most 20. */
  readonly largest: readonly Omit<FlightConsumer, 'reclaim'>[];
  readonly faults: readonly FaultRow[];
  readonly scopes?: readonly FlightScope[];
  readonly trainCount: number;
  /** Newest first. */
  readonly trains: readonly TrainReport[];
  readonly sampleCount: number;
  /** Newest first, at most 240. */
  readonly samples: readonly Sample[];
  readonly consumerCount: number;
  readonly consumers: readonly FlightConsumer[];
  /** There was not enough room for all. */
  readonly truncated?: true;
}

/**
 * Writes a dump into the buffer of a `JsonWriter`. What matters most stands first; what does not fit is left out by whole rows. Makes next to no
 * objects: the rows of faults and scopes.
 */
export class FlightDumpWriter {
  readonly #json: JsonWriter;
  readonly #bufferBytes: number;
  readonly #clock: Clock;
  readonly #largest = new LargestHolders(LARGEST);

  /** `bufferBytes` is the size of the buffer behind `json`. */
  constructor(json: JsonWriter, bufferBytes: number, clock: Clock) {
    this.#json = json;
    this.#bufferBytes = bufferBytes;
    this.#clock = clock;
  }

  /** Returns the bytes written. */
  write(parts: FlightParts, why: string, cause: unknown): number {
    const json = this.#json.reset().object();
    json.key('version').number(FLIGHT_DUMP_VERSION).key('why').string(why);
    if (cause !== undefined) json.key('cause').string(describeCause(cause));
    json.key('takenAt').number(this.#clock.wall()).key('atMs').number(this.#clock.now(), 3);
    json.key('pid').number(process.pid).key('mode').string(parts.mode());
    json.key('limitBytes').number(parts.limitBytes()).key('level').string(parts.level());
    json.key('decidingMeter').string(parts.decidingMeter());
    const { whole } = parts.ledger;
    json.key('reservedBytes').number(whole.total).key('peakReservedBytes').number(whole.peak);
    this.#writeLargest(parts.ledger);
    this.#writeFaults(parts.faults);
    this.#writeScopes(parts);
    this.#writeTrains(parts.journal);
    this.#writeSamples(parts.history);
    const { accounts } = parts.ledger;
    json.key('consumerCount').number(accounts.length).key('consumers').array(this.#bufferBytes);
    for (let i = 0; i < accounts.length; i++) this.#writeConsumer(accounts[i]!, whole, true);
    return json.end().finish();
  }

  #share(part: number): number {
    return Math.floor(this.#bufferBytes * part);
  }

  #writeLargest(ledger: Ledger): void {
    const largest = this.#largest;
    largest.find(ledger);
    this.#json.key('largest').array(this.#share(FEW_SHARE));
    for (let i = 0; i < largest.length; i++) this.#writeConsumer(largest.at(i)!, ledger.whole, false);
    this.#json.end();
    largest.clear();
  }

  #writeConsumer(account: Account, whole: Account, withReclaim: boolean): void {
    const { parent, maxBytes, reclaims } = account;
    const json = this.#json.object().key('name').string(account.name).key('kind').string(account.kind);
    if (parent !== undefined && parent !== whole) json.key('parent').string(parent.name);
    json.key('heldBytes').number(account.total).key('peakBytes').number(account.peak);
    json.key('ownBytes').number(account.own);
    if (Number.isFinite(maxBytes)) json.key('maxBytes').number(maxBytes);
    json.key('refusals').number(account.refusals);
    if (withReclaim && reclaims !== undefined) {
      json.key('reclaim').object().key('calls').number(reclaims.calls);
      json.key('claimedBytes').number(reclaims.claimedBytes).key('releasedBytes').number(reclaims.releasedBytes);
      json.key('faults').number(reclaims.faults).key('hung').boolean(reclaims.hung).end();
    }
    json.end();
  }

  #writeFaults(faults: Faults): void {
    const json = this.#json.key('faults').array(this.#share(FEW_SHARE));
    for (const { part, message, count, off } of faults.rows()) {
      json.object().key('part').string(part).key('message').string(message);
      json.key('count').number(count).key('off').boolean(off).end();
    }
    json.end();
  }

  #writeScopes(parts: FlightParts): void {
    const scopes = parts.scopes?.();
    if (scopes === undefined) return;
    const json = this.#json.key('scopes').array(this.#share(FEW_SHARE));
    for (const { name, heldBytes, peakBytes } of scopes) {
      json.object().key('name').string(name);
      json.key('heldBytes').number(heldBytes).key('peakBytes').number(peakBytes).end();
    }
    json.end();
  }

  #writeTrains(journal: Journal): void {
    const json = this.#json.key('trainCount').number(journal.count).key('trains').array(this.#share(TRAINS_SHARE));
    for (let i = journal.length - 1; i >= 0; i--) {
      const train = journal.at(i);
      if (train !== undefined) this.#writeTrain(train);
    }
    json.end();
  }

  #writeTrain(train: TrainReport): void {
    const json = this.#json.object().key('number').number(train.number).key('takenAt').number(train.takenAt);
    json.key('why').string(train.why).key('strategy').string(train.strategy).key('level').string(train.level);
    json.key('decidingMeter').string(train.decidingMeter).key('targetBytes').number(train.targetBytes);
    this.#writeGain(train);
    json.key('observed').boolean(train.observed).key('parts').array();
    for (let i = 0; i < train.parts.length; i++) this.#writeTrainPart(train.parts[i]!);
    json.end().end();
  }

  #writeTrainPart(part: TrainPart): void {
    const json = this.#json.object().key('part').string(part.part);
    if (part.consumer !== undefined) json.key('consumer').string(part.consumer);
    this.#writeGain(part);
    if (part.skipped !== undefined) json.key('skipped').string(part.skipped);
    if (part.fault !== undefined) json.key('fault').string(part.fault);
    json.end();
  }

  #writeGain(gain: TrainReport | TrainPart): void {
    const json = this.#json.key('claimedBytes').number(gain.claimedBytes);
    json.key('releasedBytes').number(gain.releasedBytes).key('seenBytes').number(gain.seenBytes);
    json.key('elapsedMs').number(gain.elapsedMs, 3);
  }

  #writeSamples(history: History): void {
    const json = this.#json.key('sampleCount').number(history.count).key('samples').array(this.#share(SAMPLES_SHARE));
    for (let i = history.length - 1; i >= 0; i--) {
      json.object().key('atMs').number(history.atMs(i)).key('level').string(history.level(i));
      json.key('decidingMeter').string(history.decidingMeter(i)).key('ratio').number(history.ratio(i), 4);
      json.key('ledgerBytes').number(history.bytes(i, 'ledger')).key('heapBytes').number(history.bytes(i, 'heap'));
      json.key('externalBytes').number(history.bytes(i, 'external')).key('rssBytes').number(history.bytes(i, 'rss'));
      json.key('cgroupBytes').number(history.bytes(i, 'cgroup')).end();
    }
    json.end();
  }
}
