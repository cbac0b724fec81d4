/**
 * Pressure stall information: the part of the time in which tasks waited for memory instead of working.
 *
 * The format is the kernel's, Documentation/accounting/psi.rst: one line `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, one that begins
 * with `full`; averages in percent over 10, 60 and 300 seconds, `total` in microseconds since the start. A group's own file is described in
 * Documentation/admin-guide/cgroup-v2.rst; version 1 has none.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupLimit } from './limits.ts';

export interface PsiOptions {
  /** The folder that holds `proc`. Default `/`. */
  readonly root?: string;
  /** The groups that limit this process, that with the smallest limit first. Default: none. */
  readonly cgroups?: readonly CgroupLimit[];
}

/** How much was waited for memory. `some`: at least one task waited; `full`: all that could have worked did. */
export interface PsiReading {
  /** True: by the tasks of the control group. False: by all of the machine, of which this process is only one. */
  readonly ofGroup: boolean;
  /** Percent of the last ten seconds. */
  readonly someAvg10: number;
  readonly fullAvg10: number;
  /** Since the group or the machine came up, ms: the difference of two readings is what was lost between them. */
  readonly someTotalMs: number;
  readonly fullTotalMs: number;
}

const FILE_BYTES = 512;
const SOME = Buffer.from('some ');
const FULL = Buffer.from('full ');
const AVERAGE = Buffer.from('avg10=');
const TOTAL = Buffer.from('total=');
const NEWLINE = 10;
const DOT = 46;

/**
 * Reads the file of the smallest limited group that has one, else that of the machine. Never throws: where there is none, or the kernel
 * has it switched off, `read` gives `undefined` and `fault` says why. Holds one descriptor until it is disposed.
 */
export class Psi implements Disposable {
  /** The file that is read; undefined when there is none. */
  readonly path: string | undefined;
  readonly ofGroup: boolean;
  /** Why the last reading, or the opening, failed. */
  fault: unknown;
  readonly #buffer = Buffer.alloc(FILE_BYTES);
  readonly #reading: { -readonly [Key in keyof PsiReading]: PsiReading[Key] };
  #descriptor: number | undefined;

  constructor(options: PsiOptions = {}) {
    const { root = '/', cgroups = [] } = options;
    const ofGroups = cgroups
      .filter(({ version }) => version === 2)
      .map(({ folder }) => join(folder, 'memory.pressure'));
    let opened: string | undefined;
    for (const path of [...ofGroups, join(root, 'proc/pressure/memory')]) {
      if (!this.#open(path)) continue;
      opened = path;
      break;
    }
    this.path = opened;
    this.ofGroup = opened !== undefined && ofGroups.includes(opened);
    this.#reading = { ofGroup: this.ofGroup, someAvg10: 0, fullAvg10: 0, someTotalMs: 0, fullTotalMs: 0 };
  }

  /** The same object each time, with new figures: copy what is to be kept. About 5 µs, no garbage. */
  read(): PsiReading | undefined {
    if (this.#descriptor === undefined) return undefined;
    try {
      const length = readSync(this.#descriptor, this.#buffer, 0, FILE_BYTES, 0);
      const reading = this.#reading;
      reading.someAvg10 = numberAfter(this.#buffer, length, SOME, AVERAGE);
      reading.someTotalMs = numberAfter(this.#buffer, length, SOME, TOTAL) / 1000;
      reading.fullAvg10 = numberAfter(this.#buffer, length, FULL, AVERAGE);
      reading.fullTotalMs = numberAfter(this.#buffer, length, FULL, TOTAL) / 1000;
      if (Math.min(reading.someAvg10, reading.someTotalMs, reading.fullAvg10, reading.fullTotalMs) < 0) {
        throw new Error(`${this.path} is not in the known format`);
      }
      this.fault = undefined;
      return reading;
    } catch (cause) {
      this.fault = cause;
      return undefined;
    }
  }

  [Symbol.dispose](): void {
    const descriptor = this.#descriptor;
    this.#descriptor = undefined;
    try {
      if (descriptor !== undefined) closeSync(descriptor);
    } catch (cause) {
      this.fault = cause;
    }
  }

  /** Opens the file and reads it once: a kernel with `psi=0` lets it be opened and refuses to be read. */
  #open(path: string): boolean {
    let descriptor: number | undefined;
    try {
      descriptor = openSync(path, 'r');
      readSync(descriptor, this.#buffer, 0, FILE_BYTES, 0);
      this.#descriptor = descriptor;
      return true;
    } catch (cause) {
      this.fault = cause;
      if (descriptor !== undefined) closeSync(descriptor);
      return false;
    }
  }
}

/** The decimal number behind `key` on the line that begins with `line`, -1 when there is none. */
function numberAfter(buffer: Buffer, length: number, line: Buffer, key: Buffer): number {
  const start = buffer.indexOf(line);
  const found = start < 0 ? -1 : buffer.indexOf(key, start);
  const lineEnd = buffer.indexOf(NEWLINE, start);
  const end = lineEnd < 0 ? length : Math.min(length, lineEnd);
  if (found < 0 || found >= end) return -1;
  let value = -1;
  let scale = 0;
  for (let at = found + key.length; at < end; at++) {
    const byte = buffer[at]!;
    if (byte === DOT && scale === 0) {
      scale = 1;
      continue;
    }
    const digit = byte - 48;
    if (digit < 0 || digit > 9) break;
    value = Math.max(0, value) * 10 + digit;
    scale *= 10;
  }
  return scale > 1 ? value / scale : value;
}
