import type { Account } from './ledger.ts';
import { ScopeTag } from './scope-tag.ts';
import type { Waiter } from './waiter.ts';

/** Nothing has to move for so long at least before anybody is turned away. */
const LEAST_PATIENCE_MS = 1_000;

/**
 * Finds out whether those that wait will wait for ever. A scope that waits may have other branches of work, which give back in their own time, and
 * nobody can tell: so nothing must have moved for half the time that the one to be turned away is ready to wait, and for a second at least.
 */
export class DeadlockWatch {
  #stuck: { readonly waiter: Waiter; readonly heldBytes: number; readonly since: number } | undefined;

  /**
   * Looks at each bound that is in the way of somebody: `obstacleOf` says which. Gives the one to turn away when that bound has stood still for long
   * enough. To be called in a rhythm. `fixedBytes` of `whole` nobody can have. O(waiters + holdings of their scopes).
   */
  look(
    queue: readonly Waiter[],
    now: number,
    obstacleOf: (waiter: Waiter) => Account | ScopeTag | undefined,
    { whole, fixedBytes }: { readonly whole: Account; readonly fixedBytes: number },
  ): Waiter | undefined {
    const byBound = new Map<Account, Waiter[]>();
    for (const waiter of queue) {
      const obstacle = obstacleOf(waiter);
      if (obstacle === undefined || obstacle instanceof ScopeTag) continue;
      const others = byBound.get(obstacle);
      if (others === undefined) byBound.set(obstacle, [waiter]);
      else others.push(waiter);
    }
    for (const [bound, waiters] of byBound) {
      const waiter = findDeadlock(waiters, bound, bound === whole ? fixedBytes : 0);
      if (waiter !== undefined) return this.#isOver(waiter, bound.total, now) ? waiter : undefined;
    }
    this.#stuck = undefined;
    return undefined;
  }

  /** Nobody waits any more. */
  forget(): void {
    this.#stuck = undefined;
  }

  #isOver(waiter: Waiter, heldBytes: number, now: number): boolean {
    if (this.#stuck?.waiter !== waiter || this.#stuck.heldBytes !== heldBytes) {
      this.#stuck = { waiter, heldBytes, since: now };
      return false;
    }
    if (now - this.#stuck.since < Math.max(LEAST_PATIENCE_MS, waiter.timeoutMs / 2)) return false;
    this.#stuck = undefined;
    return true;
  }
}

/**
 * Of those that wait for room under `branch`, the one to turn away when nobody can ever go on: all that is held there, but for `fixedBytes`
 * which nobody can have, is held by scopes that wait for that very room. It is the one that came last of those that hold some of it: turning
 * away who holds nothing would help nobody. Undefined when anybody else holds anything: that may come back.
 */
function findDeadlock(waiters: readonly Waiter[], branch: Account, fixedBytes: number): Waiter | undefined {
  const waiting = new Map<ScopeTag, number>();
  let heldBytes = 0;
  for (const waiter of waiters) {
    for (let at = waiter.scope; at !== undefined; at = at.outer) {
      if (waiting.has(at)) continue;
      const bytes = at.ownWithin(branch);
      waiting.set(at, bytes);
      heldBytes += bytes;
    }
  }
  if (heldBytes === 0 || heldBytes < branch.total - fixedBytes) return undefined;
  return waiters.findLast(({ scope }) => {
    for (let at = scope; at !== undefined; at = at.outer) if ((waiting.get(at) ?? 0) > 0) return true;
    return false;
  });
}
