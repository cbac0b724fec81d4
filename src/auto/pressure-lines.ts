/**
 * Tells what goes on, in few lines. What is to be told is a state and some counts, not a list: so a line that has to wait for its turn holds the newest level
 * and all that was done since the last, and nothing piles up.
 */
import type { Clock } from '../clock.ts';
import { trainEvents } from '../events.ts';
import { FailOpen } from '../fail-open.ts';
import { type Governor, levelRank, type PressureLevel, type Snapshot, type TrainPart } from '../governor/index.ts';

/** The shortest time between two lines. Doubles with each that follows at once, up to the longest; a pause of that brings it back. */
const SHORTEST_GAP_MS = 1_000;
const LONGEST_GAP_MS = 60_000;
const MIB = 1_048_576;

export interface PressureLinesOptions {
  readonly governor: Governor;
  readonly clock: Clock;
  readonly write: (line: string) => void;
}

/**
 * Writes a line when the level changes and when a train ran, or in `observe` would have: `high, 182 of 256 MiB (cgroup); would have collected and trimmed`. At
 * most one a second, fewer while they come without end; a level worse than any that was told lately does not wait.
 */
export class PressureLines implements Disposable {
  readonly #options: PressureLinesOptions;
  readonly #failOpen = new FailOpen('auto lines');
  readonly #listening: Disposable[] = [];
  #told: PressureLevel = 'optimal';
  /** The worst that was told since the last long pause. */
  #worst: PressureLevel = 'optimal';
  #toldTrains = 0;
  #toldSeenBytes = 0;
  #toldShed = 0;
  #gapMs = SHORTEST_GAP_MS;
  #lastAt = Number.NEGATIVE_INFINITY;
  #timer: Disposable | undefined;

  constructor(options: PressureLinesOptions) {
    this.#options = options;
    this.#failOpen.run(() => {
      const { governor } = options;
      this.#listening.push(governor.onLevel((to) => this.#note(to)));
      // Also those of other governors come by: what is told is read from ours.
      this.#listening.push(trainEvents.subscribe(() => this.#note(undefined)));
      this.#noteLevel(governor.level);
    }, undefined);
  }

  [Symbol.dispose](): void {
    for (const one of this.#listening.splice(0)) this.#failOpen.run(() => one[Symbol.dispose](), undefined);
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  /** The level was there before anybody listened. */
  #noteLevel(level: PressureLevel): void {
    if (level !== 'optimal') this.#note(level);
  }

  #note(to: PressureLevel | undefined): void {
    const { clock } = this.#options;
    const leftMs = this.#lastAt + this.#gapMs - clock.now();
    if (leftMs <= 0 || (to !== undefined && levelRank(to) > levelRank(this.#worst))) this.#tell();
    else this.#timer ??= clock.after(leftMs, () => this.#tell());
  }

  #tell(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#failOpen.run(() => {
      const { governor, clock, write } = this.#options;
      const snapshot = governor.snapshot();
      const line = this.#compose(snapshot, governor);
      if (line === undefined) return;
      const now = clock.now();
      const isCalm = now - this.#lastAt >= LONGEST_GAP_MS + this.#gapMs;
      if (isCalm || levelRank(this.#told) > levelRank(this.#worst)) this.#worst = this.#told;
      this.#gapMs = isCalm ? SHORTEST_GAP_MS : Math.min(2 * this.#gapMs, LONGEST_GAP_MS);
      this.#lastAt = now;
      write(line);
    }, undefined);
  }

  /** Undefined when there is nothing new. */
  #compose(snapshot: Snapshot, governor: Governor): string | undefined {
    const { level, trains, mode } = snapshot;
    const count = trains.count - this.#toldTrains;
    const seenBytes = trains.seenBytes - this.#toldSeenBytes;
    const shedCount = snapshot.shed.reduce((sum, row) => sum + row.shed, 0);
    const shed = shedCount - this.#toldShed;
    if (level === this.#told && count === 0) return undefined;
    this.#told = level;
    this.#toldTrains = trains.count;
    this.#toldSeenBytes = trains.seenBytes;
    this.#toldShed = shedCount;
    const parts = count === 0 ? [] : (governor.journal().at(-1)?.parts ?? []);
    return [describeLevel(snapshot), ...describeDeeds({ observed: mode !== 'on', count, seenBytes, shed, parts })].join(
      '; ',
    );
  }
}

/** `high, 182 of 256 MiB (cgroup)`. */
export function describeLevel({ level, decidingMeter, meters }: Pick<Snapshot, 'level' | 'decidingMeter' | 'meters'>) {
  const row = meters.find(({ name }) => name === decidingMeter);
  if (row === undefined) return level;
  // What counts: without what the allocator keeps for the next who asks.
  const bytes = row.bytes - row.reusableBytes;
  return `${level}, ${Math.round(bytes / MIB)} of ${Math.round(row.limitBytes / MIB)} MiB (${decidingMeter})`;
}

/** Use may grow meanwhile by more than came back. */
function backOf(seenBytes: number): string {
  const mib = Math.round(seenBytes / MIB);
  return mib > 0 ? `${mib} MiB` : 'nothing';
}

export interface Deeds {
  /** Nothing was done, it would have been. */
  readonly observed: boolean;
  /** Trains since the last line, and what the deciding meter went down by them. */
  readonly count: number;
  readonly seenBytes: number;
  /** Calls turned away since. */
  readonly shed: number;
  /** Of the last train. */
  readonly parts: readonly Pick<TrainPart, 'part' | 'skipped'>[];
}

/** `would have collected and trimmed`, `collected, 12 MiB back`, `turned away 30 requests`. */
export function describeDeeds({ observed, count, seenBytes, shed, parts }: Deeds): string[] {
  const deeds: string[] = [];
  if (count > 0) {
    const done = parts.filter(({ skipped }) => observed || skipped === undefined).map(({ part }) => part);
    const verbs = [
      ...(done.some((part) => part.startsWith('reclaim')) ? ['asked holders'] : []),
      ...(done.some((part) => part.endsWith('collection')) ? ['collected'] : []),
      ...(done.includes('trim') ? ['trimmed'] : []),
    ];
    const what = verbs.length > 1 ? `${verbs.slice(0, -1).join(', ')} and ${verbs.at(-1)}` : verbs[0];
    const times = count === 1 ? '' : `, ${count} times`;
    if (what === undefined)
      deeds.push(observed ? 'would have found nothing to give back' : 'found nothing to give back');
    else if (observed) deeds.push(`would have ${what}${times}`);
    else deeds.push(`${what}${times}, ${backOf(seenBytes)} back`);
  }
  if (shed > 0)
    deeds.push(`${observed ? 'would have ' : ''}turned away ${shed} ${shed === 1 ? 'request' : 'requests'}`);
  return deeds;
}
