import type { LeakTracker } from '../leak-tracker.ts';
import type { PressureLevel } from './contract.ts';
import type { ShareKeeper } from './fair-shares.ts';
import type { GovernorMode } from './governor-mode.ts';
import type { Account, Ledger } from './ledger.ts';
import type { Reclaimers } from './reclaimers.ts';

/** What the synchronous path is put together from. */
export interface BudgetOptions {
  readonly ledger: Ledger;
  readonly reclaimers: Reclaimers;
  /** To begin with. */
  readonly mode: GovernorMode;
  readonly sampleEveryBytes: number;
  /** Less often while the line is far. Default false. */
  readonly adaptive?: boolean;
  /**
   * Takes a sample and does what it calls for; `comingBytes` have been asked for since the last one. False when the machine has no room for them,
   * whatever the books say: the request is refused.
   */
  readonly onSampleDue: (comingBytes: number) => boolean;
  /** Whether it is worth a sample to find out if a block still holds: something was given back since. */
  readonly mayUnblock: () => boolean;
  /** What the machine has room for as of the last sample; below 0 when it has none. Default: any. Asked for what an error says. */
  readonly machineRoomBytes?: () => number;
  readonly level: () => PressureLevel;
  readonly fixedBytes: () => number;
  /** So much was found to be there, or gone: nobody was granted it. */
  readonly onTracked?: (account: Account, bytes: number) => void;
  /** Divides what there is between the consumers with `fairShare`. Asked for those alone. Default: no division. */
  readonly fairShares?: ShareKeeper;
  /** Follows reservations. Default: nobody does. */
  readonly leakTracker?: LeakTracker | undefined;
}
