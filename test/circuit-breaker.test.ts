import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import { ManualClock } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import {
  CircuitBreaker,
  type CircuitBreakerOptions,
  CircuitOpenError,
  type CircuitState,
} from '../src/circuit-breaker.ts';

function setUp(options: Partial<CircuitBreakerOptions> = {}) {
  const clock = new ManualClock();
  const changes: string[] = [];
  const onChange = (to: CircuitState, from: CircuitState) => void changes.push(`${from} -> ${to}`);
  const breaker = new CircuitBreaker({ failureThreshold: 3, openMs: 100, clock, onChange, ...options });
  return { clock, changes, breaker };
}

describe('a circuit breaker', () => {
  it('opens after failures in a row, half-opens after its time, closes when the probe succeeds', () => {
    const { breaker, clock, changes } = setUp();
    for (const step of ['fail', 'fail', 'succeed', 'fail', 'fail'] as const) {
      expect(breaker.allow()).toBe(true);
      breaker[step]();
    }
    expect(breaker.state).toBe('closed');
    breaker.fail();
    expect([breaker.state, breaker.allow(), breaker.retryAfterMs]).toEqual(['open', false, 100]);
    clock.advance(99);
    expect(breaker.allow()).toBe(false);
    clock.advance(1);
    expect([breaker.retryAfterMs, breaker.state]).toEqual([0, 'open']);
    expect(breaker.allow()).toBe(true);
    expect([breaker.state, breaker.allow()]).toEqual(['half-open', false]);
    breaker.succeed();
    expect([breaker.state, breaker.allow()]).toEqual(['closed', true]);
    expect(changes).toEqual(['closed -> open', 'open -> half-open', 'half-open -> closed']);
  });

  it('stays open twice as long each time a probe fails, up to a bound, and begins anew once it has closed', () => {
    const { breaker, clock } = setUp({ failureThreshold: 1, maxOpenMs: 350 });
    breaker.fail();
    for (const openMs of [100, 200, 350, 350]) {
      expect(breaker.retryAfterMs).toBe(openMs);
      clock.advance(openMs);
      expect(breaker.allow()).toBe(true);
      breaker.fail();
    }
    clock.advance(350);
    breaker.allow();
    breaker.succeed();
    breaker.fail();
    expect(breaker.retryAfterMs).toBe(100);
  });

  it('lets as many probes through as there are slots, and closes when as many succeed', () => {
    const { breaker, clock } = setUp({ halfOpenProbes: 2 });
    breaker.trip();
    clock.advance(100);
    expect([breaker.allow(), breaker.retryAfterMs, breaker.allow(), breaker.allow()]).toEqual([true, 0, true, false]);
    breaker.succeed();
    expect(breaker.state).toBe('half-open');
    breaker.succeed();
    expect(breaker.state).toBe('closed');
  });

  it('a probe that is never heard of does not keep it shut', () => {
    const { breaker, clock } = setUp();
    breaker.trip();
    clock.advance(100);
    expect(breaker.allow()).toBe(true);
    clock.advance(99);
    expect(breaker.allow()).toBe(false);
    clock.advance(1);
    expect(breaker.allow()).toBe(true);
  });

  it('reports of calls from before it opened say nothing', () => {
    const { breaker, clock } = setUp();
    breaker.trip();
    breaker.succeed();
    breaker.fail();
    expect([breaker.state, breaker.retryAfterMs]).toEqual(['open', 100]);
    clock.advance(100);
    breaker.succeed();
    expect(breaker.state).toBe('open');
  });

  it('trips at once, and from half-open for twice as long', () => {
    const { breaker, clock } = setUp();
    breaker.trip();
    clock.advance(50);
    breaker.trip();
    expect(breaker.retryAfterMs).toBe(50);
    clock.advance(50);
    breaker.allow();
    breaker.trip();
    expect([breaker.state, breaker.retryAfterMs]).toEqual(['open', 200]);
  });

  it('a clock that jumps back keeps it open for its time and no longer; one that tells no time opens it', () => {
    let now = 1_000_000;
    const breaker = new CircuitBreaker({ openMs: 100, clock: { now: () => now } });
    breaker.trip();
    now = 5;
    expect(breaker.allow()).toBe(false);
    now = 105;
    expect(breaker.allow()).toBe(true);
    breaker.fail();
    now = Number.NaN;
    expect(breaker.allow()).toBe(true);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('not now');
      },
    ],
    ['rejects', () => Promise.reject(new Error('later'))],
  ])('is not moved by a listener that %s', async (_, onChange) => {
    const { breaker } = setUp({ onChange: onChange as () => void });
    breaker.trip();
    expect(breaker.state).toBe('open');
    await new Promise((resolve) => setImmediate(resolve));
  });

  it.each([
    [{ openMs: 0 }, 'openMs'],
    [{ openMs: 10, maxOpenMs: 9 }, 'maxOpenMs'],
    [{ failureThreshold: 0 }, 'failureThreshold'],
    [{ halfOpenProbes: 1.5 }, 'halfOpenProbes'],
    [{ clock: {} as ManualClock }, 'clock'],
    [{ onChange: 'x' as never }, 'onChange'],
  ])('refuses %j', (options, name) => expect(() => setUp(options)).toThrow(`Expected \`${name}\``));
});

