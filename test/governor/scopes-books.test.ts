/** Whatever is done in scopes, nested and side by side: what they hold is the sum of what is tagged, and the ledger agrees. */
import fc from 'fast-check';
import type { Consumer, Reservation } from 'plimsoll';
import { expect, it } from 'vitest';
import type { Scope } from '../../src/governor/contract.ts';
import { BareBooks, gate, settle } from './bare-books.ts';

const LIMIT = 400;
const MAX = 120;

/** A scope that a test keeps open and does things in. */
interface Open {
  scope: Scope;
  readonly outer: Open | undefined;
  readonly end: () => void;
  over: Promise<void>;
  within: <R>(work: () => R) => Promise<R>;
  ended: boolean;
}

interface Tagged {
  readonly room: Reservation;
  /** The scope whose it is, skipping those that have ended. */
  tag: Open | undefined;
}

const command = fc.record({
  verb: fc.constantFrom(
    'open',
    'open',
    'end',
    'reserve',
    'reserve',
    'grow',
    'shrink',
    'drop',
    'transfer',
    'close',
    'abort',
  ),
  a: fc.nat(1_000),
  b: fc.nat(1_000),
  bytes: fc.nat(60),
});

class World {
  readonly books = new BareBooks({ limitBytes: LIMIT });
  readonly consumers: Consumer[] = [this.books.consumer('a'), this.books.consumer('b', { maxBytes: 150 })];
  readonly scopes: Open[] = [];
  readonly rooms: Tagged[] = [];
  opened = 0;
  nested = 0;
  passedOn = 0;

  async open(outer: Open | undefined, upFrontBytes: number): Promise<void> {
    const start = () =>
      new Promise<Open | undefined>((resolve) => {
        const { opened, open } = gate();
        const options = { name: `s${this.scopes.length}`, maxBytes: MAX, upFrontBytes, timeoutMs: 0 };
        const entry = { outer, end: open, ended: false } as Open;
        entry.over = this.books.scopes.run(options, async (scope) => {
          const jobs: (() => void)[] = [];
          let wake = () => {};
          const within = <R>(work: () => R) =>
            new Promise<R>((done, fail) => {
              jobs.push(() => {
                try {
                  done(work());
                } catch (cause) {
                  fail(cause);
                }
              });
              wake();
            });
          resolve(Object.assign(entry, { scope, within }));
          let ended = false;
          void opened.then(() => {
            ended = true;
            wake();
          });
          while (!ended) {
            for (const job of jobs.splice(0)) job();
            await new Promise<void>((next) => {
              wake = next;
              if (jobs.length > 0) next();
            });
          }
        });
        entry.over.catch(() => resolve(undefined));
      });
    const entry = outer === undefined ? start() : outer.within(start);
    this.books.clock.advance(1);
    const settled = await Promise.race([entry, settle().then(() => undefined)]);
    if (settled !== undefined) {
      this.scopes.push(settled);
      this.opened++;
      if (outer !== undefined) this.nested++;
    }
    this.books.clock.advance(1);
    await settle();
  }

  /** What all rooms and pots that count for `open` hold. */
  heldOf(open: Open): number {
    const within = (tag: Open | undefined): boolean => tag !== undefined && (tag === open || within(tag.outer));
    return this.rooms.filter(({ tag }) => within(tag)).reduce((sum, { room }) => sum + room.bytes, 0);
  }

  check(): void {
    const rows = new Map(this.books.scopes.rows().map((row) => [row.name, row]));
    const pots = [...rows.values()].reduce((sum, row) => sum + row.upFrontBytes, 0);
    const held = this.rooms.reduce((sum, { room }) => sum + room.bytes, 0);
    expect(this.books.heldBytes).toBe(held + pots);
    expect(this.books.heldBytes).toBeLessThanOrEqual(LIMIT);
    for (const open of this.scopes) {
      if (open.ended) continue;
      const row = rows.get(open.scope.name);
      if (row === undefined) continue;
      const inner = this.scopes.filter((one) => !one.ended && isWithin(one, open));
      const potBytes = inner.reduce((sum, one) => sum + (rows.get(one.scope.name)?.upFrontBytes ?? 0), 0);
      expect(row.heldBytes).toBe(this.heldOf(open) + potBytes);
      expect(open.scope.heldBytes).toBeLessThanOrEqual(MAX);
      const own = this.rooms.filter(({ tag }) => tag === open).reduce((sum, { room }) => sum + room.bytes, 0);
      expect(row.ownBytes).toBe(own + row.upFrontBytes);
    }
  }
}

