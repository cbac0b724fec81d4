/**
 * Asks consumers to give back: lowest importance first, among equals the one that can give most.
 *
 * A reclaimer is code of somebody else and may throw, lie, hang, reserve or take too long. What it returns is noted as a claim; what
 * counts is how far the ledger went down while it ran. Whoever releases nothing is left alone for a time that doubles.
 */
import type { Clock } from '../clock.ts';
import { reclaimEvents } from '../events.ts';
import type { PressureLevel, Reclaimer, ReclaimRequest } from './contract.ts';
import { describeCause, type Faults } from './faults.ts';
import type { Account, Ledger, ReclaimRecord } from './ledger.ts';

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
}

interface Candidate {
  readonly account: Account;
  readonly reclaimer: Reclaimer;
  readonly record: ReclaimRecord;
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
    const { branch, targetBytes, level } = call;
    const heldBefore = branch.total;
    try {
      const startedAt = clock.now();
      for (const candidate of this.#candidates(call, 'reclaimNow')) {
        const missing = targetBytes - (heldBefore - branch.total);
        if (missing <= 0 || clock.now() - startedAt >= reclaimNowBudgetMs) break;
        this.#askNow(candidate, branch, requestFor(missing, level));
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
    const { branch, targetBytes, level } = call;
    const heldBefore = branch.total;
    try {
      for (const candidate of this.#candidates(call, 'reclaim')) {
        const missing = targetBytes - (heldBefore - branch.total);
        if (missing <= 0) break;
        if (candidate.account.closed || candidate.account.reclaiming > 0) continue;
        await this.#ask(candidate, branch, requestFor(missing, level));
      }
    } finally {
      this.#running = false;
    }
    return Math.max(0, heldBefore - branch.total);
  }

  #candidates({ requester, branch, targetBytes, wholly }: ReclaimCall, verb: 'reclaimNow' | 'reclaim'): Candidate[] {
    const now = this.#options.clock.now();
    const candidates: Candidate[] = [];
    let saidBytes = 0;
    for (const account of this.#options.ledger.accounts) {
      const { reclaimer, reclaims: record } = account;
      if (reclaimer === undefined || record === undefined || account === requester) continue;
      if (
        account.reclaiming > 0 ||
        account.sections > 0 ||
        record.hung ||
        record.retryAt > now ||
        !account.isWithin(branch)
      )
        continue;
      if (!this.#has(account, reclaimer, record, verb)) continue;
      const bytes = this.reclaimableBytes(account);
      if (bytes > 0) candidates.push({ account, reclaimer, record, bytes });
      saidBytes += bytes;
    }
    if (wholly === true && saidBytes < targetBytes) return [];
    return candidates.sort((a, b) => a.account.importance - b.account.importance || b.bytes - a.bytes);
  }

  /** Whether it has that verb: looking may run code of somebody else. */
  #has(account: Account, reclaimer: Reclaimer, record: ReclaimRecord, verb: 'reclaimNow' | 'reclaim'): boolean {
    try {
      return reclaimer[verb] !== undefined;
    } catch (cause) {
      this.#fault(account, record, cause);
      return false;
    }
  }

  #askNow(candidate: Candidate, branch: Account, request: ReclaimRequest): void {
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
    this.#settle(candidate, request, 'now', claimed, heldBefore - branch.total, elapsedMs, fault);
  }

  async #ask(candidate: Candidate, branch: Account, request: ReclaimRequest): Promise<void> {
    const { account, reclaimer, record } = candidate;
    const { clock, reclaimDeadlineMs } = this.#options;
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
        reclaimDeadlineMs,
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
    const fault = late ? `it did not end within ${reclaimDeadlineMs}ms` : outcome?.fault;
    const elapsedMs = clock.now() - startedAt;
    this.#settle(candidate, request, 'waiting', outcome?.claimed, heldBefore - branch.total, elapsedMs, fault);
  }

  #settle(
    { account, record }: Candidate,
    request: ReclaimRequest,
    how: 'now' | 'waiting',
    claimed: unknown,
    released: number,
    elapsedMs: number,
    fault: unknown,
  ): void {
    const releasedBytes = Math.max(0, released);
    let claimedBytes = 0;
    if (fault === undefined) {
      if (typeof claimed === 'number' && claimed >= 0) claimedBytes = Math.min(claimed, Number.MAX_SAFE_INTEGER);
      else fault = new TypeError(`what it gave back is not a number of bytes: ${typeof claimed}`);
    }
    record.calls++;
    record.claimedBytes += claimedBytes;
    record.releasedBytes += releasedBytes;
    if (releasedBytes > 0) {
      record.futile = 0;
      record.retryAt = Number.NEGATIVE_INFINITY;
    } else if (fault === undefined) {
      this.#backOff(record, 1);
    }
    if (fault !== undefined) this.#fault(account, record, fault);
    if (!reclaimEvents.heard) return;
    const { targetBytes } = request;
    const message = { consumer: account.name, targetBytes, claimedBytes, releasedBytes, elapsedMs, how };
    reclaimEvents.publish(fault === undefined ? message : { ...message, fault: describeCause(fault) });
  }

  #fault(account: Account, record: ReclaimRecord, cause: unknown): void {
    record.faults++;
    this.#backOff(record, FAULT_WEIGHT);
    this.#options.faults.note(partOf(account), cause);
  }

  #backOff(record: ReclaimRecord, weight: number): void {
    record.futile = Math.min(record.futile + weight, 32);
    const ms = Math.min(FIRST_BACK_OFF_MS * 2 ** (record.futile - 1), LONGEST_BACK_OFF_MS);
    record.retryAt = this.#options.clock.now() + ms;
  }
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

function requestFor(targetBytes: number, level: PressureLevel): ReclaimRequest {
  const strategy = level === 'critical' || level === 'emergency' ? 'aggressive' : 'basic';
  return { targetBytes: Math.max(1, Math.ceil(targetBytes)), level, strategy };
}

function partOf(account: Account): string {
  return `reclaimer of ${account.name}`;
}
