/**
 * The synchronous path of a reservation: own room, then what others can give back at once. When both fail it is refused.
 *
 * The books are charged before anybody allocates; a sample is taken before the bytes are granted that fill the next
 * `sampleEveryBytes`, because no timer fires inside a synchronous loop.
 */
import { DisposedError } from '../errors.ts';
import { refusedEvents } from '../events.ts';
import { invalidOption } from '../invalid-option.ts';
import type { LeakTracker } from '../leak-tracker.ts';
import type { Admission } from './admission.ts';
import { BudgetExceededError, type BudgetRefusal, type Obstacle, type RefusalReason } from './budget-errors.ts';
import type { BudgetOptions } from './budget-options.ts';
import type { AdmitOptions, Consumer } from './contract.ts';
import type { GovernorMode } from './governor-mode.ts';
import type { Account, Ledger } from './ledger.ts';
import { fullScope, type Holding, prepaidBytes } from './scope-tag.ts';
import type { Scopes } from './scopes.ts';

const LARGEST_HOLDERS = 5;
const STEPS_TO_CRITICAL = 16;
/** A sample takes about 20 µs: where it found no room, what is asked for comes to this much before the next. */
const REFUSED_BETWEEN_BYTES = 65_536;
/** Of a refusal that no sample changes. */
const OWN_REASONS: ReadonlySet<RefusalReason> = new Set(['scope', 'aborted', 'share', 'queue']);
const BLOCK: Obstacle = { reason: 'emergency', boundBy: 'the machine', availableBytes: 0 };
const MACHINE: Obstacle = { reason: 'machine', boundBy: 'the machine', availableBytes: 0 };

export class Budget {
  readonly ledger: Ledger;
  /** Set by the governor. */
  mode: GovernorMode;
  refusals = 0;
  /** Set once by the governor: who waits is woken by what is given back. */
  admission: Admission | undefined;
  /**
   * What those who wait were granted lately: they allocate it when they have their turn, and until then no meter shows it. Halved with each sample by
   * the clock.
   */
  unseenBytes = 0;
  /** Set while scopes are open, by them: nobody outside pays for more than a look at it. */
  scoping: Scopes | undefined;
  /** Follows reservations, where somebody wants to know which are forgotten. */
  readonly leakTracker: LeakTracker | undefined;
  #queued = false;
  #blocked = false;
  /** Either of the two: one look for whoever reserves. */
  #careful = false;
  readonly #options: BudgetOptions;
  readonly #accounts = new WeakMap<Consumer, Account>();
  #sampleEveryBytes: number;
  #unsampledBytes = 0;
  #machineRoom = Number.POSITIVE_INFINITY;
  /** Since a sample that found too little: what was refused without another, and what was given back. */
  #refusedUnseenBytes = Number.POSITIVE_INFINITY;
  /** Since the last sample drawn from pots, or refused for what a sample may change: a synchronous loop has to hear of that too. */
  #otherBytes = 0;
  /** What the machine had the last time that it had no room. */
  #machine = MACHINE;
  #closed = false;
  /** What the last refusal was for, and for whom: the error says the same. */
  #refused: { readonly account: Account; readonly bytes: number; readonly obstacle: Obstacle } | undefined;

  constructor(options: BudgetOptions) {
    this.#options = options;
    this.ledger = options.ledger;
    this.mode = options.mode;
    this.leakTracker = options.leakTracker;
    this.#sampleEveryBytes = options.sampleEveryBytes;
  }

  register(consumer: Consumer, account: Account): void {
    this.#accounts.set(consumer, account);
  }

  /** The account behind a consumer. Throws `RangeError` for one of another governor or of somebody's own making. */
  accountOf(consumer: Consumer, option: string): Account {
    const account = typeof consumer === 'object' && consumer !== null ? this.#accounts.get(consumer) : undefined;
    if (account === undefined) throw invalidOption(option, 'a consumer of this governor', consumer);
    if (account.closed) throw new DisposedError(`the consumer ${account.name}`);
    return account;
  }

  /** True while somebody waits: who does not wait then asks the queue whether it may pass. Set by the queue. */
  get queued(): boolean {
    return this.#queued;
  }

  set queued(queued: boolean) {
    this.#queued = queued;
    this.#careful = queued || this.#blocked;
  }

