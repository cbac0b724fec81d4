/**
 * The ways of measuring use from inside the process. Each meter is read often, inside reservations too: a read makes no garbage that grows.
 * The meter of the control groups stands in `cgroup-meter.ts`.
 *
 * What Node's figures count, measured per byte on Node 20, 22, 24 and 26 (Linux x64, 64 MiB of each, `--expose-gc`):
 *
 * | what is held | `external` | `arrayBuffers` |
 * | --- | --- | --- |
 * | ArrayBuffer, Buffer (also from the pool, each slab once) | 1 | 1 |
 * | resizable ArrayBuffer: its length, not its maximum | 1 | 0 |
 * | view of foreign memory (N-API, `koffi.view` of a mapped file): each view, also a second one of the same bytes | 1 | 0 |
 * | long string made by native code (`Buffer.toString`) | 1 | 0 |
 * | `WebAssembly.Memory`: its length, touched or not | 1, on Node 26: 0 | 0 |
 * | SharedArrayBuffer, in the thread that made it | 0 | 1 |
 * | growable SharedArrayBuffer; shared `WebAssembly.Memory`; memory from `malloc` (`koffi.alloc`); a mapping without a view | 0 | 0 |
 * | ArrayBuffer sent to a worker | 0 | 1 |
 *
 * `v8.getHeapStatistics().external_memory` is the same figure as `external`; `malloced_memory` is V8's own and has none of these. Both are
 * figures of one thread: what workers make themselves is in neither. RSS and the control group see all that was touched.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8';
import { oldSpaceLimitBytes } from './heap-flags.ts';

const STATM_BYTES = 256;
/** Of what is used. An object in a page is at most half of it: at the worst a third of each page is left over, half of what is used. */
const MOST_WASTE = 0.5;

export const METER_NAMES = ['ledger', 'heap', 'external', 'rss', 'cgroup'] as const;
export type MeterName = (typeof METER_NAMES)[number];

/** One way of measuring use against its own limit. */
export interface Meter {
  readonly name: MeterName;
  /** What this meter may reach, bytes. Looked at after `read`: it may differ from one reading to the next. */
  readonly limitBytes: number;
  /** Where it watches several limits: the smallest, whichever `limitBytes` is now. */
  readonly leastLimitBytes?: number;
  /** Bytes in use now. May throw: the governor notes that and goes on without this meter. */
  read(): number;
}

/** Below that share of the limit nobody asks how full the pages are. */
const WASTE_MATTERS = 0.8;
/** The young generation has a limit of its own, and V8's own objects are in none. */
const NOT_OLD = /^(?:new_|read_only_)/;

/** Node's figures, as `process.memoryUsage()` gives them. */
export interface ProcessFigures {
  readonly heapUsed: number;
  readonly external: number;
  readonly arrayBuffers: number;
  readonly rss: number;
}

/**
 * The part of RSS that belongs to the process alone: anonymous pages. The rest are pages of files, the program's own first of all (about 44 MiB of Node),
 * which the kernel drops before it kills, and which a control group is charged for only where it read them first. From `/proc/self/statm`, held
 * open: about 2 µs, no garbage. Where there is no such file, all of RSS. Source: Documentation/filesystems/proc.rst of the kernel, `statm`.
 */
class OwnShare implements Disposable {
  readonly #buffer = Buffer.alloc(STATM_BYTES);
  #file: number | undefined;

  constructor(root: string) {
    try {
      this.#file = openSync(join(root, 'proc/self/statm'), 'r');
    } catch {
      // Not Linux: RSS is all that is known.
    }
  }

