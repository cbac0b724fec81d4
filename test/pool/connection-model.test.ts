import fc from 'fast-check';
import { ManualClock } from 'plimsoll';
import { type ConnectionLease, ConnectionPool } from 'plimsoll/pool';
import { expect, it } from 'vitest';
import { type FakeConnection, FakeManager, settle } from './fake-manager.ts';

const ACQUIRE_MS = 1_000;

interface User {
  readonly number: number;
  readonly controller: AbortController;
  readonly deadline: number;
  state: 'waits' | 'has' | 'left';
  lease: ConnectionLease<FakeConnection> | undefined;
}

/** A pool, its users and its server, and what must be true of them after every step. */
class World {
  readonly clock = new ManualClock();
  readonly manager = new FakeManager();
  readonly users: User[] = [];
  readonly served: number[] = [];
  readonly pool = new ConnectionPool<FakeConnection>(this.manager, {
    maxSize: 3,
    minSize: 1,
    maxCreating: 2,
    maxWaiting: 8,
    acquireTimeoutMs: ACQUIRE_MS,
    createTimeoutMs: 400,
    validateTimeoutMs: 150,
    recycleTimeoutMs: 150,
    destroyTimeoutMs: 300,
    validateAfterMs: 50,
    idleTimeoutMs: 700,
    maxLifetimeMs: 5_000,
    healthCheckIntervalMs: 250,
    backoffMs: 20,
    maxBackoffMs: 100,
    clock: this.clock,
    random: () => 0.5,
  });
  /** No more than this were ever allowed at a time since the last that hung too long. */
  allowed = 3;
  drained = false;
  lentUnasked = 0;

  acquire(): void {
    const user: User = {
      number: this.users.length,
      controller: new AbortController(),
      deadline: this.clock.now() + ACQUIRE_MS,
      state: 'waits',
      lease: undefined,
    };
    this.users.push(user);
    this.pool.acquire({ signal: user.controller.signal }).then(
      (lease) => {
        user.state = 'has';
        user.lease = lease;
        if (lease.connection.suspected) this.lentUnasked++;
        this.served.push(user.number);
      },
      () => {
        user.state = 'left';
      },
    );
  }

  having(): User[] {
    return this.users.filter(({ state, lease }) => state === 'has' && !lease!.released);
  }

  waiting(): User[] {
    return this.users.filter(({ state }) => state === 'waits');
  }

  async step(command: Command): Promise<void> {
    const { having, waiting, manager, pool } = {
      having: this.having(),
      waiting: this.waiting(),
      manager: this.manager,
      pool: this.pool,
    };
    const pick = <T>(from: readonly T[]): T | undefined => from[command.which % Math.max(1, from.length)];
    switch (command.what) {
      case 'acquire':
        for (let i = 0; i <= command.which % 4; i++) this.acquire();
        break;
      case 'release':
        pick(having)?.lease?.[Symbol.dispose]();
        break;
      case 'suspect': {
        const lease = pick(having)?.lease;
        if (lease === undefined) break;
        lease.connection.suspected = true;
        lease.suspect();
        lease.release();
        break;
      }
      case 'discard':
        pick(having)?.lease?.discard();
        break;
      case 'abort':
        pick(waiting)?.controller.abort(new Error('left'));
        break;
      case 'create':
        manager.create_ = command.mode;
        break;
      case 'answer':
        if (command.which % 3 === 0) manager.valid_ = command.answer;
        else if (command.which % 3 === 1) manager.recycle_ = command.answer;
        else manager.destroy_ = command.answer;
        break;
      case 'created':
        pick(manager.pending)?.succeed();
        break;
      case 'not created':
        pick(manager.pending)?.fail(new Error('refused'));
        break;
      case 'kill':
        pick(manager.open)?.lost(new Error('terminated'));
        break;
      case 'resize': {
        const maxSize = 1 + (command.which % 5);
        this.allowed = Math.max(this.allowed, maxSize);
        pool.tune({ maxSize, minSize: Math.min(maxSize, command.which % 3) });
        break;
      }
      case 'wait':
        this.clock.advance(command.which * 5);
        break;
      case 'drain':
        if (command.which > 12) break;
        this.drained = true;
        void pool.drain({ deadlineMs: 500 });
        break;
    }
    await settle();
    this.check(command.what);
  }

