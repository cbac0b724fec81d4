import type { Session } from 'node:inspector';
import { describeCause } from '../describe-cause.ts';
import { PlimsollError } from '../errors.ts';
import { checkName, checkWhole, copyOptions, withoutUndefined } from '../invalid-option.ts';
import { writeWhole } from './write-whole.ts';

export interface HeapSamplingOptions {
  /** One sample in so many bytes allocated, on average: 1,024 to 1 GiB. Default 32,768. The fewer, the truer and the dearer. */
  readonly intervalBytes?: number;
  /** Frames of a stack that are kept, 1 to 128. Default 64. */
  readonly stackDepth?: number;
  /** Counts what was collected meanwhile too: who allocates, not only who holds. Default false. */
  readonly withCollected?: boolean;
}

export const HEAP_SAMPLING_DEFAULTS = { intervalBytes: 32_768, stackDepth: 64, withCollected: false } as const;

const KNOWN = ['intervalBytes', 'stackDepth', 'withCollected'] as const;
const LONGEST_PATH = 4_096;

/**
 * V8's sampling heap profile: which stacks allocated what is held, by samples, as the developer tools show it. What is sampled is V8's heap, not the bytes of buffers.
 * One at a time in a process: V8 has one. Errors: `PLIMSOLL_HEAP_PROFILE` where there is no inspector in this Node, or V8 or the disk refuses.
 * @example
 * import { HeapSampling } from 'plimsoll/observe';
 * using sampling = HeapSampling.start();
 * sampling.stop('work.heapprofile');
 */
export class HeapSampling implements Disposable {
  #session: Session | undefined;

  private constructor(session: Session) {
    this.#session = session;
  }

  static start(given: HeapSamplingOptions = {}): HeapSampling {
    const known = copyOptions('HeapSampling', given, KNOWN);
    const { intervalBytes, stackDepth, withCollected } = { ...HEAP_SAMPLING_DEFAULTS, ...withoutUndefined(known) };
    checkWhole('intervalBytes', intervalBytes, 1_024, 2 ** 30);
    checkWhole('stackDepth', stackDepth, 1, 128);
    const session = connect();
    try {
      post(session, 'HeapProfiler.startSampling', {
        samplingInterval: intervalBytes,
        stackDepth,
        includeObjectsCollectedByMajorGC: withCollected,
        includeObjectsCollectedByMinorGC: withCollected,
      });
    } catch (cause) {
      session.disconnect();
      throw cause;
    }
    return new HeapSampling(session);
  }

  /** Ends it, and writes the profile to `path` (by custom `.heapprofile`), as a whole or not at all. Returns the bytes of the file. */
  stop(path: string): number {
    checkName(path, 'path', LONGEST_PATH);
    const session = this.#session;
    if (session === undefined) throw failed('it has ended already');
    this.#session = undefined;
    try {
      const { profile } = post(session, 'HeapProfiler.stopSampling') as { profile: object };
      return writeWhole(path, JSON.stringify(profile));
    } catch (cause) {
      throw cause instanceof PlimsollError ? cause : failed(describeCause(cause), cause);
    } finally {
      session.disconnect();
    }
  }

  /** Ends it without a profile, if it goes on. */
  [Symbol.dispose](): void {
    this.#session?.disconnect();
    this.#session = undefined;
  }
}

/** Loaded on first use: a Node may be built without it. */
function connect(): Session {
  try {
    const session = new (process.getBuiltinModule('node:inspector').Session)();
    session.connect();
    return session;
  } catch (cause) {
    throw failed(`there is no inspector: ${describeCause(cause)}`, cause);
  }
}

/** Within one process the answer comes before `post` returns. */
function post(session: Session, method: string, parameters: object = {}): unknown {
  let answer: { readonly error: Error | null; readonly result?: unknown } | undefined;
  session.post(method, parameters, (error, result) => {
    answer = { error, result };
  });
  if (answer === undefined) throw failed(`${method} was not answered`);
  if (answer.error !== null) throw failed(answer.error.message, answer.error);
  return answer.result;
}

function failed(why: string, cause?: unknown): PlimsollError {
  const message = `no heap profile: ${why}`;
  return new PlimsollError(message, { code: 'PLIMSOLL_HEAP_PROFILE', recovery: 'fail', cause });
}
