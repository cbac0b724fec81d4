import { ManualClock, type PressureLevel } from 'plimsoll';
import { Admission, type AdmissionOptions } from '../../src/governor/admission.ts';
import { Budget } from '../../src/governor/budget.ts';
import { LedgerConsumer } from '../../src/governor/consumer.ts';
import type { Consumer, ConsumerOptions } from '../../src/governor/contract.ts';
import type { ShareKeeper } from '../../src/governor/fair-shares.ts';
import { Faults } from '../../src/governor/faults.ts';
import type { GovernorMode } from '../../src/governor/governor-mode.ts';
import { checkConsumerOptions, Ledger } from '../../src/governor/ledger.ts';
import { Reclaimers } from '../../src/governor/reclaimers.ts';
import { Scopes, type ScopesOptions } from '../../src/governor/scopes.ts';

export const LIMIT = 100;

export interface BareOptions
  extends Pick<Partial<AdmissionOptions>, 'maxWaiters' | 'maxBypass' | 'train' | 'mayGrant' | 'mostBytes'> {
  readonly limitBytes?: number;
  readonly mode?: GovernorMode;
  readonly fixedBytes?: number;
  readonly sampleEveryBytes?: number;
  readonly onSampleDue?: (comingBytes: number) => unknown;
  readonly mayUnblock?: () => boolean;
  readonly fairShares?: (ledger: Ledger) => ShareKeeper;
  readonly maxScopes?: number;
  readonly makeStorage?: NonNullable<ScopesOptions['makeStorage']>;
}

/** The books, the queue and the scopes as a governor joins them, without meters and trains. Limit: 100 bytes. */
export class BareBooks {
  readonly clock = new ManualClock();
  readonly faults = new Faults();
  readonly ledger: Ledger;
  readonly budget: Budget;
  readonly admission: Admission;
  readonly scopes: Scopes;
  level: PressureLevel = 'critical';

  constructor(options: BareOptions = {}) {
    const { clock, faults } = this;
    const { train, mayGrant, mostBytes, fairShares, maxScopes, makeStorage } = options;
    const ledger = (this.ledger = new Ledger(options.limitBytes ?? LIMIT, 1_000));
    const reclaimers = new Reclaimers({ ledger, clock, faults, reclaimNowBudgetMs: 5, reclaimDeadlineMs: 2_000 });
    const level = () => this.level;
    const budget = (this.budget = new Budget({
      ledger,
      reclaimers,
      mode: options.mode ?? 'on',
      sampleEveryBytes: options.sampleEveryBytes ?? 2 ** 40,
      onSampleDue: (comingBytes) => options.onSampleDue?.(comingBytes) !== false,
      mayUnblock: options.mayUnblock ?? (() => false),
      level,
      fixedBytes: () => options.fixedBytes ?? 0,
      ...(fairShares === undefined ? {} : { fairShares: fairShares(ledger) }),
    }));
    this.admission = new Admission({
      budget,
      ledger,
      reclaimers,
      clock,
      level,
      faults,
      maxWaiters: options.maxWaiters ?? 1_024,
      maxBypass: options.maxBypass ?? 16,
      ...(train === undefined ? {} : { train }),
      ...(mayGrant === undefined ? {} : { mayGrant }),
      ...(mostBytes === undefined ? {} : { mostBytes }),
    });
    budget.admission = this.admission;
    this.scopes = new Scopes({
      budget,
      ledger,
      clock,
      faults,
      level,
      ...(maxScopes === undefined ? {} : { maxScopes }),
      ...(makeStorage === undefined ? {} : { makeStorage }),
    });
    if ((options.fixedBytes ?? 0) > 0)
      ledger.charge(ledger.open({ name: 'runtime', kind: 'heap', maxBytes: LIMIT }), options.fixedBytes!);
  }

  get heldBytes(): number {
    return this.ledger.whole.total;
  }

  consumer(name: string, options: Partial<ConsumerOptions> = {}): Consumer {
    const sound = checkConsumerOptions({ name, kind: 'heap', maxBytes: Number.POSITIVE_INFINITY, ...options });
    const parent = options.parent === undefined ? undefined : this.budget.accountOf(options.parent, 'parent');
    return new LedgerConsumer(this.budget, this.ledger.open(sound, parent));
  }
}

/** A promise and what became of it so far: `waiting`, `done`, or the code of what it rejected with. */
export class Watched<T> {
  readonly promise: Promise<T>;
  state: string = 'waiting';
  value: T | undefined;
  error: unknown;

  constructor(promise: Promise<T>) {
    this.promise = promise;
    promise.then(
      (value) => {
        this.state = 'done';
        this.value = value;
      },
      (error: { code?: string } | undefined) => {
        this.error = error;
        this.state = error?.code ?? String(error);
      },
    );
  }
}

/** Lets all that is due in promises happen; inside work that is itself waited for so, with fewer turns. */
export async function settle(turns = 200): Promise<void> {
  for (let i = 0; i < turns; i++) await Promise.resolve();
}

/** A promise that the test ends. */
export function gate(): { readonly opened: Promise<void>; open: () => void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