describe('run', () => {
  it('reports how the call ended, and does not make it when open', async () => {
    const { breaker, clock } = setUp({ failureThreshold: 1 });
    expect(await breaker.run(() => 7)).toBe(7);
    const broken = new Error('broken');
    await expect(breaker.run(() => Promise.reject(broken))).rejects.toBe(broken);
    clock.advance(40.5);
    let made = 0;
    const refused = await breaker.run(() => made++).catch((error) => error);
    expect(refused).toBeInstanceOf(CircuitOpenError);
    expect(refused).toMatchObject({
      code: 'PLIMSOLL_CIRCUIT_OPEN',
      recovery: 'circuit-break',
      retryAfterMs: 59.5,
      message: 'The circuit is open: the next call is let through in 60ms',
    });
    expect(made).toBe(0);
    clock.advance(60);
    expect(await breaker.run(async () => 8)).toBe(8);
    expect(breaker.state).toBe('closed');
  });

  it('a call from before it opened, which ends while a probe is out, does not close it', async () => {
    const { breaker, clock } = setUp();
    let end = () => {};
    const slow = breaker.run(() => new Promise<void>((resolve) => (end = resolve)));
    breaker.trip();
    clock.advance(100);
    expect(breaker.allow()).toBe(true);
    end();
    await slow;
    expect(breaker.state).toBe('half-open');
  });

  it('throws the error that stands ready when none can be made', async () => {
    let broken = false;
    const now = () => {
      // The second look in a refused call is the one for the message.
      if (broken && looks++ > 0) throw new RangeError('Array buffer allocation failed');
      return 0;
    };
    let looks = 0;
    const breaker = new CircuitBreaker({ openMs: 100, clock: { now } });
    breaker.trip();
    broken = true;
    await expect(breaker.run(() => 1)).rejects.toMatchObject({ code: 'PLIMSOLL_CIRCUIT_OPEN', retryAfterMs: 0 });
  });
});

/** What the breaker should do, written down as simply as possible. */
class Model {
  state: CircuitState = 'closed';
  failures = 0;
  probes = 0;
  successes = 0;
  openMs = 100;
  since = 0;
  now = 0;

  to(state: CircuitState): void {
    Object.assign(this, { state, failures: 0, probes: 0, successes: 0, since: this.now });
  }

  allow(): boolean {
    const isOver = this.now - this.since >= this.openMs;
    if (this.state === 'closed') return true;
    if (this.state === 'open' && isOver) this.to('half-open');
    else if (this.state === 'half-open' && isOver) Object.assign(this, { probes: 0, since: this.now });
    if (this.state === 'open' || this.probes === 2) return false;
    this.probes++;
    return true;
  }

  succeed(): void {
    if (this.state === 'closed') this.failures = 0;
    if (this.state !== 'half-open' || this.probes === 0 || ++this.successes < 2) return;
    this.openMs = 100;
    this.to('closed');
  }

  fail(): void {
    if (this.state === 'half-open') this.openMs = Math.min(this.openMs * 2, 700);
    if (this.state === 'half-open' || (this.state === 'closed' && ++this.failures === 3)) this.to('open');
  }

  trip(): void {
    if (this.state === 'closed') this.to('open');
    else this.fail();
  }
}

type Verb = 'allow' | 'succeed' | 'fail' | 'trip';

