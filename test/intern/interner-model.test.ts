import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { createGovernor, ManualClock, type Reclaimer } from 'plimsoll';
import { type InternedString, StringInterner } from 'plimsoll/intern';
import { expect, it } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { checkInterner } from './check-table.ts';

/** What may be known of an interner from outside: each text and each symbol that it gave, and when a text was last used. */
interface Model {
  readonly lastUse: Map<string, number>;
  readonly symbols: Map<InternedString, string>;
  epoch: number;
}

interface Real {
  readonly interner: StringInterner;
  readonly reclaimer: Reclaimer;
  readonly other: { take(): void; free(): void };
  breakIt(): void;
}

class Step implements fc.Command<Model, Real> {
  readonly #name: string;
  readonly #act: (model: Model, real: Real) => void;

  constructor(name: string, act: (model: Model, real: Real) => void) {
    this.#name = name;
    this.#act = act;
  }

  check(): boolean {
    return true;
  }

  run(model: Model, real: Real): void {
    this.#act(model, real);
    const kept = new Set(checkInterner(real.interner));
    expect([...kept].filter((text) => !model.lastUse.has(text))).toEqual([]);
    const { hits, misses, evicted, released, reclaimed, refused, entryCount } = real.interner.stats;
    expect(misses).toBe(entryCount + evicted + released + reclaimed + refused);
    expect(hits).toBeGreaterThanOrEqual(0);
  }

  toString(): string {
    return this.#name;
  }
}

const text = fc.oneof(
  fc.integer({ min: 0, max: 400 }).map((i) => `text ${i}`),
  fc.integer({ min: 0, max: 40 }).map((i) => `текст ${'ж'.repeat(i)}`),
  fc.integer({ min: 0, max: 60 }).map((i) => 'é'.repeat(i)),
  fc.integer({ min: 0, max: 20 }).map((i) => '\ud800'.repeat(i)),
  fc.integer({ min: 0, max: 20 }).map((i) => 'long '.repeat(10 * i)),
  fc.string({ unit: 'binary', maxLength: 8 }),
);

const used = (model: Model, given: string) => model.lastUse.set(given, model.epoch);
const wellFormed = (given: string): string => Buffer.from(given, 'utf8').toString('utf8');

const commands = [
  text.map(
    (given) =>
      new Step(`intern ${JSON.stringify(given)}`, (model, { interner }) => {
        expect(interner.intern(given)).toBe(given);
        used(model, given);
      }),
  ),
  text.map(
    (given) =>
      new Step(`internBytes ${JSON.stringify(given)}`, (model, { interner }) => {
        expect(interner.internBytes(Buffer.from(given, 'utf8'))).toBe(wellFormed(given));
        used(model, wellFormed(given));
      }),
  ),
  fc.tuple(text, fc.boolean()).map(
    ([given, bytes]) =>
      new Step(`symbolOf ${JSON.stringify(given)} ${bytes}`, (model, { interner }) => {
        const said = bytes ? wellFormed(given) : given;
        const symbol = bytes ? interner.symbolOfBytes(Buffer.from(given, 'utf8')) : interner.symbolOf(given);
        used(model, said);
        if (symbol === undefined) return;
        expect(model.symbols.get(symbol) ?? said).toBe(said);
        model.symbols.set(symbol, said);
        expect(interner.asString(symbol)).toBe(said);
      }),
  ),
  fc.constant(
    new Step('every symbol names its text or nothing', (model, { interner }) => {
      for (const [symbol, said] of model.symbols) {
        const found = interner.tryAsString(symbol);
        expect(found ?? said).toBe(said);
        if (found !== undefined) used(model, said);
      }
    }),
  ),
  fc.integer({ min: 1, max: 300 }).map(
    (count) =>
      new Step(`${count} others`, (model, { interner }) => {
        for (let i = 0; i < count; i++) {
          const said = `${model.epoch} ${model.lastUse.size} and so on`;
          expect(interner.intern(said)).toBe(said);
          used(model, said);
        }
      }),
  ),
  fc.constant(new Step('beginEpoch', (model, { interner }) => void (model.epoch = interner.beginEpoch()))),
  fc.integer({ min: 0, max: 2 }).map(
    (back) =>
      new Step(`releaseBefore ${back} back`, (model, { interner }) => {
        const before = checkInterner(interner);
        const dropped = interner.releaseBefore(Math.max(0, model.epoch - back));
        const after = new Set(checkInterner(interner));
        const kept = before.filter((said) => model.lastUse.get(said)! >= model.epoch - back);
        expect([...after].toSorted()).toEqual(kept.toSorted());
        expect(dropped).toBe(before.length - after.size);
      }),
  ),
  fc.integer({ min: 1, max: 20_000 }).map(
    (targetBytes) =>
      new Step(`reclaim ${targetBytes}`, (_, { interner, reclaimer }) => {
        const before = interner.stats.heapBytes;
        const can = reclaimer.reclaimableBytes();
        reclaimer.reclaimNow!({ targetBytes, level: 'high', strategy: 'smart' });
        expect(before - interner.stats.heapBytes).toBeGreaterThanOrEqual(Math.min(targetBytes, can));
      }),
  ),
  fc.constant(new Step('others take all', (_, { other }) => other.take())),
  fc.constant(new Step('others give it back', (_, { other }) => other.free())),
];

function setUp(hashMask: number, seed: number): { model: Model; real: Real } {
  const clock = new ManualClock();
  const owned = createGovernor({ clock, meters: [], mode: 'on', runtimeBytes: 0, limitBytes: 400_000 });
  let reclaimer: Reclaimer | undefined;
  const open = owned.consumer.bind(owned);
  owned.consumer = (options) => {
    reclaimer ??= options.reclaimer;
    return open(options);
  };
  const { governor, breakIt } = breakable(owned);
  const interner = new StringInterner({ governor, clock, hashMask, seed, maxBytes: 32_000, maxStringBytes: 600 });
  const consumer = open({ name: 'other', kind: 'heap', maxBytes: Number.POSITIVE_INFINITY });
  const taken: Disposable[] = [];
  const other = {
    take() {
      const all =
        consumer.tryReserve(owned.availableBytes + reclaimer!.reclaimableBytes() / 2) ??
        consumer.tryReserve(owned.availableBytes);
      if (all !== undefined) taken.push(all);
    },
    free() {
      for (const each of taken.splice(0)) each[Symbol.dispose]();
    },
  };
  return {
    model: { lastUse: new Map(), symbols: new Map(), epoch: 1 },
    real: { interner, reclaimer: reclaimer!, other, breakIt },
  };
}

it.each([
  ['hashes as they are', 0xffff_ffff],
  ['hashes of three bits', 7],
  ['one hash for all', 0],
])(
  'whatever is interned, dropped, reclaimed and released, a text is itself and a symbol never another: %s',
  (_, hashMask) => {
    fc.assert(
      fc.property(fc.commands(commands, { maxCommands: 50 }), fc.nat(), fc.boolean(), (steps, seed, broken) => {
        fc.modelRun(() => {
          const made = setUp(hashMask, seed);
          if (broken) made.real.breakIt();
          return made;
        }, steps);
      }),
      { numRuns: 60 },
    );
  },
);
