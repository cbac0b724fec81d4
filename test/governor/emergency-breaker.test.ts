import fc from 'fast-check';
import { ManualClock, PRESSURE_LEVELS, type PressureLevel } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { EmergencyBreaker, type EmergencyBreakerOptions } from '../../src/governor/emergency-breaker.ts';
import { Faults } from '../../src/governor/faults.ts';

/** A breaker, and samples every 250 ms. */
function setUp(options: Partial<EmergencyBreakerOptions> = {}) {
  const clock = new ManualClock();
  const changes: string[] = [];
  const breaker = new EmergencyBreaker({ clock, onChange: (to) => void changes.push(to), ...options });
  const stay = (level: PressureLevel, ms: number) => {
    for (let passed = 0; passed < ms; passed += 250) {
      clock.advance(250);
      breaker.note(level, clock.now());
    }
  };
  return { clock, breaker, changes, stay };
}

describe('the breaker for lasting emergency', () => {
  it('opens, lets one probe through, and closes when the sample after it is below critical', () => {
    const { breaker, changes, stay } = setUp();
    stay('emergency', 5_000);
    expect([breaker.state, breaker.allow()]).toEqual(['closed', true]);
    stay('emergency', 250);
    expect([breaker.state, breaker.closed, breaker.allow()]).toEqual(['open', false, false]);
    stay('optimal', 2_000);
    // Below critical alone does not close it: nobody has tried yet.
    expect(breaker.state).toBe('open');
    expect([breaker.allow(), breaker.allow(), breaker.state]).toEqual([true, false, 'half-open']);
    stay('high', 250);
    expect([breaker.state, breaker.closed, breaker.allow(), breaker.allow()]).toEqual(['closed', true, true, true]);
    expect(changes).toEqual(['open', 'half-open', 'closed']);
    expect(breaker.openings).toBe(1);
  });

  it('opens for twice as long when the probe meets emergency again, up to a minute', () => {
    const { breaker, stay, clock } = setUp();
    stay('emergency', 5_250);
    for (const openMs of [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
      clock.advance(openMs - 1);
      expect(breaker.allow()).toBe(false);
      clock.advance(1);
      expect(breaker.allow()).toBe(true);
      breaker.note('emergency', clock.now());
      expect(breaker.state).toBe('open');
    }
  });

  it('at critical it waits, and lets another probe through', () => {
    const { breaker, stay } = setUp();
    stay('emergency', 5_250);
    stay('critical', 2_000);
    expect(breaker.allow()).toBe(true);
    stay('critical', 1_750);
    expect([breaker.state, breaker.allow()]).toEqual(['half-open', false]);
    stay('critical', 250);
    expect(breaker.allow()).toBe(true);
    stay('moderate', 250);
    expect(breaker.state).toBe('closed');
  });

  it('an emergency with a break in it does not last', () => {
    const { breaker, stay } = setUp();
    for (let i = 0; i < 10; i++) {
      stay('emergency', 5_000);
      stay('critical', 250);
    }
    expect(breaker.state).toBe('closed');
  });

  it('a jump of the clock, forwards or back, is not lasting emergency', () => {
    const { breaker } = setUp();
    const states = [1_000, 1_000_000, 2_000, 3_000, 4_000, 4_500, 4_501].map((at) => {
      breaker.note('emergency', at);
      return breaker.state;
    });
    expect(states).toEqual(['closed', 'closed', 'closed', 'closed', 'closed', 'open', 'open']);
  });

  it('takes a sample itself when nobody else does: a service that turns all away would never see that all is well', () => {
    let level: PressureLevel = 'emergency';
    let samples = 0;
    const sample = () => {
      samples++;
      breaker.note(level, clock.now());
    };
    const { breaker, clock, stay } = setUp({ sample });
    stay('emergency', 5_250);
    for (let i = 0; i < 1_999; i++) {
      clock.advance(1);
      expect(breaker.allow()).toBe(false);
    }
    expect(samples).toBe(0);
    level = 'optimal';
    clock.advance(1);
    expect(breaker.allow()).toBe(true);
    expect([samples, breaker.state]).toEqual([1, 'half-open']);
    clock.advance(2_000);
    expect([breaker.allow(), samples, breaker.state]).toEqual([true, 2, 'closed']);
  });

  it('a sample that throws is a fault, and asked for no more often', () => {
    const faults = new Faults();
    let samples = 0;
    const sample = () => {
      samples++;
      throw new Error('no meters');
    };
    const { breaker, clock, stay } = setUp({ sample, faults });
    stay('emergency', 5_250);
    clock.advance(2_000);
    for (let i = 0; i < 100; i++) breaker.allow();
    expect(samples).toBe(1);
    expect(faults.rows()).toEqual([{ part: 'breaker', message: 'no meters', count: 1, off: false }]);
  });

  it('whatever the levels: open only after lasting emergency, and closed again soon after it is over, if anybody calls', () => {
    const levels = fc.array(fc.constantFrom(...PRESSURE_LEVELS, 'emergency', 'emergency'), { maxLength: 200 });
    fc.assert(
      fc.property(levels, fc.boolean(), (steps, calls) => {
        const { breaker, stay } = setUp({ afterMs: 1_000, openMs: 500 });
        let emergencies = 0;
        for (const level of steps) {
          const wasClosed = breaker.closed;
          stay(level, 250);
          emergencies = level === 'emergency' ? emergencies + 1 : 0;
          if (wasClosed && !breaker.closed) expect(emergencies).toBeGreaterThanOrEqual(5);
          if (calls) breaker.allow();
        }
        for (let i = 0; i < 242; i++) {
          stay('moderate', 250);
          breaker.allow();
        }
        expect(breaker.closed).toBe(true);
      }),
    );
  });

  it.each([
    [{ afterMs: -1 }, 'breaker.afterMs'],
    [{ openMs: 0 }, 'breaker.openMs'],
  ])('refuses %j', (options, name) => expect(() => setUp(options)).toThrow(`Expected \`${name}\``));
});
