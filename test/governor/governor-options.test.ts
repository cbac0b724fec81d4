/** What is handed to the governor by hand: each mistake gets one line that says where it is, and what was checked is what is used. */
import {
  type AdmitOptions,
  type ConsumerOptions,
  createGovernor,
  type GovernorOptions,
  type ScopeOptions,
} from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { MIB, setUp } from './fake-meter.ts';

const loose = (options: unknown) => options as GovernorOptions;
const invalid = (message: string) => expect.objectContaining({ code: 'PLIMSOLL_INVALID_OPTION', message });

/** An object that says `first` when it is read, and `then` each time after that. */
function turncoat<T extends object>(given: T, name: keyof T, ...[first, ...then]: readonly unknown[]): T {
  const answers = [first, ...then];
  const get = () => (answers.length > 1 ? answers.shift() : answers[0]);
  return Object.defineProperty({ ...given }, name, { get, enumerable: true });
}

describe('options of parts', () => {
  it.each([
    [{ breaker: { aftrMs: 1 } }, 'Unknown option `aftrMs` of breaker: did you mean `afterMs`?'],
    [{ dieFast: { afterMs: 1, exitcode: 3 } }, 'Unknown option `exitcode` of dieFast: did you mean `exitCode`?'],
    [{ thresholds: { hgih: 0.7 } }, 'Unknown option `hgih` of thresholds: did you mean `high`?'],
    [
      { flightRecorder: { folder: '/nowhere', keeps: 1 } },
      'Unknown option `keeps` of flightRecorder: did you mean `keep`?',
    ],
    [{ shed: { 'http.accept': { lvel: 'high' } } }, 'Unknown option `lvel` of shed.http.accept: did you mean `level`?'],
  ])('%j: a name that nobody knows', (options, message) => {
    for (const mode of ['on', 'observe', 'off'] as const) {
      expect(() => setUp({ mode, ...loose(options) })).toThrow(invalid(message));
    }
  });

  it.each([
    [{ breaker: 5 }, 'Expected `breaker` to be an object, got `5` (number)'],
    [{ breaker: null }, 'Expected `breaker` to be an object, got `null` (object)'],
    [{ thresholds: 'low' }, 'Expected `thresholds` to be an object, got `low` (string)'],
    [{ thresholds: [0.5] }, 'Expected `thresholds` to be an object, got `0.5` (object)'],
    [{ shed: true }, 'Expected `shed` to be an object with a rule for each point, got `true` (boolean)'],
    [
      { shed: { a: 'high' } },
      'Expected `shed.a` to be an object like `{ level }` or `{ from, to }`, got `high` (string)',
    ],
    [
      { shed: { a: { level: 'high', from: 0.1, to: 0.2 } } },
      'Expected `shed.a` to be either `{ level }` or `{ from, to }`, got `both` (string)',
    ],
    [{ dieFast: true }, 'Expected `dieFast` to be an object with `afterMs`, got `true` (boolean)'],
    [{ flightRecorder: '/tmp' }, 'Expected `flightRecorder` to be an object with `folder`, got `/tmp` (string)'],
    [{ meters: 'abc' }, 'Expected `meters` to be an array of meters, got `abc` (string)'],
    [{ meters: {} }, 'Expected `meters` to be an array of meters, got `[object Object]` (object)'],
    [{ root: 5 }, 'Expected `root` to be the path of a folder, got `5` (number)'],
    [{ root: '' }, 'Expected `root` to be the path of a folder, got `` (string)'],
    [
      { clock: {} },
      'Expected `clock` to be an object with the methods `now`, `wall` and `after`, got `[object Object]` (object)',
    ],
    [
      { clock: null },
      'Expected `clock` to be an object with the methods `now`, `wall` and `after`, got `null` (object)',
    ],
    [{ terminationLog: true }, 'Expected `terminationLog` to be a path or false, got `true` (boolean)'],
  ])('%j: of a wrong sort', (options, message) => {
    for (const mode of ['on', 'off'] as const) {
      expect(() => setUp({ mode, ...loose(options) })).toThrow(invalid(message));
    }
  });

  it('and no options at all', () => {
    expect(() => createGovernor(loose(null))).toThrow('Expected `options of createGovernor` to be an object');
    expect(() => setUp().governor.tune(loose(null))).toThrow('Expected `options of tune` to be an object');
    expect(() => setUp().governor.tune(loose({ thresholds: 3 }))).toThrow('Expected `thresholds` to be an object');
  });
});

