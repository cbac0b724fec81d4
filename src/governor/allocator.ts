/**
 * The C library's allocator, asked to give back what it keeps.
 *
 * glibc keeps small blocks that were freed, at most 128 KiB each until it sees larger ones freed, for whoever asks next: 500 MB of dropped 16 KB
 * buffers leave RSS where it was. `malloc_trim(0)` gives the whole pages among them back to the kernel.
 */
import { createRequire } from 'node:module';
import type { Clock } from '../clock.ts';
import type { Faults } from './faults.ts';

/** `malloc_trim(0)`: 1 when something went back to the system, else 0. */
export type NativeTrim = () => number;

export interface AllocatorOptions {
  readonly clock: Clock;
  /** Where a native call that fails is noted; the trim is off then. */
  readonly faults: Faults;
  /** `false`: never trims. Default true. */
  readonly enabled?: boolean;
  /** Default: this machine's. */
  readonly platform?: string;
  /** Gets hold of the native call, or throws. Default: of glibc, through the optional peer `koffi`. */
  readonly load?: () => NativeTrim;
}

/** Weight of the newest measurement. */
const NEWEST = 0.3;
/** 500 MB took 30 to 45 ms. */
const PRIOR_MS_PER_BYTE = 40 / 5e8;
/** Measurements below it say nothing of the cost of a byte. */
const WORTH_BYTES = 1_048_576;

/**
 * Gives memory that was freed back to the system. Linux with glibc only; elsewhere, and without `koffi`, `trim` does nothing and `why` says
 * so. The first trim loads `koffi`: 7 ms and 4 to 7 MB of RSS, once. Where another allocator was loaded in glibc's place a trim is harmless and gives
 * nothing, which the prices learn.
 */
export class Allocator {
  readonly #clock: Clock;
  readonly #faults: Faults;
  readonly #load: () => NativeTrim;
  #trim: NativeTrim | undefined;
  #why: string | undefined;
  #msPerByte = PRIOR_MS_PER_BYTE;
  count = 0;
  spentMs = 0;

  constructor(options: AllocatorOptions) {
    const { clock, faults, enabled = true, platform = process.platform, load = loadFromGlibc } = options;
    this.#clock = clock;
    this.#faults = faults;
    this.#load = load;
    if (!enabled) this.#why = 'the trim is switched off';
    else if (platform !== 'linux') this.#why = `there is no trim on ${platform}`;
  }

  /** Why there is no trim; undefined while there is one, or may be: before the first, only what is known without loading it. */
  get why(): string | undefined {
    return this.#why;
  }

  /** What a trim that gives back so much is expected to take, ms. It holds up every thread that allocates or frees meanwhile. */
  expectedMs(bytes: number): number {
    return Math.max(0, bytes) * this.#msPerByte;
  }

  /** Gets ready ahead of need: `koffi` takes memory itself. True when there is a trim. */
  prepare(): boolean {
    if (this.#why !== undefined) return false;
    try {
      this.#trim ??= this.#load();
      return true;
    } catch (cause) {
      // That it is not there is no fault: it is optional, and said in `why`.
      this.#why = whyAbsent(cause);
      return false;
    }
  }

  /** Trims, and returns how long it took, ms; or -1, and `why` says why not. Some 30 to 45 ms for 500 MB given back, 0.1 ms for nothing. */
  trim(): number {
    if (!this.prepare()) return -1;
    const startedAt = this.#clock.now();
    try {
      this.#trim!();
    } catch (cause) {
      this.#why = 'the trim is switched off: it failed';
      this.#faults.note('trim', cause, true);
      return -1;
    }
    const tookMs = Math.max(0, this.#clock.now() - startedAt);
    this.count++;
    this.spentMs += tookMs;
    return tookMs;
  }

  /** Learns the cost from a trim that took so long and was seen to give back so much. */
  learn(tookMs: number, seenBytes: number): void {
    if (seenBytes < WORTH_BYTES) return;
    this.#msPerByte += NEWEST * (tookMs / seenBytes - this.#msPerByte);
  }
}

/** What is used of `koffi`. */
interface Koffi {
  load(path: string): { func(declaration: string): (pad: number) => number };
}

/** Throws where `koffi` is not installed, and where the C library is not glibc: only that one goes by this name. */
function loadFromGlibc(): NativeTrim {
  const koffi = createRequire(import.meta.url)('koffi') as Koffi;
  const mallocTrim = koffi.load('libc.so.6').func('int malloc_trim(size_t)');
  return () => mallocTrim(0);
}

function whyAbsent(cause: unknown): string {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'MODULE_NOT_FOUND') return 'the package `koffi` is not installed: `npm install koffi`';
  return 'the C library has no `malloc_trim`, or it cannot be called here';
}
