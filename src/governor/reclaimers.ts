/**
 * Asks consumers to give back: first those over their fair share, then the least important, then the cheapest kind of memory, then the one that
 * can give most. A price counts by powers of four: what is learned wavers, and the order should not.
 *
 * A reclaimer is code of somebody else and may throw, lie, hang, reserve or take too long. What it returns is noted as a claim; what
 * counts is how far the ledger went down while it ran. Whoever releases nothing is left alone for a time that doubles.
 */
import type { Clock } from '../clock.ts';
import { describeCause } from '../describe-cause.ts';
import { reclaimEvents } from '../events.ts';
import type { MemoryKind, PressureLevel, Reclaimer, ReclaimRequest, ReclaimStrategy } from './contract.ts';
import type { Faults } from './faults.ts';
import type { Account, BackOff, Ledger, ReclaimRecord } from './ledger.ts';
import type { MeterName } from './meters.ts';
import type { Prices } from './prices.ts';

const FIRST_BACK_OFF_MS = 10;
const LONGEST_BACK_OFF_MS = 5_000;
/** A fault weighs as much as so many runs in vain. */
const FAULT_WEIGHT = 4;
const SCRATCH_BYTES = 65_536;

export interface ReclaimersOptions {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly faults: Faults;
  /** The most that all the `reclaimNow` inside one reservation may take together, ms; looked at between two of them. */
  readonly reclaimNowBudgetMs: number;
  /** How long one `reclaim` may take before its signal is aborted and it is waited for no longer, ms. */
  readonly reclaimDeadlineMs: number;
  /** Told what each released, asked what a kind of memory costs. Default: all cost the same. */
  readonly prices?: Prices;
  /** By how much a consumer is over its fair share. Default: nobody is. */
  readonly overShareBytes?: (account: Account) => number;
  /** Whether one may make another give back. Default: always. */
  readonly mayAskFor?: (requester: Account | undefined, holder: Account) => boolean;
}

/** Who wants how much, and from whom. */
export interface ReclaimCall {
  /** Never asked itself. */
  readonly requester: Account | undefined;
  /** Only those within it are asked; what counts is how far its total goes down. */
  readonly branch: Account;
  readonly targetBytes: number;
  readonly level: PressureLevel;
  /** Nobody is asked when all of them together say they have less than that. Default false. */
  readonly wholly?: boolean;
  /** Default: `aggressive` from `critical` on, else `basic`. */
  readonly strategy?: ReclaimStrategy;
  /** Each is asked for all it has, whatever is missing. Default false. */
  readonly everything?: boolean;
  /** The meter that is to go down: prices are by it. Default `ledger`. */
  readonly meter?: MeterName;
  /** Kinds that are not asked. Default none. */
  readonly spares?: (kind: MemoryKind) => boolean;
  /** Instead of the time for all `reclaimNow` together, or of the deadline for one `reclaim` where that is longer, ms. */
  readonly maxMs?: number;
  /** Hears of each that was asked, right afterwards; true when that is enough. */
  readonly onAsked?: (asked: Asked) => boolean;
}

/** What came of asking one. */
export interface Asked {
  readonly consumer: string;
  readonly claimedBytes: number;
  readonly releasedBytes: number;
  readonly elapsedMs: number;
  readonly fault?: string;
}

const VERBS = ['reclaimNow', 'reclaim'] as const;
type Verb = (typeof VERBS)[number];

interface Candidate {
  readonly account: Account;
  readonly reclaimer: Reclaimer;
  readonly record: ReclaimRecord;
  readonly bytes: number;
  readonly over: boolean;
  /** Of the kind, as a power of four. */
  readonly price: number;
}

/** What a consumer could be asked for, and where it stands in the order. */
export interface Offer {
  readonly account: Account;
  readonly bytes: number;
}

export class Reclaimers {
  readonly #options: ReclaimersOptions;
  #scratch: Uint8Array | undefined;
  #busy = false;
  #running = false;

  constructor(options: ReclaimersOptions) {
    this.#options = options;
  }