  check(after: string): void {
    const { manager, pool } = this;
    const { stats } = pool;
    const places = stats.idle + stats.leased + stats.creating + stats.checking + stats.recycling;
    // Each connection is in exactly one state, and no state is made up.
    expect(stats.size, after).toBe(places);
    expect(stats.leased, after).toBe(this.having().length);
    expect(stats.waiting, after).toBe(this.waiting().length);
    expect(manager.open.length, after).toBe(places - stats.creating);
    expect(stats.created + stats.destroyedBy.late - stats.destroyed, after).toBe(manager.open.length);
    // Nobody has what somebody else has, and nobody has one that is closed.
    const held = this.having().map(({ lease }) => lease!.connection);
    expect(new Set(held).size, after).toBe(held.length);
    for (const connection of held) expect(connection.open, after).toBe(true);
    // What somebody doubted is looked at before anybody else gets it.
    expect(this.lentUnasked, after).toBe(0);
    // The bounds.
    expect(stats.size + stats.closing, after).toBeLessThanOrEqual(this.allowed);
    if (stats.size + stats.closing <= pool.tuning.maxSize) this.allowed = pool.tuning.maxSize;
    expect(stats.creating, after).toBeLessThanOrEqual(2);
    expect(stats.waiting, after).toBeLessThanOrEqual(8);
    // First come, first served.
    expect(this.served, after).toEqual(this.served.toSorted((a, b) => a - b));
    // Nobody waits beyond the time, and nobody is stranded while one lies idle.
    for (const { deadline } of this.waiting()) expect(deadline, after).toBeGreaterThan(this.clock.now());
    if (stats.waiting > stats.checking) expect(stats.idle, after).toBe(0);
  }

  /** Everything answers again: then everybody who waits is served, or had his time, and at the end nothing is open. */
  async end(): Promise<void> {
    const { manager, pool, clock } = this;
    manager.create_ = manager.valid_ = manager.recycle_ = manager.destroy_ = 'soon';
    for (let round = 0; round < 40; round++) {
      for (const { lease } of this.having()) lease!.release();
      for (const pending of [...manager.pending]) pending.succeed();
      await settle();
      clock.advance(20);
      await settle();
      this.check('the end');
    }
    expect(this.waiting()).toEqual([]);
    expect(pool.stats.leased).toBe(0);
    if (!this.drained) {
      // It heals: a newcomer is served at once.
      expect(await pool.use((connection) => connection.open)).toBe(true);
    }
    void pool.drain({ deadlineMs: 100 });
    for (let round = 0; round < 30; round++) {
      clock.advance(20);
      await settle();
    }
    expect(pool.stats).toMatchObject({ size: 0, closing: 0, waiting: 0 });
    expect(manager.open).toEqual([]);
    expect(clock.pending).toBe(0);
  }
}

const WHATS = [
  'acquire',
  'acquire',
  'acquire',
  'release',
  'release',
  'suspect',
  'discard',
  'abort',
  'create',
  'answer',
  'created',
  'created',
  'not created',
  'kill',
  'resize',
  'wait',
  'wait',
  'wait',
  'drain',
] as const;
const MODES = ['at once', 'soon', 'by hand', 'throws', 'rejects'] as const;
const ANSWERS = ['at once', 'soon', 'no', 'throws', 'rejects', 'hangs'] as const;

const command = fc.record({
  what: fc.constantFrom(...WHATS),
  which: fc.nat({ max: 60 }),
  mode: fc.constantFrom(...MODES),
  answer: fc.constantFrom(...ANSWERS),
});
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

it('whatever users, server and time do: one state each, within bounds, in order, nobody stranded, nothing left open', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 60 }), async (commands) => {
      const world = new World();
      world.check('the start');
      for (const each of commands) await world.step(each);
      await world.end();
    }),
    { numRuns: 150 },
  );
});
