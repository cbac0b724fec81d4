import fc from 'fast-check';
import {
  BudgetExceededError,
  type Consumer,
  createGovernor,
  type Governor,
  ManualClock,
  MEMORY_KINDS,
  type Reservation,
} from 'plimsoll';
import { describe, expect, it } from 'vitest';

const quiet = { clock: new ManualClock(), meters: [], root: '/nowhere', mode: 'on' } as const;

function governorOf(limitBytes: number, runtimeBytes = 0): Governor {
  return createGovernor({ ...quiet, limitBytes, runtimeBytes });
}

describe('reservations', () => {
  it('hold, grow, shrink, resize and release', () => {
    using governor = governorOf(1_000);
    using consumer = governor.consumer({ name: 'feed', kind: 'external', maxBytes: 600 });
    const held = consumer.reserve(100);
    held.grow(50);
    expect(held.tryGrow(451)).toBe(false);
    held.shrink(20);
    held.resize(500);
    held.resize(30);
    expect([held.bytes, consumer.heldBytes, consumer.peakBytes, governor.heldBytes, governor.availableBytes]).toEqual([
      30, 30, 500, 30, 970,
    ]);
    expect(held.consumer).toBe(consumer);
    held[Symbol.dispose]();
    held[Symbol.dispose]();
    expect([held.bytes, consumer.heldBytes, governor.heldBytes]).toEqual([0, 0, 0]);
  });

  it('over budget: `try` says so, the others throw', () => {
    using governor = governorOf(100);
    const consumer = governor.consumer({ name: 'feed', kind: 'heap', maxBytes: Number.POSITIVE_INFINITY });
    const held = consumer.reserve(60);
    expect(consumer.tryReserve(41)).toBeUndefined();
    expect(() => consumer.reserve(41)).toThrow(BudgetExceededError);
    expect(() => held.grow(41)).toThrow(
      'feed asked for 41B and holds 60B: 40B of 100B are left; largest holders: feed 60B (peak 60B)',
    );
    expect(() => held.resize(101)).toThrow(BudgetExceededError);
    expect(consumer.heldBytes).toBe(60);
    expect(governor.snapshot().consumers.at(-1)).toMatchObject({ name: 'feed', refusals: 4 });
  });

  it('of nothing are always granted, also over the line', () => {
    using governor = governorOf(100);
    const consumer = governor.consumer({ name: 'feed', kind: 'heap', maxBytes: 100 });
    const all = consumer.reserve(100);
    governor.tune({ limitBytes: 50 });
    using none = consumer.reserve(0);
    expect(none.tryGrow(0)).toBe(true);
    expect(none.tryGrow(1)).toBe(false);
    all.shrink(51);
    expect(none.tryGrow(1)).toBe(true);
  });

  it('refuse counts that are none, and more than is held', () => {
    using governor = governorOf(100);
    const consumer = governor.consumer({ name: 'feed', kind: 'heap', maxBytes: 100 });
    const held = consumer.reserve(10);
    for (const bytes of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(() => consumer.tryReserve(bytes)).toThrow(RangeError);
      expect(() => held.tryGrow(bytes)).toThrow(RangeError);
      expect(() => held.resize(bytes)).toThrow(RangeError);
      expect(() => held.shrink(bytes)).toThrow(RangeError);
    }
    expect(() => held.shrink(11)).toThrow(
      'Expected `bytes` to be a whole number from 0 to 10, which is what is held, got `11`',
    );
    expect(consumer.heldBytes).toBe(10);
  });

  it('do not come back to life', () => {
    using governor = governorOf(100);
    const consumer = governor.consumer({ name: 'feed', kind: 'heap', maxBytes: 100 });
    const held = consumer.reserve(10);
    held[Symbol.dispose]();
    for (const use of [() => held.grow(1), () => held.tryGrow(0), () => held.transfer(consumer)]) {
      expect(use).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DISPOSED' }));
    }
    expect(governor.heldBytes).toBe(0);
  });

  it('count in the bounds of all above, and move', () => {
    using governor = governorOf(1_000);
    const parent = governor.consumer({ name: 'parent', kind: 'external', maxBytes: 100 });
    const left = governor.consumer({ name: 'left', kind: 'external', maxBytes: 90, parent });
    const right = governor.consumer({ name: 'right', kind: 'wasm', maxBytes: 30, parent });
    const other = governor.consumer({ name: 'other', kind: 'mapped', maxBytes: 50 });
    const held = left.reserve(80);
    expect(right.tryReserve(21)).toBeUndefined();
    expect(() => right.reserve(21)).toThrow('right asked for 21B and holds 0B: parent has 20B left of its own bound');
    // Between two of one parent nothing changes for the parent.
    held.shrink(50);
    held.transfer(right);
    expect([left.heldBytes, right.heldBytes, parent.heldBytes]).toEqual([0, 30, 30]);
    held.transfer(other);
    expect([right.heldBytes, parent.heldBytes, other.heldBytes, governor.heldBytes]).toEqual([0, 0, 30, 30]);
    expect(held.consumer).toBe(other);
    held.grow(20);
    expect(() => held.transfer(right)).toThrow('right has 30B left of its own bound');
    expect([right.heldBytes, other.heldBytes, held.bytes]).toEqual([0, 50, 50]);
    expect(governor.snapshot().byKind).toEqual({ heap: 0, external: 0, mapped: 50, wasm: 0 });
  });

  it('move although the whole is over its line: a move does not make it worse', () => {
    using governor = governorOf(100);
    const from = governor.consumer({ name: 'from', kind: 'heap', maxBytes: 100 });
    const to = governor.consumer({ name: 'to', kind: 'heap', maxBytes: 100 });
    const held = from.reserve(90);
    governor.tune({ limitBytes: 40 });
    held.transfer(to);
    expect(to.heldBytes).toBe(90);
  });

  it('end with their consumer, and those below it', () => {
    using governor = governorOf(1_000);
    const parent = governor.consumer({ name: 'parent', kind: 'heap', maxBytes: 500 });
    const child = governor.consumer({ name: 'child', kind: 'heap', maxBytes: 500, parent });
    const other = governor.consumer({ name: 'other', kind: 'heap', maxBytes: 500 });
    const held = child.reserve(100);
    const moved = child.reserve(10);
    moved.transfer(other);
    parent[Symbol.dispose]();
    parent[Symbol.dispose]();
    expect([held.bytes, moved.bytes, governor.heldBytes]).toEqual([0, 10, 10]);
    held.shrink(0);
    held[Symbol.dispose]();
    expect(governor.heldBytes).toBe(10);
    expect(() => child.tryReserve(1)).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DISPOSED' }));
    expect(() => moved.transfer(parent)).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DISPOSED' }));
    expect(() => governor.consumer({ name: 'late', kind: 'heap', maxBytes: 1, parent })).toThrow(
      'parent has been disposed',
    );
  });

  it('cannot leave a consumer that has been disposed: they hold nothing', () => {
    using governor = governorOf(1_000);
    const late = governor.consumer({ name: 'late', kind: 'heap', maxBytes: 500 });
    const heir = governor.consumer({ name: 'heir', kind: 'heap', maxBytes: 500 });
    const orphan = late.reserve(100);
    late[Symbol.dispose]();
    for (const use of [() => orphan.transfer(heir), () => orphan.grow(1), () => orphan.tryGrow(1)]) {
      expect(use).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DISPOSED' }));
    }
    orphan[Symbol.dispose]();
    expect([heir.heldBytes, governor.heldBytes]).toEqual([0, 0]);
  });

  it('belong to one governor', () => {
    using governor = governorOf(100);
    using stranger = governorOf(100);
    const consumer = governor.consumer({ name: 'feed', kind: 'heap', maxBytes: 100 });
    const foreign = stranger.consumer({ name: 'foreign', kind: 'heap', maxBytes: 100 });
    expect(() => consumer.reserve(1).transfer(foreign)).toThrow('Expected `to` to be a consumer of this governor');
    expect(() => governor.consumer({ name: 'x', kind: 'heap', maxBytes: 1, parent: foreign })).toThrow(
      'Expected `parent`',
    );
  });
});