describe('what asks', () => {
  const consumerOptions = { name: 'rows', kind: 'external', maxBytes: MIB } as const;

  it('has its options looked at: unknown names in `scope`, `admit` and `when`', async () => {
    const { governor } = setUp();
    const scope = { name: 'GET /', maxBytes: MIB, timeoutms: 5 } as ScopeOptions;
    await expect(governor.scope(scope, () => {})).rejects.toThrow(
      invalid('Unknown option `timeoutms` of scope: did you mean `timeoutMs`?'),
    );
    const admit = { timeoutmS: 5 } as AdmitOptions;
    await expect(governor.consumer(consumerOptions).admit(1, admit)).rejects.toThrow(
      invalid('Unknown option `timeoutmS` of admit: did you mean `timeoutMs`?'),
    );
    const condition = { level: 'high', setp: 1 } as unknown as { level: 'high' };
    expect(() => governor.when(condition, () => {})).toThrow('Unknown option `setp` of condition');
  });

  it('has a name of at most 120 characters', async () => {
    const { governor } = setUp();
    const name = 'n'.repeat(120);
    expect(governor.consumer({ ...consumerOptions, name }).name).toBe(name);
    const message = /^Expected `name` to be a name of at most 120 characters, got `n{60}\.\.\.` \(string\)$/;
    expect(() => governor.consumer({ ...consumerOptions, name: `${name}n` })).toThrow(message);
    expect(await governor.scope({ name, maxBytes: 1 }, (scope) => scope.name)).toBe(name);
    await expect(governor.scope({ name: `${name}n`, maxBytes: 1 }, () => {})).rejects.toThrow(message);
  });
});

describe('options that change while they are read', () => {
  it('of a consumer and a scope: what was checked is what is used', async () => {
    const { governor } = setUp();
    const given: ConsumerOptions = { name: 'rows', kind: 'external', maxBytes: 10 };
    const consumer = governor.consumer(turncoat(given, 'maxBytes', 10, -1));
    expect(consumer.maxBytes).toBe(10);
    expect(governor.consumer(turncoat(given, 'kind', 'external', 'none')).kind).toBe('external');
    const scope = turncoat({ name: 'GET /', maxBytes: 10 }, 'maxBytes', 10, Number.NaN);
    expect(await governor.scope(scope, ({ maxBytes }) => maxBytes)).toBe(10);
  });

  it('of the governor, of its parts and of `tune`', () => {
    const options = turncoat<GovernorOptions>({}, 'limitBytes', 100 * MIB, 'none');
    const breaker = turncoat({}, 'afterMs' as never, 5, -5);
    const { governor } = setUp({ shed: { a: turncoat({ level: 'high' }, 'level', 'high', 7) }, breaker });
    expect(governor.shouldShed('a')).toBe(false);
    expect(
      createGovernor(turncoat<GovernorOptions>({ ...options, meters: [] }, 'limitBytes', MIB, 'none')).limitBytes,
    ).toBe(MIB);
    governor.tune(turncoat<GovernorOptions>({}, 'limitBytes', 50 * MIB, Number.NaN));
    expect(governor.limitBytes).toBe(50 * MIB);
    governor.tune({ thresholds: turncoat({}, 'high' as never, 0.6, 'none') });
  });
});

describe('a replacement of `AbortSignal` that a program brings along', () => {
  /** As the first of them were: no `throwIfAborted`, no `reason`. */
  class OldSignal extends EventTarget {
    aborted = false;

    abort(): void {
      this.aborted = true;
      this.dispatchEvent(new Event('abort'));
    }
  }

  it('aborts who waits and who runs, with the platform’s reason', async () => {
    const { governor } = setUp();
    const consumer = governor.consumer({ name: 'rows', kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
    const signal = new OldSignal();
    const options = { signal: signal as unknown as AbortSignal };
    using held = consumer.reserve(90 * MIB);
    const waiting = consumer.admit(20 * MIB, options);
    const running = governor.scope({ name: 'GET /', maxBytes: MIB, ...options }, async ({ signal: own }) => {
      await new Promise((resolve) => own.addEventListener('abort', resolve));
      own.throwIfAborted();
    });
    signal.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
    await expect(consumer.admit(1, options)).rejects.toMatchObject({ name: 'AbortError' });
    await expect(governor.scope({ name: 'late', maxBytes: 1, ...options }, () => {})).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(held.bytes).toBe(90 * MIB);
  });
});

describe('books of a governor that refuses nobody', () => {
  it.each(['observe', 'off'] as const)('stay whole numbers in `%s`, whatever is asked for', (mode) => {
    const { governor } = setUp({ mode });
    const consumer = governor.consumer({ name: 'rows', kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
    const most = consumer.reserve(Number.MAX_SAFE_INTEGER - 1);
    const one = consumer.reserve(1);
    expect(consumer.tryReserve(1)).toBeUndefined();
    expect(() => consumer.reserve(Number.MAX_SAFE_INTEGER)).toThrow('rows asked for');
    expect(one.tryGrow(1)).toBe(false);
    expect(governor.heldBytes).toBe(Number.MAX_SAFE_INTEGER);
    most[Symbol.dispose]();
    expect([governor.heldBytes, consumer.tryReserve(5)?.bytes]).toEqual([1, 5]);
  });
});
