import type { FailOpen } from '../fail-open.ts';
import { checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';

/** What a call that is turned away is told. It says nothing of why, and not by whom. */
export interface Refusal {
  readonly status: number;
  /** Names in lower case; `content-length` is not among them. */
  readonly headers: Readonly<Record<string, string>>;
  /** Empty for none. */
  readonly body: string;
}

/** Seconds that a client is told to wait, drawn evenly from this range, both ends included. Whole numbers, 0 to 86,400. */
export interface RetryAfterRange {
  readonly from: number;
  readonly to: number;
}

export interface RefusalOptions {
  /** What `Retry-After` says: not the same to all, so that they do not come back in the same second. Default `{ from: 1, to: 10 }`. */
  readonly retryAfterSeconds?: RetryAfterRange;
  /** 400 to 599. Default 503. */
  readonly status?: number;
  /** Plain text of at most 1,024 characters. Default none. */
  readonly body?: string;
  /**
   * Whether a connection is closed with each answer. Default false: one that comes back on it costs less than half of one that connects anew. True is for where a
   * balancer spreads connections and not requests, so that a client that is turned away can find another replica.
   */
  readonly closeConnection?: boolean;
  /** Default `Math.random`. */
  readonly random?: () => number;
}

export const REFUSAL_DEFAULTS = {
  retryAfterSeconds: { from: 1, to: 10 } as RetryAfterRange,
  status: 503,
  body: '',
  closeConnection: false,
} as const;

const LONGEST_RETRY_S = 86_400;
const LONGEST_BODY = 1_024;

/** Makes the answers: all alike but for `Retry-After`. */
export class Refusals {
  readonly #range: RetryAfterRange;
  readonly #random: () => number;
  readonly #status: number;
  readonly #body: string;
  readonly #closeConnection: boolean;
  readonly #faults: FailOpen;

  /** Throws `RangeError` for unsound options. */
  constructor(options: RefusalOptions, faults: FailOpen) {
    const given = { ...REFUSAL_DEFAULTS, ...options };
    this.#range = checkRange(given.retryAfterSeconds);
    this.#random = given.random ?? Math.random;
    if (typeof this.#random !== 'function') throw invalidOption('random', 'a function', given.random);
    this.#status = checkWhole('status', given.status, 400, 599);
    if (typeof given.body !== 'string' || given.body.length > LONGEST_BODY) {
      throw invalidOption('body', `a text of at most ${LONGEST_BODY} characters`, given.body);
    }
    this.#body = given.body;
    if (typeof given.closeConnection !== 'boolean') {
      throw invalidOption('closeConnection', 'a boolean', given.closeConnection);
    }
    this.#closeConnection = given.closeConnection;
    this.#faults = faults;
  }

  /** Never throws. */
  next(): Refusal {
    const headers: Record<string, string> = { 'retry-after': String(this.#seconds()) };
    if (this.#body !== '') headers['content-type'] = 'text/plain; charset=utf-8';
    if (this.#closeConnection) headers.connection = 'close';
    return { status: this.#status, headers, body: this.#body };
  }

  #seconds(): number {
    const { from, to } = this.#range;
    const drawn = this.#faults.run(this.#random, 0);
    return drawn > 0 && drawn < 1 ? from + Math.floor(drawn * (to - from + 1)) : from;
  }
}

function checkRange(given: RetryAfterRange): RetryAfterRange {
  const expected = 'an object like `{ from: 1, to: 10 }`';
  const { from, to } = copyOptions('retryAfterSeconds', given, ['from', 'to'], expected);
  checkWhole('retryAfterSeconds.from', from, 0, LONGEST_RETRY_S);
  return { from, to: checkWhole('retryAfterSeconds.to', to, from, LONGEST_RETRY_S) };
}
