/**
 * Puts the parts of a governor together. Each part knows only what it is handed here; what they need of one another later is a function, because
 * the one stands before the other is made.
 */
import { Admission } from './admission.ts';
import { Allocator } from './allocator.ts';
import { Budget } from './budget.ts';
import { Collector } from './collector.ts';
import { MEMORY_KINDS, type MemoryKind, type PressureLevel, type ReclaimStrategy } from './contract.ts';
import { DieFast } from './die-fast.ts';
import { Drift } from './drift.ts';
import { EmergencyBreaker } from './emergency-breaker.ts';
import { FairShares } from './fair-shares.ts';
import { Faults } from './faults.ts';
import type { FlightParts } from './flight-dump.ts';
import { FlightRecorder } from './flight-recorder.ts';
import { Garbage } from './garbage.ts';
import type { GovernorMode } from './governor-mode.ts';
import type { ResolvedOptions } from './governor-options.ts';
import { Journal } from './journal.ts';
import { LastResort } from './last-resort.ts';
import { type Account, Ledger } from './ledger.ts';
import { Line } from './line.ts';
import { LoadShed } from './load-shed.ts';
import { countsWasm } from './meters.ts';
import { levelRank, type PressureThresholds } from './pressure.ts';
import { Prices } from './prices.ts';
import { Reclaimers } from './reclaimers.ts';
import { type Reading, Responder } from './responder.ts';
import { Sampler } from './sampler.ts';
import { Scopes } from './scopes.ts';
import { TerminationLog } from './termination-log.ts';
import { Train } from './train.ts';
import { Triggers } from './triggers.ts';

/** What the parts ask of the governor itself. */
export interface GovernorCalls {
  readonly thresholds: () => PressureThresholds;
  readonly strategy: () => ReclaimStrategy;
  readonly runtime: () => Account;
  readonly onLevel: (to: PressureLevel, from: PressureLevel) => void;
  readonly mode: () => GovernorMode;
  /** A sample with all that belongs to it, by the clock. */
  readonly sample: () => void;
  /** The same in a turn of its own: whoever was granted something has had one. */
  readonly sampleByTheClock: () => void;
  /** The same inside a reservation; false when the machine has no room for the bytes that are coming. */
  readonly sampleInline: (comingBytes: number) => boolean;
}

const CRITICAL = levelRank('critical');
const MOST_UNSAMPLED_BYTES = 8_388_608;
const LEAST_UNSAMPLED_BYTES = 262_144;

export type GovernorParts = ReturnType<typeof assemble>;

/** Throws `RangeError` for unsound options of the parts. */
export function assemble(options: ResolvedOptions, calls: GovernorCalls) {
  const books = openBooks(options, calls);
  const late: { lastResort?: LastResort; givingBack?: ReturnType<typeof makeTrain> } = {};
  const sampler = new Sampler({
    clock: options.clock,
    faults: books.faults,
    meters: books.line.meters,
    thresholds: calls.thresholds(),
    onLevel: calls.onLevel,
    acts: () => calls.mode() !== 'off',
    // Where nothing can be trimmed, what the allocator keeps is there for the next who asks it.
    reusableBytes: () => {
      const { allocator, slackBytes } = late.givingBack ?? {};
      return allocator?.why === undefined || slackBytes === undefined ? 0 : slackBytes();
    },
  });
  const drift = makeDrift(books, sampler, calls);
  const afterCollection = () => late.lastResort?.noteCollection(options.clock.now());
  const givingBack = makeTrain(options, calls, books, sampler, drift, afterCollection);
  late.givingBack = givingBack;
  const granting = makeBudget(options, calls, books, sampler, givingBack);
  const triggers = new Triggers({ faults: books.faults });
  const breaker = new EmergencyBreaker({
    ...options.breaker,
    clock: options.clock,
    faults: books.faults,
    sample: calls.sample,
  });
  const shed = new LoadShed({ rules: options.shed, breaker, mode: options.mode });
  const responder = makeResponder(options, calls, books, sampler, givingBack, granting);
  granting.block.responder = responder;
  const lastResort = makeLastResort(options, calls, books, sampler, granting.scopes);
  late.lastResort = lastResort;
  const { fairShares, budget, admission, scopes } = granting;
  return {
    ...books,
    sampler,
    drift,
    ...givingBack,
    fairShares,
    budget,
    admission,
    scopes,
    triggers,
    breaker,
    shed,
    responder,
    lastResort,
  };
}

