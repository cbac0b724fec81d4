import fc from 'fast-check';
import { type Lease, ObjectPool } from 'plimsoll/pool';
import { describe, expect, it } from 'vitest';
import { MIB, setUp } from '../governor/fake-meter.ts';

const OBJECT_BYTES = 100_000;
const IDLE_MS = 800;

interface Thing {
  readonly id: number;
  dirty: boolean;
}

interface Loan {
  readonly lease: Lease<Thing>;
  readonly value: Thing;
}

/** What the pool must be, told by what it says to its functions and gives to its borrowers. */
class PoolModel {
  readonly out = new Map<Thing, Loan>();
  /** Oldest first, with the time at which each came to rest. */
  readonly idle: { thing: Thing; since: number }[] = [];
  readonly ended: Loan[] = [];
  readonly created: Thing[] = [];
  readonly gone = new Set<Thing>();
  /** What the functions saw that must not be: what they throw is held in. */
  readonly wrong: string[] = [];
  readonly broken = { create: false, reset: false, validate: false, destroy: false };
  hits = 0;
  misses = 0;
}

type Step =
  | { do: 'lease' | 'tryLease' | 'clear' }
  | { do: 'release' | 'dispose' | 'by value' | 'twice'; at: number }
  | { do: 'resize' | 'preallocate'; size: number }
  | { do: 'advance' | 'others take' | 'others give'; amount: number }
  | { do: 'break' | 'mend'; hook: keyof PoolModel['broken'] };

const index = fc.nat({ max: 20 });
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('lease', 'tryLease') }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('release', 'dispose', 'by value', 'twice'), at: index }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('clear') }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constantFrom('resize', 'preallocate'), size: fc.integer({ min: 1, max: 8 }) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constantFrom('advance', 'others take', 'others give'),
        amount: fc.integer({ min: 1, max: 900 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constantFrom('break', 'mend'),
        hook: fc.constantFrom('create', 'reset', 'validate', 'destroy'),
      }),
    },
  ),
  { maxLength: 60 },
) as fc.Arbitrary<Step[]>;

function begin() {
  // Room for six objects, and what is booked ahead.
  const { governor, clock } = setUp({ limitBytes: 700_000 });
  const model = new PoolModel();
  const check = (hook: keyof PoolModel['broken']) => {
    if (model.broken[hook]) throw new Error('broken on purpose');
  };
  const pool = new ObjectPool<Thing>({
    name: 'things',
    maxSize: 5,
    maxIdle: 4,
    idleMs: IDLE_MS,
    objectBytes: OBJECT_BYTES,
    governor,
    clock,
    create() {
      check('create');
      const thing = { id: model.created.length, dirty: false };
      model.created.push(thing);
      return thing;
    },
    reset(thing) {
      check('reset');
      if (model.out.has(thing)) model.wrong.push(`${thing.id} is lent and reset`);
      thing.dirty = false;
    },
    validate(thing) {
      check('validate');
      return thing.id % 5 !== 4;
    },
    destroy(thing) {
      if (model.gone.has(thing)) model.wrong.push(`${thing.id} is destroyed twice`);
      if (model.out.has(thing)) model.wrong.push(`${thing.id} is lent and destroyed`);
      model.gone.add(thing);
      const at = model.idle.findIndex((each) => each.thing === thing);
      // The oldest for a reason of the pool's, the youngest when it fails the check: out of the middle of what rests nothing goes.
      if (at > 0 && at < model.idle.length - 1) model.wrong.push(`${thing.id} is destroyed before its turn`);
      if (at >= 0) model.idle.splice(at, 1);
      check('destroy');
    },
  });
  const others = governor.consumer({ name: 'others', kind: 'heap', maxBytes: 100 * MIB });
  const held = others.reserve(0);
  return { governor, clock, model, pool, held };
}

type World = ReturnType<typeof begin>;

function borrow({ pool, model }: World, verb: 'lease' | 'tryLease'): void {
  let lease: Lease<Thing> | undefined;
  try {
    lease = pool[verb]();
  } catch (error) {
    const allowed = ['PLIMSOLL_CREATE_FAILED', 'PLIMSOLL_POOL_EXHAUSTED', 'PLIMSOLL_BUDGET_EXCEEDED'];
    expect(verb === 'lease' ? allowed : allowed.slice(0, 1)).toContain((error as { code: string }).code);
    if ((error as { code: string }).code === 'PLIMSOLL_CREATE_FAILED') expect(model.broken.create).toBe(true);
    return;
  }
  if (lease === undefined) {
    expect(verb).toBe('tryLease');
    expect(model.idle).toHaveLength(0);
    return;
  }
  const { value } = lease;
  expect(model.out.has(value)).toBe(false);
  expect(value.dirty).toBe(false);
  const youngest = model.idle.at(-1);
  if (youngest?.thing === value) {
    model.idle.pop();
    model.hits++;
    expect(model.broken.validate).toBe(false);
  } else {
    expect(model.idle).toHaveLength(0);
    expect(value).toBe(model.created.at(-1));
    model.misses++;
  }
  value.dirty = true;
  model.out.set(value, { lease, value });
}

