/**
 * Lines on standard error that never disturb the program. Not by `process.stderr`: making that stream, or an error on it, would be a change. They are written
 * synchronously, and a line that would have to wait is dropped: somebody may have started the program with a pipe that nobody reads. A pipe or terminal is
 * opened anew for each line, so that not waiting is asked of this line alone and not of the program's own. A socket cannot be opened anew: what may be written to
 * one is bounded instead, by what the kernel keeps of lines that nobody reads.
 */
import { closeSync, constants, fstatSync, openSync, type Stats, writeSync } from 'node:fs';

const STDERR = 2;
/** What a pipe takes at once or not at all (POSIX `PIPE_BUF`, 512 at least), and as much as one wants to read. */
const LONGEST_LINE = 400;
/** An unread UNIX socket of Linux holds some 270 small messages. */
const MOST_SOCKET_LINES = 64;

export interface StderrLinesOptions {
  /** Default: 2. */
  readonly descriptor?: number;
  /** How a descriptor is opened anew; undefined where that cannot be done. Default: by `/proc/self/fd` on Linux. */
  readonly pathOf?: (descriptor: number) => string | undefined;
}

/** Writes whole lines, each beginning with `plimsoll: `. */
export class StderrLines {
  readonly #descriptor: number;
  readonly #pathOf: (descriptor: number) => string | undefined;
  /** What it was at the start: the program may have closed it, and opened a file of its own there. */
  readonly #device: Stats | undefined;
  #bounded = MOST_SOCKET_LINES;

  constructor(options: StderrLinesOptions = {}) {
    const linux = (descriptor: number) => (process.platform === 'linux' ? `/proc/self/fd/${descriptor}` : undefined);
    this.#descriptor = options.descriptor ?? STDERR;
    this.#pathOf = options.pathOf ?? linux;
    this.#device = statOf(this.#descriptor);
  }

  /** False when the line was dropped. Never throws. About 20 µs. */
  write(text: string): boolean {
    const words = text.replaceAll(/[\x00-\x1f\x7f]+/g, ' ');
    const line = words.length > LONGEST_LINE ? `${words.slice(0, LONGEST_LINE)}...` : words;
    try {
      return this.#put(`plimsoll: ${line}\n`);
    } catch {
      return false;
    }
  }

  #put(line: string): boolean {
    const before = this.#device;
    const now = statOf(this.#descriptor);
    if (before === undefined || now === undefined || before.ino !== now.ino || before.dev !== now.dev) return false;
    // Files never keep one waiting, and one that was opened anew would be written from its start.
    if (now.isFile()) return writeSync(this.#descriptor, line) > 0;
    const path = now.isFIFO() || now.isCharacterDevice() ? this.#pathOf(this.#descriptor) : undefined;
    if (path === undefined) return this.#bounded-- > 0 && writeSync(this.#descriptor, line) > 0;
    const own = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      return writeSync(own, line) > 0;
    } finally {
      closeSync(own);
    }
  }
}

function statOf(descriptor: number): Stats | undefined {
  try {
    return fstatSync(descriptor);
  } catch {
    return undefined;
  }
}
