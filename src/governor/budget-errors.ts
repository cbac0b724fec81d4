import { formatBytes } from '../bytes.ts';
import { PlimsollError } from '../errors.ts';
import type { MemoryKind } from './contract.ts';

/** One line of the list of largest holders. Bytes are the holder's own, without those of its children. */
export interface Holder {
  readonly name: string;
  readonly kind: MemoryKind;
  readonly heldBytes: number;
  readonly peakBytes: number;
}

/**
 * Why a reservation was refused. `limit`: the line is reached. `max`: the consumer, or one above it, is at its own `maxBytes`.
 * `reclaiming`: it is being asked to give back at this moment.
 */
export type RefusalReason = 'limit' | 'max' | 'reclaiming';

export interface BudgetRefusal {
  readonly consumer: string;
  readonly requestedBytes: number;
  /** What the consumer and its children hold. */
  readonly heldBytes: number;
  readonly maxBytes: number;
  readonly reason: RefusalReason;
  /** The consumer whose bound was met; for `limit` this is `the whole`. */
  readonly boundBy: string;
  /** Room left under that bound. */
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

function describeRefusal(refusal: BudgetRefusal): string {
  const { consumer, requestedBytes, heldBytes, reason, boundBy, availableBytes, limitBytes } = refusal;
  const asked = `${consumer} asked for ${formatBytes(requestedBytes)} and holds ${formatBytes(heldBytes)}: `;
  if (reason === 'reclaiming') return `${asked}${boundBy} is being asked to give back at this moment`;
  const room =
    reason === 'max'
      ? `${boundBy} has ${formatBytes(availableBytes)} left of its own bound`
      : `${formatBytes(availableBytes)} of ${formatBytes(limitBytes)} are left`;
  if (refusal.holders.length === 0) return asked + room;
  const holders = refusal.holders.map(
    (holder) => `${holder.name} ${formatBytes(holder.heldBytes)} (peak ${formatBytes(holder.peakBytes)})`,
  );
  return `${asked}${room}; largest holders: ${holders.join(', ')}`;
}