function isWithin(one: Open, scope: Open): boolean {
  return one === scope || (one.outer !== undefined && isWithin(one.outer, scope));
}

function live(open: Open | undefined): Open | undefined {
  return open?.ended ? live(open.outer) : open;
}

async function step(world: World, { verb, a, b, bytes }: typeof command extends fc.Arbitrary<infer T> ? T : never) {
  const { rooms, consumers, books } = world;
  const open = world.scopes.filter((one) => !one.ended);
  // The innermost more often than the others: what they hold passes from one to the next.
  const scope = a % 2 === 0 ? open.at(-1) : open[a % (open.length + 1)];
  const one = rooms[a % Math.max(1, rooms.length)];
  const consumer = consumers[b % consumers.length]!;
  if (verb === 'open' && open.length < 8) await world.open(scope, b % 3 === 0 ? bytes : 0);
  else if (verb === 'end' && scope !== undefined) {
    scope.ended = true;
    scope.end();
    await settle();
    for (const each of rooms) {
      if (each.tag === scope && each.room.bytes > 0 && live(scope) !== undefined) world.passedOn++;
      each.tag = live(each.tag);
    }
  } else if (verb === 'reserve') {
    const room =
      scope === undefined ? consumer.tryReserve(bytes) : await scope.within(() => consumer.tryReserve(bytes));
    if (room !== undefined) rooms.push({ room, tag: scope });
  } else if (verb === 'abort' && b % 4 === 0) books.scopes.abortLargest('test');
  else if (verb === 'close' && b % 5 === 0) {
    consumer[Symbol.dispose]();
    consumers[b % consumers.length] = books.consumer('again');
  } else if (one !== undefined && one.room.bytes > 0) {
    if (verb === 'grow') one.room.tryGrow(bytes);
    else if (verb === 'shrink') one.room.shrink(Math.min(bytes, one.room.bytes));
    else if (verb === 'drop') one.room[Symbol.dispose]();
    else if (verb === 'transfer') {
      try {
        one.room.transfer(consumer);
        one.tag = undefined;
      } catch (error) {
        expect(error).toMatchObject({ code: 'PLIMSOLL_BUDGET_EXCEEDED' });
      }
    }
  }
}

it('the books of scopes agree with a simple model', async () => {
  const seen = { opened: 0, nested: 0, passedOn: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 20, maxLength: 80, size: 'max' }), async (commands) => {
      const world = new World();
      for (const one of commands) {
        await step(world, one);
        world.check();
      }
      seen.opened += world.opened;
      seen.nested += world.nested;
      seen.passedOn += world.passedOn;
      for (const open of world.scopes) open.end();
      await settle();
      for (const open of world.scopes) await open.over.catch(() => {});
      for (const { room } of world.rooms) room[Symbol.dispose]();
      const { scopes, admission, heldBytes, budget, clock } = world.books;
      expect([scopes.count, admission.waiting, heldBytes, budget.scoping, clock.pending]).toEqual([
        0,
        0,
        0,
        undefined,
        0,
      ]);
      expect(world.books.ledger.accounts.map((account) => account.tagged).filter((count) => count !== 0)).toEqual([]);
    }),
    { numRuns: 100 },
  );
  // It did what it is about.
  expect(seen.opened).toBeGreaterThan(300);
  expect(seen.nested).toBeGreaterThan(150);
  expect(seen.passedOn).toBeGreaterThan(15);
});
