/**
 * One run of giving back: reclaim, then collection, then the allocator's trim, measured anew after each.
 *
 * Invariants: one asynchronous train at a time; a synchronous one may run while an asynchronous one waits, because no timer and no promise
 * comes to its end inside a synchronous loop, but never inside a part of another; each part and the whole are bounded in time; nothing is thrown
 * and no promise rejects.
 */
import { trainEvents } from '../events.ts';
import type { TrainReport } from './journal.ts';
import { type TrainCall, type TrainOptions, TrainRun, type Uncollected } from './train-run.ts';

/** The most that the `reclaimNow` of all may take together in an asynchronous train, ms: the service stands still meanwhile. */
const NOW_BUDGET_MS = 50;

export class Train {
  readonly #options: TrainOptions;
  #running: Promise<TrainReport> | undefined;
  /** A part is under way right now: what it calls starts no other train. */
  #inside = false;
  readonly #uncollected: Uncollected = { bytes: 0, atMs: Number.NEGATIVE_INFINITY };

  constructor(options: TrainOptions) {
    this.#options = options;
  }

  /** True while an asynchronous train is under way. */
  get running(): boolean {
    return this.#running !== undefined;
  }

  /**
   * Has holders give back, collects, trims; each part only as far as the strategy and the meter make sense of it, and until the target is seen.
   * While one runs, a second call gets the report of that one, whatever it asks for. Never rejects.
   */
  run(call: TrainCall): Promise<TrainReport> {
    // A turn later: what runs in the first part may ask for a train as well, and has to find this one.
    this.#running ??= Promise.resolve()
      .then(() => this.#go(new TrainRun(this.#options, call, this.#uncollected)))
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  /**
   * The same at once, for inside reservations: without what needs waiting, each `reclaimNow` within the budget of a reservation. Called
   * inside a part of a train it does nothing, and the report has the number 0 and no parts.
   */
  runNow(call: TrainCall): TrainReport {
    const run = new TrainRun(this.#options, call, this.#uncollected);
    if (this.#inside) return run.report(0);
    try {
      this.#within(() => run.begin());
      if (call.observe === true) run.observe();
      else {
        for (const part of run.parts()) {
          const why = part === 'reclaim' ? 'it would have to be waited for' : run.whyNot(part);
          if (why !== undefined) run.skip(part, why);
          else this.#within(() => run.take(part));
        }
      }
    } catch (cause) {
      this.#options.faults.note('train', cause);
    }
    return this.#end(run);
  }

  async #go(run: TrainRun): Promise<TrainReport> {
    try {
      // Called inside a part of another: after it.
      if (this.#inside) await nextTurn();
      this.#within(() => run.begin());
      if (run.call.observe === true) run.observe();
      else {
        for (const part of run.parts()) {
          const why = run.whyNot(part);
          if (why !== undefined) {
            run.skip(part, why);
            continue;
          }
          if (part === 'reclaim') await run.waitFor();
          else this.#within(() => run.take(part, NOW_BUDGET_MS));
          // The service has its turn between two parts: their pauses do not add up.
          await nextTurn();
        }
      }
    } catch (cause) {
      this.#options.faults.note('train', cause);
    }
    return this.#end(run);
  }

  #within(action: () => void): void {
    this.#inside = true;
    try {
      action();
    } finally {
      this.#inside = false;
    }
  }

  #end(run: TrainRun): TrainReport {
    const { journal } = this.#options;
    const report = run.report(journal.count + 1);
    journal.record(report);
    if (trainEvents.heard) {
      const { takenAt, ...message } = report;
      trainEvents.publish(message);
    }
    return report;
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
