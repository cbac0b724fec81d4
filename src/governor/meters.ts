/**
 * The five ways of measuring use. Each meter is read often, inside reservations too: a read makes no garbage that grows, and the one that
 * reads files keeps them open.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { getHeapStatistics } from 'node:v8';
import type { CgroupLimit } from './limits.ts';

export const METER_NAMES = ['ledger', 'heap', 'external', 'rss', 'cgroup'] as const;
export type MeterName = (typeof METER_NAMES)[number];

/** One way of measuring use against its own limit. */
export interface Meter {
  readonly name: MeterName;
  /** What this meter may reach, bytes. */
  readonly limitBytes: number;
  /** Bytes in use now. May throw: the governor notes that and goes on without this meter. */
  read(): number;
}

/** V8's figures, fetched once for the two meters that show them: about 2 µs instead of twice that. */
export class V8Meters {
  readonly heap: Meter;
  readonly external: Meter;
  #externalBytes = 0;
  #fresh = false;

  /** `limitBytes` gives the limit that `external` is compared with; `heap` has V8's own. */
  constructor(limitBytes: () => number) {
    const fetch = () => {
      const figures = getHeapStatistics();
      // What lies outside the heap and belongs to its objects; the buffers of ArrayBuffers are in it, so they are not added again.
      this.#externalBytes = figures.external_memory;
      heapLimitBytes = figures.heap_size_limit;
      return figures.used_heap_size;
    };
    let heapLimitBytes = getHeapStatistics().heap_size_limit;
    this.heap = {
      name: 'heap',
      get limitBytes() {
        return heapLimitBytes;
      },
      read: () => {
        const used = fetch();
        this.#fresh = true;
        return used;
      },
    };
    this.external = {
      name: 'external',
      get limitBytes() {
        return limitBytes();
      },
      read: () => {
        if (!this.#fresh) fetch();
        this.#fresh = false;
        return this.#externalBytes;
      },
    };
  }
}

/** What was reserved, the runtime's own share included. */
export function ledgerMeter(heldBytes: () => number, limitBytes: () => number): Meter {
  return {
    name: 'ledger',
    get limitBytes() {
      return limitBytes();
    },
    read: heldBytes,
  };
}

/** What of this process is in RAM now, bytes. About 7 µs. */
export function readRssBytes(): number {
  return process.memoryUsage.rss();
}

/** What of this process is in RAM, pages of files that are mapped included. */
export function rssMeter(limitBytes: () => number): Meter {
  return {
    name: 'rss',
    get limitBytes() {
      return limitBytes();
    },
    read: readRssBytes,
  };
}

const STAT_BYTES = 16_384;

/**
 * What the kernel charges to the group in which the smallest limit stands, against that limit, without the page cache it can take back.
 *
 * Both file lists are taken out, the active one too: a file that is read twice moves to the active list and is still only a copy of what
 * is on disk; the kernel drops it before it kills. (Taking only the inactive list out, as the "working set" of container
 * monitors does, calls a job that streams a file twice full.) Left in: anonymous memory, shared memory and tmpfs (they are on the
 * anonymous lists), kernel memory, and pages of files that are mapped, such as the program itself, which would be
 * read back at once. The group may hold other processes: they count, because the kernel counts them.
 */
export class CgroupMeter implements Meter, Disposable {
  readonly name = 'cgroup';
  readonly limitBytes: number;
  readonly #buffer = Buffer.allocUnsafeSlow(STAT_BYTES);
  readonly #usage: number;
  readonly #stat: number;
  readonly #inactive: Buffer;
  readonly #active: Buffer;
  readonly #mapped: Buffer;
  #closed = false;

  /** Opens two files of the group's folder. Throws when they are not there. */
  constructor(limit: CgroupLimit) {
    const v2 = limit.version === 2;
    const prefix = v2 ? '' : 'total_';
    this.limitBytes = limit.bytes;
    this.#inactive = Buffer.from(`${prefix}inactive_file `);
    this.#active = Buffer.from(`${prefix}active_file `);
    this.#mapped = Buffer.from(v2 ? 'file_mapped ' : 'total_mapped_file ');
    this.#usage = openSync(`${limit.folder}/${v2 ? 'memory.current' : 'memory.usage_in_bytes'}`, 'r');
    try {
      this.#stat = openSync(`${limit.folder}/memory.stat`, 'r');
    } catch (cause) {
      closeSync(this.#usage);
      throw cause;
    }
  }

  read(): number {
    const buffer = this.#buffer;
    const used = readDigits(buffer, 0, readSync(this.#usage, buffer, 0, STAT_BYTES, 0));
    if (used < 0) throw new Error('the memory use of the control group cannot be read');
    const length = readSync(this.#stat, buffer, 0, STAT_BYTES, 0);
    const files = Math.max(0, this.#value(this.#inactive, length)) + Math.max(0, this.#value(this.#active, length));
    const mapped = Math.max(0, this.#value(this.#mapped, length));
    return Math.max(0, used - Math.max(0, files - mapped));
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#usage);
    closeSync(this.#stat);
  }

  /** The number on the line that begins with `key`, -1 when there is none. */
  #value(key: Buffer, length: number): number {
    const buffer = this.#buffer;
    for (let at = 0; at < length; ) {
      let i = 0;
      while (i < key.length && buffer[at + i] === key[i]) i++;
      if (i === key.length) return readDigits(buffer, at + i, length);
      const end = buffer.indexOf(10, at);
      if (end < 0 || end >= length) return -1;
      at = end + 1;
    }
    return -1;
  }
}

function readDigits(buffer: Buffer, at: number, end: number): number {
  let value = -1;
  for (; at < end; at++) {
    const digit = buffer[at]! - 48;
    if (digit < 0 || digit > 9) break;
    value = Math.max(0, value) * 10 + digit;
  }
  return value;
}
