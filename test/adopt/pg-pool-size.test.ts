import { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { ManualClock } from 'plimsoll';
import { type GovernedPoolOptions, governedPool, pgPoolSize } from 'plimsoll/adopt';
import { describe, expect, it } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { MIB, setUp } from '../governor/fake-meter.ts';

/** It comes without types. */
const { Pool } = createRequire(import.meta.url)('pg') as { Pool: new (options: object) => RealPool };
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A client without a server, for the real pool: queries end when they are told to. */
class FakeClient extends EventEmitter {
  static running: { text: string; end: (error?: Error) => void }[] = [];
  static open = 0;
  _queryable = true;
  _ending = false;

  connect(done: (error?: Error) => void): void {
    FakeClient.open++;
    setImmediate(done);
  }

  query(text: string, values: unknown, done: (error: Error | null, result?: unknown) => void): void {
    FakeClient.running.push({ text, end: (error) => (error ? done(error) : done(null, { rows: [text, values] })) });
  }

  end(done?: () => void): void {
    FakeClient.open--;
    done?.();
  }

  ref(): void {}
  unref(): void {}
}

function open(options: GovernedPoolOptions = {}, poolOptions: object = {}) {
  FakeClient.running = [];
  const { governor, rss } = setUp();
  const { governor: fragile, breakIt } = breakable(governor);
  const clock = new ManualClock();
  const pool = new Pool({ max: 8, Client: FakeClient, ...poolOptions });
  const db = governedPool(fragile, pool, { clock, ...options });
  const use = (share: number) => {
    rss.bytes = share * 100 * MIB;
    governor.sample();
  };
  return { governor, clock, pool, db, use, breakIt };
}

/** What pg says of its pool, as far as it is used here. */
interface RealPool extends EventEmitter {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
  query(text: string, done: (error: Error | undefined, result: unknown) => void): void;
  connect(): Promise<FakeClient & { release(error?: boolean): void }>;
  connect(done: (error: Error | undefined, client: FakeClient, release: () => void) => void): void;
  end(): Promise<void>;
  readonly options: { readonly max: number };
}

describe('how many connections the budget bears', () => {
  const size = (options: object) => pgPoolSize(setUp().governor, options as never);

  it('is what fits into a share of the limit, between min and max', () => {
    expect(size({ max: 20 })).toBe(6);
    expect(size({ max: 20, connectionBytes: MIB })).toBe(20);
    expect(size({ max: 200, connectionBytes: MIB, maxShare: 0.5 })).toBe(50);
    expect(size({ max: 20, connectionBytes: 90 * MIB })).toBe(1);
    expect(size({ max: 20, min: 3, connectionBytes: 90 * MIB })).toBe(3);
  });

  it('is max where the governor does not act or is broken', () => {
    expect(pgPoolSize(setUp({ mode: 'observe' }).governor, { max: 20 })).toBe(20);
    const { governor, breakIt } = breakable(setUp().governor);
    breakIt();
    expect(pgPoolSize(governor, { max: 20 })).toBe(20);
  });

  it.each([
    {},
    { max: 0 },
    { max: 2, min: 3 },
    { max: 2, maxShare: 2 },
    { max: 2, connectionBytes: 0 },
    { max: 2, mx: 1 },
  ])('refuses %j', (options) => {
    expect(() => size(options)).toThrow(RangeError);
  });
});

describe('a pool of pg under the level', () => {
  it('runs as many queries at a time as the level allows, with their results and errors', async () => {
    const { pool, db, use } = open();
    use(0.9);
    const all = ['a', 'b', 'c', 'd'].map((text) => db.query(text, [1]));
    await turn();
    await turn();
    expect([FakeClient.running.map(({ text }) => text), db.current, db.active, db.waiting]).toEqual([
      ['a', 'b'],
      2,
      2,
      2,
    ]);
    FakeClient.running.shift()!.end();
    await expect(all[0]).resolves.toEqual({ rows: ['a', [1]] });
    FakeClient.running.shift()!.end(new Error('syntax'));
    await expect(all[1]).rejects.toThrow('syntax');
    await turn();
    await turn();
    for (const { end } of FakeClient.running) end();
    await Promise.all(all.slice(2));
    expect([db.active, db.waiting]).toEqual([0, 0]);
    await pool.end();
  });

  it('counts a client until it is released, whichever way', async () => {
    const { pool, db, use } = open();
    use(0.97);
    const one = await db.connect();
    let next: (FakeClient & { release(error?: boolean): void }) | undefined;
    const waiting = db.connect().then((client) => {
      next = client;
    });
    await turn();
    expect([db.active, db.waiting, next]).toEqual([1, 1, undefined]);
    one.release();
    await waiting;
    expect(db.active).toBe(1);
    next!.release(true);
    expect(db.active).toBe(0);
    const release = await new Promise<() => void>((resolve, reject) => {
      db.connect((error, _client, done) => (error ? reject(error) : resolve(done)));
    });
    expect(db.active).toBe(1);
    release();
    expect(db.active).toBe(0);
    await pool.end();
  });

  it('calls back, also with what went wrong', async () => {
    const { pool, db, use, clock } = open({ pauseAt: 0.8, timeoutMs: 50 });
    const result = new Promise((resolve, reject) => {
      expect(db.query('a', (error, rows) => (error ? reject(error) : resolve(rows)))).toBeUndefined();
    });
    await turn();
    await turn();
    FakeClient.running.shift()!.end();
    await expect(result).resolves.toMatchObject({ rows: ['a', undefined] });
    use(0.82);
    const late = new Promise((_, reject) => void db.query('b', (error) => reject(error)));
    clock.advance(50);
    await expect(late).rejects.toMatchObject({ code: 'PLIMSOLL_CONCURRENCY_TIMEOUT' });
    await pool.end();
  });

  it('waits no longer than the pool would', async () => {
    const { pool, db, use, clock } = open({ pauseAt: 0.8 }, { connectionTimeoutMillis: 70 });
    use(0.82);
    const late = db.query('a');
    clock.advance(70);
    await expect(late).rejects.toMatchObject({ code: 'PLIMSOLL_CONCURRENCY_TIMEOUT' });
    await pool.end();
  });

  it('lets everybody through when disposed and when the governor breaks, and leaves no listener', async () => {
    for (const end of ['dispose', 'break'] as const) {
      const { pool, db, use, clock, breakIt } = open({ pauseAt: 0.9 });
      use(0.87);
      const client = await db.connect();
      use(0.92);
      const waiting = db.query('a');
      if (end === 'dispose') db[Symbol.dispose]();
      else {
        breakIt();
        clock.advance(1_000);
      }
      await turn();
      await turn();
      FakeClient.running.shift()!.end();
      await waiting;
      client.release();
      const again = await db.connect();
      again.release();
      db[Symbol.dispose]();
      expect([pool.listenerCount('release'), clock.pending]).toEqual([0, 0]);
      await pool.end();
    }
  });

  it('gives a place back where no connection could be had', async () => {
    const { pool, db } = open();
    await pool.end();
    await expect(db.connect()).rejects.toThrow('end on the pool');
    await expect(db.query('a')).rejects.toThrow('end on the pool');
    expect(db.active).toBe(0);
  });

  it('says what is missing', () => {
    const { governor } = setUp();
    expect(() => governedPool(governor, {} as never)).toThrow('`pool`');
    expect(() => open({ max: 0 })).toThrow('`max`');
    expect(() => open({ mix: 0 } as never)).toThrow('mix');
  });
});
