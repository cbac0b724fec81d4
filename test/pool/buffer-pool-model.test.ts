import { randomFillSync } from 'node:crypto';
import fc from 'fast-check';
import { BufferPool, type Lease } from 'plimsoll/pool';
import { describe, expect, it } from 'vitest';
import { setUp } from '../governor/fake-meter.ts';

const LIMIT = 1_000_000;
const IDLE_MS = 800;
const STEP_BYTES = 65_536;

interface Loan {
  readonly lease: Lease<Buffer>;
  readonly value: Buffer;
  /** What its borrower wrote: nobody else may change it. */
  readonly written: Buffer;
  readonly classBytes: number;
}

type Step =
  | { do: 'lease' | 'tryLease'; bytes: number; zero: boolean }
  | { do: 'release' | 'dispose' | 'by value' | 'twice' | 'take away'; at: number }
  | { do: 'clear' }
  | { do: 'resize' | 'advance' | 'others take' | 'others give'; amount: number }
  | { do: 'preallocate'; bytes: number; count: number };

const bytes = fc.oneof(fc.integer({ min: 1, max: 5_000 }), fc.integer({ min: 1, max: 300_000 }));
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('lease', 'tryLease'), bytes, zero: fc.boolean() }) },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constantFrom('release', 'dispose', 'by value', 'twice', 'take away'),
        at: fc.nat({ max: 20 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('clear') }) },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constantFrom('resize', 'advance', 'others take', 'others give'),
        amount: fc.integer({ min: 1, max: 900 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('preallocate'), bytes, count: fc.nat({ max: 4 }) }) },
  ),
  { maxLength: 50 },
) as fc.Arbitrary<Step[]>;

function begin(detach: boolean) {
  const { governor, clock } = setUp({ limitBytes: LIMIT, meters: [] });
  const options = { maxBytes: 800_000, maxIdleBytes: 500_000, maxPooledBytes: 200_000, idleMs: IDLE_MS };
  const pool = new BufferPool({ name: 'buffers', ...options, detach, governor, clock });
  const held = governor.consumer({ name: 'others', kind: 'external', maxBytes: LIMIT }).reserve(0);
  const out = new Map<Lease<Buffer>, Loan>();
  const ended: Loan[] = [];
  return { governor, clock, pool, held, out, ended, expected: { loans: 0, idleUntil: 0 } };
}

type World = ReturnType<typeof begin>;

function borrow(
  { pool, out, expected }: World,
  step: { do: 'lease' | 'tryLease'; bytes: number; zero: boolean },
): void {
  let lease: Lease<Buffer> | undefined;
  try {
    lease = pool[step.do](step.bytes, { zero: step.zero });
  } catch (error) {
    expect(step.do).toBe('lease');
    expect((error as { code: string }).code).toMatch(/^PLIMSOLL_(POOL_EXHAUSTED|BUDGET_EXCEEDED)$/);
    return;
  }
  if (lease === undefined) {
    expect(step.do).toBe('tryLease');
    return;
  }
  const { value } = lease;
  const store = new Uint8Array(value.buffer);
  expect(value).toHaveLength(step.bytes);
  expect(store.length).toBeLessThanOrEqual(Math.max(1_024, 1.5 * step.bytes));
  if (step.zero) expect(store.every((byte) => byte === 0)).toBe(true);
  for (const other of out.values()) expect(other.value.buffer).not.toBe(value.buffer);
  randomFillSync(store);
  out.set(lease, { lease, value, written: Buffer.from(store), classBytes: store.length });
  expected.loans++;
}

function giveBack({ pool, out, ended }: World, loan: Loan, how: 'release' | 'dispose' | 'by value'): void {
  out.delete(loan.lease);
  ended.push(loan);
  if (how === 'release') loan.lease.release();
  else if (how === 'dispose') loan.lease[Symbol.dispose]();
  else pool.release(loan.value);
  if (pool.detach) expect(loan.value).toHaveLength(0);
}

function twice({ pool }: World, loan: Loan): void {
  const before = pool.stats;
  const code = expect.stringMatching(/^PLIMSOLL_(DOUBLE_RELEASE|FOREIGN_OBJECT)$/);
  expect(() => loan.lease.release()).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DOUBLE_RELEASE' }));
  expect(() => pool.release(loan.value)).toThrow(expect.objectContaining({ code }));
  expect(() => loan.lease.value).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DISPOSED' }));
  loan.lease[Symbol.dispose]();
  expect(pool.stats).toEqual(before);
}

