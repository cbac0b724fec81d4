import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Piscina } from 'piscina';
import { ManualClock } from 'plimsoll';
import { type GovernedRunOptions, governedRun } from 'plimsoll/adopt';
import { afterAll, describe, expect, it } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { MIB, setUp } from '../governor/fake-meter.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

class FakePool {
  readonly maxThreads = 4;
  readonly options = { concurrentTasksPerWorker: 2 };
  readonly started: number[] = [];
  readonly ends: ((error?: Error) => void)[] = [];

  run(task: number, _options?: { readonly signal?: AbortSignal }): Promise<number> {
    this.started.push(task);
    return new Promise((resolve, reject) => {
      this.ends.push((error) => (error === undefined ? resolve(task * 2) : reject(error)));
    });
  }
}

function open(options: Partial<GovernedRunOptions> = {}) {
  const { governor, rss } = setUp();
  const { governor: fragile, breakIt } = breakable(governor);
  const clock = new ManualClock();
  const pool = new FakePool();
  const run = governedRun(fragile, pool, { name: 'resize', clock, ...options });
  const use = (share: number) => {
    rss.bytes = share * 100 * MIB;
    governor.sample();
  };
  return { governor, clock, pool, run, use, breakIt };
}

describe('a pool that is fixed', () => {
  it('gets as many tasks at a time as the level allows, in the order in which they came', async () => {
    const { pool, run, use } = open();
    use(0.9);
    const all = [1, 2, 3, 4].map((task) => run(task));
    await turn();
    expect([pool.started, run.current, run.active, run.waiting]).toEqual([[1, 2], 2, 2, 2]);
    pool.ends.shift()!();
    await turn();
    expect(pool.started).toEqual([1, 2, 3]);
    pool.ends.shift()!(new Error('task failed'));
    await expect(all[1]).rejects.toThrow('task failed');
    await turn();
    pool.ends.splice(0).forEach((end) => void end());
    await expect(Promise.all([all[0], all[2], all[3]])).resolves.toEqual([2, 6, 8]);
    expect(run.active).toBe(0);
  });

  it('has room for all its threads while all is well, and no more', async () => {
    const { pool, run } = open();
    for (let i = 0; i < 10; i++) void run(i);
    await turn();
    expect([pool.started.length, run.waiting]).toEqual([8, 2]);
  });

  it('stands still from pauseAt on; who waits is let in as it rises', async () => {
    const { pool, run, use, clock } = open({ pauseAt: 0.8 });
    use(0.82);
    void run(1);
    void run(2);
    await turn();
    expect(pool.started).toEqual([]);
    use(0.2);
    clock.advance(2_000);
    await turn();
    expect(pool.started).toEqual([1, 2]);
  });

  it('turns away who waits too long, who is too many, and who does not want any more', async () => {
    const { run, use, clock, pool } = open({ pauseAt: 0.8, timeoutMs: 500, maxWaiting: 2, riseMs: 60_000 });
    use(0.82);
    const stop = new AbortController();
    const late = run(1);
    const left = run(2, { signal: stop.signal });
    await expect(run(3)).rejects.toMatchObject({ code: 'PLIMSOLL_CONCURRENCY_QUEUE_FULL', recovery: 'circuit-break' });
    stop.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    await expect(run(4, { signal: stop.signal })).rejects.toThrow('left');
    clock.advance(500);
    await expect(late).rejects.toMatchObject({ code: 'PLIMSOLL_CONCURRENCY_TIMEOUT', recovery: 'retry' });
    expect([pool.started, run.waiting, clock.pending]).toEqual([[], 0, 1]);
  });

  it('is open when disposed, when the governor only observes, and when it breaks', async () => {
    for (const end of ['dispose', 'observe', 'break'] as const) {
      const { governor, run, use, clock, pool, breakIt } = open({ pauseAt: 0.8 });
      use(0.82);
      void run(1);
      await turn();
      expect(pool.started).toEqual([]);
      if (end === 'dispose') run[Symbol.dispose]();
      else if (end === 'observe') governor.tune({ mode: 'observe' });
      else {
        breakIt();
        clock.advance(1_000);
      }
      for (let i = 2; i < 20; i++) void run(i);
      await turn();
      expect(pool.started.length).toBe(19);
      expect(clock.pending).toBe(0);
    }
  });

  it('is open where the governor is broken from the start', async () => {
    const { governor, breakIt } = breakable(setUp().governor);
    breakIt();
    const pool = new FakePool();
    const run = governedRun(governor, pool, { name: 'resize' });
    for (let i = 0; i < 20; i++) void run(i);
    await turn();
    expect(pool.started.length).toBe(20);
  });

  it('says what is missing', () => {
    const { governor } = setUp();
    expect(() => governedRun(governor, {} as never, { name: 'a' })).toThrow('`pool`');
    expect(() => governedRun(governor, { run: async () => 1 }, { name: 'a' })).toThrow('`max`');
    expect(() => governedRun(governor, new FakePool(), { name: '' })).toThrow('`name`');
    expect(() => governedRun(governor, new FakePool(), { name: 'a', maxWaitng: 3 } as never)).toThrow('maxWaiting');
  });
});

describe('piscina', () => {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-run-'));
  const filename = join(folder, 'double.mjs');
  writeFileSync(
    filename,
    `export default (n) => new Promise((resolve) => setImmediate(() => resolve(n * 2)));
     export const fail = () => { throw new Error('no'); };`,
  );
  const pool = new Piscina<number, number>({ filename, maxThreads: 2, minThreads: 1 });
  afterAll(async () => {
    await pool.destroy();
    rmSync(folder, { recursive: true });
  });

  it('runs its tasks under the level, with its results, errors and signals', async () => {
    const { governor, rss } = setUp();
    rss.bytes = 97 * MIB;
    governor.sample();
    const run = governedRun(governor, pool, { name: 'double' });
    expect(run.current).toBe(1);
    let most = 0;
    const all = Array.from({ length: 8 }, async (_, i) => {
      const result = await run(i);
      most = Math.max(most, run.active);
      return result;
    });
    await expect(Promise.all(all)).resolves.toEqual([0, 2, 4, 6, 8, 10, 12, 14]);
    expect([most, run.active, run.waiting]).toEqual([1, 0, 0]);
    await expect(run(1, { signal: AbortSignal.abort() })).rejects.toThrow();
    await expect(run(1, { name: 'fail' })).rejects.toThrow('no');
    run[Symbol.dispose]();
  });
});
