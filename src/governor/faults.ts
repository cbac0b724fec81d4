import { catchRejection } from '../catch-rejection.ts';
import { describeCause } from '../describe-cause.ts';
import { faultEvents } from '../events.ts';
import { shortText } from '../short-text.ts';

/** What went wrong inside the governor, by part. The service never sees it thrown. */
export interface FaultRow {
  readonly part: string;
  readonly message: string;
  readonly count: number;
  /** True while the part is switched off. */
  readonly off: boolean;
}

const MAX_PARTS = 64;

/** Notes faults instead of throwing them: one row per part, the last message, at most 64 parts. */
export class Faults {
  readonly #rows = new Map<string, { message: string; count: number; off: boolean }>();

  note(part: string, cause: unknown, off = false): void {
    const message = shortText(describeCause(cause));
    let row = this.#rows.get(part);
    if (row === undefined) {
      if (this.#rows.size >= MAX_PARTS) part = 'others';
      row = this.#rows.get(part) ?? { message, count: 0, off };
      this.#rows.set(part, row);
    }
    row.message = message;
    row.count++;
    row.off ||= off;
    if (faultEvents.heard) faultEvents.publish({ part, message, off });
  }

  /** The part works again. */
  recovered(part: string): void {
    const row = this.#rows.get(part);
    if (row !== undefined) row.off = false;
  }

  /** Looks after what a callback of that part returned: when it is a promise that rejects, that is a fault of the part. */
  watch(part: string, result: unknown): void {
    catchRejection(result, (cause) => this.note(part, cause));
  }

  rows(): FaultRow[] {
    return [...this.#rows].map(([part, row]) => ({ part, ...row }));
  }
}
