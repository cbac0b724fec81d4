/**
 * The one governor of this process, for entries and programs that cannot be handed one. It stands in a slot that all copies of the package in the
 * process share, ES module or CommonJS, one installed version or several: two budgets would each believe that all the memory is theirs. The slot has a
 * version of its own, that of the contract of `Governor`.
 *
 * Worker threads have a slot each, because they have a global object each; only the main thread reads the meters of the process.
 */
import { PlimsollError } from '../errors.ts';
import { invalidOption } from '../invalid-option.ts';
import { isGovernor } from './check-governor.ts';
import { createGovernor, type Governor } from './governor.ts';
import type { GovernorOptions } from './governor-options.ts';

const SLOT = Symbol.for('plimsoll.governor.v1');
/** Who put a governor there until the program has one of its own. */
const LENDER = Symbol.for('plimsoll.lender.v1');

interface Lender {
  readonly governor: Governor;
  readonly onReplaced: () => void;
}

/** The governor that was set for this process. Undefined when there is none, and when it has been disposed. */
export function processGovernor(): Governor | undefined {
  const held = slot(SLOT);
  return isGovernor(held) && !held.disposed ? held : undefined;
}

/**
 * Makes `governor` the one of this process until the result is disposed; the governor itself stays whoever's it is. Throws `PLIMSOLL_ALREADY_SET` when
 * there is another that is not disposed; setting the same again changes nothing, and the first result is the one that counts. One that was only lent, as that of
 * `plimsoll/auto` is, gives way.
 */
export function setProcessGovernor(governor: Governor): Disposable {
  if (!isGovernor(governor) || governor.disposed) {
    throw invalidOption('governor', 'a governor that is not disposed', governor);
  }
  const current = processGovernor();
  if (current === governor) return { [Symbol.dispose]() {} };
  const lender = slot<Lender>(LENDER);
  if (current !== undefined && lender?.governor !== current) {
    throw new PlimsollError('this process has a governor already: use `processGovernor()`, or dispose that one first', {
      code: 'PLIMSOLL_ALREADY_SET',
      recovery: 'fallback',
    });
  }
  put(SLOT, governor);
  if (current !== undefined) replaced(lender);
  return {
    [Symbol.dispose]() {
      if (slot(SLOT) === governor) put(SLOT, undefined);
    },
  };
}

/**
 * As `ensureProcessGovernor`, for an entry that the program knows nothing of: when that sets one of its own, `onReplaced` is called once, and what was lent is whoever's it
 * was. Undefined when there is one already.
 */
export function lendProcessGovernor(options: GovernorOptions, onReplaced: () => void): Governor | undefined {
  if (processGovernor() !== undefined) return undefined;
  const governor = createGovernor(options);
  put(SLOT, governor);
  put(LENDER, { governor, onReplaced } satisfies Lender);
  return governor;
}

function replaced(lender: Lender | undefined): void {
  put(LENDER, undefined);
  try {
    lender?.onReplaced();
  } catch {
    // Whoever sets a governor of its own has nothing to do with it.
  }
}

/** The governor of this process; made from `options` and set when there is none, otherwise `options` are not looked at. */
export function ensureProcessGovernor(options: GovernorOptions = {}): Governor {
  const current = processGovernor();
  if (current !== undefined) return current;
  const governor = createGovernor(options);
  put(SLOT, governor);
  return governor;
}

function slot<T>(key: symbol): T | undefined {
  return (globalThis as Record<symbol, unknown>)[key] as T | undefined;
}

function put(key: symbol, value: unknown): void {
  Object.defineProperty(globalThis, key, { value, configurable: true, writable: true, enumerable: false });
}