function giveBack({ pool, model, clock }: World, loan: Loan, how: 'release' | 'dispose' | 'by value'): void {
  model.out.delete(loan.value);
  model.ended.push(loan);
  const { spoiled } = pool.stats.dropped;
  if (how === 'release') loan.lease.release();
  else if (how === 'dispose') loan.lease[Symbol.dispose]();
  else pool.release(loan.value);
  expect(pool.stats.dropped.spoiled > spoiled).toBe(model.broken.reset);
  if (!model.gone.has(loan.value)) model.idle.push({ thing: loan.value, since: clock.now() });
}

function twice({ pool, model }: World, loan: Loan): void {
  const before = pool.stats;
  expect(() => loan.lease.release()).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DOUBLE_RELEASE' }));
  expect(() => loan.lease.value).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DISPOSED' }));
  loan.lease[Symbol.dispose]();
  if (!model.out.has(loan.value)) {
    const code = expect.stringMatching(/^PLIMSOLL_(DOUBLE_RELEASE|FOREIGN_OBJECT)$/);
    expect(() => pool.release(loan.value)).toThrow(expect.objectContaining({ code }));
  }
  expect(pool.stats).toEqual(before);
}

function preallocate({ pool, model, clock }: World, count: number): void {
  const first = model.created.length;
  try {
    pool.preallocate(count);
  } catch (error) {
    expect(error).toMatchObject({ code: 'PLIMSOLL_CREATE_FAILED' });
  }
  for (const thing of model.created.slice(first)) {
    if (!model.gone.has(thing)) model.idle.push({ thing, since: clock.now() });
  }
}

/** What must hold at any time. */
function validate({ pool, model, governor, clock }: World): void {
  const { size, leased, idle, bytes, hits, misses, dropped, peakLeased } = pool.stats;
  expect(leased).toBe(model.out.size);
  expect(idle).toBe(model.idle.length);
  expect(size).toBe(leased + idle);
  expect(size).toBe(model.created.length - model.gone.size);
  expect(bytes).toBe(size * OBJECT_BYTES);
  expect(idle).toBeLessThanOrEqual(4);
  expect([hits, misses]).toEqual([model.hits, model.misses]);
  expect(Object.values(dropped).reduce((sum, count) => sum + count, 0)).toBe(model.gone.size);
  expect(model.wrong).toEqual([]);
  expect(peakLeased).toBeGreaterThanOrEqual(leased);
  const row = governor.snapshot().consumers.find(({ name }) => name === 'things')!;
  expect(row.heldBytes).toBeGreaterThanOrEqual(bytes);
  expect(row.heldBytes).toBeLessThanOrEqual(bytes + 2 * 65_536);
  expect(governor.heldBytes).toBeLessThanOrEqual(700_000);
  for (const { since } of model.idle) expect(clock.now() - since).toBeLessThan(IDLE_MS * 1.125 + 1);
  for (const { lease, value } of model.out.values()) expect(lease.value).toBe(value);
}

function run(world: World, step: Step): void {
  const { pool, model, clock, held } = world;
  const loans = [...model.out.values()];
  switch (step.do) {
    case 'lease':
    case 'tryLease':
      borrow(world, step.do);
      break;
    case 'clear':
      pool.clear();
      break;
    case 'release':
    case 'dispose':
    case 'by value':
      if (loans.length > 0) giveBack(world, loans[step.at % loans.length]!, step.do);
      break;
    case 'twice':
      if (model.ended.length > 0) twice(world, model.ended[step.at % model.ended.length]!);
      break;
    case 'resize':
      pool.resize(step.size);
      expect(pool.stats.size).toBeLessThanOrEqual(Math.max(step.size, model.out.size));
      break;
    case 'preallocate':
      preallocate(world, step.size);
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
    default:
      model.broken[step.hook] = step.do === 'break';
  }
}

describe('whatever is done with a pool of objects', () => {
  it('what is lent, at rest and booked agrees with a plain model, and nothing is lent twice', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const world = begin();
        for (const step of list) {
          run(world, step);
          validate(world);
        }
        const { pool, model, governor, held } = world;
        pool[Symbol.dispose]();
        expect(pool.stats).toMatchObject({ idle: 0, leased: model.out.size, size: model.out.size });
        const loans = [...model.out.values()];
        model.out.clear();
        for (const { lease } of loans) lease[Symbol.dispose]();
        expect(model.wrong).toEqual([]);
        expect(model.gone.size).toBe(model.created.length);
        expect(governor.heldBytes).toBe(held.bytes);
      }),
      { numRuns: 300 },
    );
  });
});