  /** 0 to 1. */
  read(): number {
    if (this.#file === undefined) return 1;
    try {
      const length = readSync(this.#file, this.#buffer, 0, STATM_BYTES, 0);
      const resident = this.#field(1, length);
      const shared = this.#field(2, length);
      return resident > 0 && shared >= 0 && shared <= resident ? 1 - shared / resident : 1;
    } catch {
      return 1;
    }
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  /** The number `index` of the line, -1 when there is none. */
  #field(index: number, length: number): number {
    let value = -1;
    for (let i = 0, field = 0; i < length && field <= index; i++) {
      const digit = this.#buffer[i]! - 48;
      if (digit >= 0 && digit <= 9) {
        if (field === index) value = Math.max(0, value) * 10 + digit;
      } else field++;
    }
    return value;
  }
}

/** A space of V8's heap, as `getHeapSpaceStatistics` gives it. */
export interface HeapSpaceFigures {
  readonly space_name: string;
  readonly space_size: number;
}

export interface V8MeterOptions {
  /** The folder that holds `proc`. Default `/`. */
  readonly root?: string;
  /** Bytes of files that are mapped and viewed as buffers: V8 counts each view as external memory, but they are the kernel's page cache. Default: none. */
  readonly mappedBytes?: () => number;
  /** In place of `process.memoryUsage`. */
  readonly figures?: () => ProcessFigures;
  /** In place of `v8.getHeapSpaceStatistics`. */
  readonly spaces?: () => readonly HeapSpaceFigures[];
}

/**
 * The figures of this thread's V8 and of the process, fetched once for the three meters that show them: 8 µs, nearly all of it for RSS. A meter
 * that is read a second time fetches anew; so do all three after `refresh`.
 *
 * `external` is what lies outside the heap and is not a mapped file: V8's external memory less the mapped bytes, and never less than what
 * Node has allocated for ArrayBuffers, in which no mapped file is. So a ledger that counts more as mapped than is viewed cannot hide buffers,
 * and SharedArrayBuffers are seen as far as they are more than other external memory.
 *
 * Where RSS cannot be read, because no descriptor is left say, `heap` and `external` go on by V8's own figures.
 */
export class V8Meters implements Disposable {
  readonly heap: Meter;
  readonly external: Meter;
  readonly rss: Meter;
  /** Of the last fetch: for drift. */
  usedHeapBytes = 0;
  externalBytes = 0;
  rssBytes = 0;
  readonly #mappedBytes: () => number;
  readonly #figures: () => ProcessFigures;
  readonly #spaces: () => readonly HeapSpaceFigures[];
  readonly #own: OwnShare;
  #rssFault: unknown;
  /** The meters that have not shown the last fetch yet. */
  #heapIsDue = false;
  #externalIsDue = false;
  #rssIsDue = false;

  /** `limitBytes` gives the limit that `external` and `rss` are compared with; `heap` has that of V8's old space. */
  constructor(limitBytes: () => number, options: V8MeterOptions = {}) {
    this.#mappedBytes = options.mappedBytes ?? (() => 0);
    this.#figures = options.figures ?? (() => process.memoryUsage());
    this.#spaces = options.spaces ?? getHeapSpaceStatistics;
    this.#own = new OwnShare(options.root ?? '/');
    this.heap = { name: 'heap', limitBytes: oldSpaceLimitBytes(), read: () => this.#readHeap() };
    this.external = limitedMeter('external', limitBytes, () => this.#readExternal());
    this.rss = limitedMeter('rss', limitBytes, () => this.#readRss());
  }

  /** Makes the next reading of each meter a new one. */
  refresh(): void {
    this.#heapIsDue = this.#externalIsDue = this.#rssIsDue = false;
  }

  /**
   * What the pages of the old spaces take, bytes: by that V8 gives up, not by what is used in them. Objects of 48 KiB leave 7% of each page empty, of 88 KiB a
   * third, and the process ends at 0.91 or 0.69 of its limit. At least what is used as of the last fetch, at most half as much again: pages emptier than that are holes
   * that V8 can fill. Garbage counts until V8 has collected it. About 2 µs, and 1 KB of short-lived objects; nothing while the heap is too empty for it to matter.
   */
  filledHeapBytes(): number {
    const used = this.usedHeapBytes;
    const most = used * (1 + MOST_WASTE);
    if (most < this.heap.limitBytes * WASTE_MATTERS) return used;
    let pages = 0;
    for (const space of this.#spaces()) if (!NOT_OLD.test(space.space_name)) pages += space.space_size;
    return Math.max(used, Math.min(most, pages));
  }

  [Symbol.dispose](): void {
    this.#own[Symbol.dispose]();
  }

  #readHeap(): number {
    if (!this.#heapIsDue) this.#fetch();
    this.#heapIsDue = false;
    return this.usedHeapBytes;
  }

  #readExternal(): number {
    if (!this.#externalIsDue) this.#fetch();
    this.#externalIsDue = false;
    return this.externalBytes;
  }

  #readRss(): number {
    if (!this.#rssIsDue) this.#fetch();
    this.#rssIsDue = false;
    if (this.#rssFault !== undefined) throw this.#rssFault;
    return this.rssBytes;
  }

  #fetch(): void {
    // First: what is told here must hold for the figures, and may throw.
    const mappedBytes = this.#mappedBytes();
    try {
      const { heapUsed, external, arrayBuffers, rss } = this.#figures();
      this.#set(heapUsed, Math.max(external - mappedBytes, arrayBuffers));
      this.rssBytes = Math.round(rss * this.#own.read());
      this.#rssFault = undefined;
    } catch (cause) {
      const { used_heap_size, external_memory } = getHeapStatistics();
      this.#set(used_heap_size, Math.max(0, external_memory - mappedBytes));
      this.#rssFault = cause ?? new Error('RSS cannot be read');
    }
    this.#heapIsDue = this.#externalIsDue = this.#rssIsDue = true;
  }

  #set(usedHeapBytes: number, externalBytes: number): void {
    this.usedHeapBytes = usedHeapBytes;
    this.externalBytes = externalBytes;
  }
}

/** What is used here of a global that TypeScript knows only with the library of browsers. */
interface HasWasm {
  readonly WebAssembly: { readonly Memory: new (pages: object) => { readonly buffer: ArrayBuffer } };
}

/**
 * Whether this V8 counts the memories of WebAssembly as external memory: it makes one of 64 KiB and looks. Undefined when none can be made. About
 * 0.1 ms the first time, 0.03 ms later, and some address space until the next collection: ask once.
 */
export function countsWasm(): boolean | undefined {
  try {
    const before = getHeapStatistics().external_memory;
    const memory = new (globalThis as unknown as HasWasm).WebAssembly.Memory({ initial: 1, maximum: 1 });
    return getHeapStatistics().external_memory - before >= memory.buffer.byteLength;
  } catch {
    return undefined;
  }
}

/** What was reserved, the runtime's own share included. */
export function ledgerMeter(heldBytes: () => number, limitBytes: () => number): Meter {
  return limitedMeter('ledger', limitBytes, heldBytes);
}

/** Node's figures of this process now, for who measures a stretch of work by itself. Reads RSS too, which takes most of its time. */
export function readProcessFigures(): ProcessFigures {
  return process.memoryUsage();
}

/** What of this process is in RAM now, bytes. About 7 µs. */
export function readRssBytes(): number {
  return process.memoryUsage.rss();
}

/**
 * The most that was ever in RAM of this process, as the system counted it, bytes; undefined where it does not say. On Linux `VmHWM`: what Node gives there
 * (`resourceUsage`) counts what the process was before it became Node.
 */
export function readPeakRssBytes(root = '/'): number | undefined {
  try {
    const kib = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(join(root, 'proc/self/status'), 'latin1'))?.[1];
    if (kib !== undefined) return Number(kib) * 1024;
  } catch {
    if (process.platform === 'linux') return undefined;
  }
  const { maxRSS } = process.resourceUsage();
  return maxRSS > 0 ? maxRSS * 1024 : undefined;
}

function limitedMeter(name: MeterName, limitBytes: () => number, read: () => number): Meter {
  return {
    name,
    get limitBytes() {
      return limitBytes();
    },
    read,
  };
}