/** The borrower sends the memory elsewhere, and gives back what is left of it. */
function takeAway(world: World, loan: Loan): void {
  const store = loan.value.buffer as ArrayBuffer;
  structuredClone(store, { transfer: [store] });
  const before = world.pool.stats.dropped.taken;
  giveBack(world, loan, 'release');
  expect(world.pool.stats.dropped.taken).toBe(before + 1);
}

/** What must hold at any time. */
function validate({ pool, governor, out, expected }: World): void {
  const { stats } = pool;
  const loans = [...out.values()];
  expect(stats.leased).toBe(loans.length);
  expect(stats.leasedBytes).toBe(loans.reduce((sum, loan) => sum + loan.classBytes, 0));
  // Without the governor's own steps: lent and at rest, and nothing else, is what is booked.
  expect(stats.bytes).toBe(stats.leasedBytes + stats.idleBytes);
  const kept = stats.classes.slice(0, -1);
  expect(stats.idleBytes).toBe(kept.reduce((sum, row) => sum + row.idle * row.classBytes, 0));
  expect(stats.idleBytes).toBeLessThanOrEqual(500_000);
  expect(stats.hits + stats.misses).toBe(expected.loans);
  for (const name of ['hits', 'misses', 'idle'] as const) {
    expect(stats[name]).toBe(stats.classes.reduce((sum, row) => sum + row[name], 0));
  }
  const dropped = Object.values(stats.dropped).reduce((sum, count) => sum + count, 0);
  expect(dropped).toBe(stats.classes.reduce((sum, row) => sum + row.dropped, 0));
  if (stats.idleBytes > 0) expect(stats.bytes).toBeLessThanOrEqual(stats.maxBytes);
  const row = governor.snapshot().consumers.find(({ name }) => name === 'buffers')!;
  expect(row.heldBytes).toBeGreaterThanOrEqual(stats.bytes);
  expect(row.heldBytes).toBeLessThanOrEqual(stats.bytes + 2 * STEP_BYTES);
  expect(governor.heldBytes).toBeLessThanOrEqual(LIMIT);
  for (const { lease, value, written } of loans) {
    expect(lease.value).toBe(value);
    expect(Buffer.compare(new Uint8Array(value.buffer), written)).toBe(0);
  }
}

function run(world: World, step: Step): void {
  const { pool, clock, held, out, ended } = world;
  const loans = [...out.values()];
  switch (step.do) {
    case 'lease':
    case 'tryLease':
      borrow(world, step);
      break;
    case 'clear':
      pool.clear();
      expect(pool.stats).toMatchObject({ idle: 0, idleBytes: 0 });
      break;
    case 'twice':
      if (ended.length > 0) twice(world, ended[step.at % ended.length]!);
      break;
    case 'resize':
      pool.resize(step.amount * 1_024);
      break;
    case 'preallocate':
      if (step.bytes <= 200_000) pool.preallocate(step.bytes, step.count);
      break;
    case 'advance':
      clock.advance(step.amount);
      break;
    case 'others take':
      held.tryGrow(step.amount * 1_000);
      break;
    case 'others give':
      held.shrink(Math.min(held.bytes, step.amount * 1_000));
      break;
    default: {
      if (loans.length === 0) break;
      const loan = loans[step.at % loans.length]!;
      if (step.do === 'take away') takeAway(world, loan);
      else giveBack(world, loan, step.do);
    }
  }
}

describe('whatever is done with a pool of buffers', () => {
  it.each([true, false])('books, bounds and bytes agree with a plain model (detach: %s)', (detach) => {
    fc.assert(
      fc.property(steps, (list) => {
        const world = begin(detach);
        const { pool, clock, out, governor, held } = world;
        for (const step of list) {
          run(world, step);
          validate(world);
        }
        clock.advance(IDLE_MS * 1.125 + 1);
        expect(pool.stats).toMatchObject({ idle: 0, idleBytes: 0 });
        pool[Symbol.dispose]();
        for (const loan of [...out.values()]) giveBack(world, loan, 'dispose');
        expect(pool.stats).toMatchObject({ bytes: 0, leased: 0, leasedBytes: 0 });
        expect(governor.heldBytes).toBe(held.bytes);
        expect(governor.snapshot().consumers.map(({ name }) => name)).not.toContain('buffers');
      }),
      { numRuns: 150 },
    );
  });
});
