import pLimit from 'p-limit';
import PQueue from 'p-queue';
import { ManualClock } from 'plimsoll';
import { type AdoptConcurrencyOptions, adoptConcurrency, type ConcurrencyTarget } from 'plimsoll/adopt';
import { describe, expect, it } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { MIB, setUp } from '../governor/fake-meter.ts';

function adopted(target: ConcurrencyTarget, options: AdoptConcurrencyOptions = {}) {
  const { governor, rss } = setUp();
  const clock = new ManualClock();
  const concurrency = adoptConcurrency(governor, target, { clock, ...options });
  const use = (share: number) => {
    rss.bytes = share * 100 * MIB;
    governor.sample();
  };
  return { governor, clock, concurrency, use };
}

/** Jobs that end when they are told to. */
function jobs() {
  const ends: (() => void)[] = [];
  let running = 0;
  const job = () => {
    running++;
    return new Promise<void>((resolve) => {
      ends.push(() => {
        running--;
        resolve();
      });
    });
  };
  return { job, running: () => running, endAll: () => ends.splice(0).forEach((end) => void end()) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** As BullMQ's worker has it: see its documentation for `concurrency`, `pause` and `resume`. */
class WorkerAlike {
  calls: string[] = [];
  #concurrency: number;
  #paused = false;

  constructor(concurrency: number) {
    this.#concurrency = concurrency;
  }

  get concurrency(): number {
    return this.#concurrency;
  }

  set concurrency(concurrency: number) {
    if (!(concurrency >= 1)) throw new Error('concurrency must be a finite number greater than 0');
    this.#concurrency = concurrency;
  }

  async pause(doNotWaitActive?: boolean): Promise<void> {
    this.calls.push(`pause ${doNotWaitActive}`);
    this.#paused = true;
  }

  async resume(): Promise<void> {
    this.calls.push('resume');
    this.#paused = false;
  }

  isPaused(): boolean {
    return this.#paused;
  }
}

describe('p-queue', () => {
  it('runs as many jobs as the level allows, and all again when disposed', async () => {
    const queue = new PQueue({ concurrency: 8 });
    const { job, running, endAll } = jobs();
    const { concurrency, use } = adopted(queue);
    use(0.9);
    const all = Array.from({ length: 20 }, () => queue.add(job));
    await turn();
    expect(running()).toBe(2);
    concurrency[Symbol.dispose]();
    await turn();
    expect([queue.concurrency, running()]).toEqual([8, 8]);
    while (queue.size > 0 || queue.pending > 0) {
      endAll();
      await turn();
    }
    await Promise.all(all);
  });

  it('is paused and started again', async () => {
    const queue = new PQueue({ concurrency: 8 });
    const { clock, use } = adopted(queue, { pauseAt: 0.8 });
    use(0.82);
    expect(queue.isPaused).toBe(true);
    use(0.3);
    clock.advance(1_000);
    expect([queue.isPaused, queue.concurrency]).toEqual([false, 1]);
  });

  it('stays paused when its owner has paused it', () => {
    const queue = new PQueue({ concurrency: 8 });
    const { clock, use } = adopted(queue, { min: 0 });
    queue.pause();
    use(0.97);
    use(0.3);
    clock.advance(20_000);
    expect([queue.isPaused, queue.concurrency]).toEqual([true, 8]);
  });

  it('without a bound of its own needs one, and gets its own back', () => {
    const queue = new PQueue();
    expect(() => adopted(queue)).toThrow('`max`');
    const { clock, use } = adopted(queue, { max: 16 });
    use(0.75);
    expect(queue.concurrency).toBe(8);
    use(0.1);
    clock.advance(20_000);
    expect(queue.concurrency).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('p-limit', () => {
  it('runs as many jobs as the level allows', async () => {
    const limit = pLimit(8);
    const { job, running, endAll } = jobs();
    const { clock, use } = adopted(limit);
    use(0.97);
    const all = Array.from({ length: 12 }, () => limit(job));
    await turn();
    expect(running()).toBe(1);
    use(0.1);
    clock.advance(10_000);
    await turn();
    expect([limit.concurrency, running()]).toEqual([8, 8]);
    endAll();
    await turn();
    endAll();
    await Promise.all(all);
  });

  it('cannot be paused, and says so', () => {
    expect(() => adopted(pLimit(8), { min: 0 })).toThrow('cannot be paused');
    expect(() => adopted(pLimit(8), { pauseAt: 'high' })).toThrow('cannot be paused');
  });
});

describe("a worker like BullMQ's", () => {
  it('is lowered, paused without waiting for its jobs, resumed and restored', () => {
    const worker = new WorkerAlike(16);
    const { concurrency, clock, use } = adopted(worker, { name: 'thumbnails', pauseAt: 'critical' });
    use(0.75);
    expect(worker.concurrency).toBe(8);
    use(0.9);
    expect([worker.isPaused(), worker.concurrency]).toEqual([true, 8]);
    use(0.3);
    clock.advance(1_000);
    expect([worker.isPaused(), worker.concurrency]).toEqual([false, 2]);
    concurrency[Symbol.dispose]();
    expect([worker.concurrency, worker.calls]).toEqual([16, ['pause true', 'resume']]);
  });

  it('gets back what its owner gave it last', () => {
    const worker = new WorkerAlike(16);
    const { concurrency, use } = adopted(worker);
    worker.concurrency = 20;
    use(0.75);
    concurrency[Symbol.dispose]();
    expect(worker.concurrency).toBe(20);
  });
});

describe('whatever else', () => {
  it('has setConcurrency, or is a function', () => {
    const told: number[] = [];
    const one = adopted({ setConcurrency: (n) => told.push(n) }, { max: 10, min: 0 });
    one.use(0.97);
    one.concurrency[Symbol.dispose]();
    const two = adopted((n: number) => told.push(n), { max: 4 });
    two.use(0.75);
    expect(told).toEqual([0, 10, 2]);
  });

  it.each([
    ['nothing', undefined],
    ['a number', 4],
    ['an object without', {}],
    ['a frozen one', Object.freeze({ concurrency: 4 })],
    [
      'one that can only be asked',
      {
        get concurrency() {
          return 4;
        },
      },
    ],
    ['a pool of piscina', { run() {}, maxThreads: 4 }],
  ])('is refused: %s', (_, target) => {
    expect(() => adopted(target as never, { max: 4 })).toThrow('`target`');
  });

  it('needs max where it cannot be asked', () => {
    expect(() => adopted(() => {})).toThrow('`max`');
  });

  it('is left as it is where the governor is broken, and restored where it breaks', () => {
    const { governor, rss } = setUp();
    const { governor: fragile, breakIt } = breakable(governor);
    const clock = new ManualClock();
    const queue = new PQueue({ concurrency: 8 });
    adoptConcurrency(fragile, queue, { clock });
    rss.bytes = 90 * MIB;
    governor.sample();
    expect(queue.concurrency).toBe(2);
    breakIt();
    clock.advance(1_000);
    expect(queue.concurrency).toBe(8);
    adoptConcurrency(fragile, queue, { clock })[Symbol.dispose]();
    expect(queue.concurrency).toBe(8);
  });
});