class Step implements fc.Command<Model, { breaker: CircuitBreaker; clock: ManualClock }> {
  readonly verb: Verb | number;

  constructor(verb: Verb | number) {
    this.verb = verb;
  }

  check(): boolean {
    return true;
  }

  run(model: Model, { breaker, clock }: { breaker: CircuitBreaker; clock: ManualClock }): void {
    if (typeof this.verb === 'number') {
      model.now += this.verb;
      clock.advance(this.verb);
    } else {
      expect(breaker[this.verb]()).toBe(model[this.verb]());
    }
    expect(breaker.state).toBe(model.state);
  }

  toString(): string {
    return typeof this.verb === 'number' ? `advance(${this.verb})` : this.verb;
  }
}

describe('as a state machine', () => {
  it('does what the model does', () => {
    const verbs = fc.constantFrom<Verb>('allow', 'allow', 'succeed', 'fail', 'fail', 'trip');
    const steps = [verbs.map((verb) => new Step(verb)), fc.nat(400).map((ms) => new Step(ms))];
    fc.assert(
      fc.property(fc.commands(steps, { maxCommands: 80 }), (commands) => {
        fc.modelRun(() => {
          const { breaker, clock } = setUp({ halfOpenProbes: 2, maxOpenMs: 700 });
          return { model: new Model(), real: { breaker, clock } };
        }, commands);
      }),
      { numRuns: 500 },
    );
  });
});

/** Fills the heap to the brim, works the breaker, and says what is left of the room. */
const ON_A_FULL_HEAP = `
import { getHeapStatistics } from 'node:v8';
import { CircuitBreaker } from './src/circuit-breaker.ts';
const times = new Float64Array(1);
const breaker = new CircuitBreaker({ failureThreshold: 2, openMs: 1, clock: { now: () => times[0] } });
let letThrough = 0;
function rounds(count) {
  for (let i = 0; i < count; i++) {
    if (breaker.allow()) letThrough++;
    breaker.fail();
    breaker.fail();
    if (breaker.allow()) letThrough++;
    times[0] += 1;
    if (breaker.allow()) letThrough++;
    breaker.succeed();
    breaker.trip();
    times[0] += 1;
    breaker.allow();
    breaker.succeed();
  }
}
// Code in its first rounds is interpreted, and the interpreter makes an object of each double in passing.
for (let i = 0; i < 20; i++) rounds(20000);
letThrough = 0;
const kept = [];
// The limit of the old space: the young one, three times the semi-space, is counted in.
const oldLimit = getHeapStatistics().heap_size_limit - 3 * 8 * 1048576;
const aim = oldLimit - 4 * 1048576;
// What filling leaves behind is collected at any moment, so it goes on until a collection finds next to none.
do {
  while (getHeapStatistics().used_heap_size < aim) kept.push(new Array(1024).fill(kept.length));
  globalThis.gc();
} while (getHeapStatistics().used_heap_size < aim - 1048576);
const full = getHeapStatistics().used_heap_size / oldLimit;
rounds(20000);
globalThis.gc({ type: 'minor' });
const grown = new Float64Array(9);
for (let i = 0; i < grown.length; i++) {
  const before = process.memoryUsage().heapUsed;
  rounds(10000);
  grown[i] = process.memoryUsage().heapUsed - before;
}
console.log(JSON.stringify({ letThrough, grownBytes: grown.sort()[4], full, kept: kept.length }));
`;

describe('under memory pressure', () => {
  it('the breaker does not itself fail for lack of memory', () => {
    const flags = [
      '--conditions=source',
      '--expose-gc',
      '--max-old-space-size=64',
      '--max-semi-space-size=8',
      '--min-semi-space-size=8',
    ];
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [...flags, '--input-type=module-typescript', '--eval', ON_A_FULL_HEAP],
      { cwd: join(import.meta.dirname, '..'), encoding: 'utf8' },
    );
    expect({ status, stderr }).toMatchObject({ status: 0 });
    const { letThrough, grownBytes, full } = JSON.parse(stdout) as Record<string, number>;
    expect(letThrough).toBe(220_000);
    expect(full).toBeGreaterThan(0.9);
    // 10,000 rounds of ten calls: 16 bytes in one call of each round would be 160 KB.
    expect(grownBytes).toBeLessThan(80_000);
  });
});
