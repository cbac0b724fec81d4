import { formatBytes } from '../bytes.ts';
import { PlimsollError } from '../errors.ts';
import type { MemoryKind, PressureLevel } from './contract.ts';

/** One line of the list of largest holders. Bytes are the holder's own, without those of its children. */
export interface Holder {
  readonly name: string;
  readonly kind: MemoryKind;
  readonly heldBytes: number;
  readonly peakBytes: number;
}

/**
 * Why a reservation was refused. `limit`: the line is reached. `max`: the consumer, or one above it, is at its own `maxBytes`.
 * `reclaiming`: it is being asked to give back at this moment. `scope`: the scope it runs in is at its `maxBytes`. `share`: the consumer has
 * had its fair share, and what is left is for others. `machine`: the books have room, but with so much more a meter other than the ledger would be
 * at `emergency`; less may be granted. `emergency`: such a meter is there already, and giving back has not helped: nothing is granted until that is
 * over. `queue`: others have waited so long for this room that they come first. `aborted`: the scope it runs in was aborted; this one stands in
 * events only, the error is the reason of the abort.
 */
export type RefusalReason =
  | 'limit'
  | 'max'
  | 'reclaiming'
  | 'scope'
  | 'share'
  | 'machine'
  | 'queue'
  | 'emergency'
  | 'aborted';

/** What stands in the way of a reservation. */
export interface Obstacle {
  readonly reason: RefusalReason;
  readonly boundBy: string;
  readonly availableBytes: number;
}

export interface BudgetRefusal {
  readonly consumer: string;
  readonly requestedBytes: number;
  /** What the consumer and its children hold. */
  readonly heldBytes: number;
  readonly maxBytes: number;
  readonly reason: RefusalReason;
  /** The consumer, or for `scope` the scope, whose bound was met; for `limit` this is `the whole`, for `machine` and `emergency` it is `the machine`. */
  readonly boundBy: string;
  /** Room left under that bound; for `machine` what the meters have left below `emergency` (of one that waits: below where those are let in), for `emergency` 0. */
  readonly availableBytes: number;
  /** The effective limit of the process, the runtime's own share included. */
  readonly limitBytes: number;
  /** The five that hold most, largest first. */
  readonly holders: readonly Holder[];
}

/** `PLIMSOLL_BUDGET_EXCEEDED`: there is no room. The message is one line and says who asked, for how much, and who holds the rest. */
export class BudgetExceededError extends PlimsollError implements BudgetRefusal {
  override readonly name: string = 'BudgetExceededError';
  readonly consumer: string;
  readonly requestedBytes: number;
  readonly heldBytes: number;
  readonly maxBytes: number;
  readonly reason: RefusalReason;
  readonly boundBy: string;
  readonly availableBytes: number;
  readonly limitBytes: number;
  readonly holders: readonly Holder[];

  constructor(refusal: BudgetRefusal) {
    super(describeRefusal(refusal), { code: 'PLIMSOLL_BUDGET_EXCEEDED', recovery: 'fallback' });
    this.consumer = refusal.consumer;
    this.requestedBytes = refusal.requestedBytes;
    this.heldBytes = refusal.heldBytes;
    this.maxBytes = refusal.maxBytes;
    this.reason = refusal.reason;
    this.boundBy = refusal.boundBy;
    this.availableBytes = refusal.availableBytes;
    this.limitBytes = refusal.limitBytes;
    this.holders = refusal.holders;
  }
}

/** `PLIMSOLL_ADMISSION_TIMEOUT`: the room did not come in time. */
export class AdmissionTimeoutError extends PlimsollError {
  override readonly name: string = 'AdmissionTimeoutError';
  readonly consumer: string;
  readonly requestedBytes: number;
  readonly waitedMs: number;

  constructor(consumer: string, requestedBytes: number, waitedMs: number) {
    super(`${consumer} waited ${Math.round(waitedMs)}ms for ${formatBytes(requestedBytes)} and there was no room`, {
      code: 'PLIMSOLL_ADMISSION_TIMEOUT',
      recovery: 'retry',
    });
    this.consumer = consumer;
    this.requestedBytes = requestedBytes;
    this.waitedMs = waitedMs;
  }
}

/** `PLIMSOLL_ADMISSION_QUEUE_FULL`: so many wait already that one more is turned away at once. */
export class AdmissionQueueFullError extends PlimsollError {
  override readonly name: string = 'AdmissionQueueFullError';
  readonly consumer: string;
  readonly waiting: number;

  constructor(consumer: string, waiting: number) {
    super(`${consumer} was turned away: ${waiting} are waiting for room already`, {
      code: 'PLIMSOLL_ADMISSION_QUEUE_FULL',
      recovery: 'circuit-break',
    });
    this.consumer = consumer;
    this.waiting = waiting;
  }
}

