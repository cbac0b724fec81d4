import type { Clock } from '../clock.ts';
import { FeedReader, feedPath, feedsIn, type Observation } from '../observe/index.ts';
import { RunRecorder } from './run-recorder.ts';
import type { ProcessReport } from './run-report.ts';

const EVERY_MS = 250;
/** Of a build that starts thousands, the first. */
const MOST_PROCESSES = 256;
/** Of those beyond, as many are counted. */
const MOST_COUNTED = 10_000;

/** Follows the feeds in a folder, four times a second, until `finish`. Its timer keeps no process alive. */
export class RunWatch implements Disposable {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #onLook: (main: RunRecorder) => void;
  readonly #leftOut = new Set<number>();
  readonly #known = new Map<number, { readonly reader: FeedReader; readonly recorder: RunRecorder }>();
  #timer: Disposable | undefined;
  #faults = 0;

  /** `onLook` is told of the process that takes most, whenever it was looked at. */
  constructor(folder: string, clock: Clock, onLook: (main: RunRecorder) => void) {
    this.#folder = folder;
    this.#clock = clock;
    this.#onLook = onLook;
    this.#arm();
  }

  /** Of the process that takes most. */
  get last(): Observation | undefined {
    return this.#main()?.last;
  }

  /** Feeds that could not be read, looks that could not be shown, processes that could not be reported. */
  get faults(): number {
    return this.#faults;
  }

  /** Processes that were one too many to be looked at; counted up to 10,000. */
  get leftOut(): number {
    return this.#leftOut.size;
  }

  /** What was seen, the process that took most first. */
  finish(): readonly ProcessReport[] {
    this.#read();
    const recorders = [...this.#known.values()].map(({ recorder }) => recorder);
    return recorders
      .sort((a, b) => b.peakBytes - a.peakBytes)
      .flatMap((recorder) => this.#try(() => recorder.report()) ?? []);
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    for (const { reader } of this.#known.values()) reader[Symbol.dispose]();
  }

  #arm(): void {
    this.#timer = this.#clock.after(EVERY_MS, () => {
      this.#arm();
      const before = this.#main()?.last;
      this.#read();
      const main = this.#main();
      if (main?.last !== undefined && main.last !== before) this.#try(() => this.#onLook(main));
    });
  }

  #read(): void {
    for (const pid of feedsIn(this.#folder)) {
      if (this.#known.has(pid)) continue;
      if (this.#known.size < MOST_PROCESSES) {
        this.#known.set(pid, { reader: new FeedReader(feedPath(this.#folder, pid)), recorder: new RunRecorder(pid) });
      } else if (this.#leftOut.size < MOST_COUNTED) this.#leftOut.add(pid);
    }
    for (const { reader, recorder } of this.#known.values()) {
      this.#try(() => {
        for (const line of reader.read()) recorder.note(line);
      });
    }
  }

  /** Whatever goes wrong with what was seen: the program and its end are not to suffer from it. */
  #try<T>(action: () => T): T | undefined {
    try {
      return action();
    } catch {
      this.#faults++;
      return undefined;
    }
  }

  #main(): RunRecorder | undefined {
    let main: RunRecorder | undefined;
    for (const { recorder } of this.#known.values()) {
      if (recorder.last !== undefined && (main === undefined || recorder.peakBytes > main.peakBytes)) main = recorder;
    }
    return main;
  }
}
