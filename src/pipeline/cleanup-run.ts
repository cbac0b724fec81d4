/**
 * One cleanup: measure, clean, measure again. What holds bytes that are in the books by themselves is cleaned first, so that the train behind it collects what it let go of; the train asks
 * the rest. Where the governor fails, all are called from here. Never rejects, and takes a bounded time.
 */
import type { Clock } from '../clock.ts';
import type { FailOpen } from '../fail-open.ts';
import {
  type Consumer,
  DEFAULT_THRESHOLDS,
  type Governor,
  levelRank,
  type MeterName,
  type PressureLevel,
  type ReclaimCallOptions,
  type ReclaimRequest,
  type ReclaimStrategy,
  type TrainReport,
} from '../governor/index.ts';
import type { CleanableSeat, CleanableTally } from './cleanable-seat.ts';
import type { CleanableOutcome, CleanupOperation, CleanupReason } from './cleanup-report.ts';

export interface CleanupCall {
  readonly why: CleanupReason;
  readonly stage: string;
  readonly strategy: ReclaimStrategy;
  /** By how much use has grown since the last cleanup, when it is `usedBytes` now. */
  readonly grownBytes: (usedBytes: number) => number;
}

export interface CleanupHelp {
  readonly governor: Governor;
  /** Under which the cleanables stand; undefined where the governor failed. */
  readonly consumer: Consumer | undefined;
  readonly seats: readonly CleanableSeat[];
  readonly failOpen: FailOpen;
  readonly clock: Clock;
}

/** The memory figures that a cleanup goes by. */
export interface CleanupReading {
  readonly meter?: MeterName;
  readonly bytes: number;
  readonly level: PressureLevel;
  /** In the books. */
  readonly heldBytes: number;
  /** The share of its limit that the fullest meter is at, and that limit's bytes as far as one figure can say. */
  readonly ratio: number;
  readonly limitBytes: number;
}

const HIGH = levelRank('high');
/** From `high` on all holders are asked for what is beyond that share of the limit: a step below where `high` begins. */
const AIM_SHARE = DEFAULT_THRESHOLDS.high - 0.05;
/** A train takes ten seconds at most, and one may be under way already. */
const MOST_TRAIN_MS = 30_000;
/** Who comes late may get the report of somebody else's train. */
const TRAIN_TRIES = 2;

/** Reads the meters through the governor; zeros where it fails. About 20 µs. */
export function readMemory({ governor, failOpen }: Pick<CleanupHelp, 'governor' | 'failOpen'>): CleanupReading {
  return failOpen.run<CleanupReading>(
    () => {
      const sample = governor.sample();
      const { cgroupBytes, rssBytes, ledgerBytes, level, ratio } = sample;
      const meter = cgroupBytes > 0 ? 'cgroup' : rssBytes > 0 ? 'rss' : 'ledger';
      const bytes = meter === 'cgroup' ? cgroupBytes : meter === 'rss' ? rssBytes : ledgerBytes;
      return { meter, bytes, level, heldBytes: governor.heldBytes, ratio, limitBytes: governor.limitBytes };
    },
    { bytes: 0, level: 'optimal', heldBytes: 0, ratio: 0, limitBytes: 0 },
  );
}