type Books = ReturnType<typeof openBooks>;

function openBooks(options: ResolvedOptions, calls: GovernorCalls) {
  const { clock, share, root, meters, maxConsumers } = options;
  const faults = new Faults();
  // Who switches the governor off, or lets it only watch, is not stopped by its bounds: going over them is noted.
  const onTooMany = () => {
    if (calls.mode() === 'on') return false;
    faults.note('maxConsumers', `more than ${maxConsumers} are open, which \`on\` would refuse`);
    return true;
  };
  const ledger = new Ledger(1, maxConsumers, onTooMany);
  const mapped = MEMORY_KINDS.indexOf('mapped');
  const line = new Line({
    limitBytes: options.limitBytes,
    share,
    root,
    clock,
    faults,
    meters,
    heldBytes: () => ledger.whole.total,
    mappedBytes: () => ledger.kindBytes(mapped),
  });
  ledger.whole.maxBytes = line.limit.bytes;
  // Past that V8 ends the process, however much the line would leave.
  if (line.v8 !== undefined) {
    const mostBytes = Math.floor(line.v8.heap.limitBytes * calls.thresholds().emergency);
    ledger.boundKind('heap', 'V8’s heap', mostBytes);
  }
  return { faults, ledger, line, journal: new Journal() };
}

function reserved({ ledger }: Books, { runtime }: GovernorCalls): (kind: MemoryKind) => number {
  return (kind) => {
    const bytes = ledger.kindBytes(MEMORY_KINDS.indexOf(kind));
    return kind === 'heap' ? bytes - runtime().own : bytes;
  };
}

function makeDrift(books: Books, sampler: Sampler, calls: GovernorCalls): Drift {
  return new Drift({
    faults: books.faults,
    reservedBytes: reserved(books, calls),
    runtimeBytes: () => calls.runtime().own,
    usedHeapBytes: () => sampler.reading('heap'),
    externalBytes: () => sampler.reading('external'),
    chargedBytes: () => sampler.reading('cgroup'),
    rssBytes: () => sampler.reading('rss'),
  });
}

function makeTrain(
  options: ResolvedOptions,
  calls: GovernorCalls,
  books: Books,
  sampler: Sampler,
  drift: Drift,
  afterCollection: () => void,
) {
  const { clock, collect, pauseBudgetMs, collectShare, reclaimNowBudgetMs, reclaimDeadlineMs } = options;
  const { faults, ledger, journal } = books;
  const prices = new Prices(clock);
  const fairShares = new FairShares({ ledger, headroomShare: options.headroomShare, clock });
  const overShareBytes = (account: Account) => fairShares.overShareBytes(account);
  const reclaimers = new Reclaimers({
    ledger,
    clock,
    faults,
    reclaimNowBudgetMs,
    reclaimDeadlineMs,
    prices,
    overShareBytes,
    mayAskFor: (requester, holder) => fairShares.mayAskFor(requester, holder),
  });
  const heapBytes = () => sampler.bytes('heap');
  const collector = new Collector({ clock, faults, collect, pauseBudgetMs, collectShare, heapBytes });
  const allocator = new Allocator({ clock, faults, enabled: options.trim });
  // In RAM and known to nobody: what the allocator keeps. At the start it is Node itself.
  const unknownBytes = () => sampler.bytes('rss') - sampler.bytes('heap') - sampler.bytes('external');
  let nodeBytes: number | undefined;
  const slackBytes = () => {
    // What V8 has is told from the rest by its own figures.
    if (sampler.reading('heap') === undefined || sampler.reading('external') === undefined) return 0;
    nodeBytes = Math.min(nodeBytes ?? Number.POSITIVE_INFINITY, Math.max(0, unknownBytes()));
    // No more than was ever held at once and is not held now: the rest is somebody's.
    const { peak, total } = ledger.whole;
    return Math.min(peak - total, Math.max(0, unknownBytes() - nodeBytes));
  };
  const garbage = new Garbage({
    reservedBytes: reserved(books, calls),
    usedHeapBytes: heapBytes,
    externalBytes: () => sampler.bytes('external'),
    countsWasm: () => countsWasm() === true,
  });
  const train = new Train({
    ledger,
    reclaimers,
    collector,
    allocator,
    prices,
    journal,
    clock,
    faults,
    measure: (meter) => {
      sampler.take(true);
      return sampler.usedBytes(meter);
    },
    decidingMeter: () => sampler.last().decidingMeter,
    usedBytes: () => sampler.bytes('heap') + sampler.bytes('external'),
    slackBytes,
    trend: () => sampler.trend,
    garbageBytes: (meter) => garbage.bytes(meter),
    afterCollection: () => {
      sampler.take(true);
      drift.noteCollection(clock.now());
      garbage.noteCollection();
      afterCollection();
    },
    detailed: options.journal === 'detailed',
  });
  return { prices, fairShares, reclaimers, collector, allocator, garbage, slackBytes, train };
}