  /** True while an asynchronous run is under way: a second does not start. */
  get running(): boolean {
    return this.#running;
  }

  /** Makes the scratch buffer ahead of need, so that giving back needs no memory. */
  prepare(reclaimer: Reclaimer | undefined): void {
    try {
      if (reclaimer?.reclaim === undefined) return;
    } catch {
      // Noted when it is to be asked.
      return;
    }
    this.#scratch ??= new Uint8Array(SCRATCH_BYTES);
  }

  /** What a consumer says it could give back, as far as that can be true; 0 from one that throws or talks nonsense. */
  reclaimableBytes(account: Account): number {
    if (account.reclaimer === undefined) return 0;
    try {
      const bytes: unknown = account.reclaimer.reclaimableBytes();
      if (typeof bytes === 'number' && bytes >= 0) return Math.min(bytes, account.total);
      this.#options.faults.watch(partOf(account), bytes);
      throw new TypeError(`reclaimableBytes gave ${String(bytes)}`);
    } catch (cause) {
      this.#fault(account, account.reclaims!, cause);
      return 0;
    }
  }

  /**
   * Asks for bytes at once. Returns by how much the branch went down. A reservation made by a reclaimer meanwhile gets the room
   * there is, and starts no further reclaim.
   */
  reclaimNow(call: ReclaimCall): number {
    if (this.#busy) return 0;
    this.#busy = true;
    const { clock, reclaimNowBudgetMs } = this.#options;
    const { branch, targetBytes, everything = false, maxMs = reclaimNowBudgetMs } = call;
    const heldBefore = branch.total;
    try {
      const candidates = this.#candidates(call, ['reclaimNow']);
      const startedAt = clock.now();
      for (const [index, candidate] of candidates.entries()) {
        const missing = targetBytes - (heldBefore - branch.total);
        if (missing <= 0 && !everything) break;
        // One is always asked: a pause of the process must not be taken for their time.
        if (index > 0 && clock.now() - startedAt >= maxMs) break;
        // The one before may have ended it, or begun a section in it.
        if (!mayBeAsked(candidate.account)) continue;
        const asked = this.#askNow(candidate, branch, requestFor(missing, candidate, call));
        if (call.onAsked?.(asked) === true) break;
      }
    } finally {
      this.#busy = false;
    }
    return Math.max(0, heldBefore - branch.total);
  }

  /**
   * The same with waiting: those that can only give back so. One run at a time; a second call while one is under way resolves to 0 at once.
   * Takes at most the deadline for each consumer asked, whatever they do. Never rejects.
   */
  async reclaim(call: ReclaimCall): Promise<number> {
    if (this.#running) return 0;
    this.#running = true;
    const { clock, reclaimDeadlineMs } = this.#options;
    const { branch, targetBytes, everything = false, maxMs = Number.POSITIVE_INFINITY } = call;
    const heldBefore = branch.total;
    try {
      const startedAt = clock.now();
      for (const candidate of this.#candidates(call, ['reclaim'])) {
        const missing = targetBytes - (heldBefore - branch.total);
        const leftMs = maxMs - (clock.now() - startedAt);
        if ((missing <= 0 && !everything) || leftMs <= 0) break;
        if (!mayBeAsked(candidate.account)) continue;
        const deadlineMs = Math.min(reclaimDeadlineMs, leftMs);
        const asked = await this.#ask(candidate, branch, requestFor(missing, candidate, call), deadlineMs);
        if (call.onAsked?.(asked) === true) break;
      }
    } finally {
      this.#running = false;
    }
    return Math.max(0, heldBefore - branch.total);
  }

  /** Who would be asked now, and for how much, in order. Nobody is. */
  offers(call: ReclaimCall): Offer[] {
    return this.#candidates(call, VERBS);
  }

  #candidates(call: ReclaimCall, verbs: readonly Verb[]): Candidate[] {
    const { requester, branch, targetBytes, wholly } = call;
    const now = this.#options.clock.now();
    const candidates: Candidate[] = [];
    let saidBytes = 0;
    for (const account of this.#options.ledger.accounts) {
      const { reclaimer, reclaims: record } = account;
      if (reclaimer === undefined || record === undefined || account === requester) continue;
      if (!mayBeAsked(account) || !account.isWithin(branch)) continue;
      if (call.spares?.(account.kind) === true) continue;
      if (this.#options.mayAskFor?.(requester, account) === false) continue;
      // One whose last `reclaim` has not ended can still give back at once.
      const may = (verb: Verb) =>
        !(record.hung && verb === 'reclaim') &&
        isDue(record.backOffs[verb], now) &&
        this.#has(account, reclaimer, record, verb);
      if (!verbs.some(may)) continue;
      const bytes = this.reclaimableBytes(account);
      saidBytes += bytes;
      if (bytes <= 0) continue;
      const price = this.#price(account.kind, call.meter ?? 'ledger');
      candidates.push({ account, reclaimer, record, bytes, over: this.#isOverShare(account), price });
    }
    if (wholly === true && saidBytes < targetBytes) return [];
    return candidates.sort(
      (a, b) =>
        Number(b.over) - Number(a.over) ||
        a.account.importance - b.account.importance ||
        a.price - b.price ||
        b.bytes - a.bytes,
    );
  }

  /** Which power of four the price of that kind is. */
  #price(kind: MemoryKind, meter: MeterName): number {
    const msPerByte = this.#options.prices?.msPerByte(meter, kind, true) ?? 0;
    return Math.round(Math.log2(Math.min(1, Math.max(1e-12, msPerByte))) / 2);
  }

  #isOverShare(account: Account): boolean {
    try {
      return (this.#options.overShareBytes?.(account) ?? 0) > 0;
    } catch (cause) {
      this.#options.faults.note('fair shares', cause);
      return false;
    }
  }

  /** Whether it has that verb: looking may run code of somebody else. */
  #has(account: Account, reclaimer: Reclaimer, record: ReclaimRecord, verb: Verb): boolean {
    try {
      return reclaimer[verb] !== undefined;
    } catch (cause) {
      this.#fault(account, record, cause);
      return false;
    }
  }

  #askNow(candidate: Candidate, branch: Account, request: ReclaimRequest): Asked {
    const { account, reclaimer } = candidate;
    const startedAt = this.#options.clock.now();
    const heldBefore = branch.total;
    let claimed: unknown;
    let fault: unknown;
    account.reclaiming++;
    try {
      claimed = reclaimer.reclaimNow!(request);
      this.#options.faults.watch(partOf(account), claimed);
    } catch (cause) {
      fault = cause ?? 'nothing was thrown';
    } finally {
      account.reclaiming--;
    }
    const elapsedMs = this.#options.clock.now() - startedAt;
    if (elapsedMs > this.#options.reclaimNowBudgetMs) candidate.record.overruns++;
    return this.#settle(candidate, request, 'now', claimed, heldBefore - branch.total, elapsedMs, fault);
  }

  async #ask(candidate: Candidate, branch: Account, request: ReclaimRequest, deadlineMs: number): Promise<Asked> {
    const { account, reclaimer, record } = candidate;
    const { clock } = this.#options;
    const startedAt = clock.now();
    const heldBefore = branch.total;
    const abort = new AbortController();
    // Somebody that hangs keeps the scratch it was given: the next one gets another.
    const scratch = this.#scratch ?? new Uint8Array(SCRATCH_BYTES);
    this.#scratch = undefined;
    account.reclaiming++;
    let late = false;
    const work = settled(() => reclaimer.reclaim!(request, { signal: abort.signal, scratch }));
    void work.then(() => {
      this.#scratch = scratch;
      record.hung = false;
    });
    const outcome = await new Promise<Outcome | undefined>((resolve) => {
      const timer = clock.after(
        deadlineMs,
        () => {
          late = true;
          record.hung = true;
          abort.abort(new DOMException('the time for giving back is over', 'TimeoutError'));
          resolve(undefined);
        },
        true,
      );
      void work.then((result) => {
        timer[Symbol.dispose]();
        resolve(result);
      });
    });
    account.reclaiming--;
    if (late) record.overruns++;
    const fault = late ? `it did not end within ${Math.round(deadlineMs)}ms` : outcome?.fault;
    const elapsedMs = clock.now() - startedAt;
    return this.#settle(candidate, request, 'waiting', outcome?.claimed, heldBefore - branch.total, elapsedMs, fault);
  }

  #settle(
    { account, record }: Candidate,
    request: ReclaimRequest,
    how: 'now' | 'waiting',
    claimed: unknown,
    released: number,
    elapsedMs: number,
    fault: unknown,
  ): Asked {
    const releasedBytes = Math.max(0, released);
    let claimedBytes = 0;
    if (fault === undefined) {
      if (typeof claimed === 'number' && claimed >= 0) claimedBytes = Math.min(claimed, Number.MAX_SAFE_INTEGER);
      else fault = new TypeError(`what it gave back is not a number of bytes: ${typeof claimed}`);
    }
    record.calls++;
    record.claimedBytes += claimedBytes;
    record.releasedBytes += releasedBytes;
    const verb: Verb = how === 'now' ? 'reclaimNow' : 'reclaim';
    const backOff = record.backOffs[verb];
    if (releasedBytes > 0) {
      backOff.futile = 0;
      backOff.retryAt = Number.NEGATIVE_INFINITY;
    } else if (fault === undefined) {
      this.#backOff(backOff, 1);
    }
    if (fault !== undefined) this.#fault(account, record, fault, verb);
    this.#options.prices?.noteReclaim(account.kind, releasedBytes, elapsedMs);
    const why = fault === undefined ? {} : { fault: describeCause(fault) };
    const asked: Asked = { consumer: account.name, claimedBytes, releasedBytes, elapsedMs, ...why };
    if (reclaimEvents.heard) {
      const { targetBytes } = request;
      reclaimEvents.publish({
        consumer: account.name,
        targetBytes,
        claimedBytes,
        releasedBytes,
        elapsedMs,
        how,
        ...why,
      });
    }
    return asked;
  }

