import type { Governor } from '../governor/index.ts';
import { copyOptions, invalidOption } from '../invalid-option.ts';
import { ConcurrencyGate, GATE_OPTIONS, type GateOptions } from './concurrency-gate.ts';

/** What is needed of a `piscina` pool, or of any other that runs tasks. */
export interface RunnablePool<Task, Result, RunOptions> {
  run(task: Task, options?: RunOptions): Promise<Result>;
  readonly maxThreads?: number;
  readonly options?: { readonly concurrentTasksPerWorker?: number };
}

export interface GovernedRunOptions extends Omit<GateOptions, 'max'> {
  /** Default: the threads of the pool, times the tasks that each takes at once. */
  readonly max?: number;
}

/** `pool.run` under the level. Disposing it lets everybody through; the pool is its owner's. */
export interface GovernedRun<Task, Result, RunOptions> extends Disposable {
  (task: Task, options?: RunOptions): Promise<Result>;
  /** How many may run at a time as of now, how many do, and how many wait for that. */
  readonly current: number;
  readonly active: number;
  readonly waiting: number;
}

/**
 * Hands out a `run` for a pool whose size is fixed once it is made, as that of `piscina` is: at most `max` tasks are in the pool at a time, fewer as the level
 * rises, and the others wait here and not in the pool's queue. Nothing is patched: whoever calls `pool.run` itself is not held back.
 *
 * Rejects as `pool.run` does, and with `PLIMSOLL_CONCURRENCY_TIMEOUT`, `PLIMSOLL_CONCURRENCY_QUEUE_FULL`, or the reason of `options.signal` while it waits.
 * While the governor does not act, every call goes straight to the pool. Throws `RangeError` for unsound options.
 * @example
 * import { governedRun } from 'plimsoll/adopt';
 * const run = governedRun(governor, new Piscina({ filename }), { name: 'resize', pauseAt: 0.8 });
 * const image = await run({ path, width: 320 });
 */
export function governedRun<Task, Result, RunOptions>(
  governor: Governor,
  pool: RunnablePool<Task, Result, RunOptions>,
  options: GovernedRunOptions,
): GovernedRun<Task, Result, RunOptions> {
  if (typeof pool?.run !== 'function') throw invalidOption('pool', 'an object with the method `run`', pool);
  const given = copyOptions('governedRun', options, GATE_OPTIONS);
  const max = given.max ?? (pool.maxThreads ?? Number.NaN) * (pool.options?.concurrentTasksPerWorker ?? 1);
  const gate = new ConcurrencyGate(governor, { ...given, max });
  const run = async (task: Task, runOptions?: RunOptions): Promise<Result> => {
    await gate.enter(signalOf(runOptions));
    try {
      return await pool.run(task, runOptions);
    } finally {
      gate.leave();
    }
  };
  Object.defineProperties(run, {
    current: { get: () => gate.current },
    active: { get: () => gate.active },
    waiting: { get: () => gate.waiting },
    [Symbol.dispose]: { value: () => gate[Symbol.dispose]() },
  });
  return run as GovernedRun<Task, Result, RunOptions>;
}

/** Piscina takes emitters as well; those are left to it. */
function signalOf(options: unknown): AbortSignal | undefined {
  const signal = (options as { signal?: unknown } | undefined)?.signal;
  return signal instanceof AbortSignal ? signal : undefined;
}