export async function runCleanup(
  help: CleanupHelp,
  call: CleanupCall,
): Promise<Omit<CleanupOperation, 'number' | 'takenAt'>> {
  const { clock, seats } = help;
  const { why, stage, strategy } = call;
  const startedAt = clock.now();
  for (const seat of seats) seat.refresh();
  const tallies = seats.map((seat) => seat.tally);
  const before = readMemory(help);
  const request = { ...reclaimOf(help, call, before), level: before.level };
  const direct = new Set(seats.filter((seat) => !seat.isInBooks));
  for (const seat of direct) await seat.clean(request);
  const train = await runTrain(help, call, before);
  if (train === undefined) {
    for (const seat of seats) {
      if (direct.has(seat)) continue;
      direct.add(seat);
      await seat.clean(request);
    }
  }
  for (const seat of seats) seat.refresh();
  const after = before.meter === undefined ? before : readMemory(help);
  const cleaned = seats.flatMap((seat, index) => outcomeOf(seat, tallies[index]!));
  const said = seats.map((seat, index) =>
    direct.has(seat) ? seat.tally.claimedBytes - tallies[index]!.claimedBytes : 0,
  );
  // One of the two may be missing: then nothing is known, not that all is gone.
  const isKnown = before.meter !== undefined && after.meter === before.meter;
  const afterBytes = isKnown ? after.bytes : before.bytes;
  return {
    stage,
    why,
    strategy,
    level: before.level,
    ...(isKnown && { meter: before.meter }),
    beforeBytes: before.bytes,
    afterBytes,
    freedBytes: before.bytes - afterBytes,
    releasedBytes: isKnown ? before.heldBytes - after.heldBytes : 0,
    claimedBytes: (train?.claimedBytes ?? 0) + said.reduce((sum, bytes) => sum + bytes, 0),
    items: cleaned.reduce((sum, { items }) => sum + items, 0),
    elapsedMs: Math.max(0, clock.now() - startedAt),
    train: train?.number ?? 0,
    cleaned,
  };
}

/** In mode `observe`: nothing is done, and the governor's journal says what would have been. Never rejects. */
export async function observeCleanup(help: CleanupHelp, call: CleanupCall): Promise<void> {
  for (const seat of help.seats) seat.refresh();
  await runTrain(help, call, readMemory(help));
}

/**
 * Below `high` nobody but the cleanables is asked. `basic` and `aggressive` leave it to each what that means; `smart` wants what has come since the last cleanup, and from `high` on at least
 * what is beyond the aim.
 */
function reclaimOf(
  { consumer, seats }: CleanupHelp,
  { strategy, grownBytes }: CleanupCall,
  { bytes, level, ratio, limitBytes }: CleanupReading,
): ReclaimCallOptions & Pick<ReclaimRequest, 'targetBytes' | 'strategy'> {
  const isPressed = levelRank(level) >= HIGH;
  const within = isPressed || consumer === undefined ? {} : { within: consumer };
  const beyond = isPressed ? Math.ceil((ratio - AIM_SHARE) * limitBytes) : 0;
  const offered = seats.reduce((sum, seat) => sum + seat.bytes, 0);
  let targetBytes = Number.MAX_SAFE_INTEGER;
  if (strategy === 'smart') targetBytes = Math.max(1, grownBytes(bytes), beyond);
  else if (strategy === 'basic' && isPressed) targetBytes = Math.max(1, offered, beyond);
  return { strategy, targetBytes: Math.min(targetBytes, Number.MAX_SAFE_INTEGER), ...within };
}

/** Undefined where there is none to be had. */
async function runTrain(
  help: CleanupHelp,
  call: CleanupCall,
  before: CleanupReading,
): Promise<TrainReport | undefined> {
  const { governor, consumer, clock, failOpen } = help;
  if (consumer === undefined || before.meter === undefined) return undefined;
  let report: TrainReport | undefined;
  try {
    for (let tries = 0; tries < TRAIN_TRIES; tries++) {
      report = await inTime(governor.reclaim(reclaimOf(help, call, before)), clock);
      if (report.why === 'asked' && report.strategy === call.strategy) break;
    }
  } catch (cause) {
    failOpen.note(cause);
  }
  return report;
}

/** Rejects when it has not settled after the longest that a train takes. */
async function inTime<T>(work: Promise<T>, clock: Clock): Promise<T> {
  let timer: Disposable | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = clock.after(MOST_TRAIN_MS, () => reject(new Error('the train did not end')), true);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer?.[Symbol.dispose]();
  }
}

/** What it did since; none when it was not called. */
function outcomeOf({ name, tally }: CleanableSeat, before: CleanableTally): CleanableOutcome[] {
  if (tally.calls === before.calls) return [];
  const { claimedBytes, items, elapsedMs, faults } = tally;
  return [
    {
      name,
      claimedBytes: claimedBytes - before.claimedBytes,
      items: items - before.items,
      elapsedMs: elapsedMs - before.elapsedMs,
      faults: faults - before.faults,
    },
  ];
}
