/**
 * The last words for whoever looks after the process: at most 4 KiB of plain text. Kubernetes shows what a container leaves in
 * `/dev/termination-log` as the message of its last state, and takes no more than 4,096 bytes ("Determine the Reason for Pod Failure").
 */
import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, statSync, writeSync } from 'node:fs';
import type { Clock } from '../clock.ts';
import { invalidOption } from '../invalid-option.ts';
import { ByteWriter } from './byte-writer.ts';
import type { Faults } from './faults.ts';
import type { FlightParts } from './flight-dump.ts';
import { LargestHolders } from './largest-holders.ts';
import type { Account } from './ledger.ts';

const PART = 'termination log';
export const DEFAULT_TERMINATION_LOG = '/dev/termination-log';
const MAX_BYTES = 4_096;
const LARGEST = 20;
const NAME_CHARACTERS = 80;
/** Of the one line that says why. */
const WHY_CHARACTERS = 500;
const MIB = 1_048_576;
const NEWLINE = 10;
const REPLACEMENT = 0xfffd;

export interface TerminationLogSettings {
  /** Default: `/dev/termination-log` where it exists, else none: it is never made. A path that is given is made when it is first written. */
  readonly path?: string | undefined;
  readonly clock: Clock;
  readonly faults: Faults;
  readonly parts: FlightParts;
  /** Told as the place of the whole dump, where there is one. */
  readonly dumpPath?: () => string | undefined;
}

/**
 * Writes the largest holders to the termination log, in place of what it wrote before. Holds 4 KiB and, where the file is there already, one file
 * descriptor: dispose it. Its constructor throws `RangeError` for a path that is none; what cannot be written is a fault.
 */
export class TerminationLog implements Disposable {
  readonly #settings: TerminationLogSettings;
  readonly #path: string;
  readonly #out = new ByteWriter(Buffer.allocUnsafeSlow(MAX_BYTES).fill(0));
  readonly #largest = new LargestHolders(LARGEST);
  #file: number | undefined;
  #written = false;
  #disposed = false;

  constructor(settings: TerminationLogSettings) {
    const { path = DEFAULT_TERMINATION_LOG } = settings;
    if (typeof path !== 'string' || path === '') throw invalidOption('terminationLog', 'a path or false', path);
    this.#settings = settings;
    this.#path = path;
    try {
      // Held open for a process that has used up its descriptors.
      this.#file = openSync(path, 'r+');
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') settings.faults.note(PART, cause);
    }
  }

  /** Where it writes; undefined where there is no such place. */
  get path(): string | undefined {
    return this.#file === undefined && this.#settings.path === undefined ? undefined : this.#path;
  }

  /** Writes anew. False when there is no place for it or it failed, which is a fault. Synchronous, under 1 ms; makes two small objects; never throws. */
  write(why: string, cause?: string): boolean {
    if (this.#disposed || this.path === undefined) return false;
    try {
      const length = this.#compose(why, cause);
      const file = this.#open();
      if (file === undefined) return false;
      this.#written = true;
      for (let at = 0; at < length; ) at += writeSync(file, this.#out.bytes, at, length - at, at);
      ftruncateSync(file, length);
      return true;
    } catch (fault) {
      this.#settings.faults.note(PART, fault);
      return false;
    }
  }

  /** Empties the file if something was written: the danger is over, and whatever ends the process later is something else. */
  clear(): void {
    if (!this.#written || this.#file === undefined) return;
    this.#written = false;
    try {
      ftruncateSync(this.#file, 0);
    } catch (fault) {
      this.#settings.faults.note(PART, fault);
    }
  }

  /** Lets go of the file; what stands in it stays. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  /** The file that stands there now: the one held open may have been removed, or replaced. Undefined where it is not ours to make. */
  #open(): number | undefined {
    if (this.#file !== undefined && !this.#isThere(this.#file)) {
      closeSync(this.#file);
      this.#file = undefined;
      if (this.#settings.path === undefined && !existsSync(this.#path)) return undefined;
    }
    this.#file ??= openSync(this.#path, 'w');
    return this.#file;
  }

  #isThere(file: number): boolean {
    const now = statSync(this.#path, { throwIfNoEntry: false });
    if (now === undefined) return false;
    const held = fstatSync(file);
    return held.nlink > 0 && now.ino === held.ino && now.dev === held.dev;
  }

  #compose(why: string, cause: string | undefined): number {
    const { parts, clock, dumpPath } = this.#settings;
    const out = this.#out;
    const { whole } = parts.ledger;
    out.at = 0;
    out.ascii('plimsoll: ');
    this.#text(why, WHY_CHARACTERS);
    if (cause !== undefined) {
      out.ascii(': ');
      this.#text(cause, WHY_CHARACTERS);
    }
    out.ascii('; level ').ascii(parts.level()).ascii(' by ').ascii(parts.decidingMeter());
    out.byte(NEWLINE).utcTime(clock.wall()).ascii(', process ').number(process.pid);
    this.#mebibytes(', limit ', parts.limitBytes());
    this.#mebibytes(', reserved ', whole.total);
    this.#mebibytes(' (peak ', whole.peak).ascii(')').byte(NEWLINE);
    this.#composeMeters();
    const dump = dumpPath?.();
    if (dump !== undefined) {
      out.ascii('dump: ');
      this.#text(dump, WHY_CHARACTERS).byte(NEWLINE);
    }
    out.ascii('largest holders:').byte(NEWLINE);
    return this.#composeHolders();
  }

  #composeMeters(): void {
    const { history } = this.#settings.parts;
    const last = history.length - 1;
    if (last < 0) return;
    const out = this.#out
      .ascii('last sample: ')
      .number(history.ratio(last) * 100, 1)
      .ascii('% of the limit');
    this.#mebibytes(', heap ', history.bytes(last, 'heap'));
    this.#mebibytes(', external ', history.bytes(last, 'external'));
    this.#mebibytes(', rss ', history.bytes(last, 'rss'));
    this.#mebibytes(', cgroup ', history.bytes(last, 'cgroup'));
    out.byte(NEWLINE);
  }

  /** By whole lines: one that does not fit ends the list. */
  #composeHolders(): number {
    const out = this.#out;
    const largest = this.#largest;
    largest.find(this.#settings.parts.ledger);
    let end = out.at;
    for (let i = 0; i < largest.length; i++) {
      this.#composeHolder(largest.at(i)!);
      if (out.overrun) break;
      end = out.at;
    }
    largest.clear();
    return Math.min(end, MAX_BYTES);
  }

  #composeHolder(account: Account): void {
    const out = this.#out;
    out.ascii('  ');
    this.#text(account.name, NAME_CHARACTERS).ascii(' (').ascii(account.kind);
    this.#mebibytes('): ', account.own);
    this.#mebibytes(', peak ', account.ownPeak).byte(NEWLINE);
  }

  #mebibytes(before: string, bytes: number): ByteWriter {
    return this.#out
      .ascii(before)
      .number(bytes / MIB, 1)
      .ascii(' MiB');
  }

  /** Text of somebody else: one line, whatever is in it. */
  #text(value: string, maxCharacters: number): ByteWriter {
    const out = this.#out;
    const count = Math.min(value.length, maxCharacters);
    for (let i = 0; i < count; i++) {
      const code = value.codePointAt(i)!;
      if (code > 0xffff) i++;
      const isLone = code >= 0xd800 && code <= 0xdfff;
      out.character(isLone ? REPLACEMENT : code < 32 || (code >= 0x7f && code < 0xa0) ? 32 : code);
    }
    return count < value.length ? out.ascii('...') : out;
  }
}
