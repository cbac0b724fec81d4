/** A service in the afternoon, made up: ten minutes in a moment, the same each time. For pictures, and for whoever looks at the page. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import {
  type Consumer,
  createGovernor,
  type Governor,
  type HolderReport,
  ManualClock,
  type Reservation,
} from 'plimsoll';
import { Dashboard } from 'plimsoll/dashboard';
import { Alerts, Monitor, ObservationFeed } from 'plimsoll/observe';

const MiB = 2 ** 20;
const LIMIT = 512 * MiB;
const SECONDS = 600;
const BASE_BYTES = 46 * MiB;
/** Thursday, in the afternoon. */
const STARTED_AT = Date.UTC(2026, 2, 12, 14, 2, 0);
const STAGES = ['read', 'map', 'filter', 'sort', 'write'];

type HolderName = 'pages' | 'sessions' | 'images' | 'buffers' | 'exports';

class Holder {
  readonly consumer: Consumer;
  readonly #held: Reservation;
  readonly #least: number;

  constructor(
    governor: Governor,
    options: {
      name: string;
      kind: 'heap' | 'external';
      importance?: number;
      least?: number;
      report?: () => HolderReport;
    },
  ) {
    const { name, kind, importance = 0, report, least = Number.POSITIVE_INFINITY } = options;
    this.#least = least;
    this.consumer = governor.consumer({
      ...{ name, kind, importance, maxBytes: LIMIT },
      ...(report && { report }),
      reclaimer: {
        reclaimableBytes: () => Math.max(0, this.bytes - this.#least),
        reclaimNow: ({ targetBytes }) => {
          const bytes = Math.min(Math.round(targetBytes * 1.2), Math.max(0, this.bytes - this.#least));
          this.#held.shrink(bytes);
          return Math.round(bytes * 1.04);
        },
      },
    });
    this.#held = this.consumer.reserve(0);
  }

  get bytes(): number {
    return this.#held.bytes;
  }

  toward(bytes: number): void {
    const change = Math.round((bytes - this.bytes) * 0.25);
    if (change > 0) this.#held.tryGrow(change);
    else this.#held.shrink(-change);
  }
}

/** Noise that is the same each time: a linear congruential generator (Numerical Recipes' constants). */
function makeNoise(): () => number {
  let state = 7;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}

/** Dispose it: its governor, its dashboard and its folder go with it. The clock goes on by `play`. */
export class Scene implements AsyncDisposable {
  readonly clock = new ManualClock(STARTED_AT);
  readonly governor: Governor;
  readonly dashboard: Dashboard;
  readonly feed: ObservationFeed;
  readonly #root = mkdtempSync(join(tmpdir(), 'plimsoll-scene-'));
  readonly #monitor: Monitor;
  readonly #alerts: Alerts;
  readonly #noise = makeNoise();
  readonly #holders: Readonly<Record<HolderName, Holder>>;
  #hits = 81_000;
  #second = 0;
  #garbage = 20 * MiB;
  /** Percent. */
  #waited = 0;

  constructor(token?: string) {
    const { clock } = this;
    const ledger = () => this.governor?.heldBytes ?? 0;
    const meters = [
      { name: 'ledger' as const, limitBytes: LIMIT, read: ledger },
      {
        name: 'heap' as const,
        limitBytes: 400 * MiB,
        read: () => 24 * MiB + this.#held('pages', 'sessions') + this.#garbage,
      },
      {
        name: 'external' as const,
        limitBytes: LIMIT,
        read: () => 3 * MiB + this.#held('images', 'buffers', 'exports'),
      },
      { name: 'rss' as const, limitBytes: LIMIT, read: () => ledger() + this.#garbage * 0.9 + 9 * MiB },
    ];
    this.governor = createGovernor({
      ...{
        clock,
        root: this.#root,
        meters,
        limitBytes: LIMIT,
        runtimeBytes: BASE_BYTES,
        trim: false,
        terminationLog: false,
      },
      collect: () => void (this.#garbage = 8 * MiB),
    });
    this.#monitor = new Monitor({ clock });
    this.#alerts = new Alerts({ source: this.governor, clock });
    this.#holders = this.#makeHolders();
    let count = 0;
    this.feed = new ObservationFeed({
      ...{
        source: { snapshot: () => ({ ...this.governor.snapshot(), psi: this.#psi(), warnings: [] }) },
        maxPoints: 1_000,
        everyMs: 1_000,
        monitor: this.#monitor,
        alerts: this.#alerts,
        clock,
      },
      collections: () => ({
        take: () => {
          const n = Math.floor(this.#noise() * 2.4 + (this.#garbage > 40 * MiB ? 2 : 0) + (count++ % 45 === 0 ? 3 : 0));
          const pauseMs = n * (1.1 + this.#noise() * 2);
          return { count: n, pauseMs, longestMs: pauseMs, freedBytes: n * 3 * MiB };
        },
        [Symbol.dispose]: () => {},
      }),
    });
    this.dashboard = new Dashboard({
      ...{ governor: this.governor, feed: this.feed, title: 'shop-api' },
      ...(token !== undefined && { token }),
      snapshotFolder: this.#root,
    });
  }

  /** Up to that second. */
  async play(until = SECONDS): Promise<void> {
    while (this.#second < until) {
      this.#step(this.#second++);
      for (let part = 0; part < 4; part++) {
        this.clock.advance(250);
        await setImmediate();
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dashboard[Symbol.asyncDispose]();
    this.feed[Symbol.dispose]();
    this.#alerts[Symbol.dispose]();
    await this.#monitor[Symbol.asyncDispose]();
    this.governor[Symbol.dispose]();
    rmSync(this.#root, { recursive: true, force: true });
  }

  #step(second: number): void {
    const wave = (from: number, to: number) =>
      Math.max(0, Math.sin((Math.PI * (second - from)) / (to - from))) * Number(second > from && second < to);
    const shake = () => (this.#noise() - 0.5) * 5 * MiB;
    const { pages, sessions, images, buffers, exports } = this.#holders;
    pages.toward(Math.min(92, 18 + second / 5) * MiB + shake());
    sessions.toward((22 + 12 * Math.sin(second / 90)) * MiB + shake() / 3);
    images.toward((58 + 95 * wave(150, 330)) * MiB + shake());
    buffers.toward((26 + 40 * wave(170, 300)) * MiB + shake());
    exports.toward((130 * wave(255, 325) + 190 * wave(470, 545)) * MiB);
    this.#garbage = this.#garbage > 52 * MiB ? 9 * MiB : this.#garbage + this.#noise() * 2.6 * MiB;
    this.#hits += Math.round(120 * this.#noise());
    this.#waited = 18 * wave(275, 340) + 31 * wave(490, 560);
    this.#report(second);
  }

  /** What the nightly export says of itself. */
  #report(second: number): void {
    const source = 'nightly export';
    if (second === 455) this.#monitor.record({ kind: 'started', source, message: 'orders of march' });
    if (second < 458 || second % 3 > 0) return;
    for (const [i, stage] of STAGES.entries()) {
      if (second < 458 + i * 4) continue;
      const items = Math.round(4_100 * (1 - 0.06 * i) + 300 * this.#noise());
      this.#monitor.record({
        kind: 'stage',
        source: `${source}/${stage}`,
        durationMs: 380 + 140 * i,
        items,
        bytes: items * (310 - 20 * i),
      });
    }
    if (second === 513)
      this.#monitor.record({ kind: 'mode', source, stage: 'sort', from: 'plain', to: 'spill', why: 'pressure' });
    if (second > 515)
      this.#monitor.record({
        kind: 'spill',
        source,
        diskBytes: (second - 510) * 1.7 * MiB,
        fileCount: 4,
        rawBytes: (second - 510) * 4 * MiB,
        ended: false,
      });
  }

  #makeHolders(): Readonly<Record<HolderName, Holder>> {
    const { governor } = this;
    const cache = (): HolderReport => ({
      ...{ type: 'cache', health: 'ok' },
      counts: { hits: this.#hits, misses: 9_420, entries: 6_311, evictions: 1_204 },
    });
    const pool = (): HolderReport => ({
      ...{ type: 'buffer pool', health: 'ok' },
      counts: { hits: 48_210, misses: 312, lent: 14, idle: 22 },
    });
    const connections = (): HolderReport => ({
      ...{ type: 'connection pool', health: 'degraded', why: 'one of two hosts does not answer' },
      counts: { lent: 7, idle: 1, waiting: 2, timeouts: 3 },
    });
    const plugins = (): HolderReport => ({
      type: 'plugin host',
      health: 'ok',
      counts: { plugins: 3, calls: 18_400, failures: 1 },
    });
    governor
      .consumer({ name: 'orders database', kind: 'heap', maxBytes: 8 * MiB, report: connections })
      .reserve(1.5 * MiB);
    governor.consumer({ name: 'plugins', kind: 'wasm', maxBytes: 32 * MiB, report: plugins }).reserve(6 * MiB);
    return {
      pages: new Holder(governor, { name: 'rendered pages', kind: 'heap', least: 12 * MiB, report: cache }),
      sessions: new Holder(governor, { name: 'sessions', kind: 'heap', importance: 2 }),
      images: new Holder(governor, { name: 'image variants', kind: 'external', least: 20 * MiB, report: cache }),
      buffers: new Holder(governor, { name: 'upload buffers', kind: 'external', importance: 1, report: pool }),
      exports: new Holder(governor, { name: 'nightly export', kind: 'external', importance: 1 }),
    };
  }

  #held(...names: readonly HolderName[]): number {
    return names.reduce((sum, name) => sum + (this.#holders?.[name].bytes ?? 0), 0);
  }

  #psi() {
    const [some, full] = [this.#waited, this.#waited / 3].map((percent) => Math.round(percent * 100) / 100) as [
      number,
      number,
    ];
    return { ofGroup: true, someAvg10: some, fullAvg10: full, someTotalMs: 0, fullTotalMs: 0 };
  }
}
