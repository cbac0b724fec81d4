import type { Account } from './ledger.ts';
import type { ScopeTag } from './scope-tag.ts';
import type { Waiter } from './waiter.ts';

/**
 * Of those that wait for room under `branch`, the one to turn away when nobody can ever go on: all that is held there, but for `fixedBytes`
 * which nobody can have, is held by scopes that wait for that very room. It is the one that came last of those that hold some of it: turning
 * away who holds nothing would help nobody. Undefined when anybody else holds anything: that may come back.
 *
 * A scope with several branches of work counts as waiting when one of them waits; the caller sees to it that nothing has moved for a while.
 * O(waiters + holdings of their scopes).
 */
export function findDeadlock(waiters: readonly Waiter[], branch: Account, fixedBytes: number): Waiter | undefined {
  const waiting = new Map<ScopeTag, number>();
  let heldBytes = 0;
  for (const waiter of waiters) {
    for (let at = waiter.scope; at !== undefined; at = at.outer) {
      if (at.ended || waiting.has(at)) continue;
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
