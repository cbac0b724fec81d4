import type { HolderBook } from '../governor/index.ts';

const EXCEEDED = 'PLIMSOLL_BUDGET_EXCEEDED';

/**
 * Why the governor has no room for `bytes`, as an error that names those who hold most: it is asked once more, by the verb that says why. Undefined when it has
 * room after all, and where it does not work.
 */
export function budgetRefusal(book: HolderBook, bytes: number): unknown {
  try {
    book.consumer?.reserve(bytes)[Symbol.dispose]();
    return undefined;
  } catch (cause) {
    return (cause as { code?: unknown } | null)?.code === EXCEEDED ? cause : undefined;
  }
}