function makeBudget(
  options: ResolvedOptions,
  calls: GovernorCalls,
  { faults, ledger, line }: Books,
  sampler: Sampler,
  { reclaimers, train, fairShares, garbage }: ReturnType<typeof makeTrain>,
) {
  const { clock, mode, sampleEveryBytes, maxWaiters, maxBypass, maxScopes } = options;
  const level = () => sampler.level;
  const block: { responder: Responder | undefined } = { responder: undefined };
  const budget = new Budget({
    ledger,
    reclaimers,
    mode,
    onTracked: ({ kind }, bytes) => garbage.noteTracked(kind, bytes),
    sampleEveryBytes: sampleEveryBytes ?? defaultSampleEvery(line.limit.bytes),
    adaptive: sampleEveryBytes === undefined,
    level,
    onSampleDue: (comingBytes) => {
      try {
        return calls.sampleInline(comingBytes);
      } catch (cause) {
        faults.note('sample', cause);
        return true;
      }
    },
    mayUnblock: () => block.responder?.mayUnblock === true,
    machineRoomBytes: () => block.responder?.roomBytes ?? Number.POSITIVE_INFINITY,
    fixedBytes: () => calls.runtime().own,
    fairShares,
    leakTracker: options.leakTracker,
  });
  const admission = new Admission({
    budget,
    ledger,
    reclaimers,
    clock,
    level,
    maxWaiters,
    maxBypass,
    train: ({ requester, ...call }) =>
      train.run({ ...call, ...(requester && { requester }), why: 'admission', strategy: calls.strategy() }),
    mayGrant: (bytes) => block.responder?.fits(bytes) !== false,
    sample: calls.sampleByTheClock,
    mostBytes: () => block.responder?.mostBytes ?? Number.POSITIVE_INFINITY,
    faults,
  });
  budget.admission = admission;
  const scopes = new Scopes({ budget, ledger, clock, faults, level, maxScopes });
  return { budget, admission, scopes, fairShares, block };
}

function makeResponder(
  options: ResolvedOptions,
  calls: GovernorCalls,
  { faults, ledger, line }: Books,
  sampler: Sampler,
  { train, allocator, garbage, slackBytes }: ReturnType<typeof makeTrain>,
  { scopes, admission, budget, fairShares }: ReturnType<typeof makeBudget>,
): Responder {
  const { clock, coolDownMs } = options;
  return new Responder({
    clock,
    faults,
    mode: calls.mode,
    thresholds: calls.thresholds,
    strategy: calls.strategy,
    coolDownMs,
    reading: (physical) => readingOf({ sampler, line }, clock.now(), physical),
    // What was granted and given back meanwhile is garbage: no less than before.
    outstandingBytes: () => Math.max(garbage.outstandingBytes(), budget.unseenBytes),
    unseenBytes: () => budget.unseenBytes,
    // Where nothing can be trimmed, what the allocator has kept serves the next who asks.
    roomBytes: (share) => sampler.roomBytes(share) + (allocator.why === undefined ? 0 : slackBytes()),
    mostBytes: (share) => sampler.mostBytes(share),
    releasedBytes: () => ledger.releasedBytes,
    train,
    headroomDebtBytes: () => fairShares.headroomDebtBytes(),
    abortLargestScope: (why) => void scopes.abortLargest(why),
    prepare: () => void allocator.prepare(),
    restartTrends: () => sampler.restartTrends(),
    onBlocked: (blocked) => {
      budget.blocked = blocked;
    },
    wake: () => admission.wake(),
  });
}