describe('consumers', () => {
  it.each([
    [{ name: '' }, 'name'],
    [{ kind: 'disk' }, 'kind'],
    [{ maxBytes: undefined }, 'maxBytes'],
    [{ maxBytes: -1 }, 'maxBytes'],
    [{ maxBytes: Number.NaN }, 'maxBytes'],
    [{ importance: 1.5 }, 'importance'],
    [{ reclaimer: {} }, 'reclaimer'],
    [{ reclaimer: null }, 'reclaimer'],
    [{ parent: {} }, 'parent'],
  ])('refuse %j', (wrong, name) => {
    using governor = governorOf(100);
    const options = { name: 'feed', kind: 'heap', maxBytes: 1, ...wrong } as never;
    expect(() => governor.consumer(options)).toThrow(`Expected \`${name}\``);
  });

  it('have a bound on their number', () => {
    using governor = createGovernor({ ...quiet, limitBytes: 100, runtimeBytes: 0, maxConsumers: 3 });
    const make = () => governor.consumer({ name: 'c', kind: 'heap', maxBytes: 1 });
    const first = make();
    make();
    expect(make).toThrow('Expected `maxConsumers` to be enough for one more consumer');
    first[Symbol.dispose]();
    make();
  });
});

interface Model {
  readonly consumers: {
    readonly max: number;
    readonly parent: number;
    readonly kind: number;
    open: boolean;
    peak: number;
  }[];
  readonly held: { owner: number; bytes: number; real: Reservation }[];
  /** Reservations that were disposed, or whose consumer was. */
  readonly dead: Reservation[];
}

const LIMIT = 1_000;

function heldBy(model: Model, index: number): number {
  let sum = 0;
  for (const { owner, bytes } of model.held) {
    for (let at = owner; at >= 0; at = model.consumers[at]!.parent) if (at === index) sum += bytes;
  }
  return sum;
}