  /** Without a verb of both: it could not even say what it has. */
  #fault(account: Account, record: ReclaimRecord, cause: unknown, verb?: Verb): void {
    record.faults++;
    for (const one of verb === undefined ? VERBS : [verb]) this.#backOff(record.backOffs[one], FAULT_WEIGHT);
    this.#options.faults.note(partOf(account), cause);
  }

  #backOff(backOff: BackOff, weight: number): void {
    backOff.futile = Math.min(backOff.futile + weight, 32);
    const ms = Math.min(FIRST_BACK_OFF_MS * 2 ** (backOff.futile - 1), LONGEST_BACK_OFF_MS);
    backOff.retryAt = this.#options.clock.now() + ms;
  }
}

/** Also when the wait is longer than any: the clock went back. */
function isDue({ retryAt }: BackOff, now: number): boolean {
  const waitMs = retryAt - now;
  return waitMs <= 0 || waitMs > LONGEST_BACK_OFF_MS;
}

interface Outcome {
  readonly claimed?: unknown;
  readonly fault?: unknown;
}

/** Runs work of somebody else to its end, whichever way it fails. */
async function settled(work: () => Promise<number>): Promise<Outcome> {
  try {
    return { claimed: await work() };
  } catch (cause) {
    return { fault: cause ?? 'nothing was thrown' };
  }
}

/** Nobody asks what has ended, what is being asked, and what is in the middle of a change. */
function mayBeAsked(account: Account): boolean {
  return !account.closed && account.reclaiming === 0 && account.sections === 0;
}

function requestFor(
  missing: number,
  { bytes }: Candidate,
  { level, strategy, everything }: ReclaimCall,
): ReclaimRequest {
  const usual = level === 'critical' || level === 'emergency' ? 'aggressive' : 'basic';
  const targetBytes = Math.max(1, Math.ceil(everything === true ? Math.max(missing, bytes) : missing));
  return { targetBytes: Math.min(targetBytes, Number.MAX_SAFE_INTEGER), level, strategy: strategy ?? usual };
}

function partOf(account: Account): string {
  return `reclaimer of ${account.name}`;
}