/** A small limit is filled sooner: 2 MiB of 128, 8 MiB from 512 up. */
function defaultSampleEvery(limitBytes: number): number {
  return Math.min(MOST_UNSAMPLED_BYTES, Math.max(LEAST_UNSAMPLED_BYTES, Math.floor(limitBytes / 64)));
}

/** What the last sample says, for acting. `physical`: whatever the ledger says. */
export function readingOf(
  { sampler, line }: Pick<GovernorParts, 'sampler' | 'line'>,
  nowMs: number,
  physical = false,
): Reading {
  // Books that are full hide what the machine sees no longer than until that is a danger.
  const byLedger = !physical && sampler.deciding.meter === 'ledger' && levelRank(sampler.physicalLevel) < CRITICAL;
  const { meter, bytes, limitBytes } = byLedger ? sampler.deciding : sampler.physical;
  const trend = sampler.trendOf(meter);
  const timeToLineMs = trend?.timeToLineMs(nowMs);
  // Of the whole machine it says nothing about this process.
  const stalledPercent = line.psi?.ofGroup === true ? line.psi.read()?.fullAvg10 : undefined;
  return {
    level: byLedger ? sampler.level : sampler.physicalLevel,
    meter,
    bytes,
    limitBytes: limitBytes === 0 ? line.limit.bytes : limitBytes,
    falling: trend?.isFalling(nowMs) === true,
    ...(timeToLineMs === undefined ? {} : { timeToLineMs }),
    ...(stalledPercent === undefined ? {} : { stalledPercent }),
  };
}

function makeLastResort(
  options: ResolvedOptions,
  calls: GovernorCalls,
  books: Books,
  sampler: Sampler,
  scopes: Scopes,
): LastResort {
  const { clock, mode, flightRecorder, terminationLog, dieFast } = options;
  const { faults, journal, ledger, line } = books;
  const parts: FlightParts = {
    history: sampler.history,
    journal,
    ledger,
    faults,
    mode: calls.mode,
    limitBytes: () => line.limit.bytes,
    level: () => sampler.level,
    decidingMeter: () => sampler.last().decidingMeter,
    scopes: () => scopes.rows(),
  };
  const recorder =
    flightRecorder === undefined || mode === 'off'
      ? undefined
      : new FlightRecorder({ ...flightRecorder, clock, faults, parts });
  const log =
    terminationLog === false || mode === 'off'
      ? undefined
      : new TerminationLog({ path: terminationLog, clock, faults, parts, dumpPath: () => recorder?.lastPath });
  const onDie = (emergencyMs: number) =>
    lastResort.lastWords(`emergency for ${(emergencyMs / 1000).toFixed(1)} s: the process ends itself`);
  const lastResort: LastResort = new LastResort({
    recorder,
    log,
    dieFast: dieFast === undefined || mode === 'off' ? undefined : new DieFast({ ...dieFast, faults, onDie }),
    mayEnd: () => calls.mode() === 'on',
    heapRatio: () => sampler.ratio('heap'),
    filledHeapRatio: () =>
      line.v8 !== undefined && sampler.reading('heap') !== undefined
        ? line.v8.filledHeapBytes() / line.v8.heap.limitBytes
        : sampler.ratio('heap'),
    trainCount: () => journal.count,
  });
  return lastResort;
}