  /**
   * Set while a meter, not the books, is at the line and giving back has not changed that: every reservation is refused, of what was
   * declared up front as well. Whoever lifts it wakes the queue.
   */
  get blocked(): boolean {
    return this.#blocked;
  }

  set blocked(blocked: boolean) {
    this.#blocked = blocked;
    this.#careful = blocked || this.#queued;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The next sample inside a reservation is due after a sixteenth of what it is to `critical`, and when what the machine has room for is granted. Unless a rhythm was asked for. */
  noteRoom(roomBytes: number, machineRoomBytes: number): void {
    const { sampleEveryBytes, adaptive } = this.#options;
    if (adaptive !== true) return;
    this.#machineRoom = Math.max(0, machineRoomBytes);
    const everyBytes = Math.max(sampleEveryBytes, Math.floor(roomBytes / STEPS_TO_CRITICAL));
    this.#sampleEveryBytes = Math.min(everyBytes, this.#machineRoom);
  }

  /**
   * Books `bytes` on `account`, and on the scope of `holding`, when there is room or others give it back at once. False also when the account,
   * or the governor, came to its end meanwhile: code of others runs in here (listeners, reclaimers, whoever hears of events), and between it
   * and the booking nothing may. `admitted`: it would wait otherwise.
   */
  tryTake(account: Account, bytes: number, holding?: Holding, admitted?: boolean): boolean {
    if (account.closed || this.#closed) throw this.ended(account);
    const unsampled = this.#unsampledBytes + bytes;
    // Small on purpose: V8 inlines this into whoever reserves, and all that is not usual stands elsewhere.
    if (
      holding !== undefined ||
      this.#careful ||
      account.fair !== undefined ||
      unsampled >= this.#sampleEveryBytes ||
      this.ledger.obstacle(account, bytes) !== undefined
    ) {
      return this.#takeWithCare(account, bytes, holding, admitted === true);
    }
    this.#unsampledBytes = unsampled;
    this.ledger.charge(account, bytes);
    return true;
  }

  /** Resolves when `bytes` are booked on `account`, and on the scope of `holding`. */
  async admit(account: Account, bytes: number, options: AdmitOptions, holding: Holding | undefined): Promise<void> {
    this.check(account);
    await this.admission!.admit(account, bytes, options, holding);
  }

  /** Books without asking whether there is room; what pots pay only moves. */
  book(account: Account, bytes: number, holding: Holding | undefined): void {
    holding?.take(bytes, this.ledger);
    this.ledger.charge(account, bytes);
  }

  /** Books `bytes` back, which the account holds, and wakes who waits. */
  give(account: Account, bytes: number): void {
    this.ledger.release(account, bytes);
    this.#refusedUnseenBytes += bytes;
    this.admission?.wake();
  }

  /** Books what was found to be there, or to be gone when below 0, whatever the bounds say. */
  track(account: Account, bytes: number): void {
    if (account.closed || (this.#closed && bytes > 0)) throw this.ended(account);
    if (bytes > Number.MAX_SAFE_INTEGER - this.ledger.whole.total) {
      throw invalidOption('bytes', 'no more than there is room for in a number', bytes);
    }
    this.#options.onTracked?.(account, bytes);
    if (bytes < 0) this.give(account, -bytes);
    else if (bytes > 0) {
      this.ledger.charge(account, bytes);
      this.#otherBytes += bytes;
      const isDue = this.#unsampledBytes + this.#otherBytes >= this.#sampleEveryBytes;
      if (isDue && account.reclaiming === 0) this.#sample(this.#unsampledBytes, 0);
    }
  }

  /**
   * Moves bytes between accounts; what moves loses its tag. What stands above both, the whole at least, needs no room: there nothing
   * changes, and shares are not looked at. An account that was closed has nothing to move.
   */
  move(from: Account, to: Account, bytes: number, holding: Holding | undefined): void {
    this.check(from);
    this.check(to);
    if (from !== to) this.#moveBetween(from, to, bytes);
    holding?.untag();
    this.admission?.wake();
  }

  close(account: Account): void {
    if (account.closed) return;
    if (this.ledger.close(account) > 0) this.scoping?.forgetClosed();
    this.admission?.forget(account);
    this.admission?.wake();
  }

  /** What nobody can have: held by the runtime. */
  fixedBytes(): number {
    return this.#options.fixedBytes();
  }

  /** From now on nothing is granted. */
  shut(): void {
    this.#closed = true;
  }

  /**
   * The error for a refusal that has just been: `PLIMSOLL_DISPOSED` when that is why, the reason of the abort in an aborted scope. About 10 µs:
   * the holders are sorted.
   */
  refusal(account: Account, bytes: number, holding: Holding | undefined): unknown {
    if (account.closed || this.#closed) return this.ended(account);
    const refused = this.#refused;
    this.#refused = undefined;
    const failure = this.mode === 'on' ? holding?.liveScope?.failure : undefined;
    if (failure !== undefined) return failure.reason;
    const obstacle = refused?.account === account && refused.bytes === bytes ? refused.obstacle : undefined;
    return this.exceeded(account, bytes, obstacle ?? this.#obstacleOf(this.ledger.obstacle(account, bytes)));
  }

  /** What a refusal says of who stood in the way; where that has no bound of its own, the room is that of the whole. */
  obstacle(reason: RefusalReason, { name, room }: { readonly name: string; readonly room: number }): Obstacle {
    return { reason, boundBy: name, availableBytes: Number.isFinite(room) ? room : this.ledger.whole.room };
  }

  /** The error for a refusal of `bytes` more on `account` by `obstacle`. */
  exceeded(account: Account, bytes: number, obstacle: Obstacle): BudgetExceededError {
    const refusal: BudgetRefusal = {
      consumer: account.name,
      requestedBytes: bytes,
      heldBytes: account.total,
      maxBytes: account.maxBytes,
      reason: obstacle.reason,
      boundBy: obstacle.boundBy,
      availableBytes: obstacle.availableBytes,
      limitBytes: this.ledger.whole.maxBytes,
      holders: this.ledger.holders(LARGEST_HOLDERS),
    };
    return new BudgetExceededError(refusal);
  }

  /** Throws `DisposedError` when the account or the governor has come to its end. */
  check(account: Account): void {
    if (account.closed || this.#closed) throw this.ended(account);
  }

  ended(account: Account): DisposedError {
    return new DisposedError(account.closed ? `the consumer ${account.name}` : 'the governor');
  }

  /** Whether the shares leave it `bytes`. */
  hasShare(account: Account, bytes: number): boolean {
    const { fairShares } = this.#options;
    return (
      bytes === 0 || account.fair === undefined || fairShares === undefined || fairShares.mayTake(account.fair, bytes)
    );
  }

  /** It lacks room: so it counts among those that share. */
  noteWant(account: Account, bytes: number): void {
    if (account.fair !== undefined) this.#options.fairShares?.noteWant?.(account.fair, bytes);
  }

  /** As `tryTake`, where there is more to look at than the room in the ledger: a sample is due, a scope, a queue, a share, or there is no room. */
  #takeWithCare(account: Account, bytes: number, holding: Holding | undefined, admitted: boolean): boolean {
    const dueBytes = this.#sampleEveryBytes - this.#unsampledBytes - this.#otherBytes;
    const mayUnblock = this.#blocked && this.#options.mayUnblock();
    const mayBeDue = mayUnblock || bytes >= dueBytes;
    const isRefused = mayBeDue && this.mode === 'on' && this.#isRefused(account, bytes, holding, admitted);
    // What is refused whatever the machine has, or has no room in the books yet, is not coming; nor is what pots have paid: it came when they were filled.
    const needBytes = bytes - prepaidBytes(holding?.scope, bytes);
    if (!isRefused && !admitted && this.#isKnownFull(needBytes)) return !this.#refuse(account, bytes, this.#machine);
    const comingBytes = isRefused || this.ledger.obstacle(account, bytes) !== undefined ? 0 : needBytes;
    let fits = true;
    let isSeen = false;
    if (mayUnblock || (isRefused && !this.#blocked ? 0 : bytes) >= dueBytes) {
      isSeen = comingBytes > 0;
      fits = this.#sample(this.#unsampledBytes, comingBytes);
      if (account.closed || this.#closed) return false;
    }
    if (bytes > 0 && this.mode !== 'off') {
      // The sample may have lifted what was in the way.
      if (isRefused && !this.#hasRoom(account, bytes, holding, admitted)) return false;
      if (!fits) {
        if (this.#refuse(account, bytes, this.#blocked ? BLOCK : this.#machine)) return false;
      } else if (this.mode === 'observe') this.#observe(account, bytes, holding, admitted);
      else if (!isRefused && !this.#hasRoom(account, bytes, holding, admitted)) return false;
      else if (comingBytes === 0 && needBytes >= this.#sampleEveryBytes) {
        if (!this.#isThere(account, bytes, needBytes, holding, admitted)) return false;
        isSeen = true;
      }
      if (account.closed || this.#closed) return false;
    }
    // From there on numbers are not whole any more: in no mode do the books go further.
    if (bytes > Number.MAX_SAFE_INTEGER - this.ledger.whole.total) {
      this.#noteRefusal(account, bytes, this.#obstacleOf(this.ledger.whole), false);
      return false;
    }
    if (!isSeen) this.#unsampledBytes += needBytes;
    this.#otherBytes += bytes - needBytes;
    const slippedBytes = this.#queued && !admitted ? bytes - prepaidBytes(holding?.scope, bytes) : 0;
    this.book(account, bytes, holding);
    if (slippedBytes > 0) this.admission?.turns.noteSlip(account, slippedBytes);
    return true;
  }

  /** Whether a sample has found a moment ago that the machine has no room for so much. What is large is worth a look of its own, and what that has given back. */
  #isKnownFull(needBytes: number): boolean {
    if (this.#refusedUnseenBytes + needBytes >= REFUSED_BETWEEN_BYTES || this.mode !== 'on' || this.#blocked)
      return false;
    if (needBytes <= this.#machineRoom - this.#unsampledBytes) return false;
    this.#refusedUnseenBytes += needBytes;
    return true;
  }

  /** Whether the scope, a block, the queue or its share stands in the way, whatever the machine has. */
  #isRefused(account: Account, bytes: number, holding: Holding | undefined, admitted: boolean): boolean {
    if (bytes === 0) return false;
    if (this.#barrier(account, bytes, holding, admitted) !== undefined) return true;
    return !this.hasShare(account, bytes) && this.ledger.obstacle(account, bytes) === undefined;
  }

  /** False when the machine has no room for what is coming: `grantedBytes` since the last sample, and those that are asked for. */
  #sample(grantedBytes: number, comingBytes: number): boolean {
    let fits = true;
    this.#unsampledBytes = this.#otherBytes = 0;
    this.#outside(() => {
      fits = this.#options.onSampleDue(grantedBytes + comingBytes);
    });
    this.#refusedUnseenBytes = fits ? Number.POSITIVE_INFINITY : 0;
    if (fits) return true;
    const roomBytes = (this.#options.machineRoomBytes?.() ?? this.ledger.whole.room) - grantedBytes;
    this.#machine = { ...MACHINE, availableBytes: Math.max(0, Math.floor(roomBytes)) };
    return false;
  }

  /** Room that the books have made a moment ago, or a sample: whether the machine has it as well. */
  #isThere(
    account: Account,
    bytes: number,
    needBytes: number,
    holding: Holding | undefined,
    admitted: boolean,
  ): boolean {
    if (!this.#sample(0, needBytes)) return !this.#refuse(account, bytes, this.#blocked ? BLOCK : this.#machine);
    // Who heard of the sample may have taken it, and what followed from it may have aborted the scope.
    const taken = this.ledger.obstacleBeside(account, bytes, prepaidBytes(holding?.scope, bytes), false);
    const obstacle = this.#barrier(account, bytes, holding, admitted) ?? (taken && this.#obstacleOf(taken));
    return obstacle === undefined || !this.#refuse(account, bytes, obstacle, holding);
  }

  #hasRoom(account: Account, bytes: number, holding: Holding | undefined, admitted: boolean): boolean {
    // What needs no reclaim first: nobody gives back for what cannot be had all the same.
    const barrier = this.#barrier(account, bytes, holding, admitted);
    if (barrier !== undefined) return !this.#refuse(account, bytes, barrier, holding);
    const obstacle = this.ledger.obstacleBeside(account, bytes, prepaidBytes(holding?.scope, bytes), false);
    if (obstacle !== undefined) {
      if (!this.#makeRoom(account, bytes, obstacle, holding)) return false;
      // Who gave back may have reserved, or aborted, in the same scope.
      const risen = this.#barrier(account, bytes, holding, admitted);
      if (risen !== undefined) return !this.#refuse(account, bytes, risen, holding);
    }
    return (
      this.hasShare(account, bytes) || !this.#refuse(account, bytes, this.obstacle('share', account.fair ?? account))
    );
  }

  /** Notes what would have been refused. */
  #observe(account: Account, bytes: number, holding: Holding | undefined, admitted: boolean): void {
    const full = this.ledger.obstacleBeside(account, bytes, prepaidBytes(holding?.scope, bytes), false);
    const obstacle =
      this.#barrier(account, bytes, holding, admitted) ??
      (full && this.#obstacleOf(full)) ??
      (this.hasShare(account, bytes) ? undefined : this.obstacle('share', account.fair ?? account));
    if (obstacle !== undefined) this.#refuse(account, bytes, obstacle, holding);
  }

  /** The scope, a block or the queue, when they are in the way. */
  #barrier(account: Account, bytes: number, holding: Holding | undefined, admitted: boolean): Obstacle | undefined {
    const scope = holding?.liveScope;
    if (scope !== undefined) {
      const full = scope.failure !== undefined ? scope : fullScope(scope, bytes);
      if (full !== undefined) return this.obstacle(full.failure === undefined ? 'scope' : 'aborted', full);
    }
    if (this.#blocked) return BLOCK;
    if (!this.#queued) return undefined;
    const needBytes = bytes - prepaidBytes(scope, bytes);
    if (admitted) return this.admission?.turns.holdsBack(account, needBytes, scope);
    return this.admission?.turns.keepsOut(account, needBytes, scope);
  }

  #moveBetween(from: Account, to: Account, bytes: number): void {
    this.ledger.release(from, bytes);
    // Over the line already (after `tune`), the whole is in the way of anything; a move does not make it worse.
    const obstacle = this.mode === 'on' ? this.ledger.obstacle(to, bytes) : undefined;
    if (obstacle !== undefined && obstacle !== this.ledger.whole) {
      const error = this.exceeded(to, bytes, this.#obstacleOf(obstacle));
      this.ledger.charge(from, bytes);
      this.#noteRefusal(to, bytes, this.#obstacleOf(obstacle), false);
      throw error;
    }
    this.ledger.charge(to, bytes);
  }

  #makeRoom(account: Account, bytes: number, first: Account, holding: Holding | undefined): boolean {
    // One attempt per bound, the nearest first: what cannot be had there makes nobody further out give back for nothing.
    let asked: Account | undefined;
    let obstacle: Account | undefined = first;
    this.noteWant(account, bytes);
    while (obstacle !== undefined && obstacle !== asked && obstacle.reclaiming === 0) {
      asked = obstacle;
      const wanted = obstacle === this.ledger.whole ? bytes - prepaidBytes(holding?.scope, bytes) : bytes;
      const missing = wanted - (obstacle.maxBytes - obstacle.total);
      const request = { requester: account, branch: obstacle, targetBytes: missing, level: this.#options.level() };
      this.#outside(() => this.#options.reclaimers.reclaimNow({ ...request, wholly: true }));
      if (account.closed || this.#closed) return false;
      obstacle = this.ledger.obstacleBeside(account, bytes, prepaidBytes(holding?.scope, bytes), false);
    }
    return obstacle === undefined || !this.#refuse(account, bytes, this.#obstacleOf(obstacle));
  }

  /** What code of others reserves meanwhile belongs to no scope. */
  #outside(work: () => unknown): void {
    if (this.scoping === undefined) work();
    else this.scoping.outside(work);
  }

  /** Notes a refusal, by the scope it came from as well. False where it is only observed. */
  #refuse(account: Account, bytes: number, obstacle: Obstacle, holding?: Holding): boolean {
    const observed = this.mode !== 'on';
    const scope = obstacle.reason === 'scope' || obstacle.reason === 'aborted' ? holding?.liveScope : undefined;
    if (scope !== undefined) scope.refusals++;
    this.#noteRefusal(account, bytes, obstacle, observed);
    return !observed;
  }

  #noteRefusal(account: Account, bytes: number, obstacle: Obstacle, observed: boolean): void {
    account.refusals++;
    this.refusals++;
    if (!OWN_REASONS.has(obstacle.reason)) this.#otherBytes += bytes;
    this.#refused = observed ? undefined : { account, bytes, obstacle };
    if (!refusedEvents.heard) return;
    refusedEvents.publish({ consumer: account.name, requestedBytes: bytes, ...obstacle, observed });
  }

  #obstacleOf(account: Account | undefined): Obstacle {
    const at = account ?? this.ledger.whole;
    return this.obstacle(at.reclaiming > 0 ? 'reclaiming' : at === this.ledger.whole ? 'limit' : 'max', at);
  }
}