function fits(model: Model, owner: number, bytes: number): boolean {
  if (bytes === 0) return true;
  const all = model.held.reduce((sum, one) => sum + one.bytes, 0);
  if (all + bytes > LIMIT) return false;
  for (let at = owner; at >= 0; at = model.consumers[at]!.parent) {
    if (heldBy(model, at) + bytes > model.consumers[at]!.max) return false;
  }
  return true;
}

const command = fc.record({
  verb: fc.constantFrom('reserve', 'grow', 'shrink', 'transfer', 'dispose', 'open', 'close', 'revive'),
  a: fc.nat(1_000),
  b: fc.nat(1_000),
  bytes: fc.oneof(fc.nat(60), fc.nat(400)),
});

function step(
  governor: Governor,
  model: Model,
  real: Consumer[],
  { verb, a, b, bytes }: typeof command extends fc.Arbitrary<infer T> ? T : never,
) {
  const open = model.consumers.flatMap((consumer, index) => (consumer.open ? [index] : []));
  if (verb === 'open' || open.length === 0) {
    const parent = open.length > 0 && a % 2 === 0 ? open[b % open.length]! : -1;
    const max = a % 5 === 0 ? Number.POSITIVE_INFINITY : bytes * 2;
    const kind = a % MEMORY_KINDS.length;
    const options = { name: `c${real.length}`, kind: MEMORY_KINDS[kind]!, maxBytes: max };
    real.push(governor.consumer(parent < 0 ? options : { ...options, parent: real[parent]! }));
    model.consumers.push({ max, parent, kind, open: true, peak: 0 });
    return;
  }
  const owner = open[a % open.length]!;
  if (verb === 'reserve') {
    const reservation = real[owner]!.tryReserve(bytes);
    expect(reservation !== undefined).toBe(fits(model, owner, bytes));
    if (reservation !== undefined) model.held.push({ owner, bytes, real: reservation });
    return;
  }
  if (verb === 'close') {
    if (a % 4 !== 0) return;
    real[owner]![Symbol.dispose]();
    for (const [index, consumer] of model.consumers.entries()) {
      for (let at = index; at >= 0; at = model.consumers[at]!.parent) if (at === owner) consumer.open = false;
    }
    const gone = model.held.filter((one) => !model.consumers[one.owner]!.open);
    for (const one of gone) {
      expect(one.real.bytes).toBe(0);
      model.dead.push(one.real);
      model.held.splice(model.held.indexOf(one), 1);
    }
    return;
  }
  if (verb === 'revive') {
    const dead = model.dead[b % Math.max(1, model.dead.length)];
    if (dead === undefined) return;
    for (const use of [() => dead.transfer(real[owner]!), () => dead.tryGrow(bytes)]) {
      expect(use).toThrow(expect.objectContaining({ code: 'PLIMSOLL_DISPOSED' }));
    }
    dead[Symbol.dispose]();
    return;
  }
  const one = model.held[b % Math.max(1, model.held.length)];
  if (one === undefined) return;
  if (verb === 'grow') {
    const expected = fits(model, one.owner, bytes);
    expect(one.real.tryGrow(bytes)).toBe(expected);
    if (expected) one.bytes += bytes;
  } else if (verb === 'shrink') {
    const less = Math.min(bytes, one.bytes);
    one.real.shrink(less);
    one.bytes -= less;
  } else if (verb === 'dispose') {
    one.real[Symbol.dispose]();
    model.dead.push(one.real);
    model.held.splice(model.held.indexOf(one), 1);
  } else {
    const from = one.owner;
    const before = one.bytes;
    one.bytes = 0;
    const expected = from === owner || fits(model, owner, before);
    one.bytes = before;
    if (expected) {
      one.real.transfer(real[owner]!);
      one.owner = owner;
    } else {
      expect(() => one.real.transfer(real[owner]!)).toThrow(BudgetExceededError);
    }
  }
}

describe('the books', () => {
  it('agree with a simple model whatever is done to them', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 120 }), (commands) => {
        using governor = governorOf(LIMIT);
        const model: Model = { consumers: [], held: [], dead: [] };
        const real: Consumer[] = [];
        for (const one of commands) {
          step(governor, model, real, one);
          expect(governor.heldBytes).toBe(model.held.reduce((sum, held) => sum + held.bytes, 0));
          expect(governor.heldBytes).toBeLessThanOrEqual(LIMIT);
          for (const [index, consumer] of model.consumers.entries()) {
            if (!consumer.open) continue;
            const held = heldBy(model, index);
            consumer.peak = Math.max(consumer.peak, held);
            expect(real[index]!.heldBytes).toBe(held);
            expect(real[index]!.peakBytes).toBe(consumer.peak);
          }
          for (const held of model.held) expect(held.real.bytes).toBe(held.bytes);
          const kinds = [0, 0, 0, 0];
          for (const held of model.held) kinds[model.consumers[held.owner]!.kind]! += held.bytes;
          const { byKind } = governor.snapshot();
          expect(MEMORY_KINDS.map((kind) => byKind[kind])).toEqual(kinds);
        }
      }),
      { numRuns: 300 },
    );
  });
});