/** `PLIMSOLL_HOLD_AND_WAIT`: a scope that holds something it did not declare would have to wait for more, which is how deadlocks are made. */
export class HoldAndWaitError extends PlimsollError {
  override readonly name: string = 'HoldAndWaitError';
  readonly consumer: string;
  readonly scope: string;
  readonly requestedBytes: number;
  /** What the scope holds beyond `upFrontBytes`. */
  readonly undeclaredBytes: number;

  constructor(consumer: string, scope: string, requestedBytes: number, undeclaredBytes: number) {
    super(
      `${consumer} would have to wait for ${formatBytes(requestedBytes)} while the scope ${scope} holds ` +
        `${formatBytes(undeclaredBytes)} that it did not declare: give \`upFrontBytes\` for all that it needs at a time, ` +
        'or release that first',
      { code: 'PLIMSOLL_HOLD_AND_WAIT', recovery: 'fail' },
    );
    this.consumer = consumer;
    this.scope = scope;
    this.requestedBytes = requestedBytes;
    this.undeclaredBytes = undeclaredBytes;
  }
}

/** `PLIMSOLL_DEADLOCK`: all that was in the way was held by scopes that wait themselves; of those that hold something this one came last. */
export class DeadlockError extends PlimsollError {
  override readonly name: string = 'DeadlockError';
  readonly consumer: string;
  readonly scope: string;
  readonly requestedBytes: number;
  readonly waitedMs: number;

  constructor(consumer: string, scope: string, requestedBytes: number, waitedMs: number) {
    super(
      `${consumer} waited ${Math.round(waitedMs)}ms for ${formatBytes(requestedBytes)} in the scope ${scope}: whoever holds the room ` +
        'waits too, and this one came last',
      { code: 'PLIMSOLL_DEADLOCK', recovery: 'retry' },
    );
    this.consumer = consumer;
    this.scope = scope;
    this.requestedBytes = requestedBytes;
    this.waitedMs = waitedMs;
  }
}

/** `PLIMSOLL_SCOPE_ABORTED`: memory was so short that the work that held most was given up, so that the rest may live. */
export class ScopeAbortedError extends PlimsollError {
  override readonly name: string = 'ScopeAbortedError';
  readonly scope: string;
  readonly level: PressureLevel;
  /** What it held at that moment, with the scopes inside it. */
  readonly heldBytes: number;

  constructor(scope: string, level: PressureLevel, heldBytes: number, reason: string) {
    super(
      `the scope ${scope} was aborted at ${level}: it held ${formatBytes(heldBytes)}, more than any other (${reason})`,
      {
        code: 'PLIMSOLL_SCOPE_ABORTED',
        recovery: 'retry',
      },
    );
    this.scope = scope;
    this.level = level;
    this.heldBytes = heldBytes;
  }
}

/** `PLIMSOLL_TOO_MANY_SCOPES`: so many are open already, or it would run inside so many others, that one more is turned away at once. */
export class TooManyScopesError extends PlimsollError {
  override readonly name: string = 'TooManyScopesError';
  readonly scope: string;
  /** How many there may be: open at a time, or one in another. */
  readonly maxScopes: number;

  constructor(scope: string, maxScopes: number, nested = false) {
    const why = nested
      ? `it would run inside ${maxScopes} others, one in another, and that is the most: a scope is for a request or a tenant`
      : `${maxScopes} are open already, which is \`maxScopes\``;
    super(`the scope ${scope} was turned away: ${why}`, {
      code: 'PLIMSOLL_TOO_MANY_SCOPES',
      recovery: 'circuit-break',
    });
    this.scope = scope;
    this.maxScopes = maxScopes;
  }
}

function describeRefusal(refusal: BudgetRefusal): string {
  const { consumer, requestedBytes, heldBytes, reason } = refusal;
  const asked = `${consumer} asked for ${formatBytes(requestedBytes)} and holds ${formatBytes(heldBytes)}: `;
  const why = describeObstacle(refusal);
  if (reason === 'reclaiming' || refusal.holders.length === 0) return asked + why;
  const holders = refusal.holders.map(
    (holder) => `${holder.name} ${formatBytes(holder.heldBytes)} (peak ${formatBytes(holder.peakBytes)})`,
  );
  return `${asked}${why}; largest holders: ${holders.join(', ')}`;
}

function describeObstacle({ reason, boundBy, availableBytes, limitBytes }: BudgetRefusal): string {
  const left = formatBytes(availableBytes);
  switch (reason) {
    case 'reclaiming':
      return `${boundBy} is being asked to give back at this moment`;
    case 'max':
      return `${boundBy} has ${left} left of its own bound`;
    case 'scope':
      return `the scope ${boundBy} has ${left} left of its own bound`;
    case 'share':
      return `${boundBy} has had its fair share`;
    case 'machine':
      return `the machine has ${left} left to grant before it is near the line, whatever is reserved`;
    case 'emergency':
      return 'memory is past the line, whatever is reserved, and giving back has not helped';
    case 'queue':
      return `others have waited longer for the room that ${boundBy} has`;
    default:
      return `${left} of ${formatBytes(limitBytes)} are left`;
  }
}
