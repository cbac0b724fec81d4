import type { MonitorEvent, Observation } from '../observe/index.ts';
import { RunBook } from './run-book.ts';
import type { RunRow } from './run-row.ts';
import type { TrainRow } from './train-row.ts';
import { rowOfEvent } from './train-rows.ts';

const MOST_EVENTS = 500;
const MOST_TRAINS = 64;

/** What is kept of past looks beside the points: for a page that is opened later. The last 500 events, 64 trains, and the runs. */
export class ObservationShelf {
  #events: MonitorEvent[] = [];
  #trains: TrainRow[] = [];
  readonly #runs = new RunBook();

  note({ events }: Observation): void {
    if (events.length === 0) return;
    for (const event of events) {
      this.#runs.note(event);
      const train = rowOfEvent(event);
      if (train !== undefined) this.#trains.push(train);
    }
    this.#events = [...this.#events, ...events].slice(-MOST_EVENTS);
    this.#trains = this.#trains.slice(-MOST_TRAINS);
  }

  /** Oldest first. */
  events(): readonly MonitorEvent[] {
    return this.#events;
  }

  /** Oldest first. */
  trains(): readonly TrainRow[] {
    return this.#trains;
  }

  /** Newest first. */
  runs(): readonly RunRow[] {
    return this.#runs.rows();
  }
}
