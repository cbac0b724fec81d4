import { type Clock, LONGEST_MS, systemClock } from '../clock.ts';
import type { Consumer, Reservation } from '../governor/index.ts';
import {
  checkName,
  checkNumber,
  checkOneOf,
  checkWhole,
  copyOptions,
  invalidOption,
  withoutUndefined,
} from '../invalid-option.ts';

/** What is handed to the work on one batch besides the batch. */
export interface BatchWork {
  /** Of the batch in its input, 0 for the first. */
  readonly index: number;
  /** Aborted when the run ends before it, by whatever reason, and when its time is over. */
  readonly signal: AbortSignal;
  /** What was reserved for it; may be grown, and shrunk to what the result holds. Released when the result has been used. Absent without `memory`, and where the governor failed. */
  readonly reservation: Reservation | undefined;
}

/** What came of one batch. */
export type BatchResult<Value> =
  | { readonly index: number; readonly ok: true; readonly value: Value }
  | { readonly index: number; readonly ok: false; readonly error: unknown };

export interface BatchProcessorOptions<Item, Value> {
  /** As errors have it: 1 to 120 characters. */
  readonly name: string;
  /** The work. What it throws or rejects with is the failure of that batch alone. */
  readonly process: (item: Item, work: BatchWork) => Value | Promise<Value>;
  /** The most that are worked on at once, 1 to 1,024. Required. */
  readonly concurrency: number;
  /** The most results that there may be and have not been used yet, those of batches under way included: from `concurrency` up. Required. */
  readonly maxResults: number;
  /** Where memory for each batch is waited for, with `estimateBytes`. Default: nowhere. */
  readonly memory?: Consumer;
  /** What a batch and its result take, bytes: a whole number from 0 up. With `memory`, and only then. Default: none. */
  readonly estimateBytes?: (item: Item) => number;
  /** The most that a batch waits for its memory, ms. Default 30,000. */
  readonly admitTimeoutMs?: number;
  /** `input`: results come in the order of the input; `completion`: as they come. Default `input`. */
  readonly order?: 'input' | 'completion';
  /** `continue`: a failure is a result like others. `stop`: it ends the run. Default `continue`. */
  readonly onError?: 'continue' | 'stop';
  /** The most that the work on one batch may take, ms. Default: no such bound. */
  readonly timeoutMs?: number;
  /** Batches past their time that have not ended, so many and no more are borne: 0 up. Default `concurrency`. */
  readonly maxStuck?: number;
  /** How long a run that ends early waits for the work under way, ms. Default 5,000. */
  readonly closeMs?: number;
  /** Default `systemClock`. */
  readonly clock?: Clock;
}

export const BATCH_DEFAULTS = {
  order: 'input',
  onError: 'continue',
  admitTimeoutMs: 30_000,
  closeMs: 5_000,
} as const;

const OPTIONAL = ['memory', 'estimateBytes', 'timeoutMs', 'maxStuck', 'clock'];
const KNOWN = ['name', 'process', 'concurrency', 'maxResults', ...OPTIONAL, ...Object.keys(BATCH_DEFAULTS)];
const MOST_AT_ONCE = 1_024;

/** With the defaults filled in. */
export type ResolvedBatch<Item, Value> = Required<
  Omit<BatchProcessorOptions<Item, Value>, 'memory' | 'estimateBytes' | 'timeoutMs'>
> &
  Pick<BatchProcessorOptions<Item, Value>, 'memory' | 'estimateBytes' | 'timeoutMs'>;

/** Throws `RangeError` for what is unsound or unknown. */
export function resolveBatch<Item, Value>(options: BatchProcessorOptions<Item, Value>): ResolvedBatch<Item, Value> {
  const given = withoutUndefined(copyOptions('BatchProcessor', options, KNOWN));
  const { concurrency } = given;
  const own = { ...BATCH_DEFAULTS, maxStuck: concurrency, clock: systemClock, ...given };
  checkName(own.name);
  checkWhole('concurrency', concurrency, 1, MOST_AT_ONCE);
  checkWhole('maxResults', own.maxResults, concurrency);
  checkWhole('maxStuck', own.maxStuck, 0);
  checkOneOf('order', own.order, ['input', 'completion']);
  checkOneOf('onError', own.onError, ['continue', 'stop']);
  checkNumber('admitTimeoutMs', own.admitTimeoutMs, 0, LONGEST_MS);
  checkNumber('closeMs', own.closeMs, 0, LONGEST_MS);
  if (own.timeoutMs !== undefined) checkNumber('timeoutMs', own.timeoutMs, 0, LONGEST_MS);
  if (typeof own.process !== 'function') throw invalidOption('process', 'a function', own.process);
  if ((own.memory === undefined) !== (own.estimateBytes === undefined)) {
    throw invalidOption('estimateBytes', 'given together with `memory`', own.estimateBytes);
  }
  if (own.estimateBytes !== undefined && typeof own.estimateBytes !== 'function') {
    throw invalidOption('estimateBytes', 'a function', own.estimateBytes);
  }
  return own;
}
