/**
 * The line itself: how much this process may have, and the meters that are held against it. Both are looked at again while running, because a
 * container can be resized and its groups can change.
 */
import type { Clock } from '../clock.ts';
import { CgroupMeter } from './cgroup-meter.ts';
import type { Faults } from './faults.ts';
import { type CgroupLimit, type EffectiveLimit, readLimits } from './limits.ts';
import { ledgerMeter, type Meter, V8Meters } from './meters.ts';
import { Psi } from './psi.ts';

/** Limits are looked at again in this rhythm, about 0.3 ms each time; more often where less than half is left: a container may be made smaller. */
const LIMITS_EVERY_MS = 5_000;
const LIMITS_EVERY_MS_UNDER_PRESSURE = 500;

export interface LineOptions {
  readonly limitBytes: number | undefined;
  readonly share: number;
  readonly root: string;
  readonly clock: Clock;
  readonly faults: Faults;
  /** Instead of the built-in ones. */
  readonly meters: readonly Meter[] | undefined;
  readonly heldBytes: () => number;
  readonly mappedBytes: () => number;
}

export class Line implements Disposable {
  readonly meters: readonly Meter[];
  /** Absent with meters of somebody else's. */
  readonly v8: V8Meters | undefined;
  readonly #options: LineOptions;
  #configuredBytes: number | undefined;
  #limit: EffectiveLimit;
  #readAt: number;
  #cgroup: CgroupMeter | undefined;
  #psi: Psi | undefined;

  constructor(options: LineOptions) {
    this.#options = options;
    this.#configuredBytes = options.limitBytes;
    this.#limit = this.#read();
    this.#readAt = options.clock.now();
    const limitBytes = () => this.#limit.bytes;
    if (options.meters !== undefined) {
      this.meters = options.meters;
      return;
    }
    this.v8 = new V8Meters(limitBytes, { root: options.root, mappedBytes: options.mappedBytes });
    this.#open();
    const own = [ledgerMeter(options.heldBytes, limitBytes), this.v8.heap, this.v8.external, this.v8.rss];
    this.meters = this.#cgroup === undefined ? own : [...own, this.#cgroup];
  }

  get limit(): EffectiveLimit {
    return this.#limit;
  }

  get cgroupMeter(): CgroupMeter | undefined {
    return this.#cgroup;
  }

  get psi(): Psi | undefined {
    return this.#psi;
  }

  /** Sets the configured limit; `refresh` makes it hold. */
  configure(limitBytes: number): void {
    this.#configuredBytes = limitBytes;
  }

  /** True when it is time to look at the limits again, or when the clock has gone back. */
  isDue(underPressure: boolean): boolean {
    const elapsedMs = this.#options.clock.now() - this.#readAt;
    return elapsedMs >= (underPressure ? LIMITS_EVERY_MS_UNDER_PRESSURE : LIMITS_EVERY_MS) || elapsedMs < 0;
  }

  /** Reads the limits anew. True when the meter of the control groups is another one now. */
  refresh(): boolean {
    const before = this.#limit.cgroups;
    this.#readAt = this.#options.clock.now();
    this.#limit = this.#read();
    if (this.v8 === undefined || areSame(before, this.#limit.cgroups)) return false;
    this.#close();
    this.#open();
    return true;
  }

  [Symbol.dispose](): void {
    this.#close();
    this.v8?.[Symbol.dispose]();
  }

  #read(): EffectiveLimit {
    const { share, root } = this.#options;
    return readLimits({ limitBytes: this.#configuredBytes, share, root });
  }

  #open(): void {
    const { cgroups } = this.#limit;
    this.#psi = new Psi({ root: this.#options.root, cgroups });
    if (cgroups.length === 0) return;
    try {
      this.#cgroup = new CgroupMeter(cgroups);
    } catch (cause) {
      this.#options.faults.note('meter cgroup', cause, true);
    }
  }

  #close(): void {
    this.#cgroup?.[Symbol.dispose]();
    this.#psi?.[Symbol.dispose]();
    this.#cgroup = this.#psi = undefined;
  }
}

function areSame(before: readonly CgroupLimit[], after: readonly CgroupLimit[]): boolean {
  const describe = (limits: readonly CgroupLimit[]) => limits.map(({ folder, bytes }) => `${bytes} ${folder}`).join();
  return describe(before) === describe(after);
}
